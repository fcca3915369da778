/**
 * Two stacks of ours in one thread, joined by a memory wire. Says what the client program says
 * (see ../client/load.c), so that one reader reads both:
 *
 *     bun memory.ts JOB WARM-UP SECONDS CONNECTIONS BYTES offload|plain
 */
import { Effect, Either } from "effect"
import { memoryPair } from "../../src/device/memory.ts"
import type { PlainConnection } from "../../src/net/plain.ts"
import { chargen, discard, echo, serviceCounters } from "../../src/net/services.ts"
import * as Tcp from "../../src/net/Tcp.ts"
import { Stack } from "../../src/runtime/stack.ts"
import type { Sample } from "./sample.ts"

const [job = "", warmUp = "1", seconds = "1", connections = "1", bytes = "64", kind = ""] = process.argv.slice(2)
const SERVER = "198.18.9.2"
/** Each has its own ports, which TIME-WAIT holds for a minute. */
const CLIENTS = 16
const FIRST_CLIENT = 10
const PORTS: Readonly<Record<string, number>> = { echo: 7, connect: 7, bulkecho: 7, sink: 9, source: 19 }
const CHUNK = new Uint8Array(256 * 1024).fill(0x61)

/** What has been done: requests, connections, or octets that the application at the far end has. */
let done = 0
let wrong: string | undefined

const handlersOf = (): Tcp.Handlers => {
  const request = new Uint8Array(job === "connect" ? 1 : Number(bytes)).fill(0x61)
  const got = new Map<PlainConnection, number>()
  const fill = (connection: PlainConnection): void => {
    while (connection.room > 0 && connection.tryGive(CHUNK) === CHUNK.length);
  }
  const onClose = (_: PlainConnection, error: Error | undefined): void => {
    if (error !== undefined) wrong = error.message
  }
  const counted = (_: PlainConnection, octets: Uint8Array): void => {
    done += octets.length
  }
  switch (job) {
    case "sink":
      return { onConnect: fill, onDrain: fill, onClose }
    case "source":
      return { onData: counted, onClose }
    case "bulkecho":
      return { onConnect: fill, onDrain: fill, onData: counted, onClose }
    default:
      return {
        onConnect: (connection) => {
          connection.tryGive(request)
        },
        onData: (connection, octets) => {
          const all = (got.get(connection) ?? 0) + octets.length
          got.set(connection, all % request.length)
          if (all < request.length) return
          done++
          if (job === "echo") return void connection.tryGive(request)
          got.delete(connection)
          connection.close()
          again?.()
        },
        onClose,
      }
  }
}

let again: (() => void) | undefined

const program = Effect.gen(function* () {
  const offload = kind === "offload"
  const [near, far] = memoryPair({ checksumOffload: offload, segmentationOffload: offload })
  const addresses = Array.from({ length: CLIENTS }, (_, n) => `198.18.9.${FIRST_CLIENT + n}/24`)
  const client = yield* Stack.make({ interfaces: [{ device: near, addresses }], closeGrace: 0 })
  const server = yield* Stack.make({ interfaces: [{ device: far, addresses: [`${SERVER}/24`] }], closeGrace: 0 })
  const counters = serviceCounters()
  const port = PORTS[job] ?? 7
  const listener = yield* Tcp.listen({ port, noDelay: true }).pipe(Effect.provideService(Stack, server))
  listener.onConnection(port === 7 ? echo(counters) : port === 9 ? discard(counters) : chargen(counters))
  // One first, so that all the others find the neighbour's address.
  yield* Effect.scoped(Tcp.connect({ host: SERVER, port }).pipe(Effect.provideService(Stack, client)))
  const handlers = handlersOf()
  let made = 0
  const connect = (): void => {
    const local = { host: `198.18.9.${FIRST_CLIENT + (made++ % CLIENTS)}` }
    const opened = Tcp.connectPlain(client, { host: SERVER, port, noDelay: true, local }, handlers)
    if (Either.isLeft(opened)) wrong = opened.left.message
  }
  if (job === "connect") again = connect
  for (let n = 0; n < Number(connections); n++) connect()

  yield* Effect.sleep(`${Number(warmUp) * 1000} millis`)
  // Of `sink`, what the far application has read.
  const total = (): number => (job === "sink" ? counters.bytesIn : done)
  const from = { at: performance.now(), total: total(), cpu: process.cpuUsage() }
  yield* Effect.sleep(`${Number(seconds) * 1000} millis`)
  const elapsed = (performance.now() - from.at) / 1000
  const cpu = process.cpuUsage(from.cpu)
  const rate = (total() - from.total) / elapsed
  const sample: Sample = {
    rate: job === "echo" || job === "connect" ? rate : (rate * 8) / 1e9,
    user: cpu.user / 1e4 / elapsed,
    system: cpu.system / 1e4 / elapsed,
    error: wrong ?? (rate > 0 ? "" : "nothing moved"),
  }
  console.log(JSON.stringify(sample))
})

await Effect.runPromise(Effect.scoped(program))
process.exit(0)
