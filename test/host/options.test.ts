import { describe, expect, test } from "bun:test"
import type { SocketId } from "../../src/host/types.ts"
import { B, Pair, pattern, SECOND, string, text } from "./lab.ts"

const MS = 1000

describe("what may wait before it is sent", () => {
  test("TCP_CORK, a short write: not sent, then sent by the persist timer", () => {
    const pair = new Pair()
    const { client, server } = pair.open(7, { cork: true })
    pair.a.write(client, "short")
    pair.settle()
    expect(pair.b.read(server)).toBe("")
    pair.wait(199 * MS)
    expect(pair.b.read(server)).toBe("")
    pair.wait(10 * MS)
    expect(pair.b.read(server)).toBe("short")
  })

  test("TCP_CORK, more than a segment: whole segments leave", () => {
    const pair = new Pair()
    const { client, server } = pair.open(7, { cork: true })
    pair.a.write(client, pattern(2000))
    pair.settle()
    expect(pair.b.readBytes(server).length).toBe(1448)
  })

  test.each([{ cork: false }, { noDelay: true }] as const)("TCP_CORK, then %j: the rest leaves at once", (change) => {
    const pair = new Pair()
    const { client, server } = pair.open(7, { cork: true })
    pair.a.write(client, "short")
    pair.settle()
    pair.a.host.setOptions(client, change, pair.now)
    pair.settle()
    expect(pair.b.read(server)).toBe("short")
  })

  test("TCP_CORK after TCP_NODELAY has pushed: the next write waits again", () => {
    const pair = new Pair()
    const { client, server } = pair.open(7, { cork: true })
    pair.a.write(client, "one")
    pair.a.host.setOptions(client, { noDelay: true }, pair.now)
    pair.settle()
    pair.a.write(client, "two")
    pair.settle()
    expect(pair.b.read(server)).toBe("one")
  })

  test("TCP_CORK, SHUT_WR: the rest leaves with the FIN", () => {
    const pair = new Pair()
    const { client, server } = pair.open(7, { cork: true })
    pair.a.write(client, "short")
    pair.a.shutdown(client)
    pair.settle()
    expect(pair.b.read(server)).toBe("short")
    expect(pair.b.readEnd(server)).toBe("end")
  })

  test("MSG_MORE: waits for the write that has no more behind it, and shares its segment", () => {
    const pair = new Pair()
    const { client, server } = pair.open(7, { noDelay: true })
    const before = pair.a.counter("OutSegs")
    pair.a.host.write(client, text("head "), pair.now, false, true)
    pair.settle()
    expect(pair.b.read(server)).toBe("")
    pair.a.write(client, "body")
    pair.settle()
    expect(pair.b.read(server)).toBe("head body")
    expect(pair.a.counter("OutSegs") - before).toBe(1)
  })
})

const edgeOf = (pair: Pair, socket: SocketId): number => {
  const tcb = pair.b.host.status(socket)?.tcb
  return tcb !== undefined && "rcv" in tcb ? tcb.rcv.edge : -1
}

describe("what a socket takes and announces", () => {
  test("TCP_NOTSENT_LOWAT: no more is taken than it and what is on its way; writable when half of it is sent", () => {
    const pair = new Pair()
    const { client, server } = pair.open(7, { notSentLowWater: 10_000 }, { receiveBuffer: 20_000 })
    let given = 0
    for (;;) {
      const taken = pair.a.write(client, pattern(4000))
      if (taken === 0) break
      given += taken
      pair.settle()
    }
    // What of the peer's 20,000 makes whole segments, 10,000 that wait, a segment that was let in below the mark.
    expect(given).toBeGreaterThanOrEqual(27_000)
    expect(given).toBeLessThanOrEqual(32_000)
    pair.a.heard(client)
    pair.b.readBytes(server)
    pair.settle()
    expect(pair.a.heard(client)).toContain("writable")
  })

  test("tcpNotsentLowat, set while the host runs: for sockets that say nothing themselves", () => {
    const pair = new Pair()
    const { client } = pair.open(7, {}, { receiveBuffer: 5000 })
    expect(pair.a.host.room(client)).toBeGreaterThan(20_000)
    pair.a.host.configure({ tcpNotsentLowat: 3000 })
    expect(pair.a.host.room(client)).toBe(3000)
  })

  test.each(["a", "b"] as const)("TCP_MAXSEG of %s: neither sends larger segments", (end) => {
    const pair = new Pair()
    const small = { maxSegment: 600 }
    const { client, server } = pair.open(7, end === "a" ? small : {}, end === "b" ? small : {})
    const sizes = [pair.a, pair.b].map(({ host }, i) => {
      const tcb = host.status(i === 0 ? client : server)?.tcb
      return tcb !== undefined && "snd" in tcb ? tcb.snd.mss : 0
    })
    expect(sizes).toEqual([588, 588])
  })

  test("TCP_WINDOW_CLAMP: never more on the way, though the buffer is larger", () => {
    const pair = new Pair()
    const { client, server } = pair.open(7, {}, { windowClamp: 4000 })
    pair.a.write(client, pattern(20_000))
    pair.settle()
    expect(pair.b.readBytes(server).length).toBeLessThanOrEqual(4000)
  })

  test("SO_RCVBUF, larger on a live connection: the window follows; smaller: nothing announced is taken back", () => {
    const pair = new Pair()
    const { client, server } = pair.open(7, { sendBuffer: 100_000 }, { receiveBuffer: 4000 })
    pair.a.write(client, pattern(30_000))
    pair.settle()
    expect(pair.b.host.status(server)?.recvQ).toBeLessThanOrEqual(4000)
    pair.b.host.setOptions(server, { receiveBuffer: 10_000 }, pair.now)
    pair.b.readBytes(server, 1)
    pair.wait(SECOND)
    expect(pair.b.host.status(server)?.recvQ).toBeGreaterThan(8000)
    const edge = edgeOf(pair, server)
    pair.b.host.setOptions(server, { receiveBuffer: 2000 }, pair.now)
    pair.wait(SECOND)
    expect(edgeOf(pair, server)).toBe(edge)
    expect(pair.a.counter("RetransSegs")).toBe(0)
  })

  test("SO_SNDBUF on a live connection: what is taken follows", () => {
    const pair = new Pair()
    const { client } = pair.open()
    pair.a.host.setOptions(client, { sendBuffer: 777 }, pair.now)
    expect(pair.a.host.room(client)).toBe(777)
  })
})

describe("reading", () => {
  test("SO_RCVLOWAT: readable from so many octets on, read gives what there is", () => {
    const pair = new Pair()
    const { client, server } = pair.open(7, { noDelay: true }, { receiveLowWater: 100 })
    pair.b.heard(server)
    pair.a.write(client, pattern(60))
    pair.settle()
    expect(pair.b.heard(server)).toEqual([])
    pair.a.write(client, pattern(40))
    pair.settle()
    expect(pair.b.heard(server)).toEqual(["readable"])
  })

  test("SO_RCVLOWAT, then the end: readable with less", () => {
    const pair = new Pair()
    const { client, server } = pair.open(7, {}, { receiveLowWater: 100 })
    pair.a.write(client, "few")
    pair.a.shutdown(client)
    pair.settle()
    expect(pair.b.heard(server)).toContain("readable")
  })

  test("SO_RCVLOWAT above the window: readable when the window is full, and no deadlock", () => {
    const pair = new Pair()
    const { client, server } = pair.open(7, {}, { receiveBuffer: 4000, receiveLowWater: 10_000 })
    pair.a.write(client, pattern(20_000))
    pair.settle()
    expect(pair.b.heard(server)).toContain("readable")
  })

  test("SO_RCVLOWAT lowered to what waits: readable at once", () => {
    const pair = new Pair()
    const { client, server } = pair.open(7, {}, { receiveLowWater: 100 })
    pair.a.write(client, "few")
    pair.settle()
    pair.b.heard(server)
    pair.b.host.setOptions(server, { receiveLowWater: 3 }, pair.now)
    pair.settle()
    expect(pair.b.heard(server)).toEqual(["readable"])
  })

  test("MSG_PEEK: the same octets again, from several segments", () => {
    const pair = new Pair()
    const { client, server } = pair.open(7, { noDelay: true })
    const all = pattern(3000)
    pair.a.write(client, all)
    pair.settle()
    expect(pair.b.host.peek(server, 10_000)).toEqual(all)
    expect(pair.b.host.peek(server, 5)).toEqual(all.slice(0, 5))
    expect(pair.b.readBytes(server)).toEqual(all)
    expect(pair.b.host.peek(server, 5)).toBe("empty")
  })

  test("SHUT_RD: what is queued, then the end; the peer goes on unharmed", () => {
    const pair = new Pair()
    const { client, server } = pair.open()
    pair.a.write(client, "last words")
    pair.settle()
    expect(pair.b.host.shutdownRead(server, pair.now)).toBeUndefined()
    expect(pair.b.read(server)).toBe("last words")
    expect(pair.b.readEnd(server)).toBe("end")
    pair.a.write(client, "more")
    pair.settle()
    expect(pair.a.state(client)).toBe("ESTABLISHED")
  })

  test("SHUT_RD and SHUT_WR, data arrives: RST (Linux's tcp_rcv_state_process)", () => {
    const pair = new Pair()
    const { client, server } = pair.open()
    pair.b.host.shutdownRead(server, pair.now)
    pair.b.shutdown(server)
    pair.settle()
    pair.a.write(client, "too late")
    pair.settle()
    expect(pair.a.reason(client)).toBe("ConnectionReset")
  })

  test("urgent data: reading stops before its last octet, which the mark tells (RFC 6093)", () => {
    const pair = new Pair()
    const { client, server } = pair.open()
    pair.a.write(client, "calm")
    pair.a.host.write(client, text("!"), pair.now, true)
    pair.a.write(client, "after")
    pair.settle()
    expect(pair.b.host.atMark(server)).toBe(false)
    expect(string(pair.b.host.read(server, 100, pair.now) as Uint8Array)).toBe("calm")
    expect(pair.b.host.atMark(server)).toBe(true)
    expect(string(pair.b.host.read(server, 100, pair.now) as Uint8Array)).toBe("!")
    expect(pair.b.host.atMark(server)).toBe(false)
    expect(pair.b.read(server)).toBe("after")
  })

  test("SO_ERROR: why the connection ended, once", () => {
    const pair = new Pair()
    const { client, server } = pair.open()
    expect(pair.a.host.takeError(client)).toBeUndefined()
    pair.b.abort(server)
    pair.settle()
    expect(pair.a.host.takeError(client)).toBe("ConnectionReset")
    expect(pair.a.host.takeError(client)).toBeUndefined()
  })

  test("SO_ERROR of a connection that ended in order: none", () => {
    const pair = new Pair()
    const { client, server } = pair.open()
    pair.b.shutdown(server)
    pair.a.shutdown(client)
    pair.settle()
    expect(pair.a.host.takeError(client)).toBeUndefined()
  })
})

describe("closing", () => {
  test("SO_LINGER 0: close resets, and nothing is left", () => {
    const pair = new Pair()
    const { client, server } = pair.open(7, { linger: 0 })
    pair.a.write(client, "lost")
    pair.a.close(client)
    pair.settle()
    expect(pair.b.reason(server)).toBe("ConnectionReset")
    expect(pair.a.states()).toEqual([])
  })

  test("the FIN is acknowledged: finished, after all that was sent before it", () => {
    const pair = new Pair()
    const { client, server } = pair.open(7, {}, { receiveBuffer: 4000 })
    pair.a.write(client, pattern(20_000))
    pair.a.shutdown(client)
    pair.settle()
    expect(pair.a.heard(client)).not.toContain("finished")
    for (let i = 0; i < 10; i++) {
      pair.b.readBytes(server)
      pair.wait(SECOND)
    }
    expect(pair.a.heard(client)).toContain("finished")
    expect(pair.a.state(client)).toBe("FIN-WAIT-2")
  })

  const orphan = (linger2: number) => {
    const pair = new Pair()
    const { client } = pair.open(7, { linger2 })
    pair.a.close(client)
    pair.settle()
    const until = () => {
      for (let seconds = 0; seconds < 200; seconds++) {
        if (pair.a.states().length === 0) return seconds
        pair.wait(SECOND)
      }
      return Number.POSITIVE_INFINITY
    }
    return { at: until(), pair }
  }

  test.each([
    [0, 60],
    [5 * SECOND, 5],
    [500 * SECOND, 120],
    [-1, 0],
  ] as const)("TCP_LINGER2 %d us: FIN-WAIT-2 lasts %d s", (linger2, seconds) => {
    expect(orphan(linger2).at).toBe(seconds)
  })
})

describe("settings of a running host", () => {
  test("tcpFinTimeout: also of connections that exist", () => {
    const pair = new Pair()
    const { client } = pair.open()
    expect(pair.a.host.configure({ tcpFinTimeout: 7 * SECOND })).toBeUndefined()
    expect(pair.a.host.settings.tcpFinTimeout).toBe(7 * SECOND)
    pair.a.close(client)
    pair.wait(6 * SECOND)
    expect(pair.a.states()).toEqual(["FIN-WAIT-2"])
    pair.wait(2 * SECOND)
    expect(pair.a.states()).toEqual([])
  })

  test("ipLocalPortRange: of the next connection; what a handshake agreed stays", () => {
    const pair = new Pair()
    const { client, listener } = pair.open()
    pair.a.host.configure({ ipLocalPortRange: [5000, 5001], tcpTimestamps: false })
    const next = pair.a.connect(B, 7)
    pair.settle()
    pair.b.accept(listener)
    expect(pair.a.host.status(next)?.local.port).toBeWithin(5000, 5002)
    const agreed = [client, next].map((id) => {
      const tcb = pair.a.host.status(id)?.tcb
      return tcb !== undefined && "snd" in tcb && tcb.link.agreed.timestamps
    })
    expect(agreed).toEqual([true, false])
  })

  test("another option layout: EINVAL, and nothing changes", () => {
    const pair = new Pair()
    const { profile } = pair.a.host.settings
    const other = { ...profile, optionLayout: "freebsd" } as const
    expect(pair.a.host.configure({ profile: other, somaxconn: 1 })?.errno).toBe("EINVAL")
    expect(pair.a.host.settings.somaxconn).toBe(4096)
  })
})
