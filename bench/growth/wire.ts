import { Effect, Either, Scope } from "effect"
import { memoryPair } from "../../src/device/memory.ts"
import { connectPlain } from "../../src/net/connect.ts"
import type { PlainConnection } from "../../src/net/plain.ts"
import * as Tcp from "../../src/net/Tcp.ts"
import { Stack, type StackService } from "../../src/runtime/stack.ts"
import { threadNanos } from "../measure.ts"
import { held, randomBelow } from "./held.ts"
import type { Scene } from "./scenes.ts"

/** Connections between two whole stacks of one process, over a memory wire: runtime, timers and applications included. */

/** What there is more and more of, in plots. */
export const WIRED = "wired connections"

const SERVER = "198.18.0.1"
const PORT = 7
/** Of each address of the client's. */
const CONNECTIONS_EACH = 60_000
/** Handshakes at the same time. */
const AT_ONCE = 256
const BACKLOG = 4096
/** Frames that wait on the wire: none is lost. */
const CAPACITY = 16_384
/** Requests of one pass, each on a connection chosen at random. */
const PASS = 256
const REQUEST = new Uint8Array(64).fill(0x61)
/** Fewer cannot be told from the stacks themselves, and never rest. */
const MANY = 10_000
/** Longer than stacks take to put to rest what nothing happens to. */
const QUIET = "400 millis"

const SETTINGS = { somaxconn: BACKLOG, tcpMaxSynBacklog: 2 * BACKLOG, ipLocalPortRange: [1024, 65_535] } as const

/** Neither stack ends before the process does. */
export const wireScene = (count: number): Promise<Scene> =>
  Effect.runPromise(Effect.flatMap(Scope.make(), (scope) => Scope.extend(sceneOf(count), scope)))

const sceneOf = (count: number): Effect.Effect<Scene, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const [near, far] = memoryPair({ capacity: CAPACITY })
    const client = yield* Stack.make({ interfaces: [{ device: near, addresses: clients(count) }], settings: SETTINGS })
    const server = yield* Stack.make({
      interfaces: [{ device: far, addresses: [`${SERVER}/15`] }],
      settings: SETTINGS,
    })
    const listener = yield* Tcp.listen({ port: PORT, noDelay: true }).pipe(Effect.provideService(Stack, server))
    const echo = { onData: (peer: PlainConnection, bytes: Uint8Array) => void peer.tryWrite(bytes) }
    listener.onConnection((peer) => peer.on(echo))
    const before = held()
    const connections = yield* connect(client, count)
    yield* Effect.sleep(QUIET)
    const each = (held() - before) / (2 * count)

    let octets = 0
    const counting = {
      onData: (_: PlainConnection, { length }: Uint8Array) => {
        octets += length
      },
    }
    for (const connection of connections) connection.on(counting)
    const random = randomBelow(count)
    const pass = async (): Promise<void> => {
      octets = 0
      for (let n = 0; n < PASS; n++) {
        const connection = connections[random()]
        if (connection?.tryWrite(REQUEST) !== REQUEST.length) throw new Error("a request was not taken")
      }
      while (octets < PASS * REQUEST.length) await new Promise((resume) => setImmediate(resume))
    }
    const exchange = {
      name: "request, answer, both ends",
      per: "request",
      octets: undefined,
      sample: async (millis: number): Promise<number> => {
        const start = threadNanos()
        let passes = 0
        for (; threadNanos() - start < millis * 1e6; passes++) await pass()
        return (threadNanos() - start) / (passes * PASS)
      },
    }
    return { sizes: count < MANY ? {} : { "each end, at rest": each }, cases: [exchange] }
  })

const clients = (count: number): ReadonlyArray<string> =>
  Array.from({ length: Math.ceil(count / CONNECTIONS_EACH) }, (_, n) => `${clientOf(n * CONNECTIONS_EACH)}/15`)

/** The address of the n-th connection. */
const clientOf = (n: number): string => `198.18.1.${1 + Math.floor(n / CONNECTIONS_EACH)}`

const connect = (stack: StackService, count: number): Effect.Effect<ReadonlyArray<PlainConnection>, Error> =>
  Effect.async((resume) => {
    const connections: Array<PlainConnection> = []
    let begun = 0
    const begin = (): void => {
      for (; begun < count && begun - connections.length < AT_ONCE; begun++) {
        const options = { host: SERVER, port: PORT, noDelay: true, local: { host: clientOf(begun) } }
        const connection = connectPlain(stack, options, handlers)
        if (Either.isLeft(connection)) return resume(Effect.fail(connection.left))
      }
    }
    const handlers = {
      onConnect: (connection: PlainConnection) => {
        connections.push(connection)
        if (connections.length === count) resume(Effect.succeed(connections))
        // Not from within the batch that brought the SYN-ACK.
        else if (begun - connections.length === AT_ONCE / 2) queueMicrotask(begin)
      },
      onClose: (_: PlainConnection, error: Error | undefined) =>
        resume(Effect.fail(error ?? new Error("a connection has ended"))),
    }
    begin()
  })
