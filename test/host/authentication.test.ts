import { describe, expect, test } from "bun:test"
import { octetsOf, sign, withRoom } from "../../src/host/authentication/signature.ts"
import type { SocketId } from "../../src/host/types.ts"
import { type AoKey, type Authentication, NO_AUTHENTICATION } from "../../src/tcp/authentication/keys.ts"
import { defaultSocketOptions, isSynchronized, type SocketOptions } from "../../src/tcp/tcb.ts"
import { ipv4 } from "../../src/wire/address.ts"
import { parseCidr } from "../../src/wire/addressText.ts"
import { ICMP_HEADER } from "../../src/wire/icmp.ts"
import { ACK, EMPTY, NO_OPTIONS, PSH, RST, SYN, type TcpOptions } from "../../src/wire/tcpSegment.ts"
import { A, B, digest, type Node, Pair, pattern, SECOND, text, VERSIONS } from "./lab.ts"
import { brief, icmpFrame, ipFrame, Stranger, segmentOf, type TcpFields, tcpFrame } from "./stranger.ts"

const everybody = parseCidr("198.18.0.0/16") ?? expect.unreachable()
const everybody6 = parseCidr("2001:db8::/32") ?? expect.unreachable()

const md5 = (key = "secret", peer = everybody): Partial<SocketOptions> => ({
  authentication: { ...NO_AUTHENTICATION, md5: [{ peer, key: text(key) }] },
})

const mkt = (sendId: number, recvId: number, more: Partial<AoKey> = {}): AoKey => ({
  peer: everybody,
  key: text("testvector"),
  sendId,
  recvId,
  algorithm: "sha1",
  macLength: 12,
  coverOptions: true,
  ...more,
})

const aoOf = (...keys: ReadonlyArray<AoKey>): Authentication => ({ ...NO_AUTHENTICATION, ao: keys })

/** The same keys as the two ends have them. */
const ends = (more: Partial<AoKey> = {}): readonly [Partial<SocketOptions>, Partial<SocketOptions>] => [
  { authentication: aoOf(mkt(61, 84, more)) },
  { authentication: aoOf(mkt(84, 61, more)) },
]

type Kind = readonly [string, Partial<SocketOptions>, Partial<SocketOptions>]

const kindsFor = (peer: typeof everybody): ReadonlyArray<Kind> => [
  ["TCP-MD5", md5("secret", peer), md5("secret", peer)],
  ["TCP-AO, SHA1", ...ends({ peer })],
  ["TCP-AO, AES128", ...ends({ peer, algorithm: "aes128" })],
  ["TCP-AO, options not covered", ...ends({ peer, coverOptions: false })],
  ["TCP-AO, MAC of 16 octets", ...ends({ peer, algorithm: "aes128", macLength: 16 })],
  ["TCP-AO, MAC of 5 octets", ...ends({ peer, macLength: 5 })],
]
const kinds = kindsFor(everybody)

/** Moves octets between two sockets, in virtual time; what has arrived. */
const transfer = (pair: Pair, from: Node, sender: SocketId, to: Node, receiver: SocketId, data: Uint8Array) => {
  const parts: Array<Uint8Array> = []
  let sent = 0
  let received = 0
  for (let rounds = 0; received < data.length && rounds < 20_000; rounds++) {
    if (sent < data.length) sent += from.write(sender, data.subarray(sent))
    pair.settle()
    const part = to.readBytes(receiver)
    received += part.length
    parts.push(part)
    if (part.length === 0) pair.wait(10_000)
  }
  return new Uint8Array(Buffer.concat(parts))
}

/** Every `nth` frame to a node is lost. */
const lossy = (node: Node, nth: number): void => {
  const receive = node.device.receive.bind(node.device)
  let count = 0
  node.device.receive = (visit, budget) =>
    receive((frame) => {
      if (++count % nth !== 0) visit(frame)
    }, budget)
}

/** Checksums and counters say that nothing went wrong. */
const nothingRefused = (node: Node): void => {
  for (const name of ["TCPMD5NotFound", "TCPMD5Unexpected", "TCPMD5Failure", "TCPAORequired", "TCPAOBad"]) {
    expect([name, node.counter(name)]).toEqual([name, 0])
  }
}

/** What a segment carries beside its options, where a packet's payload has `whole` octets for text. */
const mssOf = (whole: number, peer: typeof everybody) =>
  [
    ["TCP-MD5: no timestamps, 20 octets", md5("secret", peer), md5("secret", peer), whole - 20],
    ["TCP-AO: timestamps too", ...ends({ peer }), whole - 12 - 16],
    ["TCP-AO, MAC of 16: no room for timestamps and a SACK block", ...ends({ peer, macLength: 16 }), whole - 20],
  ] as const
const mssOver4 = mssOf(1460, everybody)
const mssOver6 = mssOf(1440, everybody6)

for (const { version, a, b } of VERSIONS) {
  describe(`signed connections between two hosts, over ${version}`, () => {
    for (const [name, client, server] of kindsFor(version === "IPv4" ? everybody : everybody6)) {
      test(`${name}: opened, used both ways, closed in order to the end of TIME-WAIT`, () => {
        const pair = new Pair(a, b)
        const open = pair.open(179, client, server)
        const data = pattern(200_000)
        expect(digest(transfer(pair, pair.a, open.client, pair.b, open.server, data))).toBe(digest(data))
        expect(digest(transfer(pair, pair.b, open.server, pair.a, open.client, data))).toBe(digest(data))
        pair.a.close(open.client)
        pair.settle()
        pair.b.close(open.server)
        pair.settle()
        expect(pair.a.states()).toEqual(["TIME-WAIT"])
        pair.wait(61 * SECOND)
        expect([pair.a.states(), pair.b.states()]).toEqual([[], []])
        nothingRefused(pair.a)
        nothingRefused(pair.b)
      })

      test(`${name}: loss both ways, and out-of-order data reported`, () => {
        const pair = new Pair(a, b)
        const open = pair.open(179, client, server)
        lossy(pair.b, 13)
        lossy(pair.a, 29)
        const data = pattern(400_000)
        expect(digest(transfer(pair, pair.a, open.client, pair.b, open.server, data))).toBe(digest(data))
        expect(pair.b.counter("TCPOFOQueue")).toBeGreaterThan(0)
        nothingRefused(pair.a)
        nothingRefused(pair.b)
      })

      test(`${name}: a device that cuts and sums gets whole, signed frames instead`, () => {
        const pair = new Pair({ ...a, burst: 65_000 }, { ...b, burst: 65_000 })
        const open = pair.open(179, client, server)
        const data = pattern(300_000)
        expect(digest(transfer(pair, pair.a, open.client, pair.b, open.server, data))).toBe(digest(data))
        expect(pair.a.device.counters.txBytes / pair.a.device.counters.txPackets).toBeLessThan(1514)
        nothingRefused(pair.b)
      })

      test(`${name}: by SYN cookies`, () => {
        const pair = new Pair(a, { ...b, settings: { tcpSyncookies: 2 } })
        const open = pair.open(179, client, server)
        pair.a.write(open.client, "hello")
        pair.settle()
        expect(pair.b.read(open.server)).toBe("hello")
        expect(pair.b.counter("SyncookiesRecv")).toBe(1)
        nothingRefused(pair.a)
        nothingRefused(pair.b)
      })

      test(`${name}: to ourselves`, () => {
        const pair = new Pair(a, b)
        const listener = pair.a.listen(179, server)
        const socket = pair.a.connect(a.address, 179, client)
        pair.settle()
        const accepted = pair.a.accept(listener)
        pair.a.write(socket, pattern(5000))
        pair.settle()
        expect(pair.a.readBytes(accepted)).toEqual(pattern(5000))
        nothingRefused(pair.a)
      })

      test(`${name}: a reset is signed, and believed`, () => {
        const pair = new Pair(a, b)
        const open = pair.open(179, client, server)
        pair.a.abort(open.client)
        pair.settle()
        expect(pair.b.reason(open.server)).toBe("ConnectionReset")
      })
    }

    test.each(version === "IPv4" ? mssOver4 : mssOver6)("MSS, %s", (_, client, server, expected) => {
      const pair = new Pair(a, b)
      const open = pair.open(179, client, server)
      for (const [node, socket] of [
        [pair.a, open.client],
        [pair.b, open.server],
      ] as const) {
        const tcb = node.host.status(socket)?.tcb
        if (tcb === undefined || !isSynchronized(tcb)) throw new Error("not open")
        expect(tcb.snd.mss).toBe(expected)
      }
    })
  })
}

describe("signed connections between two hosts", () => {
  test("Fast Open gives way: a SYN has no room for a cookie beside a signature", () => {
    const settings = { tcpFastopen: 3 }
    const pair = new Pair({ settings }, { settings })
    const listener = pair.b.listen(179, { ...md5(), fastOpen: 16 })
    const call = {
      remote: { address: B, port: 179 },
      local: {},
      options: { ...optionsOf(md5()) },
      fastOpen: text("early"),
    }
    const socket = pair.a.host.connect(call, pair.now)
    expect(typeof socket).toBe("number")
    pair.settle()
    expect(pair.b.read(pair.b.accept(listener))).toBe("early")
    nothingRefused(pair.b)
  })

  test("a listener with keys for some speaks unsigned to others", () => {
    const pair = new Pair()
    const keys = { ...NO_AUTHENTICATION, md5: [{ peer: { address: ipv4(0x0a000000), length: 8 }, key: text("k") }] }
    const open = pair.open(179, {}, { authentication: keys })
    pair.a.write(open.client, "plain")
    pair.settle()
    expect(pair.b.read(open.server)).toBe("plain")
  })

  test.each([
    ["a key missing at the client", {}, md5(), "TCPMD5NotFound"],
    ["a key missing at the server", md5(), {}, "TCPMD5Unexpected"],
    ["different keys", md5("one"), md5("other"), "TCPMD5Failure"],
    ["TCP-AO missing at the client", {}, ends()[1], "TCPAORequired"],
    ["TCP-AO missing at the server", ends()[0], {}, "TCPAOKeyNotFound"],
    ["TCP-AO with another KeyID", { authentication: aoOf(mkt(62, 84)) }, ends()[1], "TCPAOKeyNotFound"],
    ["TCP-AO with another key", ends({ key: text("no") })[0], ends()[1], "TCPAOBad"],
    ["TCP-AO with another MAC length", ends({ macLength: 16 })[0], ends()[1], "TCPAOBad"],
    ["MD5 where TCP-AO is wanted", md5(), ends()[1], "TCPMD5Unexpected"],
    ["TCP-AO where MD5 is wanted", ends()[0], md5(), "TCPAOKeyNotFound"],
  ] as const)("no connection and no answer: %s", (_, client, server, counter) => {
    const pair = new Pair()
    pair.b.listen(179, server)
    const socket = pair.a.connect(B, 179, client)
    pair.settle()
    const before = pair.b.counter("OutSegs")
    expect(pair.b.counter(counter)).toBe(1)
    pair.wait(10 * SECOND)
    expect(pair.b.counter(counter)).toBe(4)
    expect(pair.b.counter("OutSegs") - before).toBe(0)
    expect(pair.a.state(socket)).toBe("SYN-SENT")
  })

  test("TCP-AO from a peer without a key, where that is to be taken for unsigned", () => {
    const stranger = new Stranger()
    stranger.introduce()
    const options = { ao: { keyId: 1, rNextKeyId: 2, mac: new Uint8Array(12) } }
    stranger.host.listen(179)
    expect(stranger.tcp({ destinationPort: 179, flags: SYN, options })).toEqual([])
    stranger.host.listen(180, { authentication: { ...NO_AUTHENTICATION, unmatchedAo: "accept" } })
    expect(stranger.tcp({ destinationPort: 180, flags: SYN, options })).toEqual(["<SYN,ACK>"])
  })
})

describe("TCP-AO over time", () => {
  const DATA = 300_000

  for (const direction of ["client", "server"] as const) {
    for (const algorithm of ["sha1", "aes128"] as const) {
      test(`the sequence numbers of the ${direction} wrap: the extension counts (${algorithm}, with loss)`, () => {
        const [client, server] = ends({ algorithm })
        const from = direction === "client" ? "a" : "b"
        const opened = (now: number) => {
          const pair = new Pair()
          pair.now = now
          const listener = pair.b.listen(179, server)
          const socket = pair.a.connect(B, 179, client, 40_000)
          pair.settle()
          return { pair, sockets: { a: socket, b: pair.b.accept(listener) } }
        }
        const probe = opened(SECOND)
        const iss = issOf(probe.pair[from], probe.sockets[from])
        // The ISN's clock ticks every 64 ns.
        const { pair, sockets } = opened(SECOND + Math.floor(((0xffffffff - 100_000 - iss) >>> 0) / 15.625))
        expect(issOf(pair[from], sockets[from])).toBeGreaterThan(0xffff0000 - 150_000)
        lossy(pair.a, 31)
        lossy(pair.b, 17)
        const to = from === "a" ? "b" : "a"
        const data = pattern(DATA)
        const arrived = transfer(pair, pair[from], sockets[from], pair[to], sockets[to], data)
        expect(digest(arrived)).toBe(digest(data))
        nothingRefused(pair.a)
        nothingRefused(pair.b)
        pair[from].close(sockets[from])
        pair.settle()
        pair[to].close(sockets[to])
        pair.wait(2 * SECOND)
        expect(pair[from].states()).toEqual(["TIME-WAIT"])
      })
    }
  }

  test("a super-segment that wraps is signed piece by piece, each with its own extension", () => {
    const segment = { ...NO_OPTIONS }
    const key = {
      algorithm: "sha1",
      trafficKey: text("0123456789abcdefghij"),
      macLength: 12,
      coverOptions: true,
    } as const
    const signature = { _tag: "ao", keyId: 1, rNextKeyId: 1, sne: 4, seq: 0xfffffff0, ...key } as const
    const macOf = (seq: number, sne: number, base: number): string => {
      const packet = {
        source: A,
        destination: B,
        sourcePort: 1,
        destinationPort: 2,
        segment: { seq, ack: 0, flags: ACK, wnd: 0, up: 0, options: withRoom(segment, signature), payload: EMPTY },
      }
      const octets = octetsOf(packet, "linux")
      sign(octets, { ...signature, sne, seq: base }, seq)
      return Buffer.from(octets.bytes.subarray(24, 36)).toString("hex")
    }
    expect(macOf(0x10, 4, 0xfffffff0)).toBe(macOf(0x10, 5, 0x10))
    expect(macOf(0x10, 4, 0xfffffff0)).not.toBe(macOf(0x10, 4, 0x10))
  })

  test("keys change in mid-connection: RNextKeyID asks, the peer follows, no segment is lost", () => {
    const first = [mkt(1, 2, { key: text("first") }), mkt(2, 1, { key: text("first") })] as const
    const second = [
      mkt(3, 4, { key: text("second"), algorithm: "aes128" }),
      mkt(4, 3, { key: text("second"), algorithm: "aes128" }),
    ] as const
    const pair = new Pair()
    const open = pair.open(179, { authentication: aoOf(first[0]) }, { authentication: aoOf(first[1]) })
    const rekey = (node: Node, socket: SocketId, authentication: Authentication) =>
      node.host.setOptions(socket, { authentication }, pair.now)
    const exchange = (): void => {
      pair.a.write(open.client, "ping")
      pair.settle()
      expect(pair.b.read(open.server)).toBe("ping")
      pair.b.write(open.server, "pong")
      pair.settle()
      expect(pair.a.read(open.client)).toBe("pong")
    }
    exchange()
    // Both learn the second key; nobody uses it yet.
    expect(rekey(pair.b, open.server, aoOf(first[1], second[1]))).toBeUndefined()
    expect(rekey(pair.a, open.client, aoOf(first[0], second[0]))).toBeUndefined()
    exchange()
    expect(keyIdsOf(pair.a, open.client)).toEqual([1, 2])
    // The server asks for it (RecvID 3), the client turns to it, and asks for nothing new.
    expect(rekey(pair.b, open.server, { ...aoOf(first[1], second[1]), rnext: 3 })).toBeUndefined()
    exchange()
    exchange()
    expect(keyIdsOf(pair.a, open.client)).toEqual([3, 2])
    // The client asks too.
    expect(rekey(pair.a, open.client, { ...aoOf(first[0], second[0]), rnext: 4 })).toBeUndefined()
    exchange()
    exchange()
    expect(keyIdsOf(pair.a, open.client)).toEqual([3, 4])
    // The first key goes, everything still works.
    expect(rekey(pair.a, open.client, aoOf(second[0]))).toBeUndefined()
    expect(rekey(pair.b, open.server, aoOf(second[1]))).toBeUndefined()
    exchange()
    nothingRefused(pair.a)
    nothingRefused(pair.b)
  })

  test("a peer may begin with any of its keys; the answer uses the one it asks for", () => {
    const keys = [mkt(1, 2), mkt(3, 4, { key: text("second") })]
    const mirrored = keys.map((key) => ({ ...key, sendId: key.recvId, recvId: key.sendId }))
    const pair = new Pair()
    const client = { authentication: { ...aoOf(...keys), current: 3, rnext: 2 } }
    const open = pair.open(179, client, { authentication: aoOf(...mirrored) })
    expect(keyIdsOf(pair.a, open.client)).toEqual([3, 2])
    expect(keyIdsOf(pair.b, open.server)).toEqual([2, 3])
  })

  test("an MD5 key changes at both ends; between the two changes segments are refused, and sent again", () => {
    const pair = new Pair()
    const open = pair.open(179, md5("old"), md5("old"))
    expect(pair.a.host.setOptions(open.client, md5("new"), pair.now)).toBeUndefined()
    pair.a.write(open.client, "late")
    pair.settle()
    expect(pair.b.read(open.server)).toBe("")
    expect(pair.b.counter("TCPMD5Failure")).toBe(1)
    expect(pair.b.host.setOptions(open.server, md5("new"), pair.now)).toBeUndefined()
    pair.wait(SECOND)
    expect(pair.b.read(open.server)).toBe("late")
  })

  test.each(kinds)("SYNs that cross: %s", (_, client, server) => {
    const pair = new Pair()
    // Both know each other, so that neither SYN waits for an answer to ARP.
    pair.open(1)
    const left = pair.a.connect(B, 179, client, 180)
    const right = pair.b.connect(A, 180, server, 179)
    pair.settle()
    expect([pair.a.state(left), pair.b.state(right)]).toEqual(["ESTABLISHED", "ESTABLISHED"])
    pair.a.write(left, "ping")
    pair.b.write(right, "pong")
    pair.settle()
    expect([pair.a.read(left), pair.b.read(right)]).toEqual(["pong", "ping"])
    nothingRefused(pair.a)
    nothingRefused(pair.b)
  })

  test("keys that cannot be are refused at every door", () => {
    const pair = new Pair()
    const bad = md5("x".repeat(81))
    const refused = { _tag: "Refused", errno: "EINVAL", why: "RFC5925-3.1:unusable-keys" }
    expect(pair.a.tryConnect(B, 179, bad)).toMatchObject(refused)
    expect(() => pair.a.listen(179, bad)).toThrow("EINVAL")
    expect(() => pair.a.listen("every", bad)).toThrow("EINVAL")
    expect(pair.a.host.setOptions(pair.a.listen(179), bad, pair.now)).toMatchObject(refused)
    const listener = pair.b.listen(179)
    const [client] = pair.connected(listener, 179)
    expect(pair.a.host.setOptions(client, bad, pair.now)).toMatchObject(refused)
  })

  test("the kind of signature, and more room for it, cannot come to an open connection", () => {
    const pair = new Pair()
    const [client, server] = ends()
    const signed = pair.open(179, client, server)
    const plain = pair.open(180)
    const set = (socket: SocketId, options: Partial<SocketOptions>) => pair.a.host.setOptions(socket, options, pair.now)
    const EINVAL = { _tag: "Refused", errno: "EINVAL" }
    expect(set(signed.client, md5())).toMatchObject(EINVAL)
    expect(set(signed.client, { authentication: undefined })).toMatchObject(EINVAL)
    expect(set(signed.client, ends({ macLength: 16 })[0])).toMatchObject(EINVAL)
    expect(set(plain.client, md5())).toMatchObject(EINVAL)
    expect(set(signed.client, { noDelay: true })).toBeUndefined()
    expect(set(plain.client, { minTtl: 255 })).toBeUndefined()
  })

  test("a hard ICMP error does not reach a synchronized connection, and is counted", () => {
    const pair = new Pair()
    const [client, server] = ends()
    const open = pair.open(179, client, server)
    const tcb = pair.a.host.status(open.client)?.tcb
    if (tcb === undefined || !isSynchronized(tcb)) throw new Error("not open")
    const { local, remote } = tcb.link
    const quoted = tcpFrame({
      source: local.address,
      destination: remote.address,
      sourcePort: local.port,
      destinationPort: remote.port,
      seq: tcb.snd.una,
      flags: ACK,
    }).subarray(14)
    const frame = icmpFrame(
      { _tag: "DestinationUnreachable", code: 3, nextHopMtu: 0, quoted },
      { source: B, destination: A },
    )
    expect(frame.length).toBeGreaterThan(ICMP_HEADER)
    pair.a.host.frame(0, frame, 0, frame.length, false, pair.now)
    pair.settle()
    expect(pair.a.counter("TCPAODroppedIcmps")).toBe(1)
    expect(pair.a.state(open.client)).toBe("ESTABLISHED")
  })
})

describe("a host and segments signed by hand", () => {
  const KEY = text("secret")

  /** A frame with a right signature, or one over another `key`. */
  const signedFrame = (fields: TcpFields, key = KEY): Uint8Array => {
    const { flags, seq = 0, ack = 0, wnd = 65_535, payload = EMPTY } = fields
    const options: TcpOptions = { ...NO_OPTIONS, md5: new Uint8Array(16) }
    const packet = {
      source: fields.source ?? B,
      destination: fields.destination ?? A,
      sourcePort: fields.sourcePort ?? 40_000,
      destinationPort: fields.destinationPort ?? 179,
      segment: { seq, ack, flags, wnd, up: 0, options, payload },
    }
    const octets = octetsOf(packet, "linux")
    sign(octets, { _tag: "md5", key }, seq)
    return tcpFrame({ destinationPort: 179, ...fields, options: { md5: octets.bytes.slice(24, 40) } })
  }

  const opened = () => {
    const stranger = new Stranger()
    stranger.introduce()
    const listener = stranger.host.listen(179, md5())
    const [synAck] = stranger.send(signedFrame({ flags: SYN, seq: 1000 }))
    const { seq, options } = segmentOf(synAck)
    expect(options.md5).toBeDefined()
    stranger.send(signedFrame({ flags: ACK, seq: 1001, ack: seq + 1 }))
    const socket = stranger.host.accept(listener)
    return { stranger, socket, iss: seq }
  }

  test("a reset, data and a FIN without the signature change nothing and get no answer", () => {
    const { stranger, socket, iss } = opened()
    for (const flags of [RST, RST | ACK, ACK | PSH, SYN, ACK | 1]) {
      const fields = { destinationPort: 179, flags, seq: 1001, ack: iss + 1, payload: flags === 24 ? text("x") : EMPTY }
      expect(stranger.tcp(fields)).toEqual([])
      expect(stranger.send(signedFrame(fields, text("guess"))).map(brief)).toEqual([])
    }
    expect(stranger.host.state(socket)).toBe("ESTABLISHED")
    expect(stranger.host.counter("TCPMD5NotFound")).toBe(5)
    expect(stranger.host.counter("TCPMD5Failure")).toBe(5)
    expect(stranger.host.drops.filter((why) => why === "RFC2385:signature-wrong")).toHaveLength(5)
  })

  test("what is answered is answered signed: a challenge, a FIN, and TIME-WAIT", () => {
    const { stranger, socket, iss } = opened()
    const challenge = stranger.send(signedFrame({ flags: RST, seq: 1005, ack: iss + 1 }))
    expect(segmentOf(challenge[0]).options.md5).toBeDefined()
    stranger.host.close(socket)
    const fin = stranger.answers()
    expect(segmentOf(fin[0]).options.md5).toBeDefined()
    const last = { flags: ACK | 1, seq: 1001, ack: iss + 2 }
    expect(segmentOf(stranger.send(signedFrame(last))[0]).options.md5).toBeDefined()
    expect(stranger.host.states()).toEqual(["TIME-WAIT"])
    const again = stranger.send(signedFrame(last))
    expect(segmentOf(again[0]).options.md5).toBeDefined()
    expect(stranger.tcp({ destinationPort: 179, flags: RST, seq: 1002, ack: 0 })).toEqual([])
    expect(stranger.host.states()).toEqual(["TIME-WAIT"])
  })

  test("a listener's reset is signed for a peer with a key", () => {
    const stranger = new Stranger()
    stranger.introduce()
    stranger.host.listen(179, md5())
    const [reset] = stranger.send(signedFrame({ flags: ACK, seq: 7, ack: 9 }))
    expect(segmentOf(reset)).toMatchObject({ flags: RST, seq: 9 })
    expect(segmentOf(reset).options.md5).toBeDefined()
  })

  test("nobody there: a signed segment gets a signed reset by the key of whoever listens on its port, or none", () => {
    const stranger = new Stranger()
    stranger.introduce()
    const lost = { sourcePort: 179, destinationPort: 40_000, flags: ACK, seq: 7, ack: 9 }
    expect(stranger.send(signedFrame(lost)).map(brief)).toEqual([])
    stranger.host.listen(179, md5())
    const [reset] = stranger.send(signedFrame(lost))
    expect(segmentOf(reset)).toMatchObject({ flags: RST, seq: 9 })
    expect(segmentOf(reset).options.md5).toBeDefined()
    expect(stranger.send(signedFrame(lost, text("guess"))).map(brief)).toEqual([])
    const ao = { ao: { keyId: 1, rNextKeyId: 1, mac: new Uint8Array(12) } }
    expect(stranger.tcp({ ...lost, options: ao })).toEqual([])
    expect(stranger.tcp(lost)).toEqual(["<RST>"])
  })

  test("a segment with both kinds of signature is dropped", () => {
    const { stranger, iss } = opened()
    const options = { md5: new Uint8Array(16), ao: { keyId: 1, rNextKeyId: 1, mac: new Uint8Array(12) } }
    expect(stranger.tcp({ destinationPort: 179, flags: ACK, seq: 1001, ack: iss + 1, options })).toEqual([])
    expect(stranger.host.drops).toContain("RFC5925-2.2:malformed-signature")
  })
})

describe("minimum TTL (RFC 5082)", () => {
  const from = (ttl: number, fields: TcpFields): Uint8Array => {
    const frame = tcpFrame({ destinationPort: 179, ...fields })
    const segment = frame.slice(34)
    return ipFrame({ ttl }, segment.length, (out, at) => out.set(segment, at))
  }

  test("a listener and its connections take nothing from further away, and send with their TTL", () => {
    const stranger = new Stranger()
    stranger.introduce()
    const listener = stranger.host.listen(179, { minTtl: 255, ttl: 255 })
    expect(stranger.send(from(254, { flags: SYN, seq: 1 })).map(brief)).toEqual([])
    expect(stranger.host.counter("TCPMinTTLDrop")).toBe(1)
    const [synAck] = stranger.send(from(255, { flags: SYN, seq: 1 }))
    const ack = segmentOf(synAck).seq + 1
    expect(stranger.send(from(254, { flags: ACK, seq: 2, ack })).map(brief)).toEqual([])
    expect(stranger.host.host.accept(listener)).toBeUndefined()
    stranger.send(from(255, { flags: ACK, seq: 2, ack }))
    const socket = stranger.host.accept(listener)
    stranger.send(from(254, { flags: RST, seq: 2, ack }))
    expect(stranger.host.state(socket)).toBe("ESTABLISHED")
    stranger.send(from(255, { flags: RST, seq: 2, ack }))
    expect(stranger.host.reason(socket)).toBe("ConnectionReset")
    expect(stranger.host.counter("TCPMinTTLDrop")).toBe(3)
  })

  test("two neighbours with TTL 255 understand each other; a default TTL is not enough", () => {
    const gtsm = { minTtl: 255, ttl: 255 }
    const pair = new Pair()
    const open = pair.open(179, gtsm, gtsm)
    pair.a.write(open.client, "near")
    pair.settle()
    expect(pair.b.read(open.server)).toBe("near")
    const far = pair.a.connect(B, 179)
    pair.settle()
    expect(pair.a.state(far)).toBe("SYN-SENT")
    expect(pair.b.counter("TCPMinTTLDrop")).toBe(1)
  })

  test("may be set, and lifted, while a connection is open", () => {
    const pair = new Pair()
    const open = pair.open(179)
    pair.b.host.setOptions(open.server, { minTtl: 65 }, pair.now)
    pair.a.write(open.client, "lost")
    pair.settle()
    expect(pair.b.read(open.server)).toBe("")
    pair.b.host.setOptions(open.server, { minTtl: 64 }, pair.now)
    pair.wait(SECOND)
    expect(pair.b.read(open.server)).toBe("lost")
  })
})

const issOf = (node: Node, socket: SocketId): number => {
  const tcb = node.host.status(socket)?.tcb
  if (tcb === undefined || !isSynchronized(tcb)) throw new Error("not open")
  return tcb.link.iss
}

/** KeyID and RNextKeyID of what a socket sends. */
const keyIdsOf = (node: Node, socket: SocketId): ReadonlyArray<number | undefined> => {
  const session = node.host.status(socket)?.authentication
  return session?._tag === "ao" ? [session.keyId, session.rNextKeyId] : []
}

const optionsOf = (options: Partial<SocketOptions>): SocketOptions => ({ ...defaultSocketOptions, ...options })
