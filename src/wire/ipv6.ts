import type { IpAddress } from "./address.ts"
import { getIpv6, setIpv6 } from "./addressBytes.ts"
import { getU8, getU16, getU32, setU8, setU16, setU32 } from "./bytes.ts"
import type { WireDrop } from "./drop.ts"

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

/** A header with the place of its payload, link padding cut off. */
export interface Ipv6Packet extends Ipv6Header {
  readonly payloadOffset: number
}

export const IPV6_HEADER = 40

export const NEXT_HEADER_ICMPV6 = 58
export const NEXT_HEADER_NONE = 59

/** `length`: what the link delivered, padding included. */
export const decodeIpv6 = (bytes: Uint8Array, offset: number, length: number): Ipv6Packet | WireDrop => {
  if (length < IPV6_HEADER) return "ipv6:truncated"
  const first = getU32(bytes, offset)
  if (first >>> 28 !== 6) return "ipv6:bad-version"
  const payloadLength = getU16(bytes, offset + 4)
  if (payloadLength > length - IPV6_HEADER) return "ipv6:truncated"
  return {
    source: getIpv6(bytes, offset + 8),
    destination: getIpv6(bytes, offset + 24),
    trafficClass: (first >>> 20) & 0xff,
    flowLabel: first & 0xf_ffff,
    nextHeader: getU8(bytes, offset + 6),
    hopLimit: getU8(bytes, offset + 7),
    payloadLength,
    payloadOffset: offset + IPV6_HEADER,
  }
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
