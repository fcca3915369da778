import { type IpAddress, inZone } from "./address.ts"
import { getIpv6, setIpv6 } from "./addressBytes.ts"
import { getU8, getU16, getU32, setU8, setU16, setU32 } from "./bytes.ts"
import type { WireDrop } from "./drop.ts"
import type { IpPacket } from "./ip.ts"

/** The fixed IPv6 header (RFC 8200 section 3); extension headers count as payload. */
export interface Ipv6Header {
  readonly source: IpAddress
  readonly destination: IpAddress
  /** DSCP and, in the two last bits, ECN. */
  readonly trafficClass: number
  readonly flowLabel: number
  readonly nextHeader: number
  readonly hopLimit: number
  readonly payloadLength: number
}

/** A header with the place of what follows it, link padding cut off: see `walkExtensions` for the upper layer's. */
export interface Ipv6Packet extends IpPacket {
  readonly flowLabel: number
}

export const IPV6_HEADER = 40

/** RFC 8200 section 5: every link carries this much. */
export const IPV6_MIN_MTU = 1280

export const NEXT_HEADER_ICMPV6 = 58
export const NEXT_HEADER_NONE = 59

/** The fixed header; `length`: what the link delivered, padding included. */
export const decodeIpv6 = (bytes: Uint8Array, offset: number, length: number): Ipv6Packet | WireDrop => {
  const wrong = problemOf(bytes, offset, length)
  if (wrong !== undefined) return wrong
  const payloadLength = getU16(bytes, offset + 4)
  return payloadLength > length - IPV6_HEADER ? "ipv6:truncated" : read(bytes, offset, payloadLength)
}

/** The head of a packet that an ICMPv6 error quotes (RFC 4443 section 3): as much of it as there was room for. */
export const decodeQuotedIpv6 = (bytes: Uint8Array, offset: number, length: number): Ipv6Packet | WireDrop =>
  problemOf(bytes, offset, length) ?? read(bytes, offset, Math.min(getU16(bytes, offset + 4), length - IPV6_HEADER))

const problemOf = (bytes: Uint8Array, offset: number, length: number): WireDrop | undefined => {
  if (length < IPV6_HEADER) return "ipv6:truncated"
  return getU8(bytes, offset) >>> 4 === 6 ? undefined : "ipv6:bad-version"
}

const read = (bytes: Uint8Array, offset: number, payloadLength: number): Ipv6Packet => {
  const first = getU32(bytes, offset)
  return {
    source: getIpv6(bytes, offset + 8),
    destination: getIpv6(bytes, offset + 24),
    protocol: getU8(bytes, offset + 6),
    ttl: getU8(bytes, offset + 7),
    tos: (first >>> 20) & 0xff,
    flowLabel: first & 0xf_ffff,
    headerOffset: offset,
    payloadOffset: offset + IPV6_HEADER,
    payloadLength,
  }
}

/** Its link-local addresses are those of one interface's link (RFC 4007 section 6); 0: it is not known which. */
export const zoned = (packet: Ipv6Packet, zone: number): Ipv6Packet => {
  if (zone === 0) return packet
  const source = inZone(packet.source, zone)
  const destination = inZone(packet.destination, zone)
  return source === packet.source && destination === packet.destination ? packet : { ...packet, source, destination }
}

export const writeIpv6 = (out: Uint8Array, offset: number, header: Ipv6Header): number => {
  setU32(out, offset, (6 << 28) | ((header.trafficClass & 0xff) << 20) | (header.flowLabel & 0xf_ffff))
  setU16(out, offset + 4, header.payloadLength)
  setU8(out, offset + 6, header.nextHeader)
  setU8(out, offset + 7, header.hopLimit)
  setIpv6(out, offset + 8, header.source)
  setIpv6(out, offset + 24, header.destination)
  return IPV6_HEADER
}
