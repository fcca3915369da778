import { describe, expect, test } from "bun:test"
import { Effect, Either, Logger, LogLevel, type Scope } from "effect"
import { memoryPair } from "../../src/device/memory.ts"
import type { ConnectionError } from "../../src/net/errors.ts"
import { ConnectionReset, StackFailed } from "../../src/net/errors.ts"
import type { Handlers, PlainConnection } from "../../src/net/plain.ts"
import { chargen, chargenPattern, discard, echo, type Service, serviceCounters } from "../../src/net/services.ts"
import * as Tcp from "../../src/net/Tcp.ts"
import { Stack } from "../../src/runtime/stack.ts"
import { concat, on, type Pair, pair, pattern, run, SERVER, settle, text } from "./support.ts"

/** A client in callbacks, connected to a service. */
const against = (service: Service, handlers: Handlers, settings: Parameters<typeof pair>[0] = {}) =>
  Effect.gen(function* () {
    const both = yield* pair(settings)
    const listener = yield* on(both.server)(Tcp.listen({ port: 7 }))
    listener.onConnection(service)
    return { ...both, plain: yield* connected(both, handlers) }
  })

const connected = (both: Pair, handlers: Handlers): Effect.Effect<PlainConnection, Tcp.TcpError, Scope.Scope> =>
  Effect.async<PlainConnection, Tcp.TcpError>((resume) => {
    const attempt = Tcp.connectPlain(
      both.client,
      { host: SERVER, port: 7 },
      {
        ...handlers,
        onConnect: (plain) => resume(Effect.succeed(plain)),
      },
    )
    if (Either.isLeft(attempt)) resume(Effect.fail(attempt.left))
  })

/** Callbacks that note what they are called with. */
const notes = () => {
  const seen: Array<string> = []
  const chunks: Array<Uint8Array> = []
  let error: ConnectionError | undefined
  const handlers: Handlers = {
    onData: (_, bytes) => void chunks.push(bytes),
    onEnd: () => void seen.push("end"),
    onDrain: () => void seen.push("drain"),
    onClose: (_, cause) => {
      seen.push("close")
      error = cause
    },
  }
  return { seen, chunks, handlers, error: () => error }
}

describe("a connection in callbacks", () => {
  test("lends what has come for the time of the call, and says the end like any other", () =>
    run(
      Effect.gen(function* () {
        const sent = pattern(300_000)
        const got = notes()
        const copies: Array<Uint8Array> = []
        const { onData: _, ...others } = got.handlers
        yield* against(
          (c) => {
            let at = 0
            const fill = (): void => {
              at += Math.max(0, c.tryWrite(sent.subarray(at)))
              if (at === sent.length) c.close()
            }
            c.on({ onDrain: fill })
            fill()
          },
          {
            ...others,
            onLent: (_connection, bytes) => {
              copies.push(bytes.slice())
              // The memory is nobody's after the call, and no other octets of the stream depend on it.
              bytes.fill(0)
            },
          },
        )
        yield* settle(300)
        expect(concat(copies)).toEqual(sent)
        expect(got.seen).toEqual(["end"])
      }),
    ))

  test("tells data, end and close in this order, once", () =>
    run(
      Effect.gen(function* () {
        const got = notes()
        const { plain } = yield* against((c) => {
          c.tryWrite(text("hello"))
          c.close()
        }, got.handlers)
        yield* settle(50)
        plain.shutdown()
        yield* settle(50)
        expect(concat(got.chunks)).toEqual(text("hello"))
        expect(got.seen).toEqual(["end", "close"])
        expect(got.error()).toBeUndefined()
        expect(plain.over).toBe(true)
        expect(plain.tryWrite(text("x"))).toBe(-1)
        expect(plain.tryRead()).toBe("end")
      }),
    ))

  test("that is paused gets nothing, and all of it after it resumes", () =>
    run(
      Effect.gen(function* () {
        const got = notes()
        const { plain } = yield* against((c) => {
          c.tryWrite(text("later"))
          c.shutdown()
        }, got.handlers)
        plain.pause()
        yield* settle(50)
        const before = got.chunks.length
        plain.resume()
        yield* settle(50)
        expect(before).toBe(0)
        expect(concat(got.chunks)).toEqual(text("later"))
        expect(got.seen).toEqual(["end"])
      }),
    ))

  test("without onEnd is closed by the peer's FIN", () =>
    run(
      Effect.gen(function* () {
        let closed = false
        yield* against((c) => c.shutdown(), {
          onData: () => {},
          onClose: () => {
            closed = true
          },
        })
        yield* settle(50)
        expect(closed).toBe(true)
      }),
    ))

  test("that writes more than there is room for is told to go on", () =>
    run(
      Effect.gen(function* () {
        const counters = serviceCounters()
        const data = pattern(300_000)
        let at = 0
        const send = (c: PlainConnection): void => {
          at += Math.max(0, c.tryWrite(data.subarray(at)))
        }
        const { plain } = yield* against(discard(counters), { onDrain: send }, { tcpWmem: [4096, 16384, 16384] })
        send(plain)
        expect(at).toBeLessThanOrEqual(16384)
        while (counters.bytesIn < data.length) yield* settle(20)
        expect(at).toBe(data.length)
        expect(counters.bytesIn).toBe(data.length)
      }),
    ))

  test("whose callback throws is reset, and the others go on", () =>
    run(
      Effect.gen(function* () {
        const bad = notes()
        const both = yield* against((c) => {
          c.on({
            onData: (_, bytes) => {
              if (bytes[0] === 0x21) throw new Error("wanted by the test")
              c.tryGive(bytes)
            },
          })
        }, bad.handlers)
        const good = notes()
        const other = yield* connected(both, good.handlers)
        both.plain.tryWrite(text("!"))
        other.tryWrite(text("ok"))
        yield* settle(50)
        expect(bad.seen).toEqual(["close"])
        expect(bad.error()).toBeInstanceOf(ConnectionReset)
        expect(concat(good.chunks)).toEqual(text("ok"))
        expect(both.server.counters.thrown).toBe(1)
      }).pipe(Logger.withMinimumLogLevel(LogLevel.None)),
    ))

  test("on a device that fails ends with StackFailed, as the stack does", () =>
    run(
      Effect.gen(function* () {
        const [left, right] = memoryPair()
        let failure: ReturnType<typeof left.failure>
        let woken = (): void => {}
        const failing = new Proxy(left, {
          get: (device, key) => {
            if (key === "failure") return () => failure
            if (key === "wake") {
              return (onReady: () => void) => {
                woken = onReady
                device.wake(onReady)
              }
            }
            const value = Reflect.get(device, key, device)
            return typeof value === "function" ? value.bind(device) : value
          },
        })
        const client = yield* Stack.make({ interfaces: [{ device: failing, addresses: ["10.0.0.2/24"] }] })
        const server = yield* Stack.make({
          interfaces: [{ device: right, addresses: ["10.0.0.1/24"] }],
          settings: { ipUnprivilegedPortStart: 0 },
          closeGrace: 0,
        })
        const listener = yield* on(server)(Tcp.listen({ port: 7 }))
        listener.onConnection(echo(serviceCounters()))
        const got = notes()
        yield* connected({ client, server, devices: [left, right] }, got.handlers)
        yield* settle()
        failure = { device: "memory0", errno: "ENODEV", message: "memory0: the interface is gone (ENODEV)" }
        woken()
        const error = yield* Effect.flip(client.failure)
        expect(error).toBeInstanceOf(StackFailed)
        expect(error.message).toContain("the interface is gone")
        expect(got.seen).toEqual(["close"])
        expect(got.error()).toBeInstanceOf(StackFailed)
        expect(yield* Effect.flip(on(client)(Tcp.connect({ host: SERVER, port: 7 })))).toBeInstanceOf(StackFailed)
      }),
    ))
})

describe("echo", () => {
  test("against a client that does not read holds no more than its buffers, and loses nothing", () =>
    run(
      Effect.gen(function* () {
        const counters = serviceCounters()
        const data = pattern(500_000)
        let at = 0
        const send = (c: PlainConnection): void => {
          while (at < data.length) {
            const n = c.tryWrite(data.subarray(at))
            if (n <= 0) return
            at += n
          }
          c.shutdown()
        }
        const chunks: Array<Uint8Array> = []
        let ended = false
        const { plain, server } = yield* against(
          echo(counters),
          {
            onDrain: send,
            onData: (_, b) => void chunks.push(b),
            onEnd: () => {
              ended = true
            },
          },
          { tcpWmem: [4096, 16384, 16384], tcpRmem: [4096, 16384, 16384] },
        )
        plain.pause()
        send(plain)
        yield* settle()
        const status = server.list().find(({ state }) => state === "ESTABLISHED")
        expect(at).toBeLessThanOrEqual(4 * 16384)
        expect(status?.sendQ).toBeLessThanOrEqual(16384)
        expect(status?.recvQ).toBeLessThanOrEqual(16384)
        expect(counters.bytesIn).toBe(counters.bytesOut)
        plain.resume()
        // A closed window opens by the next ACK or by a probe; both sides' timers are real ones here.
        while (!ended) yield* settle(20)
        expect(Bun.SHA256.hash(concat(chunks))).toEqual(Bun.SHA256.hash(data))
        yield* settle(20)
        expect(counters).toEqual({ connections: 1, open: 0, bytesIn: data.length, bytesOut: data.length })
      }),
    ))
})

describe("chargen", () => {
  test("repeats the 95 lines of RFC 864, 7030 octets, for as long as they are taken", () =>
    run(
      Effect.gen(function* () {
        const counters = serviceCounters()
        const chunks: Array<Uint8Array> = []
        let length = 0
        const { plain } = yield* against(chargen(counters), {
          onData: (c, bytes) => {
            chunks.push(bytes)
            length += bytes.length
            if (length > 50_000) c.pause()
          },
        })
        while (length <= 50_000) yield* settle(10)
        const got = concat(chunks)
        const period = chargenPattern()
        expect(period.length).toBe(7030)
        const lines = new TextDecoder().decode(got.subarray(0, 3 * 74)).split("\r\n")
        expect(lines[0]).toBe(` !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_\`abcdefg`)
        expect(lines[1]).toBe(`!"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_\`abcdefgh`)
        for (let i = 0; i < got.length; i++) {
          if (got[i] !== period[i % period.length]) throw new Error(`octet ${i} is wrong`)
        }
        plain.close()
        yield* settle(50)
        expect(counters.open).toBe(0)
      }),
    ))
})
