import { holdsHeaderChain } from "../ip/headerChain.ts"
import type { Micros } from "../tcp/time.ts"
import { FRAGMENT_HEADER } from "../wire/fragmentHeader.ts"
import type { Ipv4Packet } from "../wire/ipv4.ts"
import { type Fragment, INCOMPLETE_HEADER_CHAIN, type Problem } from "../wire/ipv6Extension.ts"
import type { Reassembler } from "./reassembler.ts"

/** A fragment over IPv4; the whole packet, from its header on, where it was the last that was missing. */
export const fragment4Arrives = (
  reassembler: Reassembler,
  iface: number,
  packet: Ipv4Packet,
  bytes: Uint8Array,
  now: Micros,
): Uint8Array | undefined => {
  const { source, destination, protocol, identification, headerOffset, payloadOffset, payloadLength } = packet
  return reassembler.arrives(
    iface,
    { source, destination, protocol, identification },
    {
      family: 4,
      offset: packet.fragmentOffset,
      more: packet.moreFragments,
      octets: bytes.slice(payloadOffset, payloadOffset + payloadLength),
      ecn: packet.tos & 3,
      head: bytes.subarray(headerOffset, payloadOffset),
    },
    now,
  )
}

/** The same over IPv6; a problem where the sender is to be told. */
export const fragment6Arrives = (
  reassembler: Reassembler,
  iface: number,
  { packet, at, offset, moreFragments: more, identification }: Fragment,
  bytes: Uint8Array,
  now: Micros,
): Uint8Array | Problem | undefined => {
  const { source, destination, protocol, tos, headerOffset, payloadOffset, payloadLength } = packet
  const octets = bytes.slice(payloadOffset, payloadOffset + payloadLength)
  if (offset === 0 && !holdsHeaderChain(octets, protocol)) return INCOMPLETE
  return reassembler.arrives(
    iface,
    { source, destination, protocol: 0, identification },
    { family: 6, offset, more, octets, ecn: tos & 3, head: bytes.subarray(headerOffset, at + FRAGMENT_HEADER) },
    now,
  )
}

/** RFC 7112 section 5: with a pointer of 0. */
const INCOMPLETE: Problem = { _tag: "Problem", code: INCOMPLETE_HEADER_CHAIN, pointer: 0, evenAboutMulticast: false }
