import { describe, expect, test } from "bun:test"
import { Counters } from "../../src/host/counters.ts"
import { Deadlines, type Scheduled } from "../../src/host/deadlines.ts"
import { fragment4Arrives, fragment6Arrives } from "../../src/host/fragmentInput.ts"
import { Reassembler } from "../../src/host/reassembler.ts"
import { defaultUdpOptions } from "../../src/host/udp/types.ts"
import { fragment } from "../../src/ip/fragments.ts"
import { type IpAddress, ipv4, ipv6 } from "../../src/wire/address.ts"
import { FRAGMENT_HEADER, writeFragmentHeader } from "../../src/wire/fragmentHeader.ts"
import { REASSEMBLY_TIME_EXCEEDED } from "../../src/wire/icmp.ts"
import { decodeIpv4 } from "../../src/wire/ipv4.ts"
import { decodeIpv6, IPV6_HEADER, writeIpv6 } from "../../src/wire/ipv6.ts"
import { walkExtensions } from "../../src/wire/ipv6Extension.ts"
import { ACK, SYN } from "../../src/wire/tcpSegment.ts"
import { encodeUdp } from "../../src/wire/udp.ts"
import { A, digest, pattern, SECOND } from "./lab.ts"
import { brief, icmpFrame, ipFrame, type Seen, Stranger, segmentOf, tcpFrame, udpFrame } from "./stranger.ts"

const LINK = 14
const PORT = 9999

const fragments = (frame: Uint8Array, mtu = 1500): ReadonlyArray<Uint8Array> => fragment(frame, LINK, mtu, 0) ?? []

/** One fragment of nothing in particular. */
const piece = (fields: {
  readonly offset: number
  readonly length: number
  readonly more?: boolean
  readonly identification?: number
  readonly source?: IpAddress
}): Uint8Array =>
  ipFrame(
    {
      protocol: 17,
      fragmentOffset: fields.offset,
      moreFragments: fields.more ?? true,
      identification: fields.identification ?? 1,
      ...(fields.source === undefined ? {} : { source: fields.source }),
    },
    fields.length,
    (out, at) => out.fill(0x41, at, at + fields.length),
  )

const met = (settings = {}): Stranger => {
  const stranger = new Stranger({ prefixLength: 16, settings })
  stranger.introduce()
  return stranger
}

const listening = (stranger: Stranger) => {
  const { udp } = stranger.host.host
  const socket = udp.socket(defaultUdpOptions)
  udp.bind(socket, { address: A, port: PORT })
  return () => {
    const datagram = udp.receive(socket)
    return datagram === "empty" || "errno" in datagram ? undefined : digest(datagram.payload)
  }
}

describe("fragments of a datagram for a socket", () => {
  test("in any order: delivered once, when the last has come", () => {
    const stranger = met()
    const next = listening(stranger)
    const payload = pattern(9000)
    const [first, ...rest] = fragments(udpFrame(payload))
    for (const frame of rest.reverse()) stranger.send(frame)
    expect(next()).toBeUndefined()
    if (first !== undefined) stranger.send(first)
    expect([next(), next()]).toEqual([digest(payload), undefined])
    expect(stranger.host.counter("IpReasmOKs")).toBe(1)
    expect(stranger.host.host.nextDeadline()).toBe(-1)
  })

  test("of two datagrams, mixed: each is put together by itself", () => {
    const stranger = met()
    const next = listening(stranger)
    const [x, y] = [fragments(udpFrame(pattern(4000, 1))), fragments(udpFrame(pattern(4000, 2), { identification: 2 }))]
    for (const [index, frame] of x.entries()) {
      stranger.send(frame)
      const other = y[index]
      if (other !== undefined) stranger.send(other)
    }
    expect([next(), next()]).toEqual([digest(pattern(4000, 1)), digest(pattern(4000, 2))])
  })

  test("of a datagram with a wrong checksum: dropped as a whole", () => {
    const stranger = met()
    const next = listening(stranger)
    const frame = udpFrame(pattern(4000))
    frame[3000] = (frame[3000] ?? 0) ^ 1
    for (const each of fragments(frame)) stranger.send(each)
    expect(next()).toBeUndefined()
    expect(stranger.host.drops).toEqual(["udp:bad-checksum"])
  })

  test("for a port that nobody has: port unreachable, quoting the whole's header", () => {
    const stranger = met()
    const seen = fragments(udpFrame(pattern(4000))).flatMap((frame) => stranger.send(frame))
    expect(seen.map(brief)).toEqual(["icmp DestinationUnreachable"])
  })

  test("of an echo request: answered in fragments", () => {
    const stranger = met()
    const echo = { _tag: "EchoRequest", identifier: 1, sequence: 1, payload: pattern(4000) } as const
    stranger.host.frames = []
    for (const frame of fragments(icmpFrame(echo))) stranger.send(frame)
    expect(stranger.host.frames.map(({ length }) => length - LINK)).toEqual([1500, 1500, 1068])
  })

  test("of a TCP segment: put together, and the handshake goes on (what we send of TCP is never fragmented)", () => {
    const stranger = met()
    stranger.host.listen(7)
    const { seq } = segmentOf(stranger.send(tcpFrame({ seq: 1000, flags: SYN }))[0])
    const data = tcpFrame({ seq: 1001, ack: seq + 1, flags: ACK, payload: pattern(1200) })
    const answers = fragments(data, 576).flatMap((frame) => stranger.send(frame))
    expect(answers.map((seen) => segmentOf(seen).ack)).toEqual([2201])
  })

  test("spoofed as from ourselves, or from everybody: not held", () => {
    const stranger = met()
    stranger.send(piece({ offset: 0, length: 8, source: A }))
    stranger.send(piece({ offset: 0, length: 8, source: ipv4(0xffffffff) }))
    expect(stranger.host.drops).toEqual(["ipv4:bad-source", "ipv4:bad-source"])
    expect(stranger.host.counter("IpReasmReqds")).toBe(0)
  })
})

describe("fragments of a datagram that is never whole", () => {
  const icmpIn = (seen: ReadonlyArray<readonly [number, Seen]>) => seen.filter(([, { kind }]) => kind === "icmp")

  const isExpiry = (seen: Seen | undefined): boolean =>
    seen?.kind === "icmp" && seen.icmp._tag === "TimeExceeded" && seen.icmp.code === REASSEMBLY_TIME_EXCEEDED

  test("the first among them: after 30 s time exceeded, code 1, quoting it", () => {
    const stranger = met()
    const [first, , third] = fragments(udpFrame(pattern(4000)))
    for (const frame of [third, first]) if (frame !== undefined) stranger.send(frame)
    const seen = icmpIn(stranger.wait(60 * SECOND))
    expect(seen.map(([at]) => at)).toEqual([30 * SECOND])
    const [[, answer] = []] = seen
    expect(isExpiry(answer)).toBe(true)
    const quoted = answer?.kind === "icmp" && "quoted" in answer.icmp ? answer.icmp.quoted : undefined
    expect(quoted).toEqual(first?.slice(LINK, LINK + 548))
    expect([stranger.host.counter("IpReasmTimeout"), stranger.host.counter("IpReasmFails")]).toEqual([1, 1])
  })

  test("the first not among them: silence (RFC 792)", () => {
    const stranger = met()
    const [, second] = fragments(udpFrame(pattern(4000)))
    if (second !== undefined) stranger.send(second)
    expect(stranger.wait(60 * SECOND)).toEqual([])
    expect(stranger.host.counter("IpReasmTimeout")).toBe(1)
  })

  test("sent to everybody: silence (RFC 1122 section 3.2.2)", () => {
    const stranger = met()
    const [first] = fragments(udpFrame(pattern(4000), { destination: ipv4(0xc612ffff) }, 0xffff_ffff_ffff as never))
    if (first !== undefined) stranger.send(first)
    expect(stranger.wait(60 * SECOND)).toEqual([])
    expect(stranger.host.counter("IpReasmTimeout")).toBe(1)
  })

  test("ipfragTime says how long", () => {
    const stranger = met({ ipfragTime: 5 * SECOND })
    stranger.send(piece({ offset: 0, length: 8 }))
    expect(icmpIn(stranger.wait(60 * SECOND)).map(([at]) => at)).toEqual([5 * SECOND])
  })
})

describe("attacks by fragments", () => {
  test("teardrop: thrown away, and the host goes on", () => {
    const stranger = met()
    const next = listening(stranger)
    expect(stranger.send(piece({ offset: 0, length: 40 }))).toEqual([])
    expect(stranger.send(piece({ offset: 24, length: 4, more: false }))).toEqual([])
    expect(stranger.host.drops).toEqual(["RFC791-3.2:ends-disagree"])
    stranger.send(udpFrame(pattern(10)))
    expect(next()).toBe(digest(pattern(10)))
  })

  test("ping of death: refused before anything is held", () => {
    const stranger = met()
    stranger.send(piece({ offset: 65528, length: 1000, more: false }))
    expect(stranger.host.drops).toEqual(["RFC791-3.1:longer-than-65535"])
    expect(stranger.host.host.nextDeadline()).toBe(-1)
  })

  test("jolt: the same in many pieces that add up to more than 65535", () => {
    const stranger = met()
    for (let offset = 0; offset < 65_520; offset += 1480) stranger.send(piece({ offset, length: 1480 }))
    expect(stranger.host.drops).toEqual(["RFC791-3.1:longer-than-65535"])
  })

  /** A reassembler alone, to look into. */
  const alone = () => {
    const drops: Array<string> = []
    const deadlines = new Deadlines<Scheduled>()
    const settings = { family: 4, lifetime: 30 * SECOND, highThresh: 4 * 1024 * 1024 } as const
    const hooks = { counters: new Counters(), drop: (why: string) => void drops.push(why), expired: () => {} }
    const reassembler = new Reassembler(settings, deadlines, hooks)
    const put = (frame: Uint8Array): Uint8Array | undefined => {
      const packet = decodeIpv4(frame, LINK, frame.length - LINK)
      if (typeof packet === "string") throw new Error(packet)
      return fragment4Arrives(reassembler, 0, packet, frame, 0)
    }
    return { reassembler, deadlines, drops, put }
  }

  test("rose: first and last pieces of datagrams without end: a source holds its share, and no more", () => {
    const { reassembler, drops, put } = alone()
    for (let identification = 0; identification < 20_000; identification++) {
      put(piece({ offset: 0, length: 32, identification }))
      put(piece({ offset: 65_000, length: 32, identification, more: false }))
    }
    expect(reassembler.memory).toBeLessThanOrEqual(1024 * 1024)
    expect(new Set(drops)).toEqual(new Set(["netfold:ipfrag-source-share"]))
  })

  test("the same from many sources: ipfragHighThresh holds, the oldest give way, and an honest datagram comes through", () => {
    const { reassembler, drops, put } = alone()
    const flood = (from: number, to: number): void => {
      for (let n = from; n < to; n++) {
        const source = ipv4(0xc6121000 + (n % 3000))
        put(piece({ offset: 8, length: 1400, identification: n & 0xffff, source }))
      }
    }
    flood(0, 20_000)
    const [first, ...rest] = fragments(udpFrame(pattern(9000)))
    if (first !== undefined) put(first)
    // Less than what is held at once.
    flood(20_000, 22_000)
    const results = rest.map(put)
    expect(results.at(-1)?.length).toBe(20 + 8 + 9000)
    expect(reassembler.memory).toBeLessThanOrEqual(4 * 1024 * 1024)
    expect(new Set(drops)).toEqual(new Set(["Linux:ipfrag_high_thresh"]))
  })

  test("new dawn: one datagram in pieces of eight octets, the last never: bounded, and over with its time", () => {
    const { reassembler, deadlines, put } = alone()
    for (let offset = 0; offset < 65_000; offset += 16) put(piece({ offset, length: 8 }))
    expect(reassembler.memory).toBeLessThanOrEqual(1024 * 1024)
    reassembler.timeout(31 * SECOND)
    expect([reassembler.memory, deadlines.next()]).toEqual([0, -1])
  })
})

describe("fragments over IPv6", () => {
  const NODE = ipv6(0x20010db8, 0, 0, 1)
  const PEER = ipv6(0x20010db8, 0, 0, 2)

  const reassembling = () => {
    const drops: Array<string> = []
    const expired: Array<Uint8Array> = []
    const deadlines = new Deadlines<Scheduled>()
    const counters = new Counters()
    const settings = { family: 6, lifetime: 60 * SECOND, highThresh: 1 << 20 } as const
    const reassembler = new Reassembler(settings, deadlines, {
      counters,
      drop: (why) => void drops.push(why),
      expired: (_, first) => void expired.push(first),
    })
    const arrives = (bytes: Uint8Array) => {
      const packet = decodeIpv6(bytes, 0, bytes.length)
      if (typeof packet === "string") throw new Error(packet)
      const walk = walkExtensions(bytes, packet)
      if (typeof walk === "string" || walk._tag !== "Fragment") return walk
      return fragment6Arrives(reassembler, 0, walk, bytes, 0)
    }
    return { arrives, drops, expired, reassembler, deadlines, counters }
  }

  const datagram = (length: number): Uint8Array => {
    const out = new Uint8Array(IPV6_HEADER + 8 + length)
    const header = { source: PEER, destination: NODE, trafficClass: 0, flowLabel: 0, hopLimit: 64 }
    writeIpv6(out, 0, { ...header, nextHeader: 17, payloadLength: 8 + length })
    encodeUdp(out, IPV6_HEADER, {
      source: PEER,
      destination: NODE,
      sourcePort: 1,
      destinationPort: 2,
      payload: pattern(length),
    })
    return out
  }

  /** A fragment made by hand. */
  const raw = (offset: number, length: number, more: boolean, nextHeader = 17): Uint8Array => {
    const out = new Uint8Array(IPV6_HEADER + FRAGMENT_HEADER + length)
    const header = { source: PEER, destination: NODE, trafficClass: 0, flowLabel: 0, hopLimit: 64 }
    writeIpv6(out, 0, { ...header, nextHeader: 44, payloadLength: FRAGMENT_HEADER + length })
    writeFragmentHeader(out, IPV6_HEADER, { nextHeader, offset, more, identification: 9 })
    return out
  }

  test("what fragment makes is put together again, octet for octet", () => {
    const { arrives } = reassembling()
    const whole = datagram(5000)
    const results = [...(fragment(whole, 0, 1280, 77) ?? [])].reverse().map(arrives)
    expect(results.slice(0, -1)).toEqual(new Array(results.length - 1).fill(undefined))
    expect(results.at(-1)).toEqual(whole)
  })

  test("an atomic fragment: whole by itself, whatever is held under its identification (RFC 6946)", () => {
    const { arrives, reassembler } = reassembling()
    expect(arrives(raw(8, 8, true))).toBeUndefined()
    const held = reassembler.memory
    expect(arrives(raw(0, 16, false))).toMatchObject({ _tag: "Upper", packet: { protocol: 17, payloadLength: 16 } })
    expect(reassembler.memory).toBe(held)
  })

  test("overlapping: all of it thrown away, those yet to come too, in silence to the end (RFC 5722)", () => {
    const { arrives, drops, expired, reassembler, counters } = reassembling()
    expect([raw(0, 16, true), raw(8, 16, true), raw(24, 8, false)].map(arrives)).toEqual([
      undefined,
      undefined,
      undefined,
    ])
    expect(drops).toEqual(["RFC5722-4:overlap", "RFC5722-4:of-a-discarded-datagram"])
    reassembler.timeout(60 * SECOND)
    expect([expired, reassembler.memory, counters.values["Ip6ReasmTimeout"]]).toEqual([[], 0, 0])
  })

  test("a first fragment without the whole header chain: refused (RFC 7112)", () => {
    const { arrives } = reassembling()
    expect(arrives(raw(0, 8, true, 6))).toMatchObject({ _tag: "Problem", code: 3, pointer: 0 })
    expect(arrives(raw(0, 24, true, 6))).toBeUndefined()
  })

  test("never whole: over after 60 s", () => {
    const { arrives, deadlines, reassembler, expired } = reassembling()
    arrives(raw(0, 16, true))
    expect(deadlines.next()).toBe(60 * SECOND)
    reassembler.timeout(60 * SECOND)
    expect([expired.length, reassembler.memory]).toEqual([1, 0])
  })
})
