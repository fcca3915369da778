import { getU8, setU8, setU16 } from "../wire/bytes.ts"
import { finish, sum } from "../wire/checksum.ts"
import { FRAGMENT_HEADER } from "../wire/fragmentHeader.ts"
import { IPV6_HEADER } from "../wire/ipv6.ts"
import type { Micros } from "../wire/time.ts"

/** One fragment of a datagram of either family. */
export interface Fragment {
  readonly family: 4 | 6
  /** Octets of the fragmentable part before these. */
  readonly offset: number
  readonly more: boolean
  /** A copy: it is held beyond the frame's life. */
  readonly octets: Uint8Array
  /** The two ECN bits of its header. */
  readonly ecn: number
  /** The headers that stand before the fragmentable part, IPv6's Fragment header among them. */
  readonly head: Uint8Array
}

interface Part {
  readonly offset: number
  readonly more: boolean
  readonly octets: Uint8Array
}

/** A datagram of which some fragments have come. */
export interface Assembly {
  readonly family: 4 | 6
  /** In the order of their offsets, none overlapping another. */
  readonly parts: ReadonlyArray<Part>
  /** Octets in `parts`. */
  readonly held: number
  /** Of the whole fragmentable part, once the last fragment has come. */
  readonly length: number | undefined
  /** The first fragment's, once that has come. */
  readonly head: Uint8Array | undefined
  /** Which ECN codepoints were seen: bit n for codepoint n. */
  readonly ecn: number
  readonly deadline: Micros
  /** All further fragments are thrown away (RFC 5722 section 4). */
  readonly spoilt: boolean
}

export type FragmentDrop = `${string}:${string}`

export type ReassemblyStep =
  /** More is to come. */
  | { readonly _tag: "Held"; readonly assembly: Assembly }
  /** A whole packet, from its IP header on. */
  | { readonly _tag: "Complete"; readonly packet: Uint8Array }
  /** The fragment is thrown away, the others stay. */
  | { readonly _tag: "Ignored"; readonly assembly: Assembly | undefined; readonly why: FragmentDrop }
  /** All of them are thrown away; what stays, if anything, keeps those yet to come from being believed. */
  | { readonly _tag: "Discarded"; readonly assembly: Assembly | undefined; readonly why: FragmentDrop }

/** Octets of the longest packet that the length field of a header can name: IPv4's whole one, IPv6's payload. */
const LARGEST = 65535
const UNIT = 8

/** A fragment that can belong to no datagram, whatever came before; RFC 8200 section 4.5 lets IPv6 say so. */
export const impossible = ({ family, offset, more, octets, head }: Fragment): FragmentDrop | undefined => {
  if (more && octets.length % UNIT !== 0) return "RFC8200-4.5:fragment-not-of-8-octets"
  if (octets.length === 0) return "RFC791-3.2:empty-fragment"
  const before = countedOf(family, head)
  // The ping of death: the last fragment reaches beyond what a length field can say.
  return before + offset + octets.length > LARGEST ? "RFC791-3.1:longer-than-65535" : undefined
}

/** A fragment that `impossible` finds nothing against. `lifetime`: how long the first to come waits for the others. */
export const fragmentArrives = (
  before: Assembly | undefined,
  fragment: Fragment,
  now: Micros,
  lifetime: Micros,
): ReassemblyStep => {
  const assembly = before ?? empty(fragment.family, now + lifetime)
  if (assembly.spoilt) return { _tag: "Ignored", assembly, why: "RFC5722-4:of-a-discarded-datagram" }
  const { offset, more, octets } = fragment
  const end = offset + octets.length
  if (contradicts(assembly, end, more)) return discard(assembly, "RFC791-3.2:ends-disagree")
  const { parts } = assembly
  const place = placeOf(parts, offset)
  const left = parts[place - 1]
  const right = parts[place]
  if (right !== undefined && isCopy(right, fragment)) {
    return { _tag: "Ignored", assembly, why: "RFC8200-4.5:exact-duplicate" }
  }
  if (
    (left !== undefined && left.offset + left.octets.length > offset) ||
    (right !== undefined && right.offset < end)
  ) {
    return discard(assembly, "RFC5722-4:overlap")
  }
  const next: Assembly = {
    ...assembly,
    parts: [...parts.slice(0, place), { offset, more, octets }, ...parts.slice(place)],
    held: assembly.held + octets.length,
    length: more ? assembly.length : end,
    head: offset === 0 ? fragment.head.slice() : assembly.head,
    ecn: assembly.ecn | (1 << fragment.ecn),
  }
  return next.held === next.length ? complete(next) : { _tag: "Held", assembly: next }
}

/** What an ICMP error about a datagram that was never completed quotes: the first fragment, where it has come. */
export const firstFragment = ({ head, parts }: Assembly): Uint8Array | undefined => {
  const [first] = parts
  if (head === undefined || first === undefined) return undefined
  const out = new Uint8Array(head.length + first.octets.length)
  out.set(head)
  out.set(first.octets, head.length)
  return out
}

const empty = (family: 4 | 6, deadline: Micros): Assembly => ({
  family,
  parts: [],
  held: 0,
  length: undefined,
  head: undefined,
  ecn: 0,
  deadline,
  spoilt: false,
})

/** Two last fragments that end in different places, or data beyond the end. */
const contradicts = ({ length, parts }: Assembly, end: number, more: boolean): boolean => {
  if (length !== undefined) return more ? end > length : end !== length
  const last = parts[parts.length - 1]
  return !more && last !== undefined && last.offset + last.octets.length > end
}

/** The index of the first part that begins at `offset` or behind it. */
const placeOf = (parts: ReadonlyArray<Part>, offset: number): number => {
  let low = 0
  let high = parts.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((parts[middle]?.offset ?? 0) < offset) low = middle + 1
    else high = middle
  }
  return low
}

const isCopy = (part: Part, { offset, more, octets }: Fragment): boolean =>
  part.offset === offset &&
  part.more === more &&
  part.octets.length === octets.length &&
  part.octets.every((octet, index) => octet === octets[index])

/**
 * IPv6 has 32 bits of identification, so that one can be kept out of use until its time is over;
 * IPv4's 16 bits come round too soon, and Linux forgets there.
 */
const discard = (assembly: Assembly, why: FragmentDrop): ReassemblyStep => ({
  _tag: "Discarded",
  assembly: assembly.family === 4 ? undefined : { ...empty(6, assembly.deadline), spoilt: true },
  why,
})

const NOT_ECT = 1 << 0
const CE = 1 << 3

const complete = (assembly: Assembly): ReassemblyStep => {
  const { family, head, parts, length = 0, ecn } = assembly
  if (head === undefined) return discard(assembly, "RFC791-3.2:no-first-fragment")
  if (countedOf(family, head) + length > LARGEST) return discard(assembly, "RFC791-3.1:longer-than-65535")
  // RFC 3168 section 5.3 asks for CE from any fragment, and forbids CE where one was Not-ECT; as Linux, no other
  // mixture with Not-ECT is believed either.
  if ((ecn & NOT_ECT) !== 0 && ecn !== NOT_ECT) return discard(assembly, "RFC3168-5.3:ECN-disagrees")
  const headers = family === 4 ? head : unfragmented(head)
  const packet = new Uint8Array(headers.length + length)
  packet.set(headers)
  for (const { offset, octets } of parts) packet.set(octets, headers.length + offset)
  const marked = (ecn & CE) !== 0 ? 3 : undefined
  if (family === 4) finishIpv4(packet, headers.length, marked)
  else finishIpv6(packet, marked)
  return { _tag: "Complete", packet }
}

/** Octets of the headers that a whole packet's length field counts. */
const countedOf = (family: 4 | 6, head: Uint8Array): number =>
  family === 4 ? head.length : head.length - IPV6_HEADER - FRAGMENT_HEADER

/** Without the Fragment header, which is the last: what said that it follows says what follows it (RFC 8200 section 4.5). */
const unfragmented = (head: Uint8Array): Uint8Array => {
  const headers = head.slice(0, head.length - FRAGMENT_HEADER)
  let field = 6
  for (let at = IPV6_HEADER; at < headers.length; at += (getU8(headers, at + 1) + 1) * 8) field = at
  setU8(headers, field, getU8(head, headers.length))
  return headers
}

const finishIpv4 = (packet: Uint8Array, headerLength: number, ecn: number | undefined): void => {
  if (ecn !== undefined) setU8(packet, 1, (packet[1] ?? 0) | ecn)
  setU16(packet, 2, packet.length)
  setU16(packet, 6, 0)
  setU16(packet, 10, 0)
  setU16(packet, 10, finish(sum(packet, 0, headerLength)))
}

const finishIpv6 = (packet: Uint8Array, ecn: number | undefined): void => {
  // The traffic class is the second to the third half-octet.
  if (ecn !== undefined) setU8(packet, 1, (packet[1] ?? 0) | (ecn << 4))
  setU16(packet, 4, packet.length - IPV6_HEADER)
}
