import type { IpAddress } from "./address.ts"
import { memoryUnder } from "./words.ts"

/**
 * The Internet checksum (RFC 1071): the complement of the ones' complement sum of 16-bit words.
 * A "sum" here is not yet complemented; sums of parts are added with `+` and folded at the end.
 * A part counts as if it began at an even octet of the message.
 */

/** Sums of this many octets and more repay the look for a view of words. */
const WORDS_PAY = 128

/** Brings a sum below 2^32 down to 16 bits, carries added back in. */
export const fold = (sum: number): number => {
  const once = (sum & 0xffff) + (sum >>> 16)
  return (once & 0xffff) + (once >>> 16)
}

/** The field's value for a sum. */
export const finish = (sum: number): number => ~fold(sum) & 0xffff

/** The folded sum of `length` octets; an odd last one is padded with a zero octet. */
export const sum = (bytes: Uint8Array, offset: number, length: number): number => {
  const from = bytes.byteOffset + offset
  if (length < WORDS_PAY || (from & 1) !== 0 || offset + length > bytes.length) return sumOctets(bytes, offset, length)
  const { words, vectorSum } = memoryUnder(bytes)
  const even = length - (length & 1)
  const own = fold(vectorSum === undefined ? sumWords(words, from >>> 1, even >>> 1) : vectorSum(from, even))
  // In the machine's byte order, little-endian wherever Bun runs: swapping the octets puts it right (RFC 1071 section 2(B)).
  return fold((((own & 0xff) << 8) | (own >>> 8)) + (even === length ? 0 : sumOctets(bytes, offset + even, 1)))
}

/** Even and odd octets apart: one load and one addition each, and no carry before 2^23 octets. */
const sumOctets = (bytes: Uint8Array, offset: number, length: number): number => {
  const end = offset + length
  let high = 0
  let low = 0
  let at = offset
  for (const last = end - 8; at <= last; at += 8) {
    high += (bytes[at] ?? 0) + (bytes[at + 2] ?? 0) + (bytes[at + 4] ?? 0) + (bytes[at + 6] ?? 0)
    low += (bytes[at + 1] ?? 0) + (bytes[at + 3] ?? 0) + (bytes[at + 5] ?? 0) + (bytes[at + 7] ?? 0)
  }
  for (; at + 1 < end; at += 2) {
    high += bytes[at] ?? 0
    low += bytes[at + 1] ?? 0
  }
  if (at < end) high += bytes[at] ?? 0
  return fold(((high & 0xff) << 8) + (high >>> 8) + low)
}

/**
 * Words of 16 bits, into two sums so that one addition need not wait for the other. Neither leaves 31 bits for the 64 KiB
 * that a packet has at most: larger words would have fewer loads, but sums that are integers in one packet and
 * doubles in the next, by its octets, and code that is compiled again for each.
 */
const sumWords = (words: Uint16Array, from: number, count: number): number => {
  const end = from + count
  let one = 0
  let other = 0
  let at = from
  for (const last = end - 8; at <= last; at += 8) {
    one += (words[at] ?? 0) + (words[at + 1] ?? 0) + (words[at + 2] ?? 0) + (words[at + 3] ?? 0)
    other += (words[at + 4] ?? 0) + (words[at + 5] ?? 0) + (words[at + 6] ?? 0) + (words[at + 7] ?? 0)
  }
  for (; at < end; at++) one += words[at] ?? 0
  return fold(one) + fold(other)
}

/** The pseudo-header's sum: RFC 9293 section 3.1 and RFC 768 for IPv4, RFC 8200 section 8.1 for IPv6. */
export const pseudoHeader = (source: IpAddress, destination: IpAddress, protocol: number, length: number): number => {
  const last = halves(source.d) + halves(destination.d) + halves(length) + protocol
  if (source.family === 4) return last
  return (
    last +
    halves(source.a) +
    halves(source.b) +
    halves(source.c) +
    halves(destination.a) +
    halves(destination.b) +
    halves(destination.c)
  )
}

const halves = (word: number): number => (word >>> 16) + (word & 0xffff)

/** A checksum field after one 16-bit word under it has changed: RFC 1624 section 3, equation 3. */
export const update16 = (checksum: number, before: number, after: number): number =>
  finish((~checksum & 0xffff) + (~before & 0xffff) + (after & 0xffff))

/** The same for a 32-bit word that lies at an even octet. */
export const update32 = (checksum: number, before: number, after: number): number =>
  finish((~checksum & 0xffff) + halves(~before) + halves(after))
