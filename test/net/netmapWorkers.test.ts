import { expect } from "bun:test"
import { Effect, Option, Predicate } from "effect"
import * as Tcp from "../../src/net/Tcp.ts"
import * as Workers from "../../src/net/Workers.ts"
import { Stack } from "../../src/runtime/stack.ts"
import { netmapSuite, scoped } from "../device/netmapSuite.ts"
import { CLIENT, concat, on, pattern, SERVER, string, text } from "./support.ts"

const COUNT = 3
const CONNECTIONS = 30
const RINGS = `@conf:rings=${COUNT},slots=1024`
const APPLICATION = new URL("../kernel/workerApplication.ts", import.meta.url)

/** One number of a worker's snapshot. */
const numberOf = (answer: unknown, name: string): number => {
  const value = Predicate.isRecord(answer) ? answer[name] : undefined
  return typeof value === "number" ? value : Number.NaN
}

netmapSuite(
  "workers on the rings of a netmap port",
  (test) => {
    /** A server of several stacks at one end of a wire, one stack at the other. */
    const world = (library: string, wire: string, open: Parameters<Parameters<typeof test>[1]>[0]["open"]) =>
      Effect.gen(function* () {
        const workers = yield* Workers.make({
          count: COUNT,
          device: { _tag: "Netmap", port: `${wire}b${RINGS}`, library },
          addresses: [`${SERVER}/24`],
          settings: { ipUnprivilegedPortStart: 0 },
          application: APPLICATION,
          closeGrace: 100,
        })
        const device = yield* open(`${wire}a${RINGS}`)
        const client = yield* Stack.make({
          interfaces: [{ device, addresses: [`${CLIENT}/24`] }],
          closeGrace: 100,
        })
        return { workers, client }
      })

    test("share the connections by the hash of the NIC, and each stays where it came", async ({ library, open }) => {
      await scoped(
        Effect.gen(function* () {
          const { workers, client } = yield* world(library, "cablew0", open)
          const dial = on(client)(Tcp.connect({ host: SERVER, port: 7, noDelay: true }))
          const connections = yield* Effect.all(Array.from({ length: CONNECTIONS }, () => dial))
          for (const round of ["first", "again"]) {
            for (const [n, connection] of connections.entries()) {
              const said = `${round} ${n}`
              yield* connection.write(text(said))
              expect(string(Option.getOrThrow(yield* connection.read))).toBe(said)
            }
          }
          const shares = (yield* workers.ask).map((answer) => numberOf(answer, "connections"))
          expect(shares.reduce((sum, share) => sum + share)).toBe(CONNECTIONS)
          for (const share of shares) expect(share).toBeGreaterThan(0)
        }),
      )
    }, 30_000)

    test("carry bulk data of several connections at once", async ({ library, open }) => {
      const bytes = pattern(300_000)
      await scoped(
        Effect.gen(function* () {
          const { client } = yield* world(library, "cablew1", open)
          const echoed = Effect.gen(function* () {
            const connection = yield* on(client)(Tcp.connect({ host: SERVER, port: 7 }))
            yield* Effect.fork(Effect.zipRight(connection.write(bytes), connection.shutdown))
            const chunks: Array<Uint8Array> = []
            for (;;) {
              const chunk = yield* connection.read
              if (Option.isNone(chunk)) return concat(chunks)
              chunks.push(chunk.value)
            }
          })
          const all = yield* Effect.all(
            Array.from({ length: 6 }, () => echoed),
            { concurrency: "unbounded" },
          )
          for (const back of all) expect(Bun.hash(back)).toBe(Bun.hash(bytes))
        }),
      )
    }, 30_000)

    test("more of them than the port has rings: the worker without one says so", async ({ library }) => {
      const failure = await scoped(
        Effect.flip(
          Workers.make({
            count: COUNT,
            device: { _tag: "Netmap", port: "cablew2b@conf:rings=2", library },
            addresses: [`${SERVER}/24`],
            application: APPLICATION,
          }),
        ),
      )
      expect(failure).toMatchObject({ _tag: "WorkerFailed", worker: 2 })
      expect(failure.message).toContain("netmap:cablew2b-2@conf:rings=2: ")
    }, 30_000)
  },
  // The wire between two interfaces is the shim's own.
  { shimOnly: true },
)
