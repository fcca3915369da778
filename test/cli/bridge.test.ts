import { describe, expect, test } from "bun:test"
import { connect, type Socket as NodeSocket } from "node:net"
import { Effect } from "effect"
import { Bridge } from "../../src/cli/bridge.ts"
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

/** A kernel socket that takes a few octets at a time, and what has become of it. */
class SlowKernel {
  readonly done: Array<string> = []
  write(bytes: Uint8Array): number {
    const taken = Math.min(3, bytes.length)
    this.done.push(new TextDecoder().decode(bytes.subarray(0, taken)))
    return taken
  }
  end(): void {
    this.done.push("end")
  }
  shutdown(): void {
    this.done.push("shutdown")
  }
}

test("a bridge whose connection is over while the kernel has not taken all: the end comes after the last octets", () => {
  const kernel = new SlowKernel()
  const chunks = [text("abcdefgh")]
  const connection = { over: false, tryRead: () => chunks.shift() ?? (connection.over ? "end" : "empty") }
  // biome-ignore lint/suspicious/noExplicitAny: only what the bridge calls is there
  const bridge = new Bridge(kernel as any)
  // biome-ignore lint/suspicious/noExplicitAny: as above
  const plain = connection as any
  bridge.attach(plain)
  bridge.handlers.onReadable?.(plain)
  connection.over = true
  bridge.handlers.onClose?.(plain, undefined)
  for (let turn = 0; turn < 3; turn++) bridge.kernelDrained()
  expect(kernel.done).toEqual(["abc", "def", "gh", "end"])
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
