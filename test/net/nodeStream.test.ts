import { describe, expect, test } from "bun:test"
import { once } from "node:events"
import { createServer, type IncomingMessage } from "node:http"
import { Effect } from "effect"
import { NodeStream } from "../../src/net/NodeStream.ts"
import * as Tcp from "../../src/net/Tcp.ts"
import { CLIENT, concat, on, pair, pattern, run, SERVER, settle, text } from "./support.ts"

/** The two ends of one connection: a stream on the server, Effects on the client. */
const opened = (options: ConstructorParameters<typeof NodeStream>[1] = {}, settings: Parameters<typeof pair>[0] = {}) =>
  Effect.gen(function* () {
    const both = yield* pair(settings)
    const listener = yield* on(both.server)(Tcp.listen({ port: 80 }))
    const connection = yield* on(both.client)(Tcp.connect({ host: SERVER, port: 80 }))
    const { plain } = yield* listener.accept
    return { ...both, connection, stream: new NodeStream(plain, options) }
  })

describe("a NodeStream", () => {
  test("names both ends as node:net does", () =>
    run(
      Effect.gen(function* () {
        const { stream, connection } = yield* opened()
        expect(stream.remoteAddress).toBe(CLIENT)
        expect(stream.remotePort).toBe(connection.local.port)
        expect(stream.address()).toEqual({ address: SERVER, family: "IPv4", port: 80 })
        expect(stream.readyState).toBe("open")
      }),
    ))

  test("piped into itself echoes, and a half-close ends both ways", () =>
    run(
      Effect.gen(function* () {
        const { stream, connection } = yield* opened({ allowHalfOpen: true })
        stream.pipe(stream)
        const data = pattern(400_000)
        const sending = Effect.zipRight(connection.write(data), connection.shutdown)
        const chunks: Array<Uint8Array> = []
        const reading = Effect.gen(function* () {
          for (;;) {
            const next = yield* connection.read
            if (next._tag === "None") return
            chunks.push(next.value)
          }
        })
        yield* Effect.all([sending, reading], { concurrency: 2 })
        expect(Bun.SHA256.hash(concat(chunks))).toEqual(Bun.SHA256.hash(data))
        expect(stream.bytesRead).toBe(data.length)
        expect(stream.bytesWritten).toBe(data.length)
      }),
    ))

  test("that nobody reads closes the receive window", () =>
    run(
      Effect.gen(function* () {
        const { connection, server } = yield* opened(
          {},
          { tcpRmem: [4096, 16384, 16384], tcpWmem: [4096, 16384, 16384] },
        )
        const writing = yield* Effect.fork(connection.write(pattern(500_000)))
        yield* settle()
        expect(writing.unsafePoll()).toBeNull()
        expect(server.list().find(({ state }) => state === "ESTABLISHED")?.recvQ).toBeLessThanOrEqual(16384)
        yield* connection.abort
      }),
    ))

  test("that writes more than the peer reads waits, and then drains", () =>
    run(
      Effect.gen(function* () {
        const { stream, connection } = yield* opened(
          {},
          { tcpRmem: [4096, 16384, 16384], tcpWmem: [4096, 16384, 16384] },
        )
        const data = pattern(200_000)
        expect(stream.write(data)).toBe(false)
        let drained = false
        stream.once("drain", () => {
          drained = true
        })
        yield* settle()
        expect(drained).toBe(false)
        const chunks: Array<Uint8Array> = []
        while (concat(chunks).length < data.length) {
          const next = yield* connection.read
          if (next._tag === "Some") chunks.push(next.value)
        }
        while (!drained) yield* settle(20)
        expect(Bun.SHA256.hash(concat(chunks))).toEqual(Bun.SHA256.hash(data))
      }),
    ))

  test("at the peer's FIN ends, and without allowHalfOpen closes itself", () =>
    run(
      Effect.gen(function* () {
        const { stream, connection } = yield* opened()
        stream.resume()
        const closed = once(stream, "close")
        yield* connection.shutdown
        yield* Effect.promise(() => closed)
        expect(stream.readableEnded).toBe(true)
        yield* connection.closed
      }),
    ))

  test("at the peer's reset is destroyed with ECONNRESET", () =>
    run(
      Effect.gen(function* () {
        const { stream, connection } = yield* opened()
        stream.resume()
        const failed = once(stream, "error")
        yield* connection.abort
        const [error] = yield* Effect.promise(() => failed)
        expect(error).toMatchObject({ _tag: "ConnectionReset", errno: "ECONNRESET" })
        expect(stream.readyState).toBe("closed")
      }),
    ))

  test("destroyed with an error resets the connection, and by destroySoon ends it in order", () =>
    run(
      Effect.gen(function* () {
        const first = yield* opened()
        first.stream.on("error", () => {})
        first.stream.destroy(new Error("wanted by the test"))
        expect(yield* Effect.flip(first.connection.read)).toMatchObject({ _tag: "ConnectionReset" })
        const second = yield* opened()
        second.stream.write(text("last"))
        second.stream.destroySoon()
        expect((yield* second.connection.read)._tag).toBe("Some")
        expect((yield* second.connection.read)._tag).toBe("None")
      }),
    ))

  test("carries node:http", () =>
    run(
      Effect.gen(function* () {
        const { stream, connection } = yield* opened()
        const server = createServer((request: IncomingMessage, response) => {
          response.end(`you asked for ${request.url}`)
        })
        server.emit("connection", stream)
        yield* connection.write(text("GET /page HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"))
        const chunks: Array<Uint8Array> = []
        for (;;) {
          const next = yield* connection.read
          if (next._tag === "None") break
          chunks.push(next.value)
        }
        const answer = new TextDecoder().decode(concat(chunks))
        expect(answer).toStartWith("HTTP/1.1 200 OK\r\n")
        expect(answer).toContain("you asked for /page")
        server.close()
      }),
    ))
})
