import { type IpAddress, isLoopback, isMulticast, isUnspecified } from "../../src/wire/address.ts"
import { decodeEthernet, ETHERTYPE_IPV6, isGroupMac } from "../../src/wire/ethernet.ts"
import { decodeIcmpv6 } from "../../src/wire/icmpv6.ts"
import { decodeIpv6, type Ipv6Packet, NEXT_HEADER_ICMPV6 } from "../../src/wire/ipv6.ts"
import { walkExtensions } from "../../src/wire/ipv6Extension.ts"
import { MAC_A } from "../host/lab.ts"

const PACKET_TOO_BIG = 2
const PARAMETER_PROBLEM = 4
const FIRST_INFORMATIONAL = 128
const REDIRECT = 137
const MLD_REPORT = 143
const isDiscovery = (type: number): boolean => type >= 133 && type <= REDIRECT

/** What is wrong with an IPv6 packet that the host sent after `input`; `owns`: its addresses. */
export const judge6 = (
  input: Uint8Array,
  made: Uint8Array,
  owns: (address: IpAddress) => boolean,
): string | undefined => {
  const frame = decodeEthernet(made, 0, made.length)
  if (typeof frame === "string") return `a bad frame was sent: ${frame}`
  if (frame.source !== MAC_A) return "a frame was sent with a link address that is not ours"
  const ip = decodeIpv6(made, frame.payloadOffset, frame.payloadLength)
  if (typeof ip === "string") return `a bad packet was sent: ${ip}`
  const walk = walkExtensions(made, ip)
  if (typeof walk === "string") return `a bad chain of headers was sent: ${walk}`
  if (walk._tag === "Problem") return "a header with a problem was sent"
  const type = walk.packet.protocol === NEXT_HEADER_ICMPV6 ? made[walk.packet.payloadOffset] : undefined
  const isAsking = type === 135 || type === MLD_REPORT || type === 133
  if (!owns(ip.source) && !(isUnspecified(ip.source) && isAsking)) {
    return "a packet was sent from an address that is not ours"
  }
  const mayCall = type !== undefined && (isDiscovery(type) || type === MLD_REPORT)
  if ((isMulticast(ip.destination) || isGroupMac(frame.destination)) && !mayCall) return "a packet was sent to a group"
  if (type === undefined || walk._tag === "Fragment") return undefined
  const { payloadOffset, payloadLength, source, destination } = walk.packet
  const message = decodeIcmpv6(made, payloadOffset, payloadLength, source, destination)
  if (typeof message === "string") return `bad ICMPv6 was sent: ${message}`
  return type < FIRST_INFORMATIONAL ? judgeError(input, type, made[payloadOffset + 1] ?? 0, destination) : undefined
}

/** RFC 4443 section 2.4(e): what an error must not be about. */
const judgeError = (input: Uint8Array, type: number, code: number, to: IpAddress): string | undefined => {
  const frame = decodeEthernet(input, 0, input.length)
  // An error that waited for its next hop leaves with the answer about that, or with what an application does.
  if (typeof frame === "string" || frame.etherType !== ETHERTYPE_IPV6) return undefined
  const ip = decodeIpv6(input, frame.payloadOffset, frame.payloadLength)
  if (typeof ip === "string") return undefined
  const about = endOf(input, ip)
  if (about.icmp !== undefined && isDiscovery(about.icmp) && about.icmp !== REDIRECT) return undefined
  if (!sameBits(ip.source, to)) return undefined
  if (about.icmp !== undefined && about.icmp < FIRST_INFORMATIONAL) return "an ICMPv6 error was sent about one (e.1)"
  if (about.icmp === REDIRECT) return "an ICMPv6 error was sent about a redirect (e.2)"
  const evenToMany = type === PACKET_TOO_BIG || (type === PARAMETER_PROBLEM && code === 2)
  if (!evenToMany && (isMulticast(ip.destination) || isGroupMac(frame.destination))) {
    return "an ICMPv6 error was sent about a packet to a group (e.3, e.4)"
  }
  if (isUnspecified(ip.source) || isMulticast(ip.source) || isLoopback(ip.source)) {
    return "an ICMPv6 error was sent to nobody (e.6)"
  }
  return undefined
}

const sameBits = (x: IpAddress, y: IpAddress): boolean => x.a === y.a && x.b === y.b && x.c === y.c && x.d === y.d

/** The type of the ICMPv6 message at the end of a packet's chain of headers, if that can be found. */
const endOf = (bytes: Uint8Array, ip: Ipv6Packet): { readonly icmp: number | undefined } => {
  const end = ip.payloadOffset + ip.payloadLength
  let next = ip.protocol
  let at = ip.payloadOffset
  while (at + 8 <= end && (next === 0 || next === 43 || next === 44 || next === 60)) {
    if (next === 44 && (((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 3 !== 0) return { icmp: undefined }
    const length = next === 44 ? 8 : ((bytes[at + 1] ?? 0) + 1) * 8
    next = bytes[at] ?? 0
    at += length
  }
  return { icmp: next === NEXT_HEADER_ICMPV6 && at < end ? bytes[at] : undefined }
}
