import { holdsHeaderChain } from "../ip/headerChain.ts"
import type { Micros } from "../tcp/time.ts"
import { getU8, setU8 } from "../wire/bytes.ts"
import { FRAGMENT_HEADER, readFragmentHeader } from "../wire/fragmentHeader.ts"
import type { IpPacket } from "../wire/ip.ts"
import type { Ipv4Packet } from "../wire/ipv4.ts"
import { IPV6_HEADER } from "../wire/ipv6.ts"
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

/**
 * A packet over IPv6 whose chain leads to a Fragment header at `at`; its payload ends at `end`. The
 * whole packet as above, or why the chain cannot be followed.
 */
export const fragment6Arrives = (
  reassembler: Reassembler,
  iface: number,
  packet: Pick<IpPacket, "source" | "destination" | "tos" | "headerOffset">,
  bytes: Uint8Array,
  at: number,
  end: number,
  now: Micros,
): Uint8Array | `RFC${string}` | undefined => {
  const { source, destination, tos, headerOffset } = packet
  if (at + FRAGMENT_HEADER > end) return "RFC8200-4.5:truncated-fragment-header"
  const header = readFragmentHeader(bytes, at)
  const octets = bytes.slice(at + FRAGMENT_HEADER, end)
  if (header.offset === 0 && header.more && !holdsHeaderChain(octets, header.nextHeader)) {
    return "RFC7112-5:header-chain-not-in-first-fragment"
  }
  const head = bytes.slice(headerOffset, at)
  // The field that says "a Fragment header follows" becomes what follows that.
  setU8(head, lastNextHeader(head), header.nextHeader)
  return reassembler.arrives(
    iface,
    { source, destination, protocol: 0, identification: header.identification },
    { family: 6, offset: header.offset, more: header.more, octets, ecn: tos & 3, head },
    now,
  )
}

/** Where the last header of a chain keeps its Next Header field; all that come before a Fragment header count their length alike. */
const lastNextHeader = (head: Uint8Array): number => {
  let field = 6
  for (let at = IPV6_HEADER; at < head.length; at += (getU8(head, at + 1) + 1) * 8) field = at
  return field
}
