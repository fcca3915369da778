import { describe, expect, test } from "bun:test"
import { connect, type Socket as NodeSocket } from "node:net"
import { Effect } from "effect"
import { kernelListener } from "../../src/cli/kernelListener.ts"
import * as Tcp from "../../src/net/Tcp.ts"
import { on, pair, run, SERVER, text } from "../net/support.ts"

/** A kernel client, and the netfold connection at the other end of the bridge. */
const bridged = Effect.gen(function* () {
  const { server, client } = yield* pair()
  const listener = yield* on(server)(Tcp.listen({ port: 7 }))
  const port = yield* kernelListener("127.0.0.1", 0, (handlers) =>
    Tcp.connectPlain(client, { host: SERVER, port: 7 }, handlers),
  )
  const kernel = yield* Effect.acquireRelease(
    Effect.async<NodeSocket>((resume) => {
      const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true }, () => resume(Effect.succeed(socket)))
    }),
    (socket) => Effect.sync(() => socket.destroy()),
  )
  return { kernel, connection: yield* listener.accept }
})

const event = (socket: NodeSocket, name: string): Effect.Effect<unknown> =>
  Effect.async<unknown>((resume) => {
    socket.once(name, (value: unknown) => resume(Effect.succeed(value)))
  })

/** Everything that the connection gets, as text. */
const all = (connection: Tcp.Connection): Effect.Effect<string, Tcp.TcpError> =>
  Effect.gen(function* () {
    let got = ""
    for (;;) {
      const next = yield* connection.read
      if (next._tag === "None") return got
      got += new TextDecoder().decode(next.value)
    }
  })

describe("a bridge", () => {
  test("whose kernel client half-closes carries the FIN on, and answers after it", () =>
    run(
      Effect.gen(function* () {
        const { kernel, connection } = yield* bridged
        kernel.end("question")
        expect(yield* all(connection)).toBe("question")
        const answer = event(kernel, "data")
        yield* connection.write(text("answer"))
        expect(String(yield* answer)).toBe("answer")
        const end = event(kernel, "end")
        yield* connection.shutdown
        yield* end
        yield* connection.closed
      }),
    ))

  test("whose far end half-closes first still carries the client's octets", () =>
    run(
      Effect.gen(function* () {
        const { kernel, connection } = yield* bridged
        kernel.resume()
        const end = event(kernel, "end")
        yield* connection.shutdown
        yield* end
        kernel.write("one ")
        kernel.end("two")
        expect(yield* all(connection)).toBe("one two")
      }),
    ))

  test("whose kernel client resets resets the connection", () =>
    run(
      Effect.gen(function* () {
        const { kernel, connection } = yield* bridged
        kernel.resetAndDestroy()
        expect(yield* Effect.flip(connection.read)).toBeInstanceOf(Tcp.ConnectionReset)
      }),
    ))

  test("whose far end resets resets the kernel client", () =>
    run(
      Effect.gen(function* () {
        const { kernel, connection } = yield* bridged
        const failed = event(kernel, "error")
        kernel.resume()
        yield* connection.abort
        expect(yield* failed).toMatchObject({ code: "ECONNRESET" })
      }),
    ))

  test("to a port that nobody listens on resets the kernel client", () =>
    run(
      Effect.gen(function* () {
        const { client } = yield* pair()
        const port = yield* kernelListener("127.0.0.1", 0, (handlers) =>
          Tcp.connectPlain(client, { host: SERVER, port: 9 }, handlers),
        )
        const kernel = connect({ port, host: "127.0.0.1" })
        expect(yield* event(kernel, "error")).toMatchObject({ code: "ECONNRESET" })
      }),
    ))
})
