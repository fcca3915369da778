import { describe, expect, test } from "bun:test"
import { BROADCAST4, type IpAddress, ipv4 } from "../../src/wire/address.ts"
import { BROADCAST_MAC } from "../../src/wire/ethernet.ts"
import {
  HOST_UNREACHABLE,
  type IcmpMessage,
  PORT_UNREACHABLE,
  PROTOCOL_UNREACHABLE,
  TTL_EXCEEDED,
} from "../../src/wire/icmp.ts"
import { decodeQuote } from "../../src/wire/quote.ts"
import { ACK, SYN } from "../../src/wire/tcpSegment.ts"
import { A, B, C, digest, pattern, SECOND } from "./lab.ts"
import { brief, icmpFrame, ipFrame, type Seen, Stranger, segmentOf, tcpFrame, udpFrame } from "./stranger.ts"

const met = (options = {}): Stranger => {
  const stranger = new Stranger(options)
  stranger.introduce()
  return stranger
}

const echo = (payload: Uint8Array, sequence = 1): IcmpMessage => ({
  _tag: "EchoRequest",
  identifier: 0x1234,
  sequence,
  payload,
})

const icmpOf = (seen: Seen | undefined): IcmpMessage => {
  if (seen?.kind !== "icmp") throw new Error("not ICMP")
  return seen.icmp
}

describe("an echo request", () => {
  test("every size that fits, odd ones too: the same octets come back", () => {
    const stranger = met()
    for (let size = 0; size <= 1472; size++) {
      const payload = pattern(size, size)
      const reply = icmpOf(stranger.send(icmpFrame(echo(payload, size)))[0])
      if (reply._tag !== "EchoReply") throw new Error(`${size}: ${reply._tag}`)
      expect([reply.identifier, reply.sequence, digest(reply.payload)]).toEqual([0x1234, size, digest(payload)])
    }
  })

  test("jumbo frames: the largest that fits", () => {
    const payload = pattern(8972)
    const reply = icmpOf(met({ mtu: 9000 }).send(icmpFrame(echo(payload)))[0])
    expect(reply._tag === "EchoReply" ? digest(reply.payload) : reply._tag).toBe(digest(payload))
  })

  test("link padding behind the packet: not echoed", () => {
    const frame = icmpFrame(echo(pattern(3)))
    const padded = new Uint8Array(60)
    padded.set(frame)
    const reply = icmpOf(met().send(padded)[0])
    expect(reply._tag === "EchoReply" ? reply.payload.length : -1).toBe(3)
  })

  test("IP options in it: answered without them", () => {
    const options = Uint8Array.of(7, 7, 4, 0, 0, 0, 0, 0)
    const reply = icmpOf(met().send(icmpFrame(echo(pattern(8)), { options }))[0])
    expect(reply).toMatchObject({ _tag: "EchoReply", sequence: 1 })
  })

  test("the answer comes from the address that was asked", () => {
    const [reply] = met().send(icmpFrame(echo(pattern(8))))
    expect(reply).toMatchObject({ from: A, to: B })
  })

  const toEverybody: ReadonlyArray<readonly [string, IpAddress]> = [
    ["the network's broadcast address", ipv4(0xc61200ff)],
    ["255.255.255.255", BROADCAST4],
    ["all hosts, 224.0.0.1", ipv4(0xe0000001)],
  ]
  test.each(toEverybody)("smurf: to %s: not answered", (_, destination) => {
    const stranger = met()
    expect(stranger.send(icmpFrame(echo(pattern(8)), { destination }, BROADCAST_MAC))).toEqual([])
  })

  const badSources: ReadonlyArray<readonly [string, IpAddress]> = [
    ["the network's broadcast address", ipv4(0xc61200ff)],
    ["255.255.255.255", BROADCAST4],
    ["a multicast address", ipv4(0xe0000001)],
    ["loopback", ipv4(0x7f000001)],
    ["our own address", A],
    ["class E", ipv4(0xf0000001)],
    ["0.0.0.0", ipv4(0)],
  ]
  test.each(badSources)("from %s: not answered, nobody is looked for", (_, source) => {
    expect(met().send(icmpFrame(echo(pattern(8)), { source }))).toEqual([])
  })

  test("a bad ICMP checksum: dropped", () => {
    const stranger = met()
    const frame = icmpFrame(echo(pattern(8)))
    frame[frame.length - 1] = (frame.at(-1) ?? 0) ^ 1
    expect(stranger.send(frame)).toEqual([])
    expect(stranger.host.drops).toEqual(["icmp:bad-checksum"])
  })

  test("a reply that nobody asked for, a timestamp request, a redirect: dropped", () => {
    const stranger = met()
    expect(stranger.send(icmpFrame({ ...echo(pattern(8)), _tag: "EchoReply" } as IcmpMessage))).toEqual([])
    for (const type of [5, 13, 17]) {
      expect(stranger.send(icmpFrame({ _tag: "Other", type, code: 0, rest: 0, payload: pattern(20) }))).toEqual([])
    }
  })

  test("from a network that no route leads to: dropped, not sent anywhere", () => {
    const stranger = met()
    expect(stranger.send(icmpFrame(echo(pattern(8)), { source: ipv4(0x08080808) }))).toEqual([])
    expect(stranger.host.drops).toEqual(["ip:no-route"])
  })
})

describe("a datagram that nobody takes", () => {
  test("UDP: port unreachable, quoting its IP header and eight octets and more", () => {
    const stranger = met()
    const frame = udpFrame(pattern(100))
    const message = icmpOf(stranger.send(frame)[0])
    if (message._tag !== "DestinationUnreachable") throw new Error(message._tag)
    expect(message.code).toBe(PORT_UNREACHABLE)
    expect(message.quoted).toEqual(frame.subarray(14))
    expect(decodeQuote(message.quoted)).toMatchObject({ sourcePort: 5353, destinationPort: 9999 })
  })

  test("a large one: the error's datagram has at most 576 octets (RFC 1812 section 4.3.2.3)", () => {
    const message = icmpOf(met().send(udpFrame(pattern(1400)))[0])
    expect(message._tag === "DestinationUnreachable" ? message.quoted.length : 0).toBe(548)
  })

  test("UDP with a bad checksum: dropped in silence, as Linux does", () => {
    const frame = udpFrame(pattern(100))
    frame[frame.length - 1] = (frame.at(-1) ?? 0) ^ 1
    expect(met().send(frame)).toEqual([])
  })

  test("an unknown protocol: protocol unreachable", () => {
    const message = icmpOf(met().send(ipFrame({ protocol: 132 }, 20, () => {}))[0])
    expect(message).toMatchObject({ _tag: "DestinationUnreachable", code: PROTOCOL_UNREACHABLE })
  })

  test.each([
    ["UDP", udpFrame(pattern(20), { destination: BROADCAST4 }, BROADCAST_MAC)],
    ["UDP to the network", udpFrame(pattern(20), { destination: ipv4(0xc61200ff) }, BROADCAST_MAC)],
    ["an unknown protocol", ipFrame({ protocol: 132, destination: BROADCAST4 }, 20, () => {}, BROADCAST_MAC)],
    ["UDP to a multicast group", udpFrame(pattern(20), { destination: ipv4(0xe0000001) }, BROADCAST_MAC)],
  ])("%s, sent to everybody: no error (RFC 1122 section 3.2.2)", (_, frame) => {
    expect(met().send(frame)).toEqual([])
  })

  test("a fragment of one, not the first: no error", () => {
    expect(met().send(ipFrame({ protocol: 17, fragmentOffset: 64 }, 20, () => {}))).toEqual([])
  })

  test("a thousand at once: fifty errors, then a thousand a second", () => {
    const stranger = met()
    const burst = (n: number): number => {
      let errors = 0
      for (let i = 0; i < n; i++) errors += stranger.send(udpFrame(pattern(10))).length
      return errors
    }
    expect(burst(1000)).toBe(50)
    expect(stranger.host.drops.filter((why) => why === "icmp:rate-limit")).toHaveLength(950)
    stranger.wait(0.01 * SECOND)
    expect(burst(100)).toBe(10)
    stranger.wait(10 * SECOND)
    stranger.introduce()
    expect(burst(1000)).toBe(50)
  })

  test("while errors are limited: echo is answered still", () => {
    const stranger = met()
    for (let i = 0; i < 100; i++) stranger.send(udpFrame(pattern(10)))
    expect(stranger.send(icmpFrame(echo(pattern(8)))).map(brief)).toEqual(["icmp EchoReply"])
  })
})

describe("an ICMP error about a connection of ours", () => {
  /** The error that a router sends about a segment that we sent. */
  const about = (frame: Uint8Array, message: Partial<IcmpMessage>): Uint8Array =>
    icmpFrame({
      _tag: "DestinationUnreachable",
      code: HOST_UNREACHABLE,
      nextHopMtu: 0,
      ...message,
      quoted: frame.subarray(14, 14 + 28),
    } as IcmpMessage)

  const connecting = () => {
    const stranger = met()
    const socket = stranger.host.connect(B, 80, {}, 5000)
    const syn = segmentOf(stranger.answers()[0])
    const frame = tcpFrame({
      source: A,
      destination: B,
      sourcePort: 5000,
      destinationPort: 80,
      seq: syn.seq,
      flags: SYN,
    })
    return { stranger, socket, syn, frame }
  }

  const outcomes: ReadonlyArray<readonly [string, string, Partial<IcmpMessage>]> = [
    ["host unreachable", "HostUnreachable", { code: HOST_UNREACHABLE }],
    ["port unreachable", "ConnectionRefused", { code: PORT_UNREACHABLE }],
    ["protocol unreachable", "ConnectionRefused", { code: PROTOCOL_UNREACHABLE }],
    ["time exceeded", "HostUnreachable", { _tag: "TimeExceeded", code: TTL_EXCEEDED }],
  ]
  test.each(outcomes)("SYN-SENT, %s: the attempt ends with %s", (_, reason, message) => {
    const { stranger, socket, frame } = connecting()
    stranger.send(about(frame, message))
    expect(stranger.host.reason(socket)).toBe(reason)
    expect(stranger.host.heard(socket)).toEqual(["closed"])
  })

  test("SYN-SENT, an error about another sequence number: it goes on (RFC 5927 section 4.1)", () => {
    const { stranger, socket, syn } = connecting()
    const other = tcpFrame({
      source: A,
      destination: B,
      sourcePort: 5000,
      destinationPort: 80,
      seq: syn.seq + 1,
      flags: SYN,
    })
    stranger.send(about(other, {}))
    expect(stranger.host.state(socket)).toBe("SYN-SENT")
  })

  test("ESTABLISHED, any error: it goes on", () => {
    const { stranger, socket, syn, frame } = connecting()
    stranger.tcp({ sourcePort: 80, destinationPort: 5000, seq: 100, ack: syn.seq + 1, flags: SYN | ACK })
    for (const [, , message] of outcomes) stranger.send(about(frame, message))
    expect(stranger.host.state(socket)).toBe("ESTABLISHED")
  })

  test.each([
    ["nothing", new Uint8Array(0)],
    ["half a header", pattern(13)],
    ["noise", pattern(60)],
    ["a header without ports", tcpFrame({ flags: SYN }).slice(14, 34)],
    ["somebody else's segment", tcpFrame({ source: C, flags: SYN }).slice(14, 42)],
  ])("quoting %s: dropped", (_, quoted) => {
    const { stranger, socket } = connecting()
    const error: IcmpMessage = { _tag: "DestinationUnreachable", code: HOST_UNREACHABLE, nextHopMtu: 0, quoted }
    expect(stranger.send(icmpFrame(error))).toEqual([])
    expect(stranger.host.state(socket)).toBe("SYN-SENT")
  })
})
