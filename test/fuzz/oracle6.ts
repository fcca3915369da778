import { type IpAddress, isLoopback, isMulticast, isUnspecified } from "../../src/wire/address.ts"
import { decodeEthernet, ETHERTYPE_IPV6, isGroupMac } from "../../src/wire/ethernet.ts"
import { decodeIcmpv6 } from "../../src/wire/icmpv6.ts"
import { PROTOCOL_TCP } from "../../src/wire/ipv4.ts"
import { decodeIpv6, type Ipv6Packet, NEXT_HEADER_ICMPV6 } from "../../src/wire/ipv6.ts"
import { walkExtensions } from "../../src/wire/ipv6Extension.ts"
import { RST } from "../../src/wire/tcpSegment.ts"
import { MAC_A } from "../host/lab.ts"

const PACKET_TOO_BIG = 2
const PARAMETER_PROBLEM = 4
const FIRST_INFORMATIONAL = 128
const REDIRECT = 137
/** Of MLD: version 1's report and done, version 2's report. */
const isReport = (type: number): boolean => type === 131 || type === 132 || type === 143
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
  const isAsking = type !== undefined && (type === 135 || type === 133 || isReport(type))
  if (!owns(ip.source) && !(isUnspecified(ip.source) && isAsking)) {
    return "a packet was sent from an address that is not ours"
  }
  const mayCall = type !== undefined && (isDiscovery(type) || isReport(type))
  if ((isMulticast(ip.destination) || isGroupMac(frame.destination)) && !mayCall) return "a packet was sent to a group"
  if (walk._tag === "Fragment") return undefined
  const { payloadOffset, payloadLength, source, destination, protocol } = walk.packet
  if (protocol === PROTOCOL_TCP && isReset(made, payloadOffset) && resets(input, destination)) {
    return "a RST was answered by a RST"
  }
  if (type === undefined) return undefined
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
  const icmp = about?.protocol === NEXT_HEADER_ICMPV6 ? input[about.at] : undefined
  if (icmp !== undefined && isDiscovery(icmp) && icmp !== REDIRECT) return undefined
  if (!sameBits(ip.source, to)) return undefined
  if (icmp !== undefined && icmp < FIRST_INFORMATIONAL) return "an ICMPv6 error was sent about one (e.1)"
  if (icmp === REDIRECT) return "an ICMPv6 error was sent about a redirect (e.2)"
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

/** Whether `input` is a RST from there: one of ours may also leave because a timer ended. */
const resets = (input: Uint8Array, from: IpAddress): boolean => {
  const frame = decodeEthernet(input, 0, input.length)
  if (typeof frame === "string" || frame.etherType !== ETHERTYPE_IPV6) return false
  const ip = decodeIpv6(input, frame.payloadOffset, frame.payloadLength)
  if (typeof ip === "string" || !sameBits(ip.source, from)) return false
  const end = endOf(input, ip)
  return end?.protocol === PROTOCOL_TCP && isReset(input, end.at)
}

const isReset = (bytes: Uint8Array, at: number): boolean => ((bytes[at + 13] ?? 0) & RST) !== 0

/** What stands at the end of a packet's chain of headers, if that can be found. */
const endOf = (bytes: Uint8Array, ip: Ipv6Packet): { readonly protocol: number; readonly at: number } | undefined => {
  const end = ip.payloadOffset + ip.payloadLength
  let protocol = ip.protocol
  let at = ip.payloadOffset
  while (at + 8 <= end && (protocol === 0 || protocol === 43 || protocol === 44 || protocol === 60)) {
    if (protocol === 44 && (((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 3 !== 0) return undefined
    const length = protocol === 44 ? 8 : ((bytes[at + 1] ?? 0) + 1) * 8
    protocol = bytes[at] ?? 0
    at += length
  }
  return at < end ? { protocol, at } : undefined
}
