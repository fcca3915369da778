import { getU16, getU32 } from "./bytes.ts"
import type { WireDrop } from "./drop.ts"
import { decodeQuotedIpv4, type Ipv4Packet } from "./ipv4.ts"

/**
 * What an ICMP error says about the packet at fault: enough to find its connection and, for TCP,
 * to tell whether the segment was really ours (RFC 5927 section 4.1).
 */
export interface Quote {
  readonly ip: Ipv4Packet
  readonly sourcePort: number
  readonly destinationPort: number
  /** SEG.SEQ when `ip.protocol` is TCP; nothing in other protocols. */
  readonly seq: number
}

/** RFC 792 promises this many octets of the transport header. */
const PROMISED = 8

/** For the `quoted` part of an ICMP error about TCP or UDP. */
export const decodeQuote = (quoted: Uint8Array): Quote | WireDrop => {
  const ip = decodeQuotedIpv4(quoted, 0, quoted.length)
  if (typeof ip === "string") return ip
  if (ip.fragmentOffset !== 0) return "icmp:quoted-fragment"
  if (ip.payloadLength < PROMISED) return "icmp:short-quote"
  return {
    ip,
    sourcePort: getU16(quoted, ip.payloadOffset),
    destinationPort: getU16(quoted, ip.payloadOffset + 2),
    seq: getU32(quoted, ip.payloadOffset + 4),
  }
}
