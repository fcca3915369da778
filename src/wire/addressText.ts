import { type Endpoint, type IpAddress, inZone, ipv4, ipv6, type MacAddress, needsZone } from "./address.ts"

/**
 * Addresses as people write them. Parsers are strict (no leading zeros, no short forms of IPv4,
 * zones by number alone) and answer nonsense with `undefined`; what a formatter writes, its parser reads.
 */

/** An address and how many of its first bits name its network: "198.18.0.2/24" (RFC 4632 section 3.1). */
export interface Cidr {
  readonly address: IpAddress
  readonly length: number
}

const DECIMAL = /^(0|[1-9][0-9]{0,4})$/
const GROUP = /^[0-9a-f]{1,4}$/i
const MAC = /^[0-9a-f]{2}([:-])[0-9a-f]{2}(\1[0-9a-f]{2}){4}$/i
const ENDPOINT = /^(?:\[([^\]]*)\]|([^:]*)):([0-9]+)$/

const parseDecimal = (text: string, max: number): number | undefined => {
  if (!DECIMAL.test(text)) return undefined
  const value = Number(text)
  return value <= max ? value : undefined
}

/** Four decimal octets (RFC 1123 section 2.1), read as decimal or not at all. */
export const parseIpv4 = (text: string): IpAddress | undefined => {
  const word = parseDotted(text)
  return word === undefined ? undefined : ipv4(word)
}

const parseDotted = (text: string): number | undefined => {
  const parts = text.split(".")
  if (parts.length !== 4) return undefined
  let word = 0
  for (const part of parts) {
    const octet = parseDecimal(part, 255)
    if (octet === undefined) return undefined
    word = word * 256 + octet
  }
  return word
}

/** All three forms of RFC 4291 section 2.2, and behind a percent sign the zone that a link-local address may have (RFC 4007 section 11). */
export const parseIpv6 = (text: string): IpAddress | undefined => parseScoped(text, numberOf)

/** The same with zones by name: `zoneOf` says which one that is. */
export const parseScoped = (text: string, zoneOf: (name: string) => number | undefined): IpAddress | undefined => {
  const [plain = "", name, ...more] = text.split("%")
  const address = parsePlain(plain)
  if (address === undefined || name === undefined) return address
  const zone = zoneOf(name)
  return zone === undefined || more.length > 0 || !needsZone(address) ? undefined : inZone(address, zone)
}

const numberOf = (zone: string): number | undefined => parseDecimal(zone, 0xffff) || undefined

const parsePlain = (text: string): IpAddress | undefined => {
  const [before = "", after, ...more] = text.split("::")
  if (more.length > 0) return undefined
  const head = parseGroups(before, after === undefined)
  const tail = after === undefined ? [] : parseGroups(after, true)
  if (head === undefined || tail === undefined) return undefined
  const missing = 8 - head.length - tail.length
  if (after === undefined ? missing !== 0 : missing < 1) return undefined
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail]
  const word = (i: number): number => (groups[i] ?? 0) * 0x10000 + (groups[i + 1] ?? 0)
  return ipv6(word(0), word(2), word(4), word(6))
}

/** Groups between colons; the address's `last` part may end in dotted form. */
const parseGroups = (text: string, last: boolean): ReadonlyArray<number> | undefined => {
  if (text === "") return []
  const groups: Array<number> = []
  const parts = text.split(":")
  for (const [i, part] of parts.entries()) {
    if (GROUP.test(part)) {
      groups.push(Number.parseInt(part, 16))
      continue
    }
    const word = last && i === parts.length - 1 ? parseDotted(part) : undefined
    if (word === undefined) return undefined
    groups.push(word >>> 16, word & 0xffff)
  }
  return groups
}

export const parseAddress = (text: string): IpAddress | undefined => parseIpv4(text) ?? parseIpv6(text)

export const formatAddress = (address: IpAddress): string => {
  if (address.family === 4) return formatDotted(address.d)
  return address.zone === undefined ? formatIpv6(address) : `${formatIpv6(address)}%${address.zone}`
}

const formatDotted = (word: number): string =>
  `${word >>> 24}.${(word >>> 16) & 0xff}.${(word >>> 8) & 0xff}.${word & 0xff}`

/** RFC 5952: section 4.2 on "::", section 5 on the mapped prefix. */
const formatIpv6 = ({ a, b, c, d }: IpAddress): string => {
  if (a === 0 && b === 0 && c === 0xffff) return `::ffff:${formatDotted(d)}`
  const groups = [a, b, c, d].flatMap((word) => [word >>> 16, word & 0xffff])
  const { start, length } = longestZeros(groups)
  const hex = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(":")
  return length < 2 ? hex(0, 8) : `${hex(0, start)}::${hex(start + length, 8)}`
}

/** The first of the longest runs. */
const longestZeros = (groups: ReadonlyArray<number>): { readonly start: number; readonly length: number } => {
  let best = { start: 0, length: 0 }
  let length = 0
  for (const [i, group] of groups.entries()) {
    length = group === 0 ? length + 1 : 0
    if (length > best.length) best = { start: i + 1 - length, length }
  }
  return best
}

export const parseCidr = (text: string): Cidr | undefined => {
  const [left = "", right, ...more] = text.split("/")
  if (right === undefined || more.length > 0) return undefined
  const address = parseAddress(left)
  if (address === undefined) return undefined
  const length = parseDecimal(right, address.family === 4 ? 32 : 128)
  return length === undefined ? undefined : { address, length }
}

export const formatCidr = (cidr: Cidr): string => `${formatAddress(cidr.address)}/${cidr.length}`

/** "198.18.0.2:7" or "[2001:db8::1]:7" (RFC 5952 section 6). */
export const parseEndpoint = (text: string): Endpoint | undefined => {
  const [, bracketed, bare, digits] = ENDPOINT.exec(text) ?? []
  const address = bracketed === undefined ? parseIpv4(bare ?? "") : parseIpv6(bracketed)
  const port = parseDecimal(digits ?? "", 0xffff)
  return address === undefined || port === undefined ? undefined : { address, port }
}

export const formatEndpoint = ({ address, port }: Endpoint): string =>
  address.family === 4 ? `${formatAddress(address)}:${port}` : `[${formatAddress(address)}]:${port}`

/** Six octets of two hexadecimal digits, between colons or between hyphens. */
export const parseMac = (text: string): MacAddress | undefined =>
  MAC.test(text) ? (Number.parseInt(text.replaceAll(/[:-]/g, ""), 16) as MacAddress) : undefined

export const formatMac = (mac: MacAddress): string => {
  const digits = mac.toString(16).padStart(12, "0")
  return [0, 2, 4, 6, 8, 10].map((at) => digits.slice(at, at + 2)).join(":")
}
