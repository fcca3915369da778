import { describe, expect, test } from "bun:test"
import { Effect, Exit, Fiber } from "effect"
import { NodeStream } from "../../src/net/NodeStream.ts"
import * as Tcp from "../../src/net/Tcp.ts"
import { optionsOf } from "../../src/tcp/setOptions.ts"
import type { SocketOptions } from "../../src/tcp/tcb.ts"
import { on, pair, pattern, run, SERVER, settle, string, text } from "./support.ts"

const opened = (client: Tcp.ConnectionOptions = {}, server: Tcp.ConnectionOptions = {}, settings = {}) =>
  Effect.gen(function* () {
    const both = yield* pair(settings)
    const listener = yield* on(both.server)(Tcp.listen({ port: 80, ...server }))
    const connecting = yield* Effect.fork(on(both.client)(Tcp.connect({ host: SERVER, port: 80, ...client })))
    const accepted = yield* listener.accept
    return { ...both, accepted, connection: yield* Fiber.join(connecting) }
  })

const optionsNow = (connection: Tcp.Connection): Effect.Effect<Partial<SocketOptions>> =>
  Effect.map(connection.status, (status) => (status === undefined ? {} : (optionsOf(status.tcb) ?? {})))

describe("options, as an application writes them", () => {
  test.each<[Tcp.ConnectionOptions, Partial<SocketOptions>]>([
    [
      { keepAlive: { idle: "10 seconds", interval: "2 seconds", count: 4 } },
      { keepAlive: true, keepIdle: 10_000_000, keepInterval: 2_000_000, keepCount: 4 },
    ],
    [{ keepAlive: true }, { keepAlive: true, keepIdle: 0 }],
    [{ linger: "reset" }, { linger: 0 }],
    [{ linger: "3 seconds" }, { linger: 3_000_000 }],
    [{}, { linger: -1, linger2: 0, keepAlive: false, quickAck: true }],
    [{ finTimeout: "none" }, { linger2: -1 }],
    [{ finTimeout: "5 seconds" }, { linger2: 5_000_000 }],
    [
      { maxSegment: 900, windowClamp: 8000 },
      { maxSegment: 900, windowClamp: 8000 },
    ],
    [
      { notSentLowWater: 4096, receiveLowWater: 10 },
      { notSentLowWater: 4096, receiveLowWater: 10 },
    ],
    [
      { minRto: "50 millis", maxRto: "10 seconds", maxDelayedAck: "5 millis" },
      { minRto: 50_000, maxRto: 10_000_000, maxDelayedAck: 5000 },
    ],
    [
      { cork: true, noDelay: true, quickAck: false },
      { cork: true, noDelay: true, quickAck: false },
    ],
  ])("%j: on both ends", (given, expected) =>
    run(
      Effect.gen(function* () {
        const { accepted, connection } = yield* opened(given, given)
        expect(yield* optionsNow(connection)).toMatchObject(expected)
        expect(yield* optionsNow(accepted)).toMatchObject(expected)
        yield* connection.abort
      }),
    ),
  )

  test.each<[Tcp.ConnectionOptions, string]>([
    [{ maxSegment: 20 }, "maxSegment"],
    [{ minRto: 0 }, "minRto"],
    [{ maxRto: "999 millis" }, "maxRto"],
    [{ maxDelayedAck: "201 millis" }, "maxDelayedAck"],
    [{ keepAlive: { count: 1000 } }, "keepCount"],
    [{ keepAlive: { idle: "1 millis" } }, "keepIdle"],
    [{ windowClamp: -5 }, "windowClamp"],
  ])("%j: refused, by name", (given, argument) =>
    run(
      Effect.gen(function* () {
        const both = yield* pair()
        const attempt = on(both.client)(Tcp.connect({ host: SERVER, port: 80, ...given }))
        expect(yield* Effect.flip(attempt)).toMatchObject({ _tag: "InvalidArgument", argument })
      }),
    ),
  )

  test("setOptions on an open connection: all or none", () =>
    run(
      Effect.gen(function* () {
        const { connection } = yield* opened()
        yield* connection.setOptions({ noDelay: true, keepAlive: { idle: "9 seconds" } })
        expect(yield* optionsNow(connection)).toMatchObject({ noDelay: true, keepAlive: true, keepIdle: 9_000_000 })
        const refused = yield* Effect.flip(connection.setOptions({ cork: true, sendBuffer: -1 }))
        expect(refused._tag).toBe("InvalidArgument")
        expect(yield* optionsNow(connection)).toMatchObject({ cork: false })
      }),
    ))
})

describe("close with linger", () => {
  test("linger: close waits until the peer has everything", () =>
    run(
      Effect.gen(function* () {
        const { accepted, connection } = yield* opened({ linger: "5 seconds" }, { receiveBuffer: 4000 })
        yield* connection.write(pattern(20_000))
        const closing = yield* Effect.fork(connection.close)
        yield* settle()
        expect(closing.unsafePoll()).toBeNull()
        for (let i = 0; i < 20; i++) {
          accepted.plain.tryRead()
          yield* settle(5)
        }
        yield* Fiber.join(closing)
        expect(connection.plain.over).toBe(true)
      }),
    ))

  test("linger, a peer that does not read: close returns when the time is over", () =>
    run(
      Effect.gen(function* () {
        const { connection } = yield* opened({ linger: "50 millis" }, { receiveBuffer: 4000 })
        yield* connection.write(pattern(20_000))
        const before = performance.now()
        yield* connection.close
        expect(performance.now() - before).toBeGreaterThanOrEqual(45)
        expect(connection.plain.over).toBe(true)
      }),
    ))

  test('linger "reset": the peer is reset', () =>
    run(
      Effect.gen(function* () {
        const { accepted, connection } = yield* opened({ linger: "reset" })
        yield* connection.close
        const exit = yield* Effect.exit(accepted.closed)
        expect(Exit.isFailure(exit)).toBe(true)
        expect(accepted.plain.error?._tag).toBe("ConnectionReset")
      }),
    ))
})

describe("reading in other ways", () => {
  test("peek, atMark, shutdownRead", () =>
    run(
      Effect.gen(function* () {
        const { accepted, connection } = yield* opened()
        connection.plain.tryGive(text("calm"))
        connection.plain.tryGive(text("!"), true)
        yield* settle()
        const { plain } = accepted
        expect(string(plain.peek() as Uint8Array)).toBe("calm!")
        expect(plain.atMark).toBe(false)
        expect(string(plain.tryRead() as Uint8Array)).toBe("calm")
        expect(plain.atMark).toBe(true)
        yield* accepted.shutdownRead
        expect(string(plain.tryRead() as Uint8Array)).toBe("!")
        expect(plain.tryRead()).toBe("end")
      }),
    ))
})

describe("a node stream", () => {
  test("setKeepAlive(true, 1500), setNoDelay: whole seconds, as node:net", () =>
    run(
      Effect.gen(function* () {
        const { connection } = yield* opened()
        const stream = new NodeStream(connection.plain)
        stream.setKeepAlive(true, 1500).setNoDelay()
        expect(yield* optionsNow(connection)).toMatchObject({ keepAlive: true, keepIdle: 1_000_000, noDelay: true })
        stream.setKeepAlive(false)
        expect(yield* optionsNow(connection)).toMatchObject({ keepAlive: false })
        stream.destroy()
      }),
    ))

  test("resetAndDestroy: the peer is reset", () =>
    run(
      Effect.gen(function* () {
        const { accepted, connection } = yield* opened()
        new NodeStream(connection.plain).on("error", () => {}).resetAndDestroy()
        yield* Effect.exit(accepted.closed)
        expect(accepted.plain.error?._tag).toBe("ConnectionReset")
      }),
    ))
})

describe("settings of a running stack", () => {
  test("configure: what the stack says and does from then on", () =>
    run(
      Effect.gen(function* () {
        const { client, connection } = yield* opened()
        yield* client.configure({ tcpNotsentLowat: 2000 })
        expect(client.settings.tcpNotsentLowat).toBe(2000)
        expect(connection.plain.room).toBe(2000)
      }),
    ))

  test("configure, another wire layout: refused", () =>
    run(
      Effect.gen(function* () {
        const { client } = yield* pair()
        const profile = { ...client.settings.profile, optionLayout: "freebsd" } as const
        expect((yield* Effect.flip(client.configure({ profile })))._tag).toBe("InvalidArgument")
      }),
    ))
})
