import { memoryPair } from "../../src/device/memory.ts"
import type { Micros } from "../../src/tcp/time.ts"
import { type IpAddress, ipv4, type MacAddress } from "../../src/wire/address.ts"
import { ARP_LENGTH, ARP_REPLY, ARP_REQUEST, type ArpPacket, decodeArp, encodeArp } from "../../src/wire/arp.ts"
import {
  BROADCAST_MAC,
  decodeEthernet,
  ETHERNET_HEADER,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  NO_MAC,
  writeEthernet,
} from "../../src/wire/ethernet.ts"
import { decodeIcmp, encodeIcmp, ICMP_HEADER, type IcmpMessage } from "../../src/wire/icmp.ts"
import { decodeIcmpv6, encodeIcmpv6, type Icmpv6Message, icmpv6Length } from "../../src/wire/icmpv6.ts"
import {
  decodeIpv4,
  IPV4_HEADER,
  type Ipv4Header,
  isFragment,
  PROTOCOL_ICMP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  writeIpv4,
} from "../../src/wire/ipv4.ts"
import { decodeIpv6, IPV6_HEADER, type Ipv6Header, NEXT_HEADER_ICMPV6, writeIpv6 } from "../../src/wire/ipv6.ts"
import { walkExtensions } from "../../src/wire/ipv6Extension.ts"
import { decodeNdp, encodeNdp, isNdp, NDP_HOP_LIMIT, type NdpMessage, ndpLength } from "../../src/wire/ndp.ts"
import { decodeTcp, encodeTcp } from "../../src/wire/tcp.ts"
import {
  ACK,
  EMPTY,
  FIN,
  NO_OPTIONS,
  RST,
  type Segment,
  SYN,
  type TcpOptions,
  type TcpPacket,
} from "../../src/wire/tcpSegment.ts"
import { encodeUdp } from "../../src/wire/udp.ts"
import { A, B, MAC_A, MAC_B, Node, type NodeOptions, SECOND } from "./lab.ts"

/** A frame that the host has sent, read. */
export type Seen =
  | { readonly kind: "arp"; readonly to: MacAddress; readonly arp: ArpPacket }
  | {
      readonly kind: "icmp"
      readonly mac: MacAddress
      readonly to: IpAddress
      readonly from: IpAddress
      readonly icmp: IcmpMessage
    }
  | {
      readonly kind: "tcp"
      readonly mac: MacAddress
      readonly to: IpAddress
      readonly from: IpAddress
      readonly segment: Segment
      readonly ports: string
    }
  | {
      readonly kind: "icmpv6"
      readonly mac: MacAddress
      readonly to: IpAddress
      readonly from: IpAddress
      readonly hopLimit: number
      readonly message: Icmpv6Message | NdpMessage
    }
  | { readonly kind: "other"; readonly bytes: Uint8Array }

export interface TcpFields {
  readonly source?: IpAddress
  readonly destination?: IpAddress
  readonly sourcePort?: number
  readonly destinationPort?: number
  readonly seq?: number
  readonly ack?: number
  readonly flags: number
  readonly wnd?: number
  readonly options?: Partial<TcpOptions>
  readonly payload?: Uint8Array
  readonly mac?: MacAddress
}

/** One host, and a peer made by hand that sends it whatever it likes. */
export class Stranger {
  now: Micros = SECOND
  readonly host: Node
  readonly address: IpAddress
  private readonly wire

  constructor(options: NodeOptions = {}, address: IpAddress = B) {
    const [left, right] = memoryPair({ capacity: 8192, mtu: 65_000, macs: [MAC_A, MAC_B] })
    this.host = new Node(left, { address: A, mac: MAC_A, ...options }, this)
    this.wire = right
    this.address = address
  }

  /** Puts a frame on the wire; the host has not looked yet. */
  put(frame: Uint8Array): void {
    const memory = this.wire.reserve(frame.length)
    if (memory === undefined) throw new Error("the wire is full")
    memory.set(frame)
    this.wire.commit(frame.length, NO_OFFLOAD)
    this.wire.flush()
  }

  /** What the host sends until it falls silent. */
  answers(): ReadonlyArray<Seen> {
    const seen: Array<Seen> = []
    for (let turns = 0; this.host.turn(); turns++) if (turns > 10_000) throw new Error("the host never falls silent")
    this.wire.receive((f) => seen.push(read(f.bytes.slice(f.offset, f.offset + f.length))), 10_000)
    return seen
  }

  /** Sends a frame; what comes back. */
  send(frame: Uint8Array): ReadonlyArray<Seen> {
    this.put(frame)
    return this.answers()
  }

  /** Answers of TCP alone, in short. */
  tcp(fields: TcpFields): ReadonlyArray<string> {
    return this.send(tcpFrame({ source: this.address, ...fields })).map(brief)
  }

  /** Time goes by, from timer to timer; what the host sends meanwhile, with its times from now on. */
  wait(duration: Micros): ReadonlyArray<readonly [Micros, Seen]> {
    const start = this.now
    const end = start + duration
    const seen: Array<readonly [Micros, Seen]> = []
    const note = (): void => {
      for (const one of this.answers()) seen.push([this.now - start, one])
    }
    note()
    for (;;) {
      const next = this.host.host.nextDeadline()
      if (next < 0 || next > end) break
      this.now = Math.max(this.now, next)
      note()
    }
    this.now = end
    note()
    return seen
  }

  /** The host learns our link address. */
  introduce(mac: MacAddress = MAC_B, address: IpAddress = this.address): void {
    this.send(arpFrame({ operation: ARP_REQUEST, senderMac: mac, senderAddress: address, targetAddress: A }))
  }
}

const NO_OFFLOAD = { checksumStart: 0, checksumOffset: 0, segmentSize: 0, headerLength: 0, family: 4 } as const

export const arpFrame = (fields: {
  readonly operation: number
  readonly senderMac?: MacAddress
  readonly senderAddress?: IpAddress
  readonly targetMac?: MacAddress
  readonly targetAddress?: IpAddress
  readonly to?: MacAddress
}): Uint8Array => {
  const senderMac = fields.senderMac ?? MAC_B
  const out = new Uint8Array(ETHERNET_HEADER + ARP_LENGTH)
  const destination = fields.to ?? (fields.operation === ARP_REQUEST ? BROADCAST_MAC : MAC_A)
  writeEthernet(out, 0, { destination, source: senderMac, etherType: ETHERTYPE_ARP })
  encodeArp(out, ETHERNET_HEADER, {
    operation: fields.operation,
    senderMac,
    senderAddress: fields.senderAddress ?? B,
    targetMac: fields.targetMac ?? (fields.operation === ARP_REPLY ? MAC_A : NO_MAC),
    targetAddress: fields.targetAddress ?? A,
  })
  return out
}

/** An IPv4 packet in a frame, its payload written by `write`. */
export const ipFrame = (
  header: Partial<Ipv4Header>,
  length: number,
  write: (out: Uint8Array, offset: number) => void,
  mac: MacAddress = MAC_A,
): Uint8Array => {
  const options = header.options ?? EMPTY
  const out = new Uint8Array(ETHERNET_HEADER + IPV4_HEADER + options.length + length)
  writeEthernet(out, 0, { destination: mac, source: MAC_B, etherType: ETHERTYPE_IPV4 })
  const size = writeIpv4(out, ETHERNET_HEADER, {
    source: B,
    destination: A,
    protocol: PROTOCOL_TCP,
    ttl: 64,
    tos: 0,
    identification: 1,
    dontFragment: false,
    moreFragments: false,
    fragmentOffset: 0,
    ...header,
    options,
    payloadLength: length,
  })
  write(out, ETHERNET_HEADER + size)
  return out
}

const tcpPacket = (f: TcpFields, source: IpAddress, destination: IpAddress): TcpPacket => ({
  source,
  destination,
  sourcePort: f.sourcePort ?? 40_000,
  destinationPort: f.destinationPort ?? 7,
  segment: {
    seq: f.seq ?? 0,
    ack: f.ack ?? 0,
    flags: f.flags,
    wnd: f.wnd ?? 65_535,
    up: 0,
    options: { ...NO_OPTIONS, ...f.options },
    payload: f.payload ?? EMPTY,
  },
})

export const tcpFrame = (f: TcpFields): Uint8Array => {
  const packet = tcpPacket(f, f.source ?? B, f.destination ?? A)
  const scratch = new Uint8Array(70_000)
  const length = encodeTcp(scratch, 0, packet, "linux")
  const { source, destination } = packet
  return ipFrame({ source, destination }, length, (out, at) => out.set(scratch.subarray(0, length), at), f.mac)
}

export const icmpFrame = (message: IcmpMessage, header: Partial<Ipv4Header> = {}, mac?: MacAddress): Uint8Array => {
  const body = "quoted" in message ? message.quoted : message.payload
  const length = ICMP_HEADER + body.length
  return ipFrame({ protocol: PROTOCOL_ICMP, ...header }, length, (out, at) => encodeIcmp(out, at, message), mac)
}

export const udpFrame = (payload: Uint8Array, header: Partial<Ipv4Header> = {}, mac?: MacAddress): Uint8Array => {
  const source = header.source ?? B
  const destination = header.destination ?? A
  const packet = { source, destination, sourcePort: 5353, destinationPort: 9999, payload }
  const write = (out: Uint8Array, at: number) => encodeUdp(out, at, packet)
  return ipFrame({ protocol: PROTOCOL_UDP, ...header }, 8 + payload.length, write, mac)
}

/** An IPv6 packet in a frame, its payload written by `write`. */
export const ip6Frame = (
  header: Pick<Ipv6Header, "source" | "destination"> & Partial<Ipv6Header>,
  length: number,
  write: (out: Uint8Array, offset: number) => void,
  mac: MacAddress = MAC_A,
): Uint8Array => {
  const out = new Uint8Array(ETHERNET_HEADER + IPV6_HEADER + length)
  writeEthernet(out, 0, { destination: mac, source: MAC_B, etherType: ETHERTYPE_IPV6 })
  writeIpv6(out, ETHERNET_HEADER, {
    trafficClass: 0,
    flowLabel: 0,
    nextHeader: NEXT_HEADER_ICMPV6,
    hopLimit: 64,
    ...header,
    payloadLength: length,
  })
  write(out, ETHERNET_HEADER + IPV6_HEADER)
  return out
}

type Ends = Pick<Ipv6Header, "source" | "destination"> & Partial<Ipv6Header>

export const ndpFrame = (message: NdpMessage, ends: Ends, mac?: MacAddress): Uint8Array => {
  const { source, destination } = ends
  const write = (out: Uint8Array, at: number) => encodeNdp(out, at, message, source, destination)
  return ip6Frame({ hopLimit: NDP_HOP_LIMIT, ...ends }, ndpLength(message), write, mac)
}

export const icmp6Frame = (message: Icmpv6Message, ends: Ends, mac?: MacAddress): Uint8Array => {
  const { source, destination } = ends
  const write = (out: Uint8Array, at: number) => encodeIcmpv6(out, at, message, source, destination)
  return ip6Frame(ends, icmpv6Length(message), write, mac)
}

/** TCP over IPv6; without a MAC, to the host. */
export const tcp6Frame = (
  f: TcpFields & { readonly source: IpAddress; readonly destination: IpAddress },
): Uint8Array => {
  const { source, destination } = f
  const scratch = new Uint8Array(70_000)
  const length = encodeTcp(scratch, 0, tcpPacket(f, source, destination), "linux")
  const write = (out: Uint8Array, at: number) => out.set(scratch.subarray(0, length), at)
  return ip6Frame({ source, destination, nextHeader: PROTOCOL_TCP }, length, write, f.mac)
}

const read6 = (bytes: Uint8Array, offset: number, length: number, mac: MacAddress): Seen => {
  const packet = decodeIpv6(bytes, offset, length)
  if (typeof packet === "string") throw new Error(`the host sent a bad packet: ${packet}`)
  const walk = walkExtensions(bytes, packet)
  if (typeof walk === "string" || walk._tag !== "Upper") throw new Error("the host sent a bad chain of headers")
  const { source: from, destination: to, protocol, payloadOffset, payloadLength, ttl: hopLimit } = walk.packet
  if (protocol === PROTOCOL_TCP) return readTcp(bytes, payloadOffset, payloadLength, from, to, mac)
  const icmp = decodeIcmpv6(bytes, payloadOffset, payloadLength, from, to)
  if (typeof icmp === "string") throw new Error(`the host sent bad ICMPv6: ${icmp}`)
  if (icmp._tag !== "Other" || !isNdp(icmp.type)) return { kind: "icmpv6", mac, to, from, hopLimit, message: icmp }
  const message = decodeNdp(icmp.type, icmp.code, icmp.payload, { source: from, destination: to, hopLimit })
  if (typeof message === "string") throw new Error(`the host sent bad Neighbour Discovery: ${message}`)
  return { kind: "icmpv6", mac, to, from, hopLimit, message }
}

const readTcp = (
  bytes: Uint8Array,
  offset: number,
  length: number,
  from: IpAddress,
  to: IpAddress,
  mac: MacAddress,
): Seen => {
  const tcp = decodeTcp(bytes, offset, length, from, to, true)
  if (typeof tcp === "string") throw new Error(`the host sent a bad segment: ${tcp}`)
  return { kind: "tcp", mac, to, from, segment: tcp.segment, ports: `${tcp.sourcePort}>${tcp.destinationPort}` }
}

const read = (bytes: Uint8Array): Seen => {
  const frame = decodeEthernet(bytes, 0, bytes.length)
  if (typeof frame === "string") return { kind: "other", bytes }
  const { payloadOffset, payloadLength } = frame
  if (frame.etherType === ETHERTYPE_ARP) {
    const arp = decodeArp(bytes, payloadOffset, payloadLength)
    return typeof arp === "string" ? { kind: "other", bytes } : { kind: "arp", to: frame.destination, arp }
  }
  if (frame.etherType === ETHERTYPE_IPV6) return read6(bytes, payloadOffset, payloadLength, frame.destination)
  const packet = decodeIpv4(bytes, payloadOffset, payloadLength)
  if (typeof packet === "string") throw new Error(`the host sent a bad packet: ${packet}`)
  const { source: from, destination: to } = packet
  if (packet.protocol === PROTOCOL_UDP || isFragment(packet)) return { kind: "other", bytes }
  if (packet.protocol === PROTOCOL_ICMP) {
    const icmp = decodeIcmp(bytes, packet.payloadOffset, packet.payloadLength)
    if (typeof icmp === "string") throw new Error(`the host sent bad ICMP: ${icmp}`)
    return { kind: "icmp", mac: frame.destination, to, from, icmp }
  }
  return readTcp(bytes, packet.payloadOffset, packet.payloadLength, from, to, frame.destination)
}

const FLAGS = [
  [SYN, "SYN"],
  [FIN, "FIN"],
  [RST, "RST"],
  [ACK, "ACK"],
] as const

/** "<SYN,ACK>", "<ACK> 5" with its octets, "arp 198...", "icmp EchoReply". */
export const brief = (seen: Seen): string => {
  switch (seen.kind) {
    case "arp":
      return seen.arp.operation === ARP_REPLY ? "arp reply" : "arp request"
    case "icmpv6":
      return seen.message._tag === "Other" ? `icmpv6 ${seen.message.type}` : seen.message._tag
    case "icmp":
      return `icmp ${seen.icmp._tag}`
    case "tcp": {
      const { flags, payload } = seen.segment
      const names = FLAGS.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name)
      return `<${names.join()}>${payload.length > 0 ? ` ${payload.length}` : ""}`
    }
    case "other":
      return "other"
  }
}

export const segmentOf = (seen: Seen | undefined): Segment => {
  if (seen?.kind !== "tcp") throw new Error(`not a segment: ${seen === undefined ? "nothing" : brief(seen)}`)
  return seen.segment
}

export const addressOf = (n: number): IpAddress => ipv4(0xc6120000 + n)
