import type { IpAddress } from "./address.ts"
import { getIpv4, setIpv4 } from "./addressBytes.ts"
import { getU8, getU16, setU8, setU16 } from "./bytes.ts"
import { finish, sum } from "./checksum.ts"
import type { WireDrop } from "./drop.ts"
import type { IpPacket } from "./ip.ts"
import { EMPTY } from "./tcpSegment.ts"

/** An IPv4 header (RFC 791 section 3.1), lengths and checksum left to the codec. */
export interface Ipv4Header {
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly protocol: number
  readonly ttl: number
  /** The octet once called TOS: DSCP and, in the two last bits, ECN (RFC 3168 section 5). */
  readonly tos: number
  readonly identification: number
  readonly dontFragment: boolean
  readonly moreFragments: boolean
  /** Octets, a multiple of 8. */
  readonly fragmentOffset: number
  /** As on the wire; written with zeros up to a multiple of 4, at most 40. */
  readonly options: Uint8Array
  readonly payloadLength: number
}

/** A header with the place of its payload, link padding cut off. */
export interface Ipv4Packet extends Ipv4Header, IpPacket {
  readonly payloadLength: number
}

/** Without options. */
export const IPV4_HEADER = 20

export const PROTOCOL_ICMP = 1
export const PROTOCOL_IGMP = 2
export const PROTOCOL_TCP = 6
export const PROTOCOL_UDP = 17

const DONT_FRAGMENT = 0x4000
const MORE_FRAGMENTS = 0x2000
const OFFSET_BITS = 0x1fff
const LONGEST_OPTIONS = 40

export const isFragment = (header: Ipv4Header): boolean => header.moreFragments || header.fragmentOffset !== 0

/** `length`: what the link delivered, padding included. */
export const decodeIpv4 = (bytes: Uint8Array, offset: number, length: number): Ipv4Packet | WireDrop => {
  const headerLength = headerLengthIn(bytes, offset, length)
  if (typeof headerLength === "string") return headerLength
  if (sum(bytes, offset, headerLength) !== 0xffff) return "ipv4:bad-checksum"
  const totalLength = getU16(bytes, offset + 2)
  if (totalLength < headerLength) return "ipv4:bad-total-length"
  if (totalLength > length) return "ipv4:truncated"
  return read(bytes, offset, headerLength, totalLength - headerLength)
}

/**
 * The head of a packet that an ICMP error quotes (RFC 792): cut short, so the total length says
 * nothing about what is here, and the checksum may have been changed on the way.
 */
export const decodeQuotedIpv4 = (bytes: Uint8Array, offset: number, length: number): Ipv4Packet | WireDrop => {
  const headerLength = headerLengthIn(bytes, offset, length)
  if (typeof headerLength === "string") return headerLength
  const totalLength = getU16(bytes, offset + 2)
  if (totalLength < headerLength) return "ipv4:bad-total-length"
  return read(bytes, offset, headerLength, Math.min(totalLength, length) - headerLength)
}

const headerLengthIn = (bytes: Uint8Array, offset: number, length: number): number | WireDrop => {
  if (length < IPV4_HEADER) return "ipv4:truncated"
  const first = getU8(bytes, offset)
  if (first >>> 4 !== 4) return "ipv4:bad-version"
  const headerLength = (first & 0xf) << 2
  if (headerLength < IPV4_HEADER) return "ipv4:bad-header-length"
  return headerLength > length ? "ipv4:truncated" : headerLength
}

const read = (bytes: Uint8Array, offset: number, headerLength: number, payloadLength: number): Ipv4Packet => {
  const fragment = getU16(bytes, offset + 6)
  return {
    source: getIpv4(bytes, offset + 12),
    destination: getIpv4(bytes, offset + 16),
    protocol: getU8(bytes, offset + 9),
    ttl: getU8(bytes, offset + 8),
    tos: getU8(bytes, offset + 1),
    identification: getU16(bytes, offset + 4),
    dontFragment: (fragment & DONT_FRAGMENT) !== 0,
    moreFragments: (fragment & MORE_FRAGMENTS) !== 0,
    fragmentOffset: (fragment & OFFSET_BITS) << 3,
    options: headerLength === IPV4_HEADER ? EMPTY : bytes.subarray(offset + IPV4_HEADER, offset + headerLength),
    headerOffset: offset,
    payloadLength,
    payloadOffset: offset + headerLength,
  }
}

/** Octets that `writeIpv4` will take. */
export const ipv4HeaderLength = (options: Uint8Array): number =>
  IPV4_HEADER + Math.min((options.length + 3) & ~3, LONGEST_OPTIONS)

/** Writes the header, checksum included; the payload may follow before or after. */
export const writeIpv4 = (out: Uint8Array, offset: number, header: Ipv4Header): number => {
  const headerLength = ipv4HeaderLength(header.options)
  setU8(out, offset, 0x40 | (headerLength >>> 2))
  setU8(out, offset + 1, header.tos)
  setU16(out, offset + 2, headerLength + header.payloadLength)
  setU16(out, offset + 4, header.identification)
  setU16(
    out,
    offset + 6,
    (header.dontFragment ? DONT_FRAGMENT : 0) |
      (header.moreFragments ? MORE_FRAGMENTS : 0) |
      ((header.fragmentOffset >>> 3) & OFFSET_BITS),
  )
  setU8(out, offset + 8, header.ttl)
  setU8(out, offset + 9, header.protocol)
  setU16(out, offset + 10, 0)
  setIpv4(out, offset + 12, header.source)
  setIpv4(out, offset + 16, header.destination)
  for (let i = 0; i < headerLength - IPV4_HEADER; i++) setU8(out, offset + IPV4_HEADER + i, header.options[i] ?? 0)
  setU16(out, offset + 10, finish(sum(out, offset, headerLength)))
  return headerLength
}
