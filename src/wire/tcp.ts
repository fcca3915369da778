import type { IpAddress } from "./address.ts"
import { getU8, getU16, getU32, setU16, setU32, viewOf } from "./bytes.ts"
import { finish, fold, pseudoHeader, sum } from "./checksum.ts"
import type { WireDrop } from "./drop.ts"
import type { Codepoint } from "./ecn.ts"
import { PROTOCOL_TCP } from "./ipv4.ts"
import { type OptionLayout, writeOptions } from "./tcpOptionLayout.ts"
import { decodeOptions } from "./tcpOptions.ts"
import { EMPTY, type TcpOptions, type TcpPacket } from "./tcpSegment.ts"

/** Without options. */
export const TCP_HEADER = 20
/** Where the checksum is, from the header's first octet. */
export const TCP_CHECKSUM_OFFSET = 16

/** The nine flags of `tcpSegment.ts`: AE and the octet after it. */
const FLAG_BITS = 0x1ff

/** What a header says besides its own length and checksum (RFC 9293 section 3.1). */
export interface TcpHeader {
  readonly sourcePort: number
  readonly destinationPort: number
  readonly seq: number
  readonly ack: number
  readonly flags: number
  readonly wnd: number
  readonly up: number
  readonly options: TcpOptions
}

/** `length`: the IP payload's, which is the segment's. Without `verifyChecksum` the sum is taken on trust. */
export const decodeTcp = (
  bytes: Uint8Array,
  offset: number,
  length: number,
  source: IpAddress,
  destination: IpAddress,
  verifyChecksum: boolean,
  ecn?: Codepoint,
): TcpPacket | WireDrop => {
  if (length < TCP_HEADER) return "tcp:truncated"
  const headerLength = (getU8(bytes, offset + 12) >>> 4) << 2
  if (headerLength < TCP_HEADER || headerLength > length) return "tcp:bad-data-offset"
  if (verifyChecksum && checksum(bytes, offset, length, source, destination) !== 0) return "tcp:bad-checksum"
  return {
    source,
    destination,
    sourcePort: getU16(bytes, offset),
    destinationPort: getU16(bytes, offset + 2),
    segment: {
      seq: getU32(bytes, offset + 4),
      ack: getU32(bytes, offset + 8),
      flags: getU16(bytes, offset + 12) & FLAG_BITS,
      wnd: getU16(bytes, offset + 14),
      up: getU16(bytes, offset + 18),
      options: decodeOptions(bytes, offset + TCP_HEADER, headerLength - TCP_HEADER),
      payload: payloadOf(bytes, offset + headerLength, length - headerLength),
      ecn,
    },
  }
}

/** A payload of so few octets is a copy, which costs no more than a view of it; a longer one is a view. */
export const COPIED_PAYLOAD = 128

const payloadOf = (bytes: Uint8Array, offset: number, length: number): Uint8Array => {
  if (length === 0) return EMPTY
  if (length > COPIED_PAYLOAD) return viewOf(bytes, offset, length)
  const copy = new Uint8Array(length)
  for (let i = 0; i < length; i++) copy[i] = bytes[offset + i] ?? 0
  return copy
}

/** Writes header and options with a checksum of 0, and returns their length. */
export const writeTcpHeader = (out: Uint8Array, offset: number, header: TcpHeader, layout: OptionLayout): number => {
  const length = TCP_HEADER + writeOptions(out, offset + TCP_HEADER, header.options, layout)
  setU16(out, offset, header.sourcePort)
  setU16(out, offset + 2, header.destinationPort)
  setU32(out, offset + 4, header.seq)
  setU32(out, offset + 8, header.ack)
  setU16(out, offset + 12, (length << 10) | (header.flags & FLAG_BITS))
  setU16(out, offset + 14, header.wnd)
  setU16(out, offset + TCP_CHECKSUM_OFFSET, 0)
  setU16(out, offset + 18, header.up)
  return length
}

/** The whole checksum, over `length` octets of header and payload that are already in place. */
export const finishTcp = (
  out: Uint8Array,
  offset: number,
  length: number,
  source: IpAddress,
  destination: IpAddress,
): void => {
  setU16(out, offset + TCP_CHECKSUM_OFFSET, 0)
  setU16(out, offset + TCP_CHECKSUM_OFFSET, checksum(out, offset, length, source, destination))
}

/** The pseudo-header's part only: the device adds the rest and complements (VIRTIO_NET_HDR_F_NEEDS_CSUM). */
export const partialTcp = (
  out: Uint8Array,
  offset: number,
  length: number,
  source: IpAddress,
  destination: IpAddress,
): void => setU16(out, offset + TCP_CHECKSUM_OFFSET, fold(pseudoHeader(source, destination, PROTOCOL_TCP, length)))

/** Header, payload and checksum at once; returns the segment's octets. */
export const encodeTcp = (out: Uint8Array, offset: number, packet: TcpPacket, layout: OptionLayout): number => {
  const { source, destination, sourcePort, destinationPort, segment } = packet
  const { seq, ack, flags, wnd, up, options, payload } = segment
  const header = { sourcePort, destinationPort, seq, ack, flags, wnd, up, options }
  const headerLength = writeTcpHeader(out, offset, header, layout)
  const length = headerLength + payload.length
  out.set(payload, offset + headerLength)
  finishTcp(out, offset, length, source, destination)
  return length
}

/** 0 when a right checksum is among the octets. */
const checksum = (
  bytes: Uint8Array,
  offset: number,
  length: number,
  source: IpAddress,
  destination: IpAddress,
): number => finish(pseudoHeader(source, destination, PROTOCOL_TCP, length) + sum(bytes, offset, length))
