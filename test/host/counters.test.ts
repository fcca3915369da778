import { describe, expect, test } from "bun:test"
import type { HostApi, SocketId } from "../../src/host/types.ts"
import { defaultUdpOptions } from "../../src/host/udp/types.ts"
import { type IpAddress, ipv4, ipv6 } from "../../src/wire/address.ts"
import { HOST_UNREACHABLE } from "../../src/wire/icmp.ts"
import { A, A6, B, B6, MAC_B, type Node, type NodeOptions, pattern } from "./lab.ts"
import { icmp6Frame, icmpFrame, ip6Frame, ipFrame, ndpFrame, Stranger, udpFrame } from "./stranger.ts"

/** What /proc/net/snmp and snmp6 call it (RFC 2011, 2466 and 4293), and what a frame must change of it. */

type Counts = Readonly<Record<string, number>>

const groups = /^(Ip|Icmp)6?(In|Out|Forw|Reasm|Frag)/

const looked = (stranger: Stranger): Counts =>
  Object.fromEntries(Object.entries({ ...stranger.host.host.counters }).filter(([name]) => groups.test(name)))

/** The counters that a frame changes, and by how much. */
const changes = (stranger: Stranger, frame: Uint8Array): Counts => {
  const before = looked(stranger)
  stranger.send(frame)
  const after = Object.entries(looked(stranger)).map(([name, value]) => [name, value - (before[name] ?? 0)] as const)
  return Object.fromEntries(after.filter(([, change]) => change !== 0))
}

const altered = (frame: Uint8Array, at: number): Uint8Array =>
  frame.map((octet, i) => (i === at ? octet ^ 0x55 : octet))

const echo = { _tag: "EchoRequest", identifier: 1, sequence: 1, payload: pattern(8) } as const
const UDP = 17
const NOBODYS = 253

describe("counters of IPv4 and ICMP", () => {
  const met = (): Stranger => {
    const stranger = new Stranger()
    stranger.introduce()
    return stranger
  }
  const raw = (protocol: number, more = {}) =>
    ipFrame({ source: B, destination: A, protocol, ...more }, 8, (out, at) => out.set(pattern(8), at))
  const ours = ipFrame({ source: A, destination: B, protocol: UDP }, 8, () => {}).subarray(14)
  const unreachable = { _tag: "DestinationUnreachable", code: HOST_UNREACHABLE, nextHopMtu: 0, quoted: ours } as const

  const received = { IpInReceives: 1 }
  const delivered = { ...received, IpInDelivers: 1 }
  const answered = { IpOutRequests: 1, IcmpOutMsgs: 1 }
  const cases: ReadonlyArray<readonly [string, Uint8Array, Counts]> = [
    [
      "an echo request",
      icmpFrame(echo),
      { ...delivered, ...answered, IcmpInMsgs: 1, IcmpInEchos: 1, IcmpOutEchoReps: 1 },
    ],
    [
      "an echo reply that nobody waits for",
      icmpFrame({ ...echo, _tag: "EchoReply" }),
      { ...delivered, IcmpInMsgs: 1, IcmpInEchoReps: 1 },
    ],
    [
      "ICMP with a wrong checksum",
      altered(icmpFrame(echo), 36),
      { ...delivered, IcmpInMsgs: 1, IcmpInErrors: 1, IcmpInCsumErrors: 1 },
    ],
    ["an error about nothing of ours", icmpFrame(unreachable), { ...delivered, IcmpInMsgs: 1, IcmpInDestUnreachs: 1 }],
    ["UDP to a port that nobody has", udpFrame(pattern(8)), { ...delivered, ...answered, IcmpOutDestUnreachs: 1 }],
    [
      "a protocol that nobody speaks",
      raw(NOBODYS),
      { ...received, IpInUnknownProtos: 1, ...answered, IcmpOutDestUnreachs: 1 },
    ],
    ["a wrong checksum of the header", altered(raw(UDP), 24), { ...received, IpInHdrErrors: 1 }],
    ["to somebody else", raw(UDP, { destination: ipv4(0xc6120063) }), { ...received, IpInAddrErrors: 1 }],
    ["from our own address", raw(UDP, { source: A }), { ...received, IpInAddrErrors: 1 }],
    ["a first fragment", raw(UDP, { moreFragments: true }), { ...received, IpReasmReqds: 1 }],
  ]
  test.each(cases)("%s", (_, frame, expected) => expect(changes(met(), frame)).toEqual(expected))
})

describe("counters of IPv6 and ICMPv6", () => {
  const options: NodeOptions = { address: A6, prefixLength: 64, iface: { dadTransmits: 0 } }
  const ends = { source: B6, destination: A6 }
  const asked = ndpFrame({ _tag: "NeighbourSolicitation", target: A6, sourceMac: MAC_B }, ends)
  const met = (): Stranger => {
    const stranger = new Stranger(options, B6)
    stranger.wait(10_000_000)
    stranger.send(asked)
    return stranger
  }
  const raw = (nextHeader: number, more = {}) =>
    ip6Frame({ ...ends, nextHeader, ...more }, 8, (out, at) => out.set(pattern(8), at))
  const ours = ip6Frame({ source: A6, destination: B6, nextHeader: UDP }, 8, () => {}).subarray(14)

  const received = { Ip6InReceives: 1 }
  const delivered = { ...received, Ip6InDelivers: 1 }
  const answered = { Ip6OutRequests: 1, Icmp6OutMsgs: 1 }
  const cases: ReadonlyArray<readonly [string, Uint8Array, Counts]> = [
    [
      "an echo request",
      icmp6Frame(echo, ends),
      { ...delivered, ...answered, Icmp6InMsgs: 1, Icmp6InEchos: 1, Icmp6OutEchoReplies: 1 },
    ],
    [
      "a neighbour solicitation",
      asked,
      { ...delivered, ...answered, Icmp6InMsgs: 1, Icmp6InNeighborSolicits: 1, Icmp6OutNeighborAdvertisements: 1 },
    ],
    [
      "ICMPv6 with a wrong checksum",
      altered(icmp6Frame(echo, ends), 56),
      { ...delivered, Icmp6InMsgs: 1, Icmp6InErrors: 1, Icmp6InCsumErrors: 1 },
    ],
    [
      "an error about nothing of ours",
      icmp6Frame({ _tag: "PacketTooBig", mtu: 1400, quoted: ours }, ends),
      { ...delivered, Icmp6InMsgs: 1, Icmp6InPktTooBigs: 1 },
    ],
    [
      "a next header that nobody knows",
      raw(NOBODYS),
      { ...received, Ip6InUnknownProtos: 1, ...answered, Icmp6OutParmProblems: 1 },
    ],
    ["shorter than it says", raw(UDP).subarray(0, 60), { ...received, Ip6InHdrErrors: 1 }],
    ["to somebody else", raw(UDP, { destination: ipv6(0x20010db8, 0, 0, 99) }), { ...received, Ip6InAddrErrors: 1 }],
    ["from our own address", raw(UDP, { source: A6 }), { ...received, Ip6InAddrErrors: 1 }],
  ]
  test.each(cases)("%s", (_, frame, expected) => expect(changes(met(), frame)).toEqual(expected))
})

describe("counters of what has no way to go", () => {
  const calls: ReadonlyArray<readonly [string, (node: Node, to: IpAddress) => unknown]> = [
    ["TCP connects", (node, to) => node.tryConnect(to, 7)],
    ["UDP connects", ({ host }, to) => host.udp.connect(udpOf(host), { address: to, port: 7 })],
    ["UDP sends", ({ host, now }, to) => host.udp.send(udpOf(host), pattern(1), { address: to, port: 7 }, now)],
  ]
  const udpOf = (host: HostApi): SocketId => host.udp.socket(defaultUdpOptions)
  const nodes: ReadonlyArray<readonly [string, NodeOptions, IpAddress]> = [
    ["IpOutNoRoutes", {}, ipv4(0x08080808)],
    ["Ip6OutNoRoutes", { address: A6, prefixLength: 64, iface: { dadTransmits: 0 } }, ipv6(0x20010db8, 99, 0, 1)],
  ]
  for (const [counter, options, to] of nodes) {
    test.each(calls)(`%s: ${counter}`, (_, call) => {
      const { host } = new Stranger(options)
      expect(call(host, to)).toMatchObject({ errno: "ENETUNREACH" })
      expect(host.counter(counter)).toBe(1)
    })
  }
})
