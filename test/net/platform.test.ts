import { describe, expect, test } from "bun:test"
import * as PlatformSocket from "@effect/platform/Socket"
import * as PlatformServer from "@effect/platform/SocketServer"
import { Deferred, Effect, Fiber, Layer, Stream } from "effect"
import * as Socket from "../../src/net/Socket.ts"
import * as SocketServer from "../../src/net/SocketServer.ts"
import * as Tcp from "../../src/net/Tcp.ts"
import { Stack } from "../../src/runtime/stack.ts"
import { concat, on, pair, pattern, run, SERVER, settle, string, text } from "./support.ts"

const echoHandler = (socket: PlatformSocket.Socket) =>
  Effect.scoped(Effect.flatMap(socket.writer, (write) => socket.run((bytes) => write(bytes))))

describe("SocketServer and Socket of @effect/platform", () => {
  test("echo to each other, and the address is the listener's", () =>
    run(
      Effect.gen(function* () {
        const { server, client } = yield* pair()
        const listening = yield* on(server)(SocketServer.make({ port: 7 }))
        expect(listening.address).toEqual({ _tag: "TcpAddress", hostname: "0.0.0.0", port: 7 })
        yield* Effect.fork(listening.run(echoHandler))
        const socket = yield* on(client)(Socket.make({ host: SERVER, port: 7 }))
        const data = pattern(300_000)
        const got = yield* Stream.make(data.subarray(0, 10), data.subarray(10)).pipe(
          Stream.pipeThroughChannel(PlatformSocket.toChannel<never>(socket)),
          Stream.runCollect,
        )
        expect(Bun.SHA256.hash(concat(got))).toEqual(Bun.SHA256.hash(data))
      }),
    ))

  test("are Layers over a Stack", () =>
    run(
      Effect.gen(function* () {
        const { server, client } = yield* pair()
        const serving = Effect.flatMap(PlatformServer.SocketServer, (s) => s.run(echoHandler)).pipe(
          Effect.provide(SocketServer.layer({ port: 7 }).pipe(Layer.provide(Layer.succeed(Stack, server)))),
        )
        yield* Effect.fork(serving)
        yield* settle(5)
        const asking = Effect.gen(function* () {
          const socket = yield* PlatformSocket.Socket
          const answer = yield* Deferred.make<string>()
          const write = yield* socket.writer
          const running = yield* Effect.fork(socket.run((bytes) => Deferred.succeed(answer, string(bytes))))
          yield* write("layered")
          const got = yield* Deferred.await(answer)
          yield* Fiber.interrupt(running)
          return got
        }).pipe(
          Effect.provide(Socket.layer({ host: SERVER, port: 7 }).pipe(Layer.provide(Layer.succeed(Stack, client)))),
        )
        expect(yield* asking).toBe("layered")
      }),
    ))

  test("hand the handler the connection's addresses", () =>
    run(
      Effect.gen(function* () {
        const { server, client } = yield* pair()
        const listening = yield* on(server)(SocketServer.make({ port: 7 }))
        const seen = yield* Deferred.make<number>()
        yield* Effect.fork(
          listening.run((socket) =>
            socket.run(() =>
              Effect.flatMap(Effect.flatten(Socket.currentConnection), (c) => Deferred.succeed(seen, c.remote.port)),
            ),
          ),
        )
        const connection = yield* on(client)(Tcp.connect({ host: SERVER, port: 7, local: { port: 4242 } }))
        yield* connection.write(text("x"))
        expect(yield* Deferred.await(seen)).toBe(4242)
      }),
    ))
})

describe("a Socket's run", () => {
  test("whose handler is slow stops reading, and the sender waits", () =>
    run(
      Effect.gen(function* () {
        const { server, client } = yield* pair({ tcpRmem: [4096, 16384, 16384], tcpWmem: [4096, 16384, 16384] })
        const listening = yield* on(server)(SocketServer.make({ port: 7, concurrency: 1 }))
        const gate = yield* Effect.makeLatch(false)
        const chunks: Array<Uint8Array> = []
        yield* Effect.fork(
          listening.run((socket) =>
            socket.run((bytes) =>
              Effect.zipRight(
                gate.await,
                Effect.sync(() => void chunks.push(bytes)),
              ),
            ),
          ),
        )
        const connection = yield* on(client)(Tcp.connect({ host: SERVER, port: 7 }))
        const data = pattern(200_000)
        const sending = yield* Effect.fork(Effect.zipRight(connection.write(data), connection.shutdown))
        yield* settle()
        expect(chunks).toEqual([])
        expect(sending.unsafePoll()).toBeNull()
        yield* gate.open
        yield* Fiber.join(sending)
        yield* connection.read
        expect(Bun.SHA256.hash(concat(chunks))).toEqual(Bun.SHA256.hash(data))
      }),
    ))

  test("ends in success at the peer's FIN, after the handlers", () =>
    run(
      Effect.gen(function* () {
        const { server, client } = yield* pair()
        const listening = yield* on(server)(SocketServer.make({ port: 7 }))
        const outcome = yield* Deferred.make<string>()
        let handled = 0
        yield* Effect.fork(
          listening.run((socket) =>
            socket
              .run(() =>
                Effect.zipRight(
                  Effect.yieldNow(),
                  Effect.sync(() => void handled++),
                ),
              )
              .pipe(
                Effect.exit,
                Effect.flatMap((exit) => Deferred.succeed(outcome, exit._tag)),
              ),
          ),
        )
        yield* Effect.scoped(
          Effect.flatMap(on(client)(Tcp.connect({ host: SERVER, port: 7 })), (c) => c.write(text("x"))),
        )
        expect(yield* Deferred.await(outcome)).toBe("Success")
        expect(handled).toBe(1)
      }),
    ))

  test("fails with a read error at a reset", () =>
    run(
      Effect.gen(function* () {
        const { server, client } = yield* pair()
        const listening = yield* on(server)(SocketServer.make({ port: 7 }))
        const outcome = yield* Deferred.make<unknown>()
        yield* Effect.fork(
          listening.run((socket) =>
            Effect.flatMap(Effect.either(socket.run(() => {})), (either) => Deferred.succeed(outcome, either)),
          ),
        )
        const connection = yield* on(client)(Tcp.connect({ host: SERVER, port: 7 }))
        yield* settle(20)
        yield* connection.abort
        expect(yield* Deferred.await(outcome)).toMatchObject({
          _tag: "Left",
          left: { _tag: "SocketError", reason: "Read", cause: { _tag: "ConnectionReset" } },
        })
      }),
    ))

  test("to a port that nobody listens on fails to open", () =>
    run(
      Effect.gen(function* () {
        const { client } = yield* pair()
        const socket = yield* on(client)(Socket.make({ host: SERVER, port: 9 }))
        const error = yield* Effect.flip(socket.run(() => {}))
        expect(error).toMatchObject({ reason: "Open", cause: { _tag: "ConnectionRefused" } })
      }),
    ))
})

test("a SocketServer on a port in use fails to open", () =>
  run(
    Effect.gen(function* () {
      const { server } = yield* pair()
      yield* on(server)(SocketServer.make({ port: 7 }))
      const error = yield* Effect.flip(on(server)(SocketServer.make({ port: 7 })))
      expect(error).toMatchObject({ _tag: "SocketServerError", reason: "Open", cause: { _tag: "AddressInUse" } })
    }),
  ))
