import { describe, expect, test } from "bun:test"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { Clock, Duration, Effect, Exit, Fiber, Schedule, Stream } from "effect"
import * as Http from "../../src/net/HttpServer.ts"
import * as SimulatedNetwork from "../../src/net/SimulatedNetwork.ts"
import * as Tcp from "../../src/net/Tcp.ts"
import { LogHash } from "../../src/sim/network/hash.ts"
import { concat, pattern, run, string, text } from "./support.ts"

const SERVER = "198.18.0.2"

const spec = (there: SimulatedNetwork.LinkSpec["there"] & object, seed = 7) =>
  ({
    seed,
    hosts: { client: { addresses: ["198.18.0.1/24"] }, server: { addresses: [`${SERVER}/24`] } },
    links: [{ ends: ["client", "server"], there }],
  }) as const

const transatlantic = { delay: 150_000, loss: 0.03, rate: 10_000_000 }

/** Echoes one connection, and says what the client got and when it was over, in virtual milliseconds. */
const echoed = (network: SimulatedNetwork.SimulatedNetwork<"client" | "server">, data: Uint8Array) =>
  Effect.gen(function* () {
    const serve = Effect.gen(function* () {
      const listener = yield* Tcp.listen({ port: 7 })
      const peer = yield* listener.accept
      yield* Stream.run(peer.stream, peer.sink)
      yield* peer.shutdown
    })
    yield* Effect.forkScoped(network.on("server")(serve))
    const ask = Effect.gen(function* () {
      const connection = yield* Tcp.connect({ host: SERVER, port: 7 })
      yield* Effect.fork(Effect.zipRight(connection.write(data), connection.shutdown))
      return concat(yield* Stream.runCollect(connection.stream))
    })
    const got = yield* network.on("client")(Effect.scoped(ask))
    return { got, at: Duration.toMillis(yield* network.now) }
  })

describe("two stacks over 300 ms with loss", () => {
  test("an HTTP request is answered in virtual seconds and no real ones", () =>
    run(
      Effect.gen(function* () {
        const network = yield* SimulatedNetwork.make(spec(transatlantic))
        const app = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ url }) =>
          HttpServerResponse.text(`${url}:${"x".repeat(200_000)}`),
        )
        const serve = Effect.gen(function* () {
          const server = yield* Http.make({ port: 80 })
          yield* Effect.provideService(HttpServer.serveEffect(app), HttpServer.HttpServer, server)
        })
        yield* network.on("server")(serve)
        const ask = Effect.gen(function* () {
          const connection = yield* Tcp.connect({ host: SERVER, port: 80 })
          yield* connection.write(text("GET /page HTTP/1.1\r\nHost: server\r\nConnection: close\r\n\r\n"))
          return string(concat(yield* Stream.runCollect(connection.stream)))
        })
        const before = performance.now()
        const answer = yield* network.on("client")(Effect.scoped(ask))
        const virtual = Duration.toSeconds(yield* network.now)
        expect(answer).toStartWith("HTTP/1.1 200 OK")
        expect(answer).toContain(`/page:${"x".repeat(200_000)}`)
        expect(virtual).toBeGreaterThan(1.5)
        expect(performance.now() - before).toBeLessThan(1000 * virtual)
      }),
    ))

  test("the same seed: the same frames, at the same microseconds; another seed: others", async () => {
    const once = (seed: number) =>
      run(
        Effect.gen(function* () {
          const hash = new LogHash()
          const network = yield* SimulatedNetwork.make(spec(transatlantic, seed), { observers: [hash.observe] })
          const { got, at } = yield* echoed(network, pattern(100_000))
          expect(Bun.SHA256.hash(got)).toEqual(Bun.SHA256.hash(pattern(100_000)))
          return { at, digest: hash.digest() }
        }),
      )
    const first = await once(7)
    expect(await once(7)).toEqual(first)
    expect((await once(8)).digest).not.toBe(first.digest)
  })
})

describe("virtual time", () => {
  test("a day's sleep, timeouts and schedules: as long as they say, in no time", () =>
    run(
      Effect.gen(function* () {
        const network = yield* SimulatedNetwork.make(spec({}))
        const program = Effect.gen(function* () {
          const began = yield* Clock.currentTimeMillis
          yield* Effect.sleep("1 day")
          const late = yield* Effect.exit(Effect.timeout(Effect.never, "1 hour"))
          const times = yield* Effect.repeat(
            Effect.succeed(1),
            Schedule.addDelay(Schedule.recurs(3), () => "1 minute"),
          )
          return { late: Exit.isFailure(late), times, passed: (yield* Clock.currentTimeMillis) - began }
        })
        expect(yield* network.inside(program)).toEqual({
          late: true,
          times: 3,
          passed: 86_400_000 + 3_600_000 + 180_000,
        })
      }),
    ))

  test("an interrupted sleep wakes nobody", () =>
    run(
      Effect.gen(function* () {
        const network = yield* SimulatedNetwork.make(spec({}))
        let woken = false
        const program = Effect.gen(function* () {
          const sleeper = yield* Effect.fork(
            Effect.zipRight(
              Effect.sleep("1 second"),
              Effect.sync(() => (woken = true)),
            ),
          )
          yield* Effect.sleep("1 millis")
          yield* Fiber.interrupt(sleeper)
          yield* Effect.sleep("10 seconds")
        })
        yield* network.inside(program)
        expect(woken).toBe(false)
      }),
    ))
})

describe("a network that is cut", () => {
  test("a write that nobody acknowledges: given up after Linux's quarter of an hour, for what ARP has found out by then", () =>
    run(
      Effect.gen(function* () {
        const network = yield* SimulatedNetwork.make(spec({ delay: 1000 }))
        yield* Effect.forkScoped(
          network.on("server")(
            Effect.gen(function* () {
              const listener = yield* Tcp.listen({ port: 9 })
              yield* listener.accept
              yield* Effect.never
            }),
          ),
        )
        const ask = Effect.gen(function* () {
          const connection = yield* Tcp.connect({ host: SERVER, port: 9 })
          yield* network.cut("server")
          yield* connection.write(text("anybody?"))
          return yield* Effect.flip(Stream.runDrain(connection.stream))
        })
        const error = yield* network.on("client")(Effect.scoped(ask))
        // Nobody answers for the next hop (Linux: EHOSTUNREACH in place of ETIMEDOUT).
        expect(error._tag).toBe("HostUnreachable")
        const minutes = Duration.toMinutes(yield* network.now)
        expect(minutes).toBeGreaterThan(10)
        expect(minutes).toBeLessThan(20)
      }),
    ))

  test("joined again in time: nothing is lost", () =>
    run(
      Effect.gen(function* () {
        const network = yield* SimulatedNetwork.make(spec({ delay: 20_000, rate: 1_000_000 }))
        yield* Effect.forkScoped(
          network.inside(
            Effect.gen(function* () {
              yield* Effect.sleep("500 millis")
              yield* network.cut("server")
              yield* Effect.sleep("20 seconds")
              yield* network.join("server")
            }),
          ),
        )
        const { got, at } = yield* echoed(network, pattern(300_000))
        expect(Bun.SHA256.hash(got)).toEqual(Bun.SHA256.hash(pattern(300_000)))
        expect(at).toBeGreaterThan(20_500)
        const lost = (yield* network.links).map(({ counters }) => counters.lost)
        expect(lost).toEqual([0, 0])
      }),
    ))
})

describe("a network that makes no sense", () => {
  const cases = [
    [
      "a host that is not there",
      { ends: ["client", "nobody"] },
      'link client - nobody: there is no host or switch "nobody"',
    ],
    ["a loss of 2", { ends: ["client", "server"], there: { loss: 2 } }, "loss is 2: a probability is 0 to 1"],
  ] as const
  for (const [name, link, reason] of cases) {
    test(`${name}: InvalidArgument`, () =>
      run(
        Effect.gen(function* () {
          const wrong = { ...spec({}), links: [link] }
          const error = yield* Effect.flip(SimulatedNetwork.make(wrong))
          expect(error._tag).toBe("InvalidArgument")
          expect(error.reason).toContain(reason)
        }),
      ))
  }
})
