import { getU8, setU8, setU16 } from "../wire/bytes.ts"
import { isDrop } from "../wire/drop.ts"
import { FRAGMENT_HEADER, NEXT_HEADER_FRAGMENT, writeFragmentHeader } from "../wire/fragmentHeader.ts"
import { decodeQuotedIpv4, type Ipv4Packet, ipv4HeaderLength, writeIpv4 } from "../wire/ipv4.ts"
import { IPV6_HEADER } from "../wire/ipv6.ts"
import { EMPTY } from "../wire/tcpSegment.ts"
import { perFragmentLength } from "./headerChain.ts"

/** Offsets count in units of eight octets (RFC 791 section 3.1). */
const UNIT = 8

/**
 * The packet that begins at `start` of a frame as frames of which each carries `mtu` octets of IP at
 * most, every one behind a copy of what stands before `start`. A packet that fits is its own only
 * fragment. Undefined where it may not or cannot be cut: DF, or an MTU without room for data.
 * `identification` is IPv6's; an IPv4 header has its own.
 */
export const fragment = (
  frame: Uint8Array,
  start: number,
  mtu: number,
  identification: number,
): ReadonlyArray<Uint8Array> | undefined => {
  if (frame.length - start <= mtu) return [frame]
  return getU8(frame, start) >>> 4 === 4
    ? fragmentIpv4(frame, start, mtu)
    : fragmentIpv6(frame, start, mtu, identification)
}

/** RFC 791 section 3.2's example fragmentation procedure. What is a fragment already may be cut again, as routers do. */
const fragmentIpv4 = (frame: Uint8Array, start: number, mtu: number): ReadonlyArray<Uint8Array> | undefined => {
  const packet = decodeQuotedIpv4(frame, start, frame.length - start)
  if (isDrop(packet) || packet.dontFragment) return undefined
  const later: Ipv4Packet = { ...packet, options: copiedOptions(packet.options) }
  const frames: Array<Uint8Array> = []
  for (let at = 0; at < packet.payloadLength; ) {
    const header = at === 0 ? packet : later
    const headerLength = ipv4HeaderLength(header.options)
    const room = (mtu - headerLength) & ~(UNIT - 1)
    if (room < UNIT) return undefined
    const left = packet.payloadLength - at
    const isLast = left <= mtu - headerLength
    const length = isLast ? left : room
    const out = new Uint8Array(start + headerLength + length)
    out.set(frame.subarray(0, start))
    writeIpv4(out, start, {
      ...header,
      fragmentOffset: packet.fragmentOffset + at,
      moreFragments: !isLast || packet.moreFragments,
      payloadLength: length,
    })
    const from = packet.payloadOffset + at
    out.set(frame.subarray(from, from + length), start + headerLength)
    frames.push(out)
    at += length
  }
  return frames
}

const END_OF_OPTIONS = 0
const NO_OPERATION = 1
const COPIED = 0x80

/** Those with the copied flag: all that a fragment behind the first carries (RFC 791 section 3.1). */
export const copiedOptions = (options: Uint8Array): Uint8Array => {
  const kept: Array<number> = []
  for (let at = 0; at < options.length; ) {
    const type = getU8(options, at)
    if (type === END_OF_OPTIONS) break
    const length = type === NO_OPERATION ? 1 : getU8(options, at + 1)
    if (length < 1 || at + length > options.length || (type !== NO_OPERATION && length < 2)) break
    if ((type & COPIED) !== 0) kept.push(...options.subarray(at, at + length))
    at += length
  }
  return kept.length === 0 ? EMPTY : Uint8Array.from(kept)
}

/** RFC 8200 section 4.5: the per-fragment headers go before each piece, with a Fragment header behind them. */
const fragmentIpv6 = (
  frame: Uint8Array,
  start: number,
  mtu: number,
  identification: number,
): ReadonlyArray<Uint8Array> | undefined => {
  const head = perFragmentLength(frame, start, frame.length)
  if (head === undefined) return undefined
  const room = (mtu - head.length - FRAGMENT_HEADER) & ~(UNIT - 1)
  if (room < UNIT) return undefined
  const from = start + head.length
  const total = frame.length - from
  const frames: Array<Uint8Array> = []
  for (let at = 0; at < total; at += room) {
    const length = Math.min(room, total - at)
    const out = new Uint8Array(from + FRAGMENT_HEADER + length)
    out.set(frame.subarray(0, from))
    setU16(out, start + 4, head.length - IPV6_HEADER + FRAGMENT_HEADER + length)
    setU8(out, start + head.nextHeaderAt, NEXT_HEADER_FRAGMENT)
    writeFragmentHeader(out, from, {
      nextHeader: head.nextHeader,
      offset: at,
      more: at + length < total,
      identification,
    })
    out.set(frame.subarray(from + at, from + at + length), from + FRAGMENT_HEADER)
    frames.push(out)
  }
  return frames
}
