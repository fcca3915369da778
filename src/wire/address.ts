/**
 * Addresses as values of one shape for both families: four 32-bit words in network order.
 * An IPv4 address lives in the last word, under the mapped prefix ::ffff:0:0/96 (RFC 4291
 * section 2.5.5.2), so that tables and comparisons need no second case.
 */
export interface IpAddress {
  readonly family: 4 | 6
  readonly a: number
  readonly b: number
  readonly c: number
  readonly d: number
  /**
   * Of a link-local address, the link that it is on (RFC 4007 section 6): the host's interface, from 1.
   * Absent from all others, and never on the wire.
   */
  readonly zone?: number
}

/** An address and a port: RFC 9293's "socket". */
export interface Endpoint {
  readonly address: IpAddress
  readonly port: number
}

/** 48 bits as one number, most significant octet first. */
export type MacAddress = number & { readonly MacAddress: unique symbol }

const MAPPED = 0xffff

export const ipv4 = (word: number): IpAddress => ({ family: 4, a: 0, b: 0, c: MAPPED, d: word >>> 0 })

export const ipv6 = (a: number, b: number, c: number, d: number): IpAddress => ({
  family: 6,
  a: a >>> 0,
  b: b >>> 0,
  c: c >>> 0,
  d: d >>> 0,
})

/** 0.0.0.0: "any local address" where it stands for a local one. */
export const UNSPECIFIED4: IpAddress = ipv4(0)
export const UNSPECIFIED6: IpAddress = ipv6(0, 0, 0, 0)
export const BROADCAST4: IpAddress = ipv4(0xffffffff)

export const sameAddress = (x: IpAddress, y: IpAddress): boolean =>
  x.d === y.d && x.c === y.c && x.b === y.b && x.a === y.a && x.family === y.family && x.zone === y.zone

export const sameEndpoint = (x: Endpoint, y: Endpoint): boolean =>
  x.port === y.port && sameAddress(x.address, y.address)

export const isUnspecified = (x: IpAddress): boolean =>
  x.d === 0 && x.a === 0 && x.b === 0 && (x.c === 0 || (x.family === 4 && x.c === MAPPED))

/** 224.0.0.0/4 and ff00::/8. */
export const isMulticast = (x: IpAddress): boolean => (x.family === 4 ? x.d >>> 28 === 0xe : x.a >>> 24 === 0xff)

export const isLoopback = (x: IpAddress): boolean =>
  x.family === 4 ? x.d >>> 24 === 127 : x.a === 0 && x.b === 0 && x.c === 0 && x.d === 1

/** fe80::/10 (RFC 4291 section 2.5.6) and 169.254.0.0/16 (RFC 3927). */
export const isLinkLocal = (x: IpAddress): boolean =>
  x.family === 4 ? x.d >>> 16 === 0xa9fe : x.a >>> 22 === 0xfe80 >>> 6

/** ::ffff:0:0/96 written as an IPv6 address (RFC 4291 section 2.5.5.2). */
export const isMapped = (x: IpAddress): boolean => x.family === 6 && x.a === 0 && x.b === 0 && x.c === MAPPED

/** The IPv4 address that a mapped one stands for; any other as it is. */
export const unmapped = (x: IpAddress): IpAddress => (isMapped(x) ? ipv4(x.d) : x)

/** The address on the link of an interface (`zone` counts from 1), where its scope is a link; any other as it is. */
export const inZone = (x: IpAddress, zone: number): IpAddress => (x.family === 6 && needsZone(x) ? { ...x, zone } : x)

/** Without its zone: as it is on the wire. */
export const withoutZone = (x: IpAddress): IpAddress => (x.zone === undefined ? x : ipv6(x.a, x.b, x.c, x.d))

/** fe80::/10, and multicast of interface-local and link-local scope: on every link there may be another. */
export const needsZone = (x: IpAddress): boolean =>
  x.family === 6 && (isLinkLocal(x) || (x.a >>> 24 === 0xff && ((x.a >>> 16) & 0xf) <= 2))

/** The same address is on every link: which one is meant must be said (RFC 4007 section 6). */
export const lacksZone = (x: IpAddress): boolean => x.family === 6 && isLinkLocal(x) && x.zone === undefined

/** The first `length` bits of both addresses agree (`length` counts from the family's own first bit). */
export const inPrefix = (x: IpAddress, prefix: IpAddress, length: number): boolean => {
  if (x.family !== prefix.family) return false
  if (x.family === 4) return sameBits(x.d, prefix.d, length)
  return (
    sameBits(x.a, prefix.a, length) &&
    sameBits(x.b, prefix.b, length - 32) &&
    sameBits(x.c, prefix.c, length - 64) &&
    sameBits(x.d, prefix.d, length - 96)
  )
}

/** The first `length` bits of an address, and zeros behind them. */
export const networkOf = (x: IpAddress, length: number): IpAddress => {
  if (x.family === 4) return ipv4(firstBits(x.d, length))
  return ipv6(
    firstBits(x.a, length),
    firstBits(x.b, length - 32),
    firstBits(x.c, length - 64),
    firstBits(x.d, length - 96),
  )
}

const firstBits = (x: number, bits: number): number => {
  if (bits <= 0) return 0
  return bits >= 32 ? x : (x & (0xffffffff << (32 - bits))) >>> 0
}

const sameBits = (x: number, y: number, bits: number): boolean =>
  bits <= 0 || (bits >= 32 ? x === y : (x ^ y) >>> (32 - bits) === 0)
