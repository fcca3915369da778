import { describe, expect, test } from "bun:test"
import type { SocketId } from "../../src/host/types.ts"
import { B, digest, isRefusal, type NodeOptions, Pair, pattern, SECOND, text } from "./lab.ts"

/** Sends all of `bytes`, reading on the other side as it comes; what was read. */
const transfer = (pair: Pair, from: "a" | "b", out: SocketId, into: SocketId, bytes: Uint8Array): Uint8Array => {
  const [sender, receiver] = from === "a" ? [pair.a, pair.b] : [pair.b, pair.a]
  const parts: Array<Uint8Array> = []
  let sent = 0
  let got = 0
  pair.tick = () => {
    while (sent < bytes.length) {
      const n = sender.write(out, bytes.subarray(sent, sent + 65_536))
      sent += n
      if (n === 0) break
    }
    const part = receiver.readBytes(into)
    got += part.length
    if (part.length > 0) parts.push(part)
  }
  for (let i = 0; i < 1000 && got < bytes.length; i++) pair.wait(0.05 * SECOND)
  pair.tick = () => {}
  return new Uint8Array(Buffer.concat(parts))
}

describe("connecting", () => {
  test("to a listener: both are ESTABLISHED after three segments, and both are told", () => {
    const pair = new Pair()
    const listener = pair.b.listen(7)
    const client = pair.a.connect(B, 7)
    expect(pair.a.state(client)).toBe("SYN-SENT")
    pair.settle()
    expect(pair.a.heard(client)).toEqual(["connected"])
    expect(pair.b.heard(listener)).toEqual(["acceptable"])
    const server = pair.b.accept(listener)
    expect([pair.a.state(client), pair.b.state(server)]).toEqual(["ESTABLISHED", "ESTABLISHED"])
    expect([pair.a.counter("InSegs"), pair.b.counter("InSegs")]).toEqual([1, 2])
    expect([pair.a.counter("ActiveOpens"), pair.b.counter("PassiveOpens")]).toEqual([1, 1])
  })

  test("both ends know both addresses", () => {
    const pair = new Pair()
    const { client, server } = pair.open()
    const [mine, theirs] = [pair.a.host.status(client), pair.b.host.status(server)]
    expect(mine?.remote).toEqual({ address: B, port: 7 })
    expect(theirs?.remote).toEqual(mine?.local as never)
    expect(theirs?.local).toEqual(mine?.remote as never)
  })

  test("to a port where nobody listens: ConnectionRefused at once, with a RST", () => {
    const pair = new Pair()
    const client = pair.a.connect(B, 81)
    pair.settle()
    expect(pair.a.reason(client)).toBe("ConnectionRefused")
    expect(pair.a.heard(client)).toEqual(["closed"])
    expect(pair.b.counter("OutRsts")).toBe(1)
    expect(pair.a.counter("AttemptFails")).toBe(1)
    expect(pair.a.readEnd(client)).toBe("end")
  })

  test("from both sides at once, by way of crossed SYNs: one connection", () => {
    const pair = new Pair()
    // The neighbours must be known, or else the SYNs do not cross.
    pair.open(1)
    const a = pair.a.connect(B, 2000, {}, 1000)
    const b = pair.b.connect(pair.a.host.status(a)?.local.address ?? B, 1000, {}, 2000)
    pair.a.host.flush(pair.now)
    pair.b.host.flush(pair.now)
    pair.settle()
    expect([pair.a.state(a), pair.b.state(b)]).toEqual(["ESTABLISHED", "ESTABLISHED"])
    pair.a.write(a, "from a")
    pair.b.write(b, "from b")
    pair.settle()
    expect([pair.a.read(a), pair.b.read(b)]).toEqual(["from b", "from a"])
  })

  test("data written before the connection stands: arrives", () => {
    const pair = new Pair()
    const listener = pair.b.listen(7)
    const client = pair.a.connect(B, 7)
    pair.a.write(client, "early")
    pair.settle()
    expect(pair.b.read(pair.b.accept(listener))).toBe("early")
  })

  test("to oneself: a connection that never sees a wire", () => {
    const pair = new Pair()
    const listener = pair.b.listen(7)
    const client = pair.b.connect(B, 7)
    pair.settle()
    const server = pair.b.accept(listener)
    pair.b.write(client, "me")
    pair.settle()
    expect(pair.b.read(server)).toBe("me")
    pair.b.write(server, pattern(300_000).subarray(0, 60_000))
    let got = 0
    for (let i = 0; i < 100 && got < 60_000; i++) {
      got += pair.b.readBytes(client).length
      pair.wait(0.1 * SECOND)
    }
    expect(got).toBe(60_000)
    pair.b.close(client)
    pair.b.close(server)
    pair.wait(70 * SECOND)
    expect(pair.b.states()).toEqual([])
    expect(pair.b.device.counters.txPackets).toBe(0)
  })

  test("to oneself, refused: no wire either", () => {
    const pair = new Pair()
    const client = pair.b.connect(B, 81)
    pair.settle()
    expect(pair.b.reason(client)).toBe("ConnectionRefused")
    expect(pair.b.device.counters.txPackets).toBe(0)
  })
})

describe("an echo", () => {
  test("of a line: there and back", () => {
    const pair = new Pair()
    const { client, server } = pair.open()
    pair.a.write(client, "hello\n")
    pair.settle()
    expect(pair.b.heard(server)).toEqual(["readable"])
    pair.b.write(server, pair.b.read(server))
    pair.settle()
    expect(pair.a.read(client)).toBe("hello\n")
    expect(pair.a.readEnd(client)).toBe("empty")
  })

  const wires: ReadonlyArray<readonly [string, NodeOptions, number]> = [
    ["1500 octets", { mtu: 1500 }, 1 << 20],
    ["576 octets", { mtu: 576 }, 1 << 18],
    ["9000 octets", { mtu: 9000 }, 4 << 20],
    ["1500 octets that cuts for us", { mtu: 1500, burst: 65_280 }, 4 << 20],
  ]
  test.each(wires)("of a mebibyte and more over a wire of %s, both ways: every octet", (_, options, size) => {
    const pair = new Pair(options, options)
    const { client, server } = pair.open()
    const bytes = pattern(size)
    expect(digest(transfer(pair, "a", client, server, bytes))).toBe(digest(bytes))
    expect(digest(transfer(pair, "b", server, client, bytes))).toBe(digest(bytes))
    expect([pair.a.counter("RetransSegs"), pair.b.counter("RetransSegs")]).toEqual([0, 0])
  })

  test("different MTUs: the smaller MSS is kept to", () => {
    const pair = new Pair({ mtu: 9000 }, { mtu: 1500 })
    const { client, server } = pair.open()
    const bytes = pattern(100_000)
    expect(digest(transfer(pair, "a", client, server, bytes))).toBe(digest(bytes))
  })

  test("in writes of one octet, without delay: all arrive, in order", () => {
    const pair = new Pair()
    const { client, server } = pair.open(7, { noDelay: true })
    const bytes = pattern(2000)
    let got = ""
    for (const octet of bytes) {
      pair.a.write(client, Uint8Array.of(octet))
      pair.settle()
      got += Buffer.from(pair.b.readBytes(server)).toString("hex")
    }
    pair.wait(SECOND)
    got += Buffer.from(pair.b.readBytes(server)).toString("hex")
    expect(got).toBe(Buffer.from(bytes).toString("hex"))
  })

  test("in writes of one octet, with Nagle: far fewer segments", () => {
    const pair = new Pair()
    const { client, server } = pair.open()
    for (const octet of pattern(2000)) pair.a.write(client, Uint8Array.of(octet))
    const before = pair.b.counter("InSegs")
    pair.wait(SECOND)
    expect(pair.b.readBytes(server)).toEqual(pattern(2000))
    expect(pair.b.counter("InSegs") - before).toBeLessThan(5)
  })
})

describe("closing", () => {
  test("the client half-closes: the server reads to the end and can write still", () => {
    const pair = new Pair()
    const { client, server } = pair.open()
    pair.a.write(client, "question")
    pair.a.shutdown(client)
    pair.wait(50_000)
    expect([pair.a.state(client), pair.b.state(server)]).toEqual(["FIN-WAIT-2", "CLOSE-WAIT"])
    expect(pair.b.read(server)).toBe("question")
    expect(pair.b.readEnd(server)).toBe("end")
    pair.b.write(server, pattern(50_000).subarray(0, 20_000))
    pair.wait(SECOND)
    expect(pair.a.readBytes(client)).toHaveLength(20_000)
    pair.b.shutdown(server)
    pair.settle()
    expect([pair.a.state(client), pair.b.state(server)]).toEqual(["TIME-WAIT", "CLOSED"])
    expect(pair.a.readEnd(client)).toBe("end")
    expect([pair.a.reason(client), pair.b.reason(server)]).toEqual(["done", "done"])
  })

  test("the server half-closes: the same the other way", () => {
    const pair = new Pair()
    const { client, server } = pair.open()
    pair.b.write(server, "banner")
    pair.b.shutdown(server)
    pair.settle()
    expect(pair.a.read(client)).toBe("banner")
    expect(pair.a.readEnd(client)).toBe("end")
    pair.a.write(client, "late")
    pair.settle()
    expect(pair.b.read(server)).toBe("late")
    pair.a.shutdown(client)
    pair.settle()
    expect([pair.a.state(client), pair.b.state(server)]).toEqual(["CLOSED", "TIME-WAIT"])
  })

  test("both at once: CLOSING, then TIME-WAIT on both sides", () => {
    const pair = new Pair()
    const { client, server } = pair.open()
    pair.a.shutdown(client)
    pair.b.shutdown(server)
    pair.a.host.flush(pair.now)
    pair.b.host.flush(pair.now)
    pair.settle()
    expect([pair.a.state(client), pair.b.state(server)]).toEqual(["TIME-WAIT", "TIME-WAIT"])
    pair.wait(60 * SECOND)
    expect([pair.a.states(), pair.b.states()]).toEqual([["CLOSED"], ["CLOSED"]])
  })

  test("writing after one's own half-close: EPIPE", () => {
    const pair = new Pair()
    const { client } = pair.open()
    pair.a.shutdown(client)
    expect(pair.a.host.write(client, text("x"), pair.now)).toMatchObject({ errno: "EPIPE" })
    expect(pair.a.host.shutdown(client, pair.now)).toMatchObject({ errno: "EPIPE" })
  })

  test("close with nothing unread: FIN, and after 2 MSL nothing is left", () => {
    const pair = new Pair()
    const { client, server } = pair.open()
    pair.a.write(client, "bye")
    pair.a.close(client)
    pair.settle()
    expect(pair.b.read(server)).toBe("bye")
    expect(pair.b.readEnd(server)).toBe("end")
    pair.b.close(server)
    pair.settle()
    expect([pair.a.states(), pair.b.states()]).toEqual([["TIME-WAIT"], []])
    pair.wait(59.9 * SECOND)
    expect(pair.a.states()).toEqual(["TIME-WAIT"])
    pair.wait(0.2 * SECOND)
    expect(pair.a.states()).toEqual([])
  })

  test("close with unread data: RST, the peer hears ConnectionReset (RFC 2525 section 2.17)", () => {
    const pair = new Pair()
    const { client, server } = pair.open()
    pair.b.write(server, "unread")
    pair.settle()
    pair.a.close(client)
    pair.settle()
    expect(pair.b.reason(server)).toBe("ConnectionReset")
    expect(pair.a.counter("TCPAbortOnClose")).toBe(1)
    expect(pair.a.states()).toEqual([])
  })

  test("data for a closed socket: RST (RFC 1122 section 4.2.2.13)", () => {
    const pair = new Pair()
    const { client, server } = pair.open()
    pair.a.close(client)
    pair.settle()
    pair.b.write(server, "too late")
    pair.settle()
    expect(pair.b.reason(server)).toBe("ConnectionReset")
    expect(pair.a.counter("TCPAbortOnData")).toBe(1)
  })

  test("a closed socket whose peer never closes: FIN-WAIT-2 ends after tcpFinTimeout", () => {
    const pair = new Pair()
    const { client, server } = pair.open()
    pair.a.close(client)
    pair.wait(59 * SECOND)
    expect(pair.a.states()).toEqual(["FIN-WAIT-2"])
    pair.wait(2 * SECOND)
    expect(pair.a.states()).toEqual([])
    expect(pair.b.state(server)).toBe("CLOSE-WAIT")
  })

  test("a half-closed socket whose peer never closes: stays, somebody may read", () => {
    const pair = new Pair()
    const { client, server } = pair.open()
    pair.a.shutdown(client)
    pair.wait(600 * SECOND)
    expect(pair.a.state(client)).toBe("FIN-WAIT-2")
    pair.b.write(server, "at last")
    pair.settle()
    expect(pair.a.read(client)).toBe("at last")
  })

  test("close in SYN-SENT: the block is gone, its port is free", () => {
    const pair = new Pair()
    const client = pair.a.connect(B, 7, {}, 1000)
    pair.a.close(client)
    pair.settle()
    expect(pair.a.states()).toEqual([])
    expect(isRefusal(pair.a.tryConnect(B, 7, {}, 1000))).toBe(false)
  })
})

describe("aborting", () => {
  test.each(["a", "b"] as const)("side %s: the other hears ConnectionReset, and reads end", (who) => {
    const pair = new Pair()
    const { client, server } = pair.open()
    const [mine, theirs] = who === "a" ? [client, server] : [server, client]
    const peer = who === "a" ? pair.b : pair.a
    pair[who].abort(mine)
    pair.settle()
    expect(peer.reason(theirs)).toBe("ConnectionReset")
    expect(peer.heard(theirs)).toContain("closed")
    expect(peer.readEnd(theirs)).toBe("end")
    expect(isRefusal(peer.host.write(theirs, text("x"), pair.now))).toBe(true)
    expect(pair[who].states()).toEqual([])
    expect(peer.counter("EstabResets")).toBe(1)
  })

  test("what arrived before the RST can be read still", () => {
    const pair = new Pair()
    const { client, server } = pair.open()
    pair.a.write(client, "before")
    pair.settle()
    pair.a.abort(client)
    pair.settle()
    expect(pair.b.read(server)).toBe("before")
    expect(pair.b.readEnd(server)).toBe("end")
  })

  test("the same port again at once, a hundred times: never an octet of an older connection", () => {
    const pair = new Pair()
    const listener = pair.b.listen(7)
    const late: Array<SocketId> = []
    for (let round = 0; round < 100; round++) {
      const client = pair.a.connect(B, 7, {}, 5000)
      pair.settle()
      const server = pair.b.accept(listener)
      pair.a.write(client, `round ${round}`)
      pair.settle()
      // Every fourth is read only later, when its port has long served others.
      if (round % 4 === 0) late.push(server)
      else expect(pair.b.read(server)).toBe(`round ${round}`)
      pair.b.write(server, `answer ${round}`)
      if (round % 2 === 0) pair.a.abort(client)
      else pair.b.abort(server)
      pair.settle()
      pair.wait(0.001 * SECOND)
    }
    expect(late.map((socket) => pair.b.read(socket))).toEqual(late.map((_, i) => `round ${i * 4}`))
  })

  test("ids are never used twice", () => {
    const pair = new Pair()
    const listener = pair.b.listen(7)
    const seen = new Set<number>()
    for (let i = 0; i < 50; i++) {
      const client = pair.a.connect(B, 7)
      pair.settle()
      const server = pair.b.accept(listener)
      expect(seen.has(client)).toBe(false)
      seen.add(client)
      pair.a.abort(client)
      pair.b.close(server)
      pair.settle()
      expect(pair.a.host.status(client)).toBeUndefined()
      expect(pair.a.readEnd(client)).toMatchObject({ errno: "EBADF" })
    }
  })
})

describe("a reader that does not read", () => {
  test("the window closes, memory does not grow, and opens when it reads", () => {
    const pair = new Pair()
    const { client, server } = pair.open(7, {}, { receiveBuffer: 20_000 })
    const bytes = pattern(200_000)
    let sent = 0
    pair.tick = () => {
      if (sent < bytes.length) sent += pair.a.write(client, bytes.subarray(sent))
    }
    pair.wait(10 * SECOND)
    const waiting = pair.b.host.status(server)?.recvQ ?? 0
    expect(waiting).toBeGreaterThan(15_000)
    expect(waiting).toBeLessThanOrEqual(20_000)
    // A long silence: probes, and no giving up.
    pair.wait(3600 * SECOND)
    expect(pair.a.state(client)).toBe("ESTABLISHED")
    expect(pair.a.counter("TCPWinProbe")).toBeGreaterThan(5)
    expect(pair.b.host.status(server)?.recvQ).toBe(waiting)
    const parts: Array<Uint8Array> = []
    for (let got = 0, i = 0; got < bytes.length && i < 2000; i++) {
      const part = pair.b.readBytes(server)
      got += part.length
      parts.push(part)
      pair.wait(0.1 * SECOND)
    }
    expect(digest(new Uint8Array(Buffer.concat(parts)))).toBe(digest(bytes))
  })

  test("it reads at last: the sender is told at once, no timer has to end", () => {
    const pair = new Pair()
    const { client, server } = pair.open(7, {}, { receiveBuffer: 20_000 })
    pair.a.write(client, pattern(60_000))
    pair.wait(10 * SECOND)
    const probes = pair.a.counter("TCPWinProbe")
    let got = pair.b.readBytes(server).length
    pair.settle()
    got += pair.b.readBytes(server).length
    expect(got).toBeGreaterThan(30_000)
    expect(pair.a.counter("TCPWinProbe")).toBe(probes)
  })

  test("the sender writes on: no more than the send buffer, `writable` after a third is free", () => {
    const pair = new Pair()
    const { client, server } = pair.open(7, { sendBuffer: 30_000 }, { receiveBuffer: 10_000 })
    let sent = 0
    for (let n = 1; n > 0; ) {
      n = pair.a.write(client, pattern(1 << 16))
      sent += n
      pair.settle()
    }
    expect(sent).toBeLessThanOrEqual(40_000)
    expect(pair.a.host.room(client)).toBe(0)
    pair.a.heard(client)
    for (let got = 0; got < 25_000; ) {
      got += pair.b.readBytes(server).length
      pair.wait(0.2 * SECOND)
    }
    expect(pair.a.heard(client)).toEqual(["writable"])
    expect(pair.a.host.room(client)).toBeGreaterThanOrEqual(10_000)
  })
})

describe("many", () => {
  test("a hundred connections at once: each has its own octets, both ways", () => {
    const pair = new Pair()
    const listener = pair.b.listen(7, { backlog: 200 })
    const clients = Array.from({ length: 100 }, () => pair.a.connect(B, 7))
    // Only three of the SYNs wait for ARP, the others go out again.
    pair.wait(2 * SECOND)
    const servers = clients.map(() => pair.b.accept(listener))
    const portOf = (socket: SocketId) => pair.a.host.status(socket)?.local.port
    const bytesOf = (port: number | undefined) => pattern(5000, port)
    for (const client of clients) pair.a.write(client, bytesOf(portOf(client)))
    pair.wait(SECOND)
    for (const server of servers) {
      const port = pair.b.host.status(server)?.remote?.port
      const bytes = pair.b.readBytes(server)
      expect(digest(bytes)).toBe(digest(bytesOf(port)))
      pair.b.write(server, bytes)
    }
    pair.wait(SECOND)
    for (const client of clients) expect(digest(pair.a.readBytes(client))).toBe(digest(bytesOf(portOf(client))))
    for (const client of clients) pair.a.close(client)
    for (const server of servers) pair.b.close(server)
    pair.wait(61 * SECOND)
    expect([pair.a.states(), pair.b.states()]).toEqual([[], []])
  })

  test("two thousand one after the other: nothing is left behind", () => {
    const pair = new Pair()
    const listener = pair.b.listen(7)
    for (let i = 0; i < 2000; i++) {
      const client = pair.a.connect(B, 7)
      pair.settle()
      const server = pair.b.accept(listener)
      pair.a.write(client, `${i}`)
      pair.settle()
      expect(pair.b.read(server)).toBe(`${i}`)
      pair.a.close(client)
      pair.settle()
      pair.b.close(server)
      pair.settle()
    }
    expect(pair.a.states()).toHaveLength(2000)
    pair.wait(61 * SECOND)
    expect([pair.a.states(), pair.b.states()]).toEqual([[], []])
    expect([pair.a.host.nextDeadline(), pair.b.host.nextDeadline()]).toEqual([-1, -1])
    expect(pair.a.counter("TW")).toBe(2000)
  })
})
