import { getU8 } from "../wire/bytes.ts"
import { FRAGMENT_HEADER, NEXT_HEADER_FRAGMENT } from "../wire/fragmentHeader.ts"
import { PROTOCOL_TCP, PROTOCOL_UDP } from "../wire/ipv4.ts"
import { IPV6_HEADER, NEXT_HEADER_ICMPV6, NEXT_HEADER_NONE } from "../wire/ipv6.ts"
import { DESTINATION_OPTIONS, HOP_BY_HOP, ROUTING } from "../wire/ipv6Extension.ts"

const AUTHENTICATION = 51

/** Where the next header of a chain stands in relation to the packet's first octet. */
export interface PerFragmentHeaders {
  /** Octets, the fixed header included. */
  readonly length: number
  /** The field that says what follows them, from the packet's first octet, and its value. */
  readonly nextHeaderAt: number
  readonly nextHeader: number
}

/**
 * The headers that every fragment repeats (RFC 8200 section 4.5): all up to the Routing header where
 * there is one, else up to Hop-by-Hop Options. Undefined: the chain is cut short.
 */
export const perFragmentLength = (bytes: Uint8Array, start: number, end: number): PerFragmentHeaders | undefined => {
  if (end - start < IPV6_HEADER) return undefined
  let found: PerFragmentHeaders = { length: IPV6_HEADER, nextHeaderAt: 6, nextHeader: getU8(bytes, start + 6) }
  let { length, nextHeader } = found
  while (nextHeader === HOP_BY_HOP || nextHeader === DESTINATION_OPTIONS || nextHeader === ROUTING) {
    if (start + length + 8 > end) return undefined
    const field = length
    const kind = nextHeader
    nextHeader = getU8(bytes, start + field)
    length += (getU8(bytes, start + field + 1) + 1) * 8
    if (start + length > end) return undefined
    if (kind !== DESTINATION_OPTIONS) found = { length, nextHeaderAt: field, nextHeader }
  }
  return found
}

/** Octets of an upper layer's header that a first fragment must hold, as Linux's ipv6frag_thdr_truncated asks for. */
const UPPER_LAYER: Readonly<Record<number, number>> = {
  [PROTOCOL_TCP]: 20,
  [PROTOCOL_UDP]: 8,
  [NEXT_HEADER_ICMPV6]: 8,
  [NEXT_HEADER_NONE]: 0,
}

/** Whether a first fragment's data, which begin with `nextHeader`, hold the whole header chain (RFC 7112 section 5). */
export const holdsHeaderChain = (octets: Uint8Array, nextHeader: number): boolean => {
  let at = 0
  let kind = nextHeader
  for (;;) {
    switch (kind) {
      case HOP_BY_HOP:
      case ROUTING:
      case DESTINATION_OPTIONS:
      case NEXT_HEADER_FRAGMENT:
      case AUTHENTICATION: {
        if (at + 8 > octets.length) return false
        const extra = getU8(octets, at + 1)
        const length =
          kind === NEXT_HEADER_FRAGMENT ? FRAGMENT_HEADER : kind === AUTHENTICATION ? (extra + 2) * 4 : (extra + 1) * 8
        kind = getU8(octets, at)
        at += length
        if (at > octets.length) return false
        break
      }
      default:
        return octets.length - at >= (UPPER_LAYER[kind] ?? 1)
    }
  }
}
