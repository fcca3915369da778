import type { Segment, TcpOptions } from "../../wire/tcpSegment.ts"

/**
 * What a buffer of Linux's takes, as a TUN device allocates it (tun_alloc_skb, alloc_skb_with_frags): a head with room
 * for the link layer before the packet and the shared record behind it, whole pages for what does not fit, and the
 * buffer's own record.
 */
export interface Footprint {
  /** Octets of memory: the skb's truesize. */
  readonly truesize: number
  /** Octets of a segment that follows which still fit into the head. */
  readonly room: number
}

const PAGE = 4096
/** SMP_CACHE_BYTES, and so NET_SKB_PAD. */
const LINE = 64
/** struct sk_buff and struct skb_shared_info, in whole cache lines. */
const RECORD = 256
const SHARED = 320
/** Objects of skb_small_head_cache; larger heads are powers of two. */
const SMALL_HEAD = 576
/** SKB_MAX_HEAD(NET_SKB_PAD): what a device puts into the head of a packet that takes pages too. */
const LINEAR = PAGE - LINE - SHARED

const inLines = (octets: number): number => Math.ceil(octets / LINE) * LINE

const headFor = (octets: number): number => {
  const needed = inLines(octets) + SHARED
  return needed <= SMALL_HEAD ? SMALL_HEAD : 2 ** Math.ceil(Math.log2(needed))
}

/** Of a packet, its IP header counted. */
export const footprint = (packet: number): Footprint => {
  const linear = packet + LINE < PAGE ? packet : LINEAR
  const paged = packet - linear
  const head = headFor(LINE + linear)
  return {
    truesize: RECORD + head + Math.ceil(paged / PAGE) * PAGE,
    room: paged > 0 ? 0 : head - SHARED - LINE - linear,
  }
}

/** What tcp_collapse copies into one buffer at most: a page of a head. */
export const COPIED_AT_ONCE = PAGE - SHARED

/** Of a buffer that `octets` have been copied into. */
export const copiedFootprint = (octets: number): Footprint => {
  const head = headFor(octets)
  return { truesize: RECORD + head, room: head - SHARED - octets }
}

const TCP_HEADER = 20
export const IP_HEADER = { 4: 20, 6: 40 } as const

/** Octets of a segment's packet. */
export const packetLength = ({ options, payload }: Segment, family: 4 | 6): number =>
  IP_HEADER[family] + TCP_HEADER + optionsLength(options) + payload.length

/** Of those that data carries, padded as they usually are. */
const optionsLength = ({ tsVal, sack, md5, ao }: TcpOptions): number =>
  (tsVal === undefined ? 0 : 12) +
  (sack.length === 0 ? 0 : 4 + 8 * sack.length) +
  (md5 === undefined ? 0 : 20) +
  (ao === undefined ? 0 : inWords(4 + ao.mac.length))

const inWords = (octets: number): number => Math.ceil(octets / 4) * 4
