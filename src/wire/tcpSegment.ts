import type { IpAddress } from "./address.ts"
import type { Codepoint } from "./ecn.ts"

/** TCP header flags as bits of the 16-bit word at offset 12 (RFC 9293 section 3.1, RFC 3168). */
export const FIN = 0x01
export const SYN = 0x02
export const RST = 0x04
export const PSH = 0x08
export const ACK = 0x10
export const URG = 0x20
export const ECE = 0x40
export const CWR = 0x80
/** Accurate ECN's bit, NS of old (RFC 8311): kept, not acted upon. */
export const AE = 0x100

/** Left and right edge of data that arrived out of order (RFC 2018 section 3). */
export interface SackBlock {
  readonly left: number
  readonly right: number
}

/** An option that we carry but do not interpret. */
export interface RawOption {
  readonly kind: number
  readonly data: Uint8Array
}

/**
 * The options of one segment. Every field is always present, so that all records have one
 * shape; `undefined` (or an empty list) says that the option was not there.
 */
export interface TcpOptions {
  /** RFC 9293 section 3.2, kind 2. Octets. */
  readonly mss: number | undefined
  /** RFC 7323 section 2, kind 3: the shift count as sent, not yet limited to 14. */
  readonly windowScale: number | undefined
  /** RFC 2018, kind 4. */
  readonly sackPermitted: boolean
  /** RFC 2018 and 2883, kind 5: at most four blocks. */
  readonly sack: ReadonlyArray<SackBlock>
  /** RFC 7323 section 3, kind 8. */
  readonly tsVal: number | undefined
  readonly tsEcr: number | undefined
  /** RFC 7413, kind 34: empty for a cookie request. `experimental` when it came as kind 254 with magic 0xF989. */
  readonly fastOpen: { readonly cookie: Uint8Array; readonly experimental: boolean } | undefined
  /** RFC 2385, kind 19: the 16-octet digest. */
  readonly md5: Uint8Array | undefined
  /** RFC 5925, kind 29. */
  readonly ao: { readonly keyId: number; readonly rNextKeyId: number; readonly mac: Uint8Array } | undefined
  /** Kinds that nobody here knows, in the order of arrival. */
  readonly unknown: ReadonlyArray<RawOption>
}

/**
 * A TCP segment as the reducers see it: RFC 9293's SEG.* variables. `payload` may be a view
 * of device memory that is only valid while the segment is being handled.
 */
export interface Segment {
  /** SEG.SEQ */
  readonly seq: number
  /** SEG.ACK, meaningful when ACK is set. */
  readonly ack: number
  /** FIN | SYN | RST | ... */
  readonly flags: number
  /** SEG.WND as in the header, unscaled. */
  readonly wnd: number
  /** SEG.UP as in the header. */
  readonly up: number
  readonly options: TcpOptions
  readonly payload: Uint8Array
  /** The IP header's ECN bits; absent: not marked. */
  readonly ecn?: Codepoint | undefined
}

/** A segment with the addresses that carried it. */
export interface TcpPacket {
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly sourcePort: number
  readonly destinationPort: number
  readonly segment: Segment
}

export const NO_OPTIONS: TcpOptions = {
  mss: undefined,
  windowScale: undefined,
  sackPermitted: false,
  sack: [],
  tsVal: undefined,
  tsEcr: undefined,
  fastOpen: undefined,
  md5: undefined,
  ao: undefined,
  unknown: [],
}

export const EMPTY: Uint8Array = new Uint8Array(0)

export const hasFin = (s: Segment): boolean => (s.flags & FIN) !== 0
export const hasSyn = (s: Segment): boolean => (s.flags & SYN) !== 0
export const hasRst = (s: Segment): boolean => (s.flags & RST) !== 0
export const hasAck = (s: Segment): boolean => (s.flags & ACK) !== 0
export const hasUrg = (s: Segment): boolean => (s.flags & URG) !== 0

/** SEG.LEN: octets of sequence space, SYN and FIN counting one each. */
export const segmentLength = (s: Segment): number =>
  s.payload.length + (s.flags & SYN ? 1 : 0) + (s.flags & FIN ? 1 : 0)
