import { isLoopback, isMulticast, isUnspecified } from "../wire/address.ts"
import { getU8, getU16 } from "../wire/bytes.ts"
import { FIRST_INFORMATIONAL } from "../wire/icmpv6.ts"
import type { IpPacket } from "../wire/ip.ts"
import { PROTOCOL_ICMP } from "../wire/ipv4.ts"
import { NEXT_HEADER_ICMPV6 } from "../wire/ipv6.ts"
import { upperLayer } from "../wire/ipv6Extension.ts"

const REDIRECT6 = 137
/** Echo, router discovery, timestamps, information and masks, and their replies: RFC 792's and RFC 1256's queries. */
const QUERIES4 = new Set([0, 8, 9, 10, 13, 14, 15, 16, 17, 18])
const OFFSET_BITS = 0x1fff

/**
 * Why no ICMP error may be sent about a packet that came to one host alone; `undefined`: one may (RFC 1122
 * section 3.2.2, RFC 4443 section 2.4(e)). What came to a group or to everyone is for the caller to tell.
 */
export const neverAbout = (packet: IpPacket, bytes: Uint8Array): string | undefined => {
  const { source } = packet
  // (e.6): the source must be one host.
  const noHost = isUnspecified(source) || isMulticast(source) || isLoopback(source)
  if (noHost || (source.family === 4 && (source.d >>> 28 === 0xf || source.d >>> 24 === 0))) {
    return "icmp:no-error-to-no-host"
  }
  if (source.family === 4) {
    // Only the first fragment is told of.
    if ((getU16(bytes, packet.headerOffset + 6) & OFFSET_BITS) !== 0) return "icmp:no-error-about-fragment"
    const isError = packet.protocol === PROTOCOL_ICMP && !QUERIES4.has(getU8(bytes, packet.payloadOffset))
    return isError ? "icmp:no-error-about-error" : undefined
  }
  // (e.1) and (e.2): also where what is wrong stands before the message.
  const upper = upperLayer(bytes, packet)
  if (upper?.protocol !== NEXT_HEADER_ICMPV6) return undefined
  const type = getU8(bytes, upper.at)
  return type < FIRST_INFORMATIONAL || type === REDIRECT6 ? "icmp:no-error-about-error" : undefined
}
