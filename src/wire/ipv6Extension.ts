import { getU8, getU16 } from "./bytes.ts"
import type { WireDrop } from "./drop.ts"
import { FRAGMENT_HEADER, NEXT_HEADER_FRAGMENT, readFragmentHeader } from "./fragmentHeader.ts"
import type { IpPacket } from "./ip.ts"
import { IPV6_HEADER, type Ipv6Packet, NEXT_HEADER_NONE } from "./ipv6.ts"

/** Extension headers (RFC 8200 section 4), in the order in which a sender should put them. */
export const HOP_BY_HOP = 0
export const ROUTING = 43
export const DESTINATION_OPTIONS = 60

/** Codes of Parameter Problem (RFC 4443 section 3.4). */
export const ERRONEOUS_FIELD = 0
export const UNKNOWN_NEXT_HEADER = 1
export const UNKNOWN_OPTION = 2
/** RFC 7112 section 5. */
export const INCOMPLETE_HEADER_CHAIN = 3

/** What the extension headers of a packet lead to. */
export type Walk =
  /** The upper layer: `protocol`, `payloadOffset` and `payloadLength` are its own. */
  | {
      readonly _tag: "Upper"
      readonly packet: Ipv6Packet
      /** A Fragment header of a packet that is whole all the same stood before it (RFC 6946). */
      readonly isAtomicFragment: boolean
    }
  | Fragment
  | Problem

/** A piece of a packet (section 4.5): `packet`'s payload is what follows the Fragment header, `protocol` what that begins with. */
export interface Fragment {
  readonly _tag: "Fragment"
  readonly packet: Ipv6Packet
  readonly identification: number
  /** Octets, a multiple of 8. */
  readonly offset: number
  readonly moreFragments: boolean
  /** Where the Fragment header begins. */
  readonly at: number
}

/** The packet must be dropped, and its sender told. */
export interface Problem {
  readonly _tag: "Problem"
  readonly code: number
  /** The octet at fault, counted from the packet's first. */
  readonly pointer: number
  /** Told even where the packet was for a group (option action 10; section 4.2). */
  readonly evenAboutMulticast: boolean
}

/** Of one packet, and options of one header, at most: Linux's limits, and what RFC 8504 section 5.3 asks for. */
const MOST_HEADERS = 8
const MOST_OPTIONS = 8

const LARGEST_PAYLOAD = 0xffff

/**
 * Follows the chain of extension headers from where `packet` says that its payload begins: behind
 * the fixed header, or, once reassembled, behind the Fragment header.
 */
export const walkExtensions = (bytes: Uint8Array, packet: Ipv6Packet): Walk | WireDrop => {
  const { headerOffset } = packet
  const end = packet.payloadOffset + packet.payloadLength
  let at = packet.payloadOffset
  let protocol = packet.protocol
  /** Where `protocol` was read. */
  let field = headerOffset + 6
  let isAtomicFragment = false
  for (let headers = 0; ; headers++) {
    if (!isExtension(protocol)) return { _tag: "Upper", packet: behind(packet, protocol, at, end), isAtomicFragment }
    if (headers === MOST_HEADERS) return "ipv6:too-many-extensions"
    if (protocol === HOP_BY_HOP && at !== headerOffset + IPV6_HEADER) {
      // Section 4.1: it comes first or not at all.
      return problem(UNKNOWN_NEXT_HEADER, field - headerOffset)
    }
    if (at + 8 > end) return "ipv6:truncated-extension"
    if (protocol === NEXT_HEADER_FRAGMENT) {
      const piece = fragment(bytes, packet, at, end)
      if (piece !== undefined) return piece
      isAtomicFragment = true
      field = at
      protocol = getU8(bytes, at)
      at += FRAGMENT_HEADER
      continue
    }
    const length = (getU8(bytes, at + 1) + 1) << 3
    if (at + length > end) return "ipv6:truncated-extension"
    if (protocol === ROUTING) {
      // Section 4.4, and RFC 5095 for type 0: we are nobody's intermediate node.
      if (getU8(bytes, at + 3) !== 0) return problem(ERRONEOUS_FIELD, at + 2 - headerOffset)
    } else {
      const wrong = inspectOptions(bytes, at + 2, at + length, headerOffset)
      if (wrong !== undefined) return wrong
    }
    field = at
    protocol = getU8(bytes, at)
    at += length
  }
}

/**
 * The Hop-by-Hop options alone: all that a router looks at (section 4). `undefined`: nothing is
 * wrong with them, or there are none.
 */
export const inspectHopByHop = (bytes: Uint8Array, packet: Ipv6Packet): Problem | WireDrop | undefined => {
  if (packet.protocol !== HOP_BY_HOP) return undefined
  const at = packet.payloadOffset
  const length = packet.payloadLength < 8 ? 0 : (getU8(bytes, at + 1) + 1) << 3
  if (length === 0 || length > packet.payloadLength) return "ipv6:truncated-extension"
  return inspectOptions(bytes, at + 2, at + length, packet.headerOffset)
}

/** Whether the Hop-by-Hop options tell routers to look at this packet as one of MLD's (RFC 2711 section 2.1). */
export const alertsRouters = (bytes: Uint8Array, { headerOffset }: IpPacket): boolean => {
  if (getU8(bytes, headerOffset + 6) !== HOP_BY_HOP) return false
  const from = headerOffset + IPV6_HEADER
  const end = from + ((getU8(bytes, from + 1) + 1) << 3)
  for (let at = from + 2; at + 3 < end; ) {
    const type = getU8(bytes, at)
    if (type === ROUTER_ALERT) return getU16(bytes, at + 2) === ALERT_MLD
    at += type === PAD1 ? 1 : 2 + getU8(bytes, at + 1)
  }
  return false
}

/** Where the number of a packet's upper layer was read, counted from its first octet: what a code 1 problem points at. */
export const nextHeaderPointer = (bytes: Uint8Array, upper: IpPacket): number => {
  const { headerOffset, payloadOffset } = upper
  let field = headerOffset + 6
  let at = headerOffset + IPV6_HEADER
  while (at < payloadOffset) {
    const isFragment = getU8(bytes, field) === NEXT_HEADER_FRAGMENT
    field = at
    at += isFragment ? FRAGMENT_HEADER : (getU8(bytes, at + 1) + 1) << 3
  }
  return field - headerOffset
}

/**
 * The upper layer at the end of a chain, whatever may be wrong on the way there; `undefined`: the packet
 * ends before it, or is a fragment behind the first.
 */
export const upperLayer = (
  bytes: Uint8Array,
  { headerOffset, payloadOffset, payloadLength }: IpPacket,
): { readonly protocol: number; readonly at: number } | undefined => {
  const end = Math.min(payloadOffset + payloadLength, bytes.length)
  let protocol = getU8(bytes, headerOffset + 6)
  let at = headerOffset + IPV6_HEADER
  while (isExtension(protocol)) {
    if (at + 8 > end) return undefined
    const isFragment = protocol === NEXT_HEADER_FRAGMENT
    if (isFragment && readFragmentHeader(bytes, at).offset !== 0) return undefined
    protocol = getU8(bytes, at)
    at += isFragment ? FRAGMENT_HEADER : (getU8(bytes, at + 1) + 1) << 3
  }
  return at < end ? { protocol, at } : undefined
}

const isExtension = (protocol: number): boolean =>
  protocol === HOP_BY_HOP ||
  protocol === ROUTING ||
  protocol === NEXT_HEADER_FRAGMENT ||
  protocol === DESTINATION_OPTIONS

const behind = (packet: Ipv6Packet, protocol: number, at: number, end: number): Ipv6Packet =>
  at === packet.payloadOffset && protocol === packet.protocol
    ? packet
    : { ...packet, protocol, payloadOffset: at, payloadLength: protocol === NEXT_HEADER_NONE ? 0 : end - at }

const problem = (code: number, pointer: number, evenAboutMulticast = false): Problem => ({
  _tag: "Problem",
  code,
  pointer,
  evenAboutMulticast,
})

/** `undefined` for an atomic one (RFC 6946): it is whole, whatever else is being put together. */
const fragment = (bytes: Uint8Array, packet: Ipv6Packet, at: number, end: number): Fragment | Problem | undefined => {
  const { nextHeader: protocol, offset, more, identification } = readFragmentHeader(bytes, at)
  if (offset === 0 && !more) return undefined
  const { headerOffset } = packet
  const payloadOffset = at + FRAGMENT_HEADER
  const payloadLength = end - payloadOffset
  // Section 4.5: every piece but the last is a multiple of 8, and none ends beyond the longest packet.
  if (more && (payloadLength & 7) !== 0) return problem(ERRONEOUS_FIELD, 4)
  const before = at - headerOffset - IPV6_HEADER
  if (before + offset + payloadLength > LARGEST_PAYLOAD) return problem(ERRONEOUS_FIELD, at + 2 - headerOffset)
  const inner = { ...packet, protocol, payloadOffset, payloadLength }
  return { _tag: "Fragment", packet: inner, identification, offset, moreFragments: more, at }
}

const PAD1 = 0
const PADN = 1
const ROUTER_ALERT = 5
const ALERT_MLD = 0

/** Section 4.2: the two highest bits of an unknown option say what is to become of the packet. */
const inspectOptions = (
  bytes: Uint8Array,
  from: number,
  end: number,
  headerOffset: number,
): Problem | WireDrop | undefined => {
  let count = 0
  for (let at = from; at < end; ) {
    const type = getU8(bytes, at)
    if (type === PAD1) {
      at++
      continue
    }
    if (at + 2 > end || at + 2 + getU8(bytes, at + 1) > end) return "ipv6:truncated-extension"
    if (type !== PADN && ++count > MOST_OPTIONS) return "ipv6:too-many-extensions"
    if (type !== PADN && type !== ROUTER_ALERT) {
      const action = type >>> 6
      if (action === 1) return "ipv6:unknown-option"
      if (action > 1) return problem(UNKNOWN_OPTION, at - headerOffset, action === 2)
    }
    at += 2 + getU8(bytes, at + 1)
  }
  return undefined
}
