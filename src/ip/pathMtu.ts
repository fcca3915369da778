import { IPV6_MIN_MTU } from "../wire/ipv6.ts"
import type { Micros } from "../wire/time.ts"

/** What a path to a destination carries (RFC 1191, RFC 8201), until it is worth trying more. */
export interface PathMtu {
  /** Octets of the largest packet. */
  readonly mtu: number
  readonly until: Micros
}

/** RFC 1191 section 6.3, RFC 8201 section 5.3: not before five minutes; Linux's mtu_expires. */
export const PATH_MTU_LIFE: Micros = 600_000_000

/**
 * Smaller reports over IPv4 are taken for this (Linux's min_pmtu): a forged one could otherwise
 * make every segment tiny (RFC 5927 section 7).
 */
export const MIN_PATH_MTU4 = 552

/** RFC 1191 section 7: for routers that do not say, the next common MTU below the packet's length. */
const PLATEAUS = [32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296]

/**
 * A report that a packet of `length` octets was too big for a link of `reported`. `undefined`: it
 * says nothing that is to be believed. A report only ever lowers (RFC 8201 section 4).
 */
export const tooBig = (
  known: PathMtu | undefined,
  family: 4 | 6,
  reported: number,
  length: number,
  linkMtu: number,
  now: Micros,
): PathMtu | undefined => {
  const before = known !== undefined && known.until > now ? known.mtu : linkMtu
  const mtu = family === 4 ? mtu4(reported, length) : reported
  // RFC 8201 section 4: no link of IPv6 carries less, so a smaller report is a mistake or an attack.
  if (family === 6 && mtu < IPV6_MIN_MTU) return undefined
  return mtu < before ? { mtu, until: now + PATH_MTU_LIFE } : undefined
}

const mtu4 = (reported: number, length: number): number => {
  // Section 5: an old router leaves the field 0.
  const said = reported === 0 ? (PLATEAUS.find((plateau) => plateau < length) ?? 0) : reported
  return Math.max(said, MIN_PATH_MTU4)
}
