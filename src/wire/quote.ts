import { getU8, getU16, getU32 } from "./bytes.ts"
import type { WireDrop } from "./drop.ts"
import type { IpPacket } from "./ip.ts"
import { decodeQuotedIpv4 } from "./ipv4.ts"
import { decodeQuotedIpv6, IPV6_HEADER, zoned } from "./ipv6.ts"
import { walkExtensions } from "./ipv6Extension.ts"

/**
 * What an ICMP error says about the packet at fault: enough to find its connection and, for TCP,
 * to tell whether the segment was really ours (RFC 5927 section 4.1).
 */
export interface Quote {
  readonly ip: IpPacket
  readonly sourcePort: number
  readonly destinationPort: number
  /** SEG.SEQ when `ip.protocol` is TCP; nothing in other protocols. */
  readonly seq: number
  /** Octets of the whole packet, as its own header says. */
  readonly length: number
}

/** RFC 792 promises this many octets of the transport header; RFC 4443 section 2.4(c) more. */
const PROMISED = 8

/** For the `quoted` part of an ICMP error of either version; `zone`: of its link-local addresses, 0 for none. */
export const decodeQuote = (quoted: Uint8Array, zone = 0): Quote | WireDrop => {
  const isIpv6 = getU8(quoted, 0) >>> 4 === 6
  const ip = isIpv6 ? upperOfIpv6(quoted, zone) : upperOfIpv4(quoted)
  if (typeof ip === "string") return ip
  if (ip.payloadLength < PROMISED) return "icmp:short-quote"
  return {
    ip,
    sourcePort: getU16(quoted, ip.payloadOffset),
    destinationPort: getU16(quoted, ip.payloadOffset + 2),
    seq: getU32(quoted, ip.payloadOffset + 4),
    length: isIpv6 ? IPV6_HEADER + getU16(quoted, 4) : getU16(quoted, 2),
  }
}

/** The packet at the front of what an ICMP error quotes, or would: as much of it as there is. */
export const decodeQuoted = (quoted: Uint8Array, zone: number): IpPacket | WireDrop => {
  if (getU8(quoted, 0) >>> 4 !== 6) return decodeQuotedIpv4(quoted, 0, quoted.length)
  const packet = decodeQuotedIpv6(quoted, 0, quoted.length)
  return typeof packet === "string" ? packet : zoned(packet, zone)
}

const upperOfIpv4 = (quoted: Uint8Array): IpPacket | WireDrop => {
  const ip = decodeQuotedIpv4(quoted, 0, quoted.length)
  if (typeof ip === "string") return ip
  return ip.fragmentOffset === 0 ? ip : "icmp:quoted-fragment"
}

const upperOfIpv6 = (quoted: Uint8Array, zone: number): IpPacket | WireDrop => {
  const decoded = decodeQuotedIpv6(quoted, 0, quoted.length)
  if (typeof decoded === "string") return decoded
  const ip = zoned(decoded, zone)
  const walk = walkExtensions(quoted, ip)
  if (typeof walk === "string") return walk
  switch (walk._tag) {
    case "Upper":
      return walk.packet
    case "Fragment":
      // The first fragment has the ports.
      return walk.offset === 0 ? walk.packet : "icmp:quoted-fragment"
    case "Problem":
      return "ipv6:truncated-extension"
  }
}
