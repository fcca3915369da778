/**
 * The classic attacks by their names, over both IP versions: what each sends, and what the standards want. The
 * host must neither answer those who did not ask, nor hold more than its bounds, and serve on.
 */
import { describe, expect, test } from "bun:test"
import { BROADCAST4, type IpAddress, ipv6, type MacAddress, UNSPECIFIED6 } from "../../src/wire/address.ts"
import { parseAddress } from "../../src/wire/addressText.ts"
import { setU8 } from "../../src/wire/bytes.ts"
import { BROADCAST_MAC } from "../../src/wire/ethernet.ts"
import { FRAGMENT_HEADER, writeFragmentHeader } from "../../src/wire/fragmentHeader.ts"
import { encodeIcmp } from "../../src/wire/icmp.ts"
import { encodeIcmpv6 } from "../../src/wire/icmpv6.ts"
import { multicastMac, solicitedNode } from "../../src/wire/multicast.ts"
import { encodeNdp, NDP_HOP_LIMIT, ndpLength } from "../../src/wire/ndp.ts"
import { encodeTcp } from "../../src/wire/tcp.ts"
import { ACK, EMPTY, FIN, NO_OPTIONS, RST, SYN } from "../../src/wire/tcpSegment.ts"
import { encodeUdp } from "../../src/wire/udp.ts"
import { A, B, MAC_A, MAC_B, pattern, SECOND } from "./lab.ts"
import {
  brief,
  ip6Frame,
  ipFrame,
  ndpFrame,
  Stranger,
  segmentOf,
  type TcpFields,
  tcp6Frame,
  tcpFrame,
} from "./stranger.ts"

const ip = (text: string): IpAddress => parseAddress(text) ?? UNSPECIFIED6
const A6 = ipv6(0x20010db8, 0, 0, 1)
const B6 = ipv6(0x20010db8, 0, 0, 2)

const TCP = 6
const UDP = 17

/** One version of IP, as those see it who make packets by hand. */
interface Version {
  readonly family: 4 | 6
  readonly host: IpAddress
  readonly peer: IpAddress
  readonly icmp: number
  readonly everybody: IpAddress
  readonly everybodysMac: MacAddress
  readonly longest: number
}

const VERSIONS: ReadonlyArray<Version> = [
  { family: 4, host: A, peer: B, icmp: 1, everybody: BROADCAST4, everybodysMac: BROADCAST_MAC, longest: 65_507 },
  {
    family: 6,
    host: A6,
    peer: B6,
    icmp: 58,
    everybody: ip("ff02::1"),
    everybodysMac: multicastMac(ip("ff02::1")),
    longest: 65_527,
  },
]

/** A host that listens on TCP port 7, and has been met. */
const met = ({ family, host, peer }: Version): Stranger => {
  const stranger = new Stranger(
    family === 4 ? {} : { address: host, prefixLength: 64, iface: { dadTransmits: 0 } },
    peer,
  )
  stranger.host.listen(7)
  stranger.wait(5 * SECOND)
  if (family === 4) stranger.introduce()
  else {
    const message = { _tag: "NeighbourSolicitation", target: host, sourceMac: MAC_B } as const
    const group = solicitedNode(host)
    stranger.send(ndpFrame(message, { source: peer, destination: group }, multicastMac(group)))
  }
  stranger.host.drops.length = 0
  return stranger
}

interface Way {
  readonly source?: IpAddress
  readonly destination?: IpAddress
  readonly mac?: MacAddress
}

/** A packet with these octets behind its header. */
const packet = (version: Version, protocol: number, octets: Uint8Array, way: Way = {}, hopLimit = 64): Uint8Array => {
  const { source = version.peer, destination = version.host, mac = MAC_A } = way
  const write = (out: Uint8Array, at: number): void => out.set(octets, at)
  return version.family === 4
    ? ipFrame({ source, destination, protocol, ttl: hopLimit }, octets.length, write, mac)
    : ip6Frame({ source, destination, nextHeader: protocol, hopLimit }, octets.length, write, mac)
}

/** A piece of one. */
const piece = (
  version: Version,
  protocol: number,
  octets: Uint8Array,
  offset: number,
  more: boolean,
  identification = 7,
): Uint8Array => {
  const { family, peer: source, host: destination } = version
  if (family === 4) {
    const header = { source, destination, protocol, identification, fragmentOffset: offset, moreFragments: more }
    return ipFrame(header, octets.length, (out, at) => out.set(octets, at))
  }
  return ip6Frame({ source, destination, nextHeader: 44 }, FRAGMENT_HEADER + octets.length, (out, at) => {
    writeFragmentHeader(out, at, { nextHeader: protocol, offset, more, identification })
    out.set(octets, at + FRAGMENT_HEADER)
  })
}

const segment = ({ family, host, peer }: Version, fields: TcpFields): Uint8Array =>
  family === 4 ? tcpFrame(fields) : tcp6Frame({ source: peer, destination: host, ...fields })

const segmentOctets = ({ host, peer }: Version, flags: number): Uint8Array => {
  const out = new Uint8Array(20)
  const fields = { seq: 1000, ack: 0, flags, wnd: 65_535, up: 0, options: NO_OPTIONS, payload: EMPTY }
  encodeTcp(
    out,
    0,
    { source: peer, destination: host, sourcePort: 40_000, destinationPort: 7, segment: fields },
    "linux",
  )
  return out
}

const datagramOctets = (
  { host, peer }: Version,
  length: number,
  { source = peer, destination = host }: Way = {},
  [sourcePort, destinationPort]: readonly [number, number] = [5353, 9999],
): Uint8Array => {
  const out = new Uint8Array(8 + length)
  encodeUdp(out, 0, { source, destination, sourcePort, destinationPort, payload: pattern(length) })
  return out
}

const echoOctets = (
  { family, host, peer }: Version,
  length: number,
  { source = peer, destination = host }: Way = {},
) => {
  const message = { _tag: "EchoRequest", identifier: 1, sequence: 1, payload: pattern(length) } as const
  const out = new Uint8Array(8 + length)
  if (family === 4) encodeIcmp(out, 0, message)
  else encodeIcmpv6(out, 0, message, source, destination)
  return out
}

/** Whether a neighbour is still there may be asked at any time. */
const isNoQuestion = (text: string): boolean => text !== "arp request" && text !== "NeighbourSolicitation"

/** The host is as it was: an echo request is answered, and a newcomer greeted. */
const servesOn = (version: Version, stranger: Stranger): void => {
  expect(stranger.send(packet(version, version.icmp, echoOctets(version, 8))).map(brief)).toEqual([
    version.family === 4 ? "icmp EchoReply" : "EchoReply",
  ])
  expect(stranger.send(segment(version, { sourcePort: 50_000, flags: SYN })).map(brief)).toEqual(["<SYN,ACK>"])
}

describe.each(VERSIONS.map((version) => [version.family, version] as const))("over IPv%d", (family, version) => {
  /** Nothing is answered to any of the frames; gives the reasons. */
  const silently = (stranger: Stranger, ...frames: ReadonlyArray<Uint8Array>): ReadonlyArray<string> => {
    for (const frame of frames) expect(stranger.send(frame)).toEqual([])
    return [...new Set(stranger.host.drops)]
  }

  test("land: a SYN from our own address and port", () => {
    const stranger = met(version)
    const own = { source: version.host, destination: version.host, sourcePort: 7, destinationPort: 7, flags: SYN }
    expect(silently(stranger, segment(version, own), segment(version, own))).toEqual([`ipv${family}:bad-source`])
    expect(stranger.host.states()).toEqual([])
    servesOn(version, stranger)
  })

  test("teardrop, nestea, syndrop: a last fragment inside of the first", () => {
    const stranger = met(version)
    const first = piece(version, UDP, pattern(40), 0, true)
    expect(silently(stranger, first, piece(version, UDP, pattern(4), 24, false))).toEqual(["RFC791-3.2:ends-disagree"])
    servesOn(version, stranger)
  })

  test("overlapping fragments: the datagram is thrown away, none of its octets believed (RFC 5722)", () => {
    const stranger = met(version)
    const frames = [
      piece(version, UDP, pattern(16), 0, true),
      piece(version, UDP, pattern(16), 8, true),
      piece(version, UDP, pattern(8), 24, false),
    ]
    const [why, ...more] = silently(stranger, ...frames)
    expect(why).toBe("RFC5722-4:overlap")
    // IPv6 keeps it in mind until its time is over; IPv4's identifications come round too soon.
    expect(more).toEqual(family === 4 ? [] : ["RFC5722-4:of-a-discarded-datagram"])
    expect(
      stranger
        .wait(120 * SECOND)
        .map(([, seen]) => brief(seen))
        .filter(isNoQuestion),
    ).toEqual([])
  })

  test("ping of death: a last fragment that ends beyond the longest packet", () => {
    const stranger = met(version)
    const answers = stranger.send(piece(version, version.icmp, pattern(1000), 65_528, false))
    // RFC 8200 section 4.5 wants the sender told, at the offset; RFC 791 nothing.
    if (family === 4) expect([answers, stranger.host.drops]).toEqual([[], ["RFC791-3.1:longer-than-65535"]])
    else expect(answers).toMatchObject([{ message: { _tag: "ParameterProblem", code: 0, pointer: 42 } }])
    expect(stranger.host.host.nextDeadline() === -1 || family === 6).toBe(true)
    servesOn(version, stranger)
  })

  test("jolt2: the same last fragment ten thousand times: held once, and let go in its time", () => {
    const stranger = met(version)
    const frame = piece(version, version.icmp, pattern(9), 65_000, false)
    expect(silently(stranger, ...new Array<Uint8Array>(10_000).fill(frame))).toEqual(["RFC8200-4.5:exact-duplicate"])
    expect(
      stranger
        .wait(61 * SECOND)
        .map(([, seen]) => brief(seen))
        .filter(isNoQuestion),
    ).toEqual([])
  })

  test("tiny fragments: a SYN whose flags come in a second fragment, or over those of a first (RFC 1858, RFC 3128)", () => {
    const stranger = met(version)
    const syn = segmentOctets(version, SYN)
    const harmless = segmentOctets(version, ACK)
    // The first holds eight octets, too few for the flags.
    const tiny = stranger.send(piece(version, TCP, syn.subarray(0, 8), 0, true, 1))
    if (family === 4) {
      // Put together before anybody looks: what passes is a whole segment, as if it had come in one piece.
      expect(tiny).toEqual([])
      expect(stranger.send(piece(version, TCP, syn.subarray(8), 8, false, 1)).map(brief)).toEqual(["<SYN,ACK>"])
    } else {
      // RFC 7112: over IPv6 a first fragment has all headers.
      expect(tiny).toMatchObject([{ message: { _tag: "ParameterProblem", code: 3 } }])
    }
    // The second would write other flags over the first one's.
    stranger.host.drops.length = 0
    expect(
      silently(
        stranger,
        piece(version, TCP, new Uint8Array([...harmless, 0, 0, 0, 0]), 0, true, 2),
        piece(version, TCP, syn.subarray(8), 8, false, 2),
      ),
    ).toEqual(["RFC791-3.2:ends-disagree"])
  })

  test("smurf: an echo request to everybody, in the name of a victim", () => {
    const stranger = met(version)
    const way = {
      source: family === 4 ? ip("198.18.0.66") : ip("2001:db8::66"),
      destination: version.everybody,
      mac: version.everybodysMac,
    }
    expect(silently(stranger, packet(version, version.icmp, echoOctets(version, 100, way), way))).toEqual([
      "icmp:echo-to-everybody",
    ])
  })

  test("fraggle: a datagram to everybody, for a port that nobody has: no error (RFC 1122 section 3.2.2, RFC 4443 section 2.4)", () => {
    const stranger = met(version)
    const way = { destination: version.everybody, mac: version.everybodysMac }
    const frame = packet(version, UDP, datagramOctets(version, 20, way, [7, 19]), way)
    expect(silently(stranger, frame)).toEqual(["udp:nobody-hears-the-group"])
  })

  test("bogus resets: in the window a challenge, beyond it nothing, and the connection stands (RFC 5961)", () => {
    const stranger = met(version)
    const [synAck] = stranger.send(segment(version, { seq: 1000, flags: SYN }))
    stranger.send(segment(version, { seq: 1001, ack: segmentOf(synAck).seq + 1, flags: ACK }))
    const [socket] = stranger.host.host.sockets().filter(({ state }) => state !== "LISTEN")
    if (socket === undefined) throw new Error("no connection")
    expect(stranger.send(segment(version, { seq: 1101, flags: RST })).map(brief)).toEqual(["<ACK>"])
    for (const seq of [0, 999, 200_000, 2 ** 31])
      expect(stranger.send(segment(version, { seq, flags: RST }))).toEqual([])
    expect(stranger.host.state(socket.socket)).toBe("ESTABLISHED")
  })

  test("SYN with FIN: no request of a listener's, a reset of a closed port", () => {
    const stranger = met(version)
    expect(silently(stranger, segment(version, { flags: SYN | FIN }))).toEqual(["Linux:SYN-FIN"])
    expect(stranger.send(segment(version, { flags: SYN | FIN, destinationPort: 81 })).map(brief)).toEqual(["<RST,ACK>"])
    expect(stranger.host.states()).toEqual([])
  })

  const martians: Record<4 | 6, ReadonlyArray<string>> = {
    4: ["127.0.0.1", "0.0.0.0", "0.1.2.3", "224.0.0.1", "240.0.0.1", "255.255.255.255", "198.18.0.255", "198.18.0.1"],
    6: ["::1", "::", "ff02::1", "ff0e::5", "::ffff:198.18.0.2", "2001:db8::1"],
  }
  test.each(martians[family])(
    "a martian source, %s: nothing is answered (RFC 1812 section 5.3.7, RFC 4291)",
    (text) => {
      const stranger = met(version)
      const way = { source: ip(text) }
      const frames = [
        packet(version, UDP, datagramOctets(version, 10, way), way),
        packet(version, version.icmp, echoOctets(version, 10, way), way),
        segment(version, { ...way, flags: SYN }),
        segment(version, { ...way, flags: ACK, destinationPort: 81 }),
        packet(version, 253, pattern(10), way),
      ]
      for (const frame of frames) expect(stranger.send(frame).filter(({ kind }) => kind !== "arp")).toEqual([])
      expect(stranger.host.states()).toEqual([])
    },
  )

  test("a source route: not followed, and not answered as if it had come straight", () => {
    const stranger = met(version)
    if (family === 4) {
      for (const type of [131, 137]) {
        const options = Uint8Array.of(type, 7, 4, 198, 18, 0, 2, 0)
        const frame = ipFrame({ protocol: 1, options }, 8 + 10, (out, at) => out.set(echoOctets(version, 10), at))
        expect(silently(stranger, frame)).toEqual(["Linux:accept_source_route"])
      }
      return
    }
    // RFC 5095: type 0 with segments left, told as an unknown type; without, passed over.
    const routed = (left: number): Uint8Array => {
      const header = new Uint8Array(24)
      header.set([version.icmp, 2, 0, left])
      return packet(version, 43, new Uint8Array([...header, ...echoOctets(version, 10)]))
    }
    expect(stranger.send(routed(1))).toMatchObject([{ message: { _tag: "ParameterProblem", code: 0, pointer: 42 } }])
    expect(stranger.send(routed(0)).map(brief)).toEqual(["EchoReply"])
  })

  test("options without end: bounded work, and errors at a bounded rate", () => {
    const stranger = met(version)
    let answers = 0
    for (let n = 0; n < 1000; n++) {
      const octets = echoOctets(version, 10)
      if (family === 4) {
        // As many as fit, each of a kind that nobody knows: passed over (RFC 1122 section 3.2.1.8).
        const options = Uint8Array.from({ length: 40 }, (_, at) => (at % 2 === 0 ? 0x1e : 2))
        const frame = ipFrame({ protocol: 1, options }, octets.length, (out, at) => out.set(octets, at))
        expect(stranger.send(frame).map(brief)).toEqual(["icmp EchoReply"])
        continue
      }
      // Hop-by-Hop Options of 2 KiB, all unknown: more than eight are never looked at (RFC 8504 section 5.3).
      const header = new Uint8Array(1400).fill(0)
      setU8(header, 0, version.icmp)
      setU8(header, 1, header.length / 8 - 1)
      for (let at = 2; at + 2 <= header.length; at += 2) setU8(header, at, n % 2 === 0 ? 0x1e : 0x9e)
      answers += stranger.send(packet(version, 0, new Uint8Array([...header, ...octets]))).length
    }
    // Of 500 that ask for an error fifty are told, and what a second allows while it lasts.
    expect(answers).toBeLessThanOrEqual(51)
    if (family === 6) expect(stranger.host.drops).toContain("ipv6:too-many-extensions")
    servesOn(version, stranger)
  })

  test("an atomic fragment beside the fragments of another datagram: taken by itself (RFC 6946)", () => {
    const stranger = met(version)
    expect(silently(stranger, piece(version, version.icmp, pattern(16), 8, true))).toEqual([])
    const atomic = piece(version, version.icmp, echoOctets(version, 10), 0, false)
    expect(stranger.send(atomic).map(brief)).toEqual([family === 4 ? "icmp EchoReply" : "EchoReply"])
  })
})

describe("Neighbour Discovery in fragments (RFC 6980)", () => {
  const [, version] = VERSIONS
  if (version === undefined) throw new Error("no IPv6")
  const message = { _tag: "NeighbourSolicitation", target: A6, sourceMac: MAC_B } as const
  const octets = new Uint8Array(ndpLength(message))
  encodeNdp(octets, 0, message, B6, A6)
  const fragment = (part: Uint8Array, offset: number, more: boolean): Uint8Array =>
    ip6Frame({ source: B6, destination: A6, nextHeader: 44, hopLimit: NDP_HOP_LIMIT }, 8 + part.length, (out, at) => {
      writeFragmentHeader(out, at, { nextHeader: 58, offset, more, identification: 3 })
      out.set(part, at + FRAGMENT_HEADER)
    })

  test("whole, it is answered", () => {
    expect(
      met(version)
        .send(packet(version, 58, octets, {}, NDP_HOP_LIMIT))
        .map(brief),
    ).toEqual(["NeighbourAdvertisement"])
  })

  test.each([
    ["in two", [fragment(octets.subarray(0, 24), 0, true), fragment(octets.subarray(24), 24, false)]],
    ["in an atomic one", [fragment(octets, 0, false)]],
  ])("%s: passed over in silence", (_, frames) => {
    const stranger = met(version)
    for (const frame of frames) expect(stranger.send(frame)).toEqual([])
    expect(stranger.host.drops).toEqual(["RFC6980-5:fragment"])
  })
})
