import { describe, expect, test } from "bun:test"
import type { SocketId } from "../../src/host/types.ts"
import { distance } from "../../src/tcp/seq.ts"
import type { TimeWait } from "../../src/tcp/tcb.ts"
import { ACK, FIN, RST, SYN } from "../../src/wire/tcpSegment.ts"
import { A, B, Pair, SECOND } from "./lab.ts"
import { Stranger, segmentOf, tcpFrame } from "./stranger.ts"

const met = (options = {}): Stranger => {
  const stranger = new Stranger(options)
  stranger.introduce()
  return stranger
}

/** A handshake by hand from `sourcePort`; gives the host's ISS. */
const shake = (stranger: Stranger, sourcePort: number, seq = 100): number => {
  const [synAck] = stranger.send(tcpFrame({ sourcePort, seq, flags: SYN }))
  const { seq: iss } = segmentOf(synAck)
  stranger.tcp({ sourcePort, seq: seq + 1, ack: iss + 1, flags: ACK })
  return iss
}

/** Half-open requests of a listener. */
const requestsOf = (stranger: Stranger, listener: SocketId): number => {
  const tcb = stranger.host.host.status(listener)?.tcb
  if (tcb?._tag !== "LISTEN") throw new Error("not a listener")
  return tcb.requests
}

describe("the accept queue", () => {
  test("full: the last ACK is dropped and counted, the connection follows when there is room", () => {
    const pair = new Pair()
    const listener = pair.b.listen(7, { backlog: 2 })
    const clients = [0, 1, 2, 3].map(() => {
      const client = pair.a.connect(B, 7)
      pair.settle()
      return client
    })
    expect(pair.a.state(clients[3] as SocketId)).not.toBe("CLOSED")
    // A backlog of 2 holds 3, as with Linux's listen(2).
    expect(pair.b.host.status(listener)?.recvQ).toBe(3)
    expect(pair.b.counter("ListenOverflows")).toBeGreaterThan(0)
    expect(pair.b.counter("ListenDrops")).toBe(pair.b.counter("ListenOverflows"))
    for (let i = 0; i < 3; i++) pair.b.accept(listener)
    expect(pair.b.host.accept(listener)).toBeUndefined()
    pair.wait(10 * SECOND)
    expect(pair.b.host.accept(listener)).toBeDefined()
  })

  test("full, with tcpAbortOnOverflow: the peer that completes its handshake is reset", () => {
    const stranger = met({ settings: { tcpAbortOnOverflow: true, tcpSyncookies: 0 } })
    stranger.host.listen(7, { backlog: 2 })
    const iss: Array<number> = []
    const syn = (port: number): void => {
      iss[port] = segmentOf(stranger.send(tcpFrame({ sourcePort: port, seq: 0, flags: SYN }))[0]).seq
    }
    const ack = (port: number): ReadonlyArray<string> =>
      stranger.tcp({ sourcePort: port, seq: 1, ack: (iss[port] ?? 0) + 1, flags: ACK })
    // The fourth is half-open while three others fill the queue.
    syn(1)
    syn(2)
    expect(ack(1)).toEqual([])
    syn(3)
    expect(ack(2)).toEqual([])
    syn(4)
    expect(ack(3)).toEqual([])
    expect(ack(4)).toEqual(["<RST>"])
    expect(stranger.host.counter("ListenOverflows")).toBe(1)
  })

  test("in the order of completion, not of the SYNs", () => {
    const stranger = met()
    const listener = stranger.host.listen(7)
    const iss = [1, 2].map(
      (port) => segmentOf(stranger.send(tcpFrame({ sourcePort: port, seq: 0, flags: SYN }))[0]).seq,
    )
    stranger.tcp({ sourcePort: 2, seq: 1, ack: (iss[1] ?? 0) + 1, flags: ACK })
    stranger.tcp({ sourcePort: 1, seq: 1, ack: (iss[0] ?? 0) + 1, flags: ACK })
    const ports = [0, 1].map(() => stranger.host.host.status(stranger.host.accept(listener))?.remote?.port)
    expect(ports).toEqual([2, 1])
  })

  test("a connection reset before it was accepted: accept gives it, already closed", () => {
    const stranger = met()
    const listener = stranger.host.listen(7)
    shake(stranger, 1)
    stranger.tcp({ sourcePort: 1, seq: 101, flags: RST })
    const socket = stranger.host.accept(listener)
    expect(stranger.host.reason(socket)).toBe("ConnectionReset")
  })

  test("data and FIN before accept: all there when it is accepted", () => {
    const stranger = met()
    const listener = stranger.host.listen(7)
    const iss = shake(stranger, 1)
    const payload = new TextEncoder().encode("hello")
    stranger.tcp({ sourcePort: 1, seq: 101, ack: iss + 1, flags: ACK | FIN, payload })
    const socket = stranger.host.accept(listener)
    expect(stranger.host.read(socket)).toBe("hello")
    expect(stranger.host.readEnd(socket)).toBe("end")
    expect(stranger.host.state(socket)).toBe("CLOSE-WAIT")
  })
})

describe("the SYN queue", () => {
  const without = { settings: { tcpSyncookies: 0, tcpMaxSynBacklog: 64 } as const }

  test("SYNs from nobody, without cookies: bounded, dropped and counted, forgotten after their retries", () => {
    const stranger = met(without)
    const listener = stranger.host.listen(7, { backlog: 16 })
    for (let i = 0; i < 1000; i++) stranger.send(tcpFrame({ sourcePort: 1000 + i, flags: SYN }))
    const requests = requestsOf(stranger, listener)
    expect(requests).toBeLessThanOrEqual(64)
    expect(stranger.host.states().length).toBe(requests)
    expect(stranger.host.counter("ListenDrops")).toBe(1000 - requests)
    expect(stranger.host.counter("TCPReqQFullDrop")).toBeGreaterThan(0)
    stranger.wait(200 * SECOND)
    expect(stranger.host.states()).toEqual([])
    expect(requestsOf(stranger, listener)).toBe(0)
    expect(stranger.send(tcpFrame({ sourcePort: 99, flags: SYN })).length).toBeGreaterThan(0)
  })

  test("SYNs from nobody, with cookies: all answered, none kept, a real client gets through", () => {
    const stranger = met({ settings: { tcpSyncookies: 1 } })
    const listener = stranger.host.listen(7, { backlog: 16 })
    for (let i = 0; i < 1000; i++) stranger.send(tcpFrame({ sourcePort: 1000 + i, flags: SYN }))
    expect(stranger.host.states().length).toBeLessThanOrEqual(17)
    expect(stranger.host.counter("SyncookiesSent")).toBeGreaterThan(900)
    shake(stranger, 500)
    expect(stranger.host.host.accept(listener)).toBeDefined()
    expect(stranger.host.counter("SyncookiesRecv")).toBe(1)
  })

  test("a SYN-ACK without an answer: again after 1, 2, 4, 8 and 16 s, then given up, to the microsecond", () => {
    const stranger = met()
    stranger.host.listen(7)
    stranger.put(tcpFrame({ flags: SYN }))
    const times: Array<number> = []
    for (let s = 0; s < 80; s++) {
      for (const [at, seen] of stranger.wait(SECOND)) if (seen.kind === "tcp") times.push(s * SECOND + at)
      // We are there still, as neighbours go.
      stranger.introduce()
    }
    expect(times).toEqual([0, 1, 3, 7, 15, 31].map((s) => s * SECOND))
    expect(stranger.host.states()).toEqual([])
  })

  test("the same SYN again: one request, one SYN-ACK more", () => {
    const stranger = met()
    stranger.host.listen(7)
    const first = segmentOf(stranger.send(tcpFrame({ seq: 5, flags: SYN }))[0])
    const second = segmentOf(stranger.send(tcpFrame({ seq: 5, flags: SYN }))[0])
    expect(second.seq).toBe(first.seq)
    expect(stranger.host.states()).toEqual(["SYN-RECEIVED"])
  })

  test("a RST for a half-open request: gone, its place is free", () => {
    const stranger = met(without)
    const listener = stranger.host.listen(7)
    stranger.send(tcpFrame({ seq: 5, flags: SYN }))
    stranger.tcp({ seq: 6, flags: RST })
    expect(stranger.host.states()).toEqual([])
    expect(stranger.host.host.status(listener)?.tcb).toMatchObject({ requests: 0, young: 0 })
  })
})

describe("a listener that is closed", () => {
  test("what nobody accepted is reset, half-open requests go in silence, later SYNs are refused", () => {
    const stranger = met()
    const listener = stranger.host.listen(7)
    shake(stranger, 1)
    stranger.send(tcpFrame({ sourcePort: 2, flags: SYN }))
    stranger.host.close(listener)
    const seen = stranger.answers().map((one) => segmentOf(one))
    expect(seen.map(({ flags }) => flags & RST)).toEqual([RST])
    expect(stranger.host.states()).toEqual([])
    expect(stranger.tcp({ sourcePort: 3, flags: SYN })).toEqual(["<RST,ACK>"])
  })

  test("what was accepted before lives on", () => {
    const pair = new Pair()
    const { listener, client, server } = pair.open()
    pair.b.close(listener)
    pair.settle()
    pair.a.write(client, "still")
    pair.settle()
    expect(pair.b.read(server)).toBe("still")
  })

  test("its port can be listened on again at once", () => {
    const pair = new Pair()
    pair.b.close(pair.b.listen(7))
    pair.b.listen(7)
  })
})

describe("a listener on every port", () => {
  test("answers on any port, and says which", () => {
    const pair = new Pair()
    const listener = pair.b.listen("every")
    for (const port of [1, 7, 80, 32_768, 65_535]) {
      const [client, server] = pair.connected(listener, port)
      expect(pair.b.host.status(server)?.local.port).toBe(port)
      pair.b.write(server, `${port}`)
      pair.settle()
      expect(pair.a.read(client)).toBe(`${port}`)
    }
  })

  test("beside a listener of one port: that one goes first", () => {
    const pair = new Pair()
    const every = pair.b.listen("every")
    const seven = pair.b.listen(7)
    pair.a.connect(B, 7)
    pair.a.connect(B, 8)
    pair.wait(SECOND)
    expect(pair.b.host.status(pair.b.accept(seven))?.local.port).toBe(7)
    expect(pair.b.host.status(pair.b.accept(every))?.local.port).toBe(8)
  })

  test("connections that the host itself has opened: not taken for new ones", () => {
    const pair = new Pair()
    pair.b.listen("every")
    const there = pair.a.listen(99)
    const client = pair.b.connect(A, 99)
    pair.settle()
    pair.a.write(pair.a.accept(there), "hi")
    pair.settle()
    expect(pair.b.read(client)).toBe("hi")
  })
})

describe("TIME-WAIT", () => {
  /** A connection from the stranger's port 1 that the host has closed first; its ISS. */
  const waiting = (options = {}) => {
    const stranger = met(options)
    const listener = stranger.host.listen(7)
    const iss = shake(stranger, 1)
    stranger.host.close(stranger.host.accept(listener))
    stranger.answers()
    stranger.tcp({ sourcePort: 1, seq: 101, ack: iss + 2, flags: ACK | FIN })
    expect(stranger.host.states()).toEqual(["TIME-WAIT"])
    return { stranger, listener, iss }
  }

  test("a new SYN above the old sequence numbers: a new connection (RFC 1122 section 4.2.2.13)", () => {
    const { stranger, listener } = waiting()
    const old = stranger.host.host.sockets().find(({ state }) => state === "TIME-WAIT")?.tcb as TimeWait
    const [synAck] = stranger.send(tcpFrame({ sourcePort: 1, seq: 5000, flags: SYN }))
    const fresh = segmentOf(synAck).seq
    // Nothing that the old connection sent may be taken for the new one's.
    expect(distance(fresh, old.sndNxt)).toBeGreaterThan(0)
    stranger.tcp({ sourcePort: 1, seq: 5001, ack: fresh + 1, flags: ACK })
    expect(stranger.host.host.accept(listener)).toBeDefined()
    expect(stranger.host.counter("TWRecycled")).toBe(1)
  })

  test("a SYN below the old sequence numbers: an ACK, no connection", () => {
    const { stranger } = waiting()
    expect(stranger.tcp({ sourcePort: 1, seq: 50, flags: SYN })).toEqual(["<ACK>"])
    expect(stranger.host.states()).toEqual(["TIME-WAIT"])
  })

  test("the peer's FIN again: acknowledged, and 2 MSL begin anew", () => {
    const { stranger, iss } = waiting()
    stranger.wait(30 * SECOND)
    stranger.introduce()
    expect(stranger.tcp({ sourcePort: 1, seq: 101, ack: iss + 2, flags: ACK | FIN })).toEqual(["<ACK>"])
    stranger.wait(59 * SECOND)
    expect(stranger.host.states()).toEqual(["TIME-WAIT"])
    stranger.wait(2 * SECOND)
    expect(stranger.host.states()).toEqual([])
  })

  test("tcpRfc1337: a RST does not end it; without: it does", () => {
    const safe = waiting({ settings: { tcpRfc1337: true } })
    safe.stranger.tcp({ sourcePort: 1, seq: 102, flags: RST })
    expect(safe.stranger.host.states()).toEqual(["TIME-WAIT"])
    const usual = waiting()
    usual.stranger.tcp({ sourcePort: 1, seq: 102, flags: RST })
    expect(usual.stranger.host.states()).toEqual([])
  })

  test("more than tcpMaxTwBuckets: counted, and the table does not grow", () => {
    const pair = new Pair({ settings: { tcpMaxTwBuckets: 10 } })
    const listener = pair.b.listen(7)
    for (let i = 0; i < 30; i++) {
      const [client, server] = pair.connected(listener, 7)
      pair.a.close(client)
      pair.settle()
      pair.b.close(server)
      pair.settle()
    }
    expect(pair.a.states()).toHaveLength(10)
    expect(pair.a.counter("TCPTimeWaitOverflow")).toBe(20)
  })

  test("in its way, from our side: another port is chosen", () => {
    const pair = new Pair({ settings: { ipLocalPortRange: [40_000, 40_001] } })
    const { listener, client, server } = pair.open()
    const used = pair.a.host.status(client)?.local.port
    pair.a.close(client)
    pair.settle()
    pair.b.close(server)
    pair.settle()
    const [again] = pair.connected(listener, 7)
    expect(pair.a.host.status(again)?.local.port).not.toBe(used)
  })
})
