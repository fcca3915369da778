import { type IpAddress, inPrefix, ipv6, sameAddress } from "../wire/address.ts"
import { scopeOf } from "../wire/multicast.ts"

/** An address that could be a packet's source. */
export interface Candidate {
  readonly address: IpAddress
  readonly prefixLength: number
  readonly deprecated: boolean
  readonly interface: number
}

/** RFC 6724 section 2.1: prefix, its length, precedence and label. */
interface Policy {
  readonly prefix: IpAddress
  readonly length: number
  readonly precedence: number
  readonly label: number
}

/** The default table, IPv4 as its mapped prefix. The longest match counts, so longer ones stand first. */
const POLICIES: ReadonlyArray<Policy> = [
  { prefix: ipv6(0, 0, 0, 1), length: 128, precedence: 50, label: 0 },
  { prefix: ipv6(0, 0, 0xffff, 0), length: 96, precedence: 35, label: 4 },
  { prefix: ipv6(0, 0, 0, 0), length: 96, precedence: 1, label: 3 },
  { prefix: ipv6(0x20010000, 0, 0, 0), length: 32, precedence: 5, label: 5 },
  { prefix: ipv6(0x20020000, 0, 0, 0), length: 16, precedence: 30, label: 2 },
  { prefix: ipv6(0x3ffe0000, 0, 0, 0), length: 16, precedence: 1, label: 12 },
  { prefix: ipv6(0xfec00000, 0, 0, 0), length: 10, precedence: 1, label: 11 },
  { prefix: ipv6(0xfc000000, 0, 0, 0), length: 7, precedence: 3, label: 13 },
]
const ANYTHING: Policy = { prefix: ipv6(0, 0, 0, 0), length: 0, precedence: 40, label: 1 }

const policyOf = (address: IpAddress): Policy => {
  const asIpv6 = ipv6(address.a, address.b, address.c, address.d)
  return POLICIES.find(({ prefix, length }) => inPrefix(asIpv6, prefix, length)) ?? ANYTHING
}

/**
 * The source for `destination` (RFC 6724 section 5) among addresses of its family, rules 4, 5.5 and 7
 * left out: there are no home addresses here, no routers with prefixes of their own, and no temporary
 * addresses. `iface` is where the packet leaves.
 */
export const selectSource = (
  candidates: ReadonlyArray<Candidate>,
  destination: IpAddress,
  iface: number,
): IpAddress | undefined => {
  let best: Candidate | undefined
  for (const candidate of candidates) {
    if (candidate.address.family !== destination.family) continue
    if (best === undefined || compareSources(candidate, best, destination, iface) < 0) best = candidate
  }
  return best?.address
}

/** Negative when `x` is the better source, 0 when nothing tells them apart. */
const compareSources = (x: Candidate, y: Candidate, destination: IpAddress, iface: number): number => {
  // Rule 1: the destination itself.
  const same = compare(sameAddress(y.address, destination), sameAddress(x.address, destination))
  if (same !== 0) return same
  // Rule 2: the smallest scope that reaches, else the largest there is.
  const [scopeX, scopeY, wanted] = [scopeOf(x.address), scopeOf(y.address), scopeOf(destination)]
  if (scopeX !== scopeY) {
    const smaller = scopeX < scopeY ? -1 : 1
    return Math.min(scopeX, scopeY) < wanted ? -smaller : smaller
  }
  // Rule 3: what is not deprecated.
  if (x.deprecated !== y.deprecated) return x.deprecated ? 1 : -1
  // Rule 5: of the interface that it leaves by.
  if ((x.interface === iface) !== (y.interface === iface)) return x.interface === iface ? -1 : 1
  // Rule 6: of the destination's kind.
  const { label } = policyOf(destination)
  const alikeX = policyOf(x.address).label === label
  if (alikeX !== (policyOf(y.address).label === label)) return alikeX ? -1 : 1
  // Rule 8: the longest common prefix, as far as the source's own prefix goes (section 2.2).
  return matching(y, destination) - matching(x, destination)
}

/** Negative when only `y` holds. */
const compare = (x: boolean, y: boolean): number => Number(x) - Number(y)

const matching = ({ address, prefixLength }: Candidate, destination: IpAddress): number =>
  Math.min(prefixLength, commonPrefixLength(address, destination))

/** Leading bits that two addresses of one family share. */
export const commonPrefixLength = (x: IpAddress, y: IpAddress): number => {
  if (x.family === 4) return Math.clz32(x.d ^ y.d)
  if (x.a !== y.a) return Math.clz32(x.a ^ y.a)
  if (x.b !== y.b) return 32 + Math.clz32(x.b ^ y.b)
  if (x.c !== y.c) return 64 + Math.clz32(x.c ^ y.c)
  return 96 + Math.clz32(x.d ^ y.d)
}

/** A destination with the source that would be used for it; none: it cannot be reached. */
export interface Destination {
  readonly address: IpAddress
  readonly source: Candidate | undefined
}

/** The order in which to try destinations (RFC 6724 section 6), rules 4 and 7 left out. Stable (rule 10). */
export const orderDestinations = <D extends Destination>(destinations: ReadonlyArray<D>): ReadonlyArray<D> =>
  [...destinations].sort(compareDestinations)

const compareDestinations = (x: Destination, y: Destination): number => {
  // Rule 1: what can be reached.
  if (x.source === undefined || y.source === undefined) {
    return compare(x.source === undefined, y.source === undefined)
  }
  // Rule 2: source and destination of one scope.
  const scopes = compare(sameScope(y.address, y.source.address), sameScope(x.address, x.source.address))
  if (scopes !== 0) return scopes
  // Rule 3.
  if (x.source.deprecated !== y.source.deprecated) return x.source.deprecated ? 1 : -1
  // Rules 5 and 6.
  const [policyX, policyY] = [policyOf(x.address), policyOf(y.address)]
  const labels = compare(
    policyOf(y.source.address).label === policyY.label,
    policyOf(x.source.address).label === policyX.label,
  )
  if (labels !== 0) return labels
  if (policyX.precedence !== policyY.precedence) return policyY.precedence - policyX.precedence
  // Rule 8: the smaller scope.
  const [scopeX, scopeY] = [scopeOf(x.address), scopeOf(y.address)]
  if (scopeX !== scopeY) return scopeX - scopeY
  // Rule 9: the longest common prefix with the source, within a family.
  if (x.address.family !== y.address.family) return 0
  return matching(y.source, y.address) - matching(x.source, x.address)
}

const sameScope = (x: IpAddress, y: IpAddress): boolean => scopeOf(x) === scopeOf(y)
