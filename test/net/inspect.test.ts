import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import * as Inspect from "../../src/net/Inspect.ts"
import * as Tcp from "../../src/net/Tcp.ts"
import type { StackService } from "../../src/runtime/stack.ts"
import { CLIENT, on, type Pair, pair, pattern, run, SERVER, settle, text } from "./support.ts"

const opened = (both: Pair, options: Tcp.ListenOptions = {}) =>
  Effect.gen(function* () {
    const listener = yield* on(both.server)(Tcp.listen({ port: 80, ...options }))
    const client = yield* on(both.client)(Tcp.connect({ host: SERVER, port: 80 }))
    return { listener, client, server: yield* listener.accept }
  })

/** The only row in that state. */
const rowIn = (stack: StackService, state: Inspect.SocketState) =>
  Effect.map(Inspect.sockets(stack), (rows) => {
    const found = rows.filter((row) => row.state === state)
    expect(found.length).toBe(1)
    return found[0] ?? expect.unreachable()
  })

describe("sockets of a stack", () => {
  test("LISTEN, connections that nobody accepts: the queue's length and limit", () =>
    run(
      Effect.gen(function* () {
        const both = yield* pair()
        yield* on(both.server)(Tcp.listen({ port: 80, backlog: 4 }))
        yield* on(both.client)(Tcp.connect({ host: SERVER, port: 80 }))
        yield* on(both.client)(Tcp.connect({ host: SERVER, port: 80 }))
        yield* settle(20)
        const row = yield* rowIn(both.server, "LISTEN")
        expect(row).toMatchObject({
          recvQ: 2,
          sendQ: 4,
          local: { family: 4, address: "0.0.0.0", port: 80 },
          orphan: false,
          info: { _tag: "Listener", requests: 0, young: 0, cookies: false },
        })
        expect(row.peer).toBeUndefined()
        expect(row.timer).toBeUndefined()
      }),
    ))

  test("ESTABLISHED, data that nobody reads: Recv-Q here, acknowledged there, no timer", () =>
    run(
      Effect.gen(function* () {
        const both = yield* pair()
        const { client } = yield* opened(both)
        yield* client.write(pattern(5000))
        yield* settle()
        const row = yield* rowIn(both.server, "ESTABLISHED")
        expect(row).toMatchObject({
          recvQ: 5000,
          sendQ: 0,
          local: { address: SERVER, port: 80 },
          peer: { address: CLIENT, port: client.local.port },
          orphan: false,
          info: {
            _tag: "Connection",
            open: "passive",
            timestamps: true,
            sack: true,
            scale: { send: 10, receive: 10 },
            advertisedMss: 1460,
            backoff: 0,
            unacked: 0,
            unsent: 0,
          },
        })
        const peer = yield* rowIn(both.client, "ESTABLISHED")
        expect(peer.sendQ).toBe(0)
        expect(peer.timer).toBeUndefined()
      }),
    ))

  test("ESTABLISHED, a peer that closed its window: persist, and what waits is unsent", () =>
    run(
      Effect.gen(function* () {
        const both = yield* pair({ tcpRmem: [4096, 8192, 8192], tcpWmem: [4096, 65536, 65536] })
        const { client } = yield* opened(both)
        yield* Effect.fork(client.write(pattern(60_000)))
        yield* settle()
        const { timer, info, sendQ } = yield* rowIn(both.client, "ESTABLISHED")
        expect(timer?.name).toBe("persist")
        expect(timer?.expires).toBeGreaterThan(0)
        if (info?._tag !== "Connection") return expect.unreachable()
        expect(info.unacked + info.unsent).toBe(sendQ)
        expect(info.unsent).toBeGreaterThan(0)
        yield* client.abort
      }),
    ))

  test("SYN-SENT to nobody: the retransmission timer, within its first second", () =>
    run(
      Effect.gen(function* () {
        const both = yield* pair()
        const attempt = yield* Effect.fork(on(both.client)(Effect.scoped(Tcp.connect({ host: "10.0.0.9", port: 1 }))))
        yield* settle(5)
        const { timer, info } = yield* rowIn(both.client, "SYN-SENT")
        expect(timer).toMatchObject({ name: "on", retransmits: 0 })
        expect(timer?.expires).toBeLessThanOrEqual(1000)
        expect(info).toMatchObject({ _tag: "Opening", open: "active", timestamps: true, retransmits: 0 })
        attempt.unsafeInterruptAsFork(attempt.id())
      }),
    ))

  test("FIN-WAIT-2 and TIME-WAIT of closed connections: timewait, and the first is an orphan", () =>
    run(
      Effect.gen(function* () {
        const both = yield* pair()
        const { client, server } = yield* opened(both)
        yield* client.close
        yield* settle(50)
        const waiting = yield* rowIn(both.client, "FIN-WAIT-2")
        expect(waiting).toMatchObject({ orphan: true, timer: { name: "timewait" } })
        expect((yield* Inspect.summary(both.client)).orphaned).toBe(1)
        yield* server.close
        yield* settle(50)
        const last = yield* rowIn(both.client, "TIME-WAIT")
        expect(last).toMatchObject({ orphan: false, timer: { name: "timewait", retransmits: 0 } })
        expect(last.timer?.expires).toBeGreaterThan(50_000)
        expect(last.info).toBeUndefined()
      }),
    ))

  test("any state, JSON and back: the same rows", () =>
    run(
      Effect.gen(function* () {
        const both = yield* pair()
        yield* opened(both)
        const rows = yield* Inspect.sockets(both.server)
        const { Schema } = yield* Effect.promise(() => import("effect"))
        const decoded = Schema.decodeUnknownSync(Schema.Array(Inspect.SocketRow))(JSON.parse(JSON.stringify(rows)))
        expect([...decoded]).toEqual([...rows])
      }),
    ))
})

describe("the summary and counters of a stack", () => {
  test("one connection and its listener, summed: by state and family", () =>
    run(
      Effect.gen(function* () {
        const both = yield* pair()
        yield* opened(both)
        expect(yield* Inspect.summary(both.server)).toEqual({
          udpIpv4: 0,
          udpIpv6: 0,
          total: 2,
          listening: 1,
          established: 1,
          synReceived: 0,
          timeWait: 0,
          orphaned: 0,
          closed: 0,
          ipv4: 2,
          ipv6: 0,
        })
      }),
    ))

  test("an accept queue that is full, one more SYN: ListenOverflows, ListenDrops, and the rule that dropped it", () =>
    run(
      Effect.gen(function* () {
        const both = yield* pair()
        yield* on(both.server)(Tcp.listen({ port: 80, backlog: 0 }))
        yield* on(both.client)(Tcp.connect({ host: SERVER, port: 80 }))
        const attempt = yield* Effect.fork(on(both.client)(Effect.scoped(Tcp.connect({ host: SERVER, port: 80 }))))
        yield* settle(50)
        const { Tcp: tcp, TcpExt, Drop } = yield* Inspect.counters(both.server)
        expect(TcpExt).toMatchObject({ ListenOverflows: 1, ListenDrops: 1 })
        expect(tcp).toMatchObject({ PassiveOpens: 1, CurrEstab: 1, InSegs: 3, OutSegs: 1 })
        expect(Drop).toEqual({ "Linux:accept-queue-full": 1 })
        attempt.unsafeInterruptAsFork(attempt.id())
      }),
    ))

  test("a stack that has done nothing: every counter is there, and 0", () =>
    run(
      Effect.gen(function* () {
        const { server } = yield* pair()
        const { Ip, Icmp, Tcp: tcp, TcpExt, Drop } = yield* Inspect.counters(server)
        for (const group of [Ip, Icmp, tcp, TcpExt]) expect(new Set(Object.values(group))).toEqual(new Set([0]))
        expect(Object.keys(TcpExt)).toContain("TCPReqQFullDoCookies")
        expect(Object.keys(tcp)).toContain("CurrEstab")
        expect(Drop).toEqual({})
      }),
    ))
})

test("text written after a look: looking changes nothing", () =>
  run(
    Effect.gen(function* () {
      const both = yield* pair()
      const { client, server } = yield* opened(both)
      yield* Inspect.sockets(both.server)
      yield* client.write(text("after"))
      expect((yield* server.read)._tag).toBe("Some")
    }),
  ))
