import { Config, Effect, Either } from "effect"
import type { Device } from "../device/device.ts"
import { collectAll } from "../runtime/collector.ts"
import { Stack, type StackService } from "../runtime/stack.ts"
import type { PlainConnection } from "./plain.ts"
import { discard, echo, type Service, serviceCounters } from "./services.ts"
import * as Tcp from "./Tcp.ts"

const CLIENT = "198.18.0.1/24"
const SERVER = "198.18.0.2"
const ECHO_PORT = 7
const DISCARD_PORT = 9

/** Connections at once, and the requests of each: the last of the engine's compilers looks at what was called some thousand times. */
const CONVERSATIONS = 16
const REQUESTS = 2000
/** Connections at once, and how often each is made anew, asks one thing and is closed. */
const VISITORS = 16
const VISITS = 100
/** Octets of a stream, and how many are given at once. */
const STREAM = 16 << 20
const CHUNK = new Uint8Array(1 << 16)
/** Requests after a silence, and its length in milliseconds: a stack that sleeps is woken another way. */
const WAKINGS = 300
const SILENCE = 1
/** Whatever happens. */
const MOST = "10 seconds"

/**
 * Has two more stacks of this thread talk to each other, over a socket that stands for a TAP, for a second or two in
 * which the engine compiles the way of a segment. Without, the first peers meet code that is still interpreted:
 * they are answered twice as late, and a second of load passes before half of it is carried. Worth its while
 * for what runs long and serves soon; fork it, the event loop has its turns meanwhile.
 */
export const run: Effect.Effect<void, never, Stack> = Effect.flatMap(Stack, ({ devices }) =>
  warm(devices.some(({ capabilities }) => capabilities.segmentationOffload > 0)),
)

/** The same, unless `NETFOLD_WARM_UP` says false. */
export const configured: Effect.Effect<void, never, Stack> = Config.boolean("NETFOLD_WARM_UP").pipe(
  Config.withDefault(true),
  Effect.flatMap((wanted) => Effect.when(run, () => wanted)),
  Effect.ignoreLogged,
)

const warm = (offload: boolean): Effect.Effect<void> =>
  Effect.gen(function* () {
    // As in devices.ts: the native library is for those who have a use for it.
    const { tapPair } = yield* Effect.promise(() => import("../device/tapPair.ts"))
    const [near, far] = yield* tapPair(offload)
    const client = yield* stackOn(near, CLIENT)
    const server = yield* stackOn(far, `${SERVER}/24`)
    yield* serve(server, ECHO_PORT, echo(serviceCounters()))
    yield* serve(server, DISCARD_PORT, discard(serviceCounters()))
    yield* together(CONVERSATIONS, converse(client, REQUESTS, 64))
    yield* together(VISITORS, Effect.repeatN(converse(client, 1, 1), VISITS - 1))
    yield* pour(client)
    yield* Effect.repeatN(Effect.zipRight(Effect.sleep(SILENCE), converse(client, 1, 64)), WAKINGS - 1)
    // Nobody depends on it.
  }).pipe(Effect.scoped, Effect.timeout(MOST), Effect.ignoreLogged, Effect.zipRight(Effect.sync(collectAll)))

const stackOn = (device: Device, address: string) =>
  Stack.make({
    interfaces: [{ device, addresses: [address] }],
    settings: { ipUnprivilegedPortStart: 0 },
    closeGrace: 0,
    collects: false,
  })

const serve = (stack: StackService, port: number, service: Service) =>
  Effect.map(Effect.provideService(Tcp.listen({ port, noDelay: true }), Stack, stack), (listener) =>
    listener.onConnection(service),
  )

const together = <E>(count: number, each: Effect.Effect<void, E>) =>
  Effect.all(
    Array.from({ length: count }, () => each),
    { concurrency: "unbounded", discard: true },
  )

/** Connects, and ends as the connection does. */
const connection = (stack: StackService, port: number, handlers: Omit<Tcp.Handlers, "onClose">) =>
  Effect.async<void, Tcp.TcpError>((resume) => {
    const onClose: Tcp.Handlers["onClose"] = (_, error) =>
      resume(error === undefined ? Effect.void : Effect.fail(error))
    const attempt = Tcp.connectPlain(stack, { host: SERVER, port, noDelay: true }, { ...handlers, onClose })
    if (Either.isLeft(attempt)) return resume(Effect.fail(attempt.left))
    return Effect.sync(() => attempt.right.abort())
  })

/** Asks, and asks again when the answer is there. */
const converse = (stack: StackService, requests: number, octets: number) =>
  Effect.suspend(() => {
    const request = CHUNK.subarray(0, octets)
    let left = requests * octets
    const ask = (plain: PlainConnection): void => void plain.tryGive(request)
    return connection(stack, ECHO_PORT, {
      onConnect: ask,
      onData: (plain, bytes) => {
        left -= bytes.length
        if (left <= 0) plain.close()
        else if (left % octets === 0) ask(plain)
      },
    })
  })

const pour = (stack: StackService) =>
  Effect.suspend(() => {
    let left = STREAM
    const fill = (plain: PlainConnection): void => {
      while (left > 0) {
        const taken = plain.tryGive(CHUNK)
        if (taken <= 0) return
        left -= taken
      }
      plain.close()
    }
    return connection(stack, DISCARD_PORT, { onConnect: fill, onDrain: fill })
  })
