import { describe, expect, test } from "bun:test"
import { Chunk, Effect, Either, Fiber, Logger, LogLevel, Option, Stream } from "effect"
import { echo, serviceCounters } from "../../src/net/services.ts"
import * as Tcp from "../../src/net/Tcp.ts"
import { CLIENT, concat, on, pair, pattern, run, SERVER, settle, string, text } from "./support.ts"

const opened = (settings: Parameters<typeof pair>[0] = {}) =>
  Effect.gen(function* () {
    const both = yield* pair(settings)
    const listener = yield* on(both.server)(Tcp.listen({ port: 80 }))
    const connecting = yield* Effect.fork(on(both.client)(Tcp.connect({ host: SERVER, port: 80 })))
    const accepted = yield* listener.accept
    const connection = yield* Fiber.join(connecting)
    return { ...both, listener, accepted, connection }
  })

const all = (connection: Tcp.Connection) => Effect.map(Stream.runCollect(connection.stream), concat)

describe("an open connection", () => {
  test("names both ends the same way on both sides", () =>
    run(
      Effect.gen(function* () {
        const { accepted, connection } = yield* opened()
        expect(accepted.local).toEqual(connection.remote)
        expect(accepted.remote).toEqual(connection.local)
        expect(Tcp.formatEndpoint(connection.remote)).toBe(`${SERVER}:80`)
        expect(Tcp.formatEndpoint(connection.local)).toStartWith(`${CLIENT}:`)
        expect((yield* connection.status)?.state).toBe("ESTABLISHED")
      }),
    ))

  test("carries octets both ways, in order, whatever the sizes of writes", () =>
    run(
      Effect.gen(function* () {
        const { accepted, connection } = yield* opened()
        const data = pattern(1_000_000)
        const sizes = [1, 2, 3, 1447, 1448, 1449, 65536, 100_000, 831_114]
        const send = Effect.gen(function* () {
          let at = 0
          for (const size of sizes) {
            yield* connection.write(data.subarray(at, at + size))
            at += size
          }
          yield* connection.shutdown
        })
        const back = Effect.zipRight(Stream.run(accepted.stream, accepted.sink), accepted.shutdown)
        const [, , got] = yield* Effect.all([send, back, all(connection)], { concurrency: "unbounded" })
        expect(Bun.SHA256.hash(got)).toEqual(Bun.SHA256.hash(data))
      }),
    ))

  test("whose writer changes its array after the write delivers what was written", () =>
    run(
      Effect.gen(function* () {
        const { accepted, connection } = yield* opened()
        const bytes = text("before")
        yield* connection.write(bytes)
        bytes.fill(0)
        expect(Option.map(yield* accepted.read, string)).toEqual(Option.some("before"))
      }),
    ))

  test("half-closed by one side delivers the end, and the other side goes on", () =>
    run(
      Effect.gen(function* () {
        const { accepted, connection } = yield* opened()
        yield* connection.shutdown
        expect(yield* accepted.read).toEqual(Option.none())
        yield* accepted.write(text("still here"))
        expect(Option.map(yield* connection.read, string)).toEqual(Option.some("still here"))
        expect((yield* connection.status)?.state).toBe("FIN-WAIT-2")
        yield* accepted.shutdown
        expect(yield* connection.read).toEqual(Option.none())
        yield* connection.closed
        yield* accepted.closed
      }),
    ))

  test("written to after its own half-close fails with EPIPE", () =>
    run(
      Effect.gen(function* () {
        const { connection } = yield* opened()
        yield* connection.shutdown
        const error = yield* Effect.flip(connection.write(text("x")))
        expect(error).toBeInstanceOf(Tcp.NotConnected)
        expect(error.errno).toBe("EPIPE")
      }),
    ))

  test("aborted by one side fails the other's read and write with ConnectionReset", () =>
    run(
      Effect.gen(function* () {
        const { accepted, connection } = yield* opened({ tcpWmem: [4096, 8192, 8192], tcpRmem: [4096, 8192, 8192] })
        const reading = yield* Effect.fork(Effect.flip(connection.read))
        const writing = yield* Effect.fork(Effect.flip(connection.write(pattern(1_000_000))))
        yield* settle()
        yield* accepted.abort
        const error = yield* Fiber.join(reading)
        expect(error).toBeInstanceOf(Tcp.ConnectionReset)
        expect(error.errno).toBe("ECONNRESET")
        expect(error.message).toContain(`${SERVER}:80`)
        expect(yield* Fiber.join(writing)).toBeInstanceOf(Tcp.ConnectionReset)
        expect(yield* Effect.flip(connection.closed)).toBeInstanceOf(Tcp.ConnectionReset)
        expect(yield* Effect.flip(accepted.closed)).toBeInstanceOf(Tcp.ConnectionAborted)
      }),
    ))

  test("whose peer does not read makes the writer wait, with bounded memory on both sides", () =>
    run(
      Effect.gen(function* () {
        const { accepted, connection, client, server } = yield* opened({
          tcpWmem: [4096, 16384, 65536],
          tcpRmem: [4096, 16384, 65536],
        })
        const data = pattern(2_000_000)
        const writing = yield* Effect.fork(Effect.zipRight(connection.write(data), connection.shutdown))
        yield* settle()
        expect(writing.unsafePoll()).toBeNull()
        const sent = client.list().find(({ state }) => state === "ESTABLISHED")
        const held = server.list().find(({ state }) => state === "ESTABLISHED")
        expect(sent?.sendQ).toBeLessThanOrEqual(65536)
        expect(held?.recvQ).toBeGreaterThan(0)
        expect(held?.recvQ).toBeLessThanOrEqual(65536)
        const got = yield* all(accepted)
        expect(Bun.SHA256.hash(got)).toEqual(Bun.SHA256.hash(data))
        yield* Fiber.join(writing)
      }),
    ))

  test("closed by the end of its scope tells the peer with a FIN", () =>
    run(
      Effect.gen(function* () {
        const both = yield* pair()
        const listener = yield* on(both.server)(Tcp.listen({ port: 80 }))
        yield* Effect.scoped(
          Effect.flatMap(on(both.client)(Tcp.connect({ host: SERVER, port: 80 })), (c) => c.write(text("bye"))),
        )
        const accepted = yield* listener.accept
        expect(string(yield* all(accepted))).toBe("bye")
      }),
    ))
})

describe("connect", () => {
  const refusal = (options: Tcp.ConnectOptions) =>
    run(
      Effect.gen(function* () {
        const { client } = yield* pair()
        return yield* Effect.flip(on(client)(Tcp.connect(options)))
      }),
    )

  test("to a port that nobody listens on is refused", async () => {
    const error = await refusal({ host: SERVER, port: 81 })
    expect(error).toBeInstanceOf(Tcp.ConnectionRefused)
    expect(error.message).toContain(`${SERVER}:81`)
  })

  test("to a network without a route is unreachable", async () => {
    expect(await refusal({ host: "192.0.2.1", port: 80 })).toBeInstanceOf(Tcp.NetworkUnreachable)
  })

  test("from an address that is not the stack's own is not available", async () => {
    const error = await refusal({ host: SERVER, port: 80, local: { host: "10.0.0.77" } })
    expect(error).toBeInstanceOf(Tcp.AddressNotAvailable)
  })

  test("to nonsense is an invalid argument that says which", async () => {
    for (const options of [
      { host: "fe80::x", port: 80 },
      { host: "10.0.0.256", port: 80 },
      { host: SERVER, port: 0 },
      { host: SERVER, port: 65536 },
      { host: SERVER, port: 1.5 },
    ]) {
      const error = await refusal(options)
      expect(error).toBeInstanceOf(Tcp.InvalidArgument)
    }
  })

  test("that is interrupted leaves no socket behind", () =>
    run(
      Effect.gen(function* () {
        const { client } = yield* pair()
        const connecting = yield* Effect.fork(on(client)(Tcp.connect({ host: "10.0.0.9", port: 80 })))
        yield* settle(5)
        expect(client.list().length).toBe(1)
        yield* Fiber.interrupt(connecting)
        yield* settle(5)
        expect(client.list().length).toBe(0)
      }),
    ))

  test("takes the local port that it is given", () =>
    run(
      Effect.gen(function* () {
        const { client, server } = yield* pair()
        yield* on(server)(Tcp.listen({ port: 80 }))
        const connection = yield* on(client)(Tcp.connect({ host: SERVER, port: 80, local: { port: 4242 } }))
        expect(connection.local.port).toBe(4242)
      }),
    ))
})

describe("listen", () => {
  test("on a port in use says so, and the port is free again after the scope", () =>
    run(
      Effect.gen(function* () {
        const { server } = yield* pair()
        const listen = on(server)(Tcp.listen({ port: 80 }))
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* listen
            const error = yield* Effect.flip(listen)
            expect(error).toBeInstanceOf(Tcp.AddressInUse)
            expect(error.message).toContain("0.0.0.0:80")
          }),
        )
        yield* listen
      }),
    ))

  test("on port 0 gets a free one", () =>
    run(
      Effect.gen(function* () {
        const { server, client } = yield* pair()
        const listener = yield* on(server)(Tcp.listen())
        expect(listener.address.port).toBeGreaterThan(0)
        yield* on(client)(Tcp.connect({ host: SERVER, port: listener.address.port }))
      }),
    ))

  test("on all ports answers on any, and tells which", () =>
    run(
      Effect.gen(function* () {
        const { server, client } = yield* pair()
        const listener = yield* on(server)(Tcp.listen({ allPorts: true }))
        for (const port of [1, 4242, 65535]) {
          yield* on(client)(Tcp.connect({ host: SERVER, port }))
          expect((yield* listener.accept).local.port).toBe(port)
        }
      }),
    ))

  test("on a foreign address is not available", () =>
    run(
      Effect.gen(function* () {
        const { server } = yield* pair()
        expect(yield* Effect.flip(on(server)(Tcp.listen({ host: "10.9.9.9", port: 80 })))).toBeInstanceOf(
          Tcp.AddressNotAvailable,
        )
      }),
    ))

  test("on a privileged port is denied where the stack reserves them", () =>
    run(
      Effect.gen(function* () {
        const { server } = yield* pair({ ipUnprivilegedPortStart: 1024 })
        expect(yield* Effect.flip(on(server)(Tcp.listen({ port: 80 })))).toBeInstanceOf(Tcp.PermissionDenied)
      }),
    ))
})

describe("a listener", () => {
  test("streams its connections", () =>
    run(
      Effect.gen(function* () {
        const { server, client } = yield* pair()
        const listener = yield* on(server)(Tcp.listen({ port: 80 }))
        for (let port = 5001; port <= 5003; port++) {
          yield* on(client)(Tcp.connect({ host: SERVER, port: 80, local: { port } }))
        }
        const ports = yield* Stream.runCollect(Stream.take(listener.connections, 3))
        expect(Chunk.toReadonlyArray(ports).map(({ remote }) => remote.port)).toEqual([5001, 5002, 5003])
      }),
    ))

  test("with a full backlog takes no more, and goes on when there is room", () =>
    run(
      Effect.gen(function* () {
        const { server, client } = yield* pair()
        const listener = yield* on(server)(Tcp.listen({ port: 80, backlog: 1 }))
        const attempts = 4
        const connecting = yield* Effect.forEach(Array.from({ length: attempts }), () =>
          Effect.fork(on(client)(Tcp.connect({ host: SERVER, port: 80 }))),
        )
        yield* settle()
        expect(server.list().find(({ state }) => state === "LISTEN")?.recvQ).toBeLessThanOrEqual(2)
        yield* listener.accept
        yield* Fiber.interruptAll(connecting)
      }),
    ))

  test("that closes fails those who wait to accept, and leaves accepted connections open", () =>
    run(
      Effect.gen(function* () {
        const { server, client } = yield* pair()
        const waiting = yield* Effect.scoped(
          Effect.gen(function* () {
            const listener = yield* on(server)(Tcp.listen({ port: 80 }))
            listener.onConnection(echo(serviceCounters()))
            yield* on(client)(Tcp.connect({ host: SERVER, port: 80, local: { port: 5000 } }))
            yield* settle(20)
            listener.onConnection(undefined)
            return yield* Effect.forkDaemon(Effect.either(Effect.scoped(listener.accept)))
          }),
        )
        const outcome = yield* Fiber.join(waiting)
        expect(Either.isLeft(outcome) && outcome.left).toBeInstanceOf(Tcp.ConnectionAborted)
        expect(server.list().map(({ state }) => state)).not.toContain("LISTEN")
      }),
    ))

  test("runs a handler for each connection: FIN after success, RST after failure", () =>
    run(
      Effect.gen(function* () {
        const { server, client } = yield* pair()
        const listener = yield* on(server)(Tcp.listen({ port: 80 }))
        yield* Effect.fork(
          listener.run((connection) =>
            Effect.gen(function* () {
              const question = yield* connection.read
              if (Option.exists(question, (bytes) => string(bytes) === "fail")) return yield* Effect.fail("wanted")
              return yield* connection.write(text("ok"))
            }),
          ),
        )
        const ask = (question: string) =>
          Effect.scoped(
            Effect.gen(function* () {
              const connection = yield* on(client)(Tcp.connect({ host: SERVER, port: 80 }))
              yield* connection.write(text(question))
              return string(yield* all(connection))
            }),
          )
        expect(yield* ask("work")).toBe("ok")
        expect(yield* Effect.flip(ask("fail"))).toBeInstanceOf(Tcp.ConnectionReset)
        expect(yield* ask("work")).toBe("ok")
      }),
    ))

  test("whose run is interrupted ends the handlers' connections with a FIN", () =>
    run(
      Effect.gen(function* () {
        const { server, client } = yield* pair()
        const listener = yield* on(server)(Tcp.listen({ port: 80 }))
        const serving = yield* Effect.fork(listener.run(() => Effect.never))
        const connection = yield* on(client)(Tcp.connect({ host: SERVER, port: 80 }))
        yield* settle(20)
        yield* Fiber.interrupt(serving)
        expect(yield* connection.read).toEqual(Option.none())
      }),
    ))

  test("runs a handler that returns no Effect synchronously, and leaves the connection to it", () =>
    run(
      Effect.gen(function* () {
        const { server, client } = yield* pair()
        const listener = yield* on(server)(Tcp.listen({ port: 80 }))
        yield* Effect.fork(
          listener.run(({ plain }) => {
            plain.on({ onData: (c, bytes) => void c.tryWrite(bytes), onEnd: (c) => c.close() })
          }),
        )
        const connection = yield* on(client)(Tcp.connect({ host: SERVER, port: 80 }))
        yield* connection.write(text("sync"))
        yield* connection.shutdown
        expect(string(yield* all(connection))).toBe("sync")
      }),
    ))

  test("whose taker throws resets that connection only, and goes on", () =>
    run(
      Effect.gen(function* () {
        const { server, client } = yield* pair()
        const listener = yield* on(server)(Tcp.listen({ port: 80 }))
        const serve = echo(serviceCounters())
        let first = true
        listener.onConnection((connection) => {
          if (!first) return serve(connection)
          first = false
          throw new Error("wanted by the test")
        })
        const unlucky = yield* on(client)(Tcp.connect({ host: SERVER, port: 80 }))
        expect(yield* Effect.flip(unlucky.read)).toBeInstanceOf(Tcp.ConnectionReset)
        const lucky = yield* on(client)(Tcp.connect({ host: SERVER, port: 80 }))
        yield* lucky.write(text("still there"))
        expect(Option.map(yield* lucky.read, string)).toEqual(Option.some("still there"))
      }).pipe(Logger.withMinimumLogLevel(LogLevel.None)),
    ))
})
