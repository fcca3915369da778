import { describe, expect, test } from "bun:test"
import type { SocketId } from "../../src/host/types.ts"
import { distance } from "../../src/tcp/seq.ts"
import { freebsd, type TcpSettings } from "../../src/tcp/settings.ts"
import { BROADCAST4, type IpAddress, ipv4, type MacAddress } from "../../src/wire/address.ts"
import { BROADCAST_MAC } from "../../src/wire/ethernet.ts"
import { ACK, FIN, PSH, RST, SYN, URG } from "../../src/wire/tcpSegment.ts"
import { A, B, C, pattern, SECOND, text } from "./lab.ts"
import { brief, ipFrame, Stranger, segmentOf, type TcpFields, tcpFrame } from "./stranger.ts"

interface Connected {
  readonly stranger: Stranger
  readonly listener: SocketId
  readonly socket: SocketId
  /** What the host sends next and what it expects next. */
  readonly mine: number
  readonly theirs: number
}

/** A connection from port 40000 to the host's port 7, made by hand, without timestamps. */
const connected = (settings: Partial<TcpSettings> = {}): Connected => {
  const stranger = new Stranger({ settings })
  stranger.introduce()
  const listener = stranger.host.listen(7)
  const [synAck] = stranger.send(tcpFrame({ seq: 1000, flags: SYN }))
  const iss = segmentOf(synAck).seq
  stranger.tcp({ seq: 1001, ack: iss + 1, flags: ACK })
  const socket = stranger.host.accept(listener)
  return { stranger, listener, socket, mine: iss + 1, theirs: 1001 }
}

const met = (): Stranger => {
  const stranger = new Stranger()
  stranger.introduce()
  stranger.host.listen(7)
  return stranger
}

const NETWORK_BROADCAST = ipv4(0xc61200ff)
const ALL_HOSTS = ipv4(0xe0000001)

describe("land: a SYN from our own address and port", () => {
  test.each([
    ["to a listener", 7],
    ["to a closed port", 81],
  ])("%s: dropped as a martian; no answer, no block, no storm", (_, port) => {
    const stranger = met()
    const frame = tcpFrame({ source: A, destination: A, sourcePort: port, destinationPort: port, flags: SYN })
    for (let i = 0; i < 100; i++) expect(stranger.send(frame)).toEqual([])
    expect(stranger.host.states()).toEqual([])
    expect(stranger.wait(100 * SECOND)).toEqual([])
    expect(stranger.host.counter("OutSegs")).toBe(0)
  })

  test("from another port of our own address: dropped too", () => {
    const stranger = met()
    expect(stranger.send(tcpFrame({ source: A, destination: A, sourcePort: 99, flags: SYN }))).toEqual([])
    expect(stranger.host.states()).toEqual([])
  })
})

describe("TCP that is not for one host (RFC 1122 section 4.2.3.10)", () => {
  const everybody: ReadonlyArray<readonly [string, IpAddress, MacAddress]> = [
    ["255.255.255.255", BROADCAST4, BROADCAST_MAC],
    ["the network's broadcast address", NETWORK_BROADCAST, BROADCAST_MAC],
    ["all hosts, 224.0.0.1", ALL_HOSTS, 0x01_00_5e_00_00_01 as MacAddress],
  ]
  test.each(everybody)("a SYN to %s: no answer, no request", (_, destination, mac) => {
    const stranger = met()
    expect(stranger.tcp({ destination, mac, flags: SYN })).toEqual([])
    expect(stranger.tcp({ destination, mac, flags: ACK, destinationPort: 81 })).toEqual([])
    expect(stranger.host.states()).toEqual([])
  })

  const nobody: ReadonlyArray<readonly [string, IpAddress]> = [
    ["255.255.255.255", BROADCAST4],
    ["the network's broadcast address", NETWORK_BROADCAST],
    ["a multicast group", ALL_HOSTS],
    ["loopback, 127.0.0.1", ipv4(0x7f000001)],
    ["0.0.0.0", ipv4(0)],
  ]
  test.each(nobody)("a SYN from %s: no answer, no request", (_, source) => {
    const stranger = met()
    expect(stranger.tcp({ source, flags: SYN })).toEqual([])
    expect(stranger.host.states()).toEqual([])
  })

  test.each(nobody)("a segment from %s to a closed port: no RST", (_, source) => {
    expect(met().tcp({ source, flags: ACK, destinationPort: 81 })).toEqual([])
  })
})

describe("a reset from somebody who cannot see the connection (RFC 5961 section 3)", () => {
  test("at every sequence number but one in and around the window: the connection stands", () => {
    const { stranger, socket, theirs } = connected()
    for (const offset of [-1000, -1, 1, 2, 1000, 10_000, 29_000, 65_535, 100_000, 2 ** 31]) {
      stranger.tcp({ seq: (theirs + offset) >>> 0, flags: RST })
      expect(stranger.host.state(socket)).toBe("ESTABLISHED")
    }
  })

  test("in the window: a challenge ACK; the true peer's RST in answer to it ends the connection", () => {
    const { stranger, socket, theirs } = connected()
    const [challenge] = stranger.send(tcpFrame({ seq: theirs + 100, flags: RST }))
    expect(brief(challenge as never)).toBe("<ACK>")
    expect(stranger.host.counter("TCPChallengeACK")).toBe(1)
    stranger.tcp({ seq: segmentOf(challenge).ack, flags: RST })
    expect(stranger.host.reason(socket)).toBe("ConnectionReset")
  })

  test("a thousand in the window: one challenge ACK each half second, no more", () => {
    const { stranger, socket, theirs } = connected()
    let answers = 0
    for (let i = 1; i <= 1000; i++) answers += stranger.tcp({ seq: theirs + i, flags: RST }).length
    expect(answers).toBe(1)
    stranger.wait(0.5 * SECOND)
    expect(stranger.tcp({ seq: theirs + 1, flags: RST })).toEqual(["<ACK>"])
    expect(stranger.host.state(socket)).toBe("ESTABLISHED")
  })

  test("with an ACK and in SYN-SENT, for another SYN: ignored", () => {
    const stranger = met()
    const socket = stranger.host.connect(B, 80, {}, 5000)
    const { seq } = segmentOf(stranger.answers()[0])
    for (const ack of [seq, seq + 2, seq - 5, 0]) {
      stranger.tcp({ sourcePort: 80, destinationPort: 5000, ack: ack >>> 0, flags: RST | ACK })
    }
    stranger.tcp({ sourcePort: 80, destinationPort: 5000, flags: RST })
    expect(stranger.host.state(socket)).toBe("SYN-SENT")
  })

  test("for a port where nobody is: never answered with a RST", () => {
    expect(met().tcp({ destinationPort: 81, flags: RST })).toEqual([])
    expect(met().tcp({ destinationPort: 81, flags: RST | ACK })).toEqual([])
    expect(met().tcp({ destinationPort: 7, flags: RST })).toEqual([])
  })
})

describe("a SYN for a connection that stands (RFC 5961 section 4)", () => {
  test.each([
    ["in the window", 10],
    ["at RCV.NXT", 0],
    ["outside of it", 2 ** 30],
  ])("%s: a challenge ACK, the connection stands", (_, offset) => {
    const { stranger, socket, theirs } = connected()
    expect(stranger.tcp({ seq: theirs + offset, flags: SYN })).toEqual(["<ACK>"])
    expect(stranger.host.state(socket)).toBe("ESTABLISHED")
  })
})

describe("data from somebody who cannot see the connection (RFC 5961 section 5)", () => {
  const evil = text("evil")

  test.each([
    ["an ACK far ahead", 100_000],
    ["an ACK one ahead of what was sent", 1],
    ["an ACK more than a window old", -100_000],
    ["the opposite ACK", 2 ** 31],
  ])("in the window, with %s: not delivered", (_, offset) => {
    const { stranger, socket, mine, theirs } = connected()
    expect(stranger.tcp({ seq: theirs, ack: (mine + offset) >>> 0, flags: ACK, payload: evil })).toEqual(["<ACK>"])
    expect(stranger.host.read(socket)).toBe("")
    expect(stranger.host.state(socket)).toBe("ESTABLISHED")
  })

  test("without ACK: not delivered", () => {
    const { stranger, socket, theirs } = connected()
    stranger.tcp({ seq: theirs, flags: PSH, payload: evil })
    expect(stranger.host.read(socket)).toBe("")
  })

  test("outside of the window, with a right ACK: not delivered", () => {
    const { stranger, socket, mine, theirs } = connected()
    for (const offset of [-4, 2 ** 20, 2 ** 31]) {
      stranger.tcp({ seq: (theirs + offset) >>> 0, ack: mine, flags: ACK, payload: evil })
    }
    expect(stranger.host.read(socket)).toBe("")
  })

  test("sent again with other octets: those next in order count, of the rest the first", () => {
    const { stranger, socket, mine, theirs } = connected()
    stranger.tcp({ seq: theirs + 4, ack: mine, flags: ACK, payload: text("good") })
    stranger.tcp({ seq: theirs + 2, ack: mine, flags: ACK, payload: text("evilevil") })
    stranger.tcp({ seq: theirs, ack: mine, flags: ACK, payload: text("soxx") })
    expect(stranger.host.read(socket)).toBe("soxxgoodil")
  })

  test("a FIN with a wrong ACK: the connection stays open", () => {
    const { stranger, socket, mine, theirs } = connected()
    stranger.tcp({ seq: theirs, ack: mine + 500, flags: FIN | ACK })
    expect(stranger.host.state(socket)).toBe("ESTABLISHED")
  })
})

describe("scans and impossible flags", () => {
  const flags: ReadonlyArray<readonly [string, number, ReadonlyArray<string>, ReadonlyArray<string>]> = [
    // segment                                      to a listener   to a closed port
    ["null: no flags", 0, [], ["<RST,ACK>"]],
    ["FIN", FIN, [], ["<RST,ACK>"]],
    ["xmas: FIN, PSH, URG", FIN | PSH | URG, [], ["<RST,ACK>"]],
    ["SYN, FIN", SYN | FIN, [], ["<RST,ACK>"]],
    ["SYN, RST", SYN | RST, [], []],
    ["ACK", ACK, ["<RST>"], ["<RST>"]],
    ["FIN, ACK (Maimon)", FIN | ACK, ["<RST>"], ["<RST>"]],
    ["SYN, ACK", SYN | ACK, ["<RST>"], ["<RST>"]],
    ["all flags", 0xff, [], []],
  ]

  test.each(flags)("%s, to a listener: as RFC 9293 section 3.10.7.2 says, no request", (_, bits, listening) => {
    const stranger = met()
    expect(stranger.tcp({ flags: bits })).toEqual([...listening])
    expect(stranger.host.states()).toEqual([])
  })

  test.each(flags)("%s, to a closed port: as RFC 9293 section 3.10.7.1 says", (_, bits, __, closed) => {
    expect(met().tcp({ flags: bits, destinationPort: 81 })).toEqual([...closed])
  })

  test.each(flags)("%s, to a connection, beyond its window: it stands", (_, bits) => {
    const { stranger, socket, theirs } = connected()
    stranger.tcp({ seq: (theirs + 2 ** 30) >>> 0, flags: bits })
    expect(stranger.host.state(socket)).toBe("ESTABLISHED")
  })

  test("SYN, FIN to a freebsd listener: taken as a SYN (RFC 1644)", () => {
    const stranger = new Stranger({ settings: { profile: freebsd } })
    stranger.introduce()
    stranger.host.listen(7)
    expect(stranger.tcp({ flags: SYN | FIN })).toEqual(["<SYN,ACK>"])
  })

  test("source port 0, destination port 0: no exception, at most a RST", () => {
    const stranger = met()
    for (const ports of [{ sourcePort: 0 }, { destinationPort: 0 }, { sourcePort: 0, destinationPort: 0 }]) {
      for (const answer of stranger.tcp({ ...ports, flags: SYN })) expect(["<RST,ACK>", "<SYN,ACK>"]).toContain(answer)
    }
  })
})

describe("a segment that is cut short or damaged", () => {
  const whole = (fields: TcpFields): Uint8Array => tcpFrame(fields)

  test("every length from nothing to one octet less: no answer, nothing changes", () => {
    const stranger = met()
    const frame = whole({ flags: SYN, options: { mss: 1460, sackPermitted: true, windowScale: 7 } })
    for (let length = 0; length < frame.length; length++) expect(stranger.send(frame.slice(0, length))).toEqual([])
    expect(stranger.host.states()).toEqual([])
  })

  test("an IP packet that ends inside of the TCP header: dropped and counted", () => {
    const stranger = met()
    for (let length = 0; length < 20; length++) {
      const frame = ipFrame({}, length, (out, at) => out.set(pattern(length), at))
      expect(stranger.send(frame)).toEqual([])
    }
    expect(stranger.host.counter("InErrs")).toBe(20)
  })

  test("every data offset but the right one: dropped", () => {
    for (let words = 0; words < 16; words++) {
      if (words === 5) continue
      const stranger = met()
      const frame = whole({ flags: SYN })
      frame[14 + 20 + 12] = words << 4
      expect(stranger.send(frame)).toEqual([])
      expect(stranger.host.states()).toEqual([])
    }
  })

  test("any one bit of a segment flipped: dropped, counted as InErrs or never TCP's business", () => {
    const stranger = met()
    const frame = whole({ flags: SYN, options: { mss: 1460 }, payload: pattern(31) })
    // From the IP header on; the link's own check sum is not part of a frame here.
    for (let bit = 14 * 8; bit < frame.length * 8; bit++) {
      const bent = frame.slice()
      bent[bit >> 3] = (bent[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      for (const answer of stranger.send(bent)) expect(brief(answer)).toBe("nothing at all")
    }
    expect(stranger.host.states()).toEqual([])
    expect(stranger.host.counter("InCsumErrors")).toBeGreaterThan(8 * 50)
    expect(stranger.host.counter("InErrs")).toBeGreaterThanOrEqual(stranger.host.counter("InCsumErrors"))
    expect(stranger.host.counter("InSegs")).toBe(0)
  })

  test("vouched for by the device: the sum is not looked at", () => {
    const stranger = met()
    const frame = whole({ flags: SYN })
    frame[14 + 20 + 16] = (frame[14 + 20 + 16] ?? 0) ^ 0xff
    stranger.host.host.frame(0, frame, 0, frame.length, true, stranger.now)
    expect(stranger.answers().map(brief)).toEqual(["<SYN,ACK>"])
  })

  test("a fragment of a segment: not taken for one", () => {
    const stranger = met()
    const segment = whole({ flags: SYN }).slice(34)
    const put = (header: object) => stranger.send(ipFrame(header, segment.length, (out, at) => out.set(segment, at)))
    expect(put({ moreFragments: true })).toEqual([])
    expect(put({ fragmentOffset: 8 })).toEqual([])
    expect(stranger.host.states()).toEqual([])
  })
})

describe("options that lie", () => {
  test.each([
    ["an MSS of 0", { mss: 0 }],
    ["an MSS of 1", { mss: 1 }],
    ["a window scale of 255", { windowScale: 255 }],
    ["a timestamp that goes backwards", { tsVal: 0xffff_ffff, tsEcr: 1 }],
  ])("%s: the handshake goes on, data flows in segments of sense", (_, options) => {
    const stranger = new Stranger()
    stranger.introduce()
    const listener = stranger.host.listen(7)
    const [synAck] = stranger.send(tcpFrame({ seq: 0, flags: SYN, options }))
    const { seq } = segmentOf(synAck)
    const stamps = "tsVal" in options ? { tsVal: 0xffff_ffff, tsEcr: segmentOf(synAck).options.tsVal } : {}
    stranger.tcp({ seq: 1, ack: seq + 1, flags: ACK, options: stamps })
    const socket = stranger.host.accept(listener)
    stranger.host.write(socket, pattern(1000))
    const sizes = stranger.answers().map((one) => segmentOf(one).payload.length)
    expect(Math.max(...sizes)).toBeGreaterThanOrEqual(36)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1460)
  })

  test("an ACK without end that claims a window of nothing: probes, no spinning", () => {
    const { stranger, socket, mine, theirs } = connected()
    stranger.host.write(socket, pattern(5000))
    stranger.answers()
    stranger.tcp({ seq: theirs, ack: mine, flags: ACK, wnd: 0 })
    const sent = stranger.wait(60 * SECOND)
    expect(sent.length).toBeLessThan(40)
  })

  test("SACK blocks of nonsense: no exception, nothing sent that was acknowledged", () => {
    const { stranger, socket, mine, theirs } = connected()
    stranger.host.write(socket, pattern(5000))
    stranger.answers()
    const blocks = [
      { left: mine + 5000, right: mine },
      { left: 0, right: 0xffff_ffff },
      { left: mine + 90_000, right: mine + 91_000 },
    ]
    for (let i = 0; i < 10; i++) stranger.tcp({ seq: theirs, ack: mine, flags: ACK, options: { sack: blocks } })
    expect(stranger.host.state(socket)).toBe("ESTABLISHED")
  })
})

describe("a peer that takes and gives nothing back", () => {
  test("more data than the window has room for: only what fits is taken, the rest is not acknowledged", () => {
    const { stranger, socket, mine, theirs } = connected()
    const tcb = stranger.host.host.status(socket)?.tcb
    if (tcb === undefined || !("rcv" in tcb)) throw new Error("no connection")
    // The window may slide while the buffer has room; the buffer is what bounds it.
    const window = tcb.rcv.buf
    const bytes = pattern(window + 5000)
    let acked = 0
    for (let at = 0; at < bytes.length; at += 1400) {
      const payload = bytes.slice(at, at + 1400)
      for (const one of stranger.send(tcpFrame({ seq: theirs + at, ack: mine, flags: ACK, payload }))) {
        acked = Math.max(acked, distance(segmentOf(one).ack, theirs))
      }
    }
    const status = stranger.host.host.status(socket)
    expect(status?.recvQ).toBeLessThanOrEqual(window)
    expect(acked).toBe(status?.recvQ ?? 0)
    expect(stranger.host.readBytes(socket)).toEqual(bytes.slice(0, acked))
  })

  test("single octets out of order without end: memory is bounded by the window", () => {
    const { stranger, socket, mine, theirs } = connected()
    for (let i = 0; i < 20_000; i++) {
      const seq = theirs + 1 + 2 * i
      stranger.tcp({ seq, ack: mine, flags: ACK, payload: Uint8Array.of(1) })
    }
    const tcb = stranger.host.host.status(socket)?.tcb
    if (tcb === undefined || !("rcv" in tcb)) throw new Error("the connection is gone")
    expect(tcb.rcv.queue.pieces).toBeLessThanOrEqual(4096)
    expect(stranger.host.state(socket)).toBe("ESTABLISHED")
  })

  test("an optimistic peer that acknowledges what was never sent: a challenge ACK, the send queue stays", () => {
    const { stranger, socket, mine, theirs } = connected()
    stranger.host.write(socket, pattern(100))
    stranger.answers()
    expect(stranger.tcp({ seq: theirs, ack: mine + 5000, flags: ACK })).toEqual(["<ACK>"])
    expect(stranger.host.host.status(socket)?.sendQ).toBe(100)
  })
})

describe("a network of somebody else's", () => {
  test("a segment for another address in our network: not ours, no answer", () => {
    expect(met().tcp({ destination: C, flags: SYN })).toEqual([])
  })
})
