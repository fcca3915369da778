import type { IpAddress } from "./address.ts"
import { getU16, setU16 } from "./bytes.ts"
import { finish, fold, pseudoHeader, sum } from "./checksum.ts"
import type { WireDrop } from "./drop.ts"
import { PROTOCOL_UDP } from "./ipv4.ts"
import { EMPTY } from "./tcpSegment.ts"

/** A UDP datagram (RFC 768) with the addresses that carried it. `payload` may be a view. */
export interface UdpPacket {
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly sourcePort: number
  readonly destinationPort: number
  readonly payload: Uint8Array
}

export const UDP_HEADER = 8
/** Where the checksum is, from the header's first octet. */
export const UDP_CHECKSUM_OFFSET = 6

/** `length`: the IP payload's, of which the datagram may be the first part. */
export const decodeUdp = (
  bytes: Uint8Array,
  offset: number,
  length: number,
  source: IpAddress,
  destination: IpAddress,
  verifyChecksum: boolean,
): UdpPacket | WireDrop => {
  if (length < UDP_HEADER) return "udp:truncated"
  const own = getU16(bytes, offset + 4)
  if (own < UDP_HEADER || own > length) return "udp:bad-length"
  if (verifyChecksum) {
    // Zero says that the sender made none: allowed over IPv4 (RFC 768), not over IPv6 (RFC 8200 section 8.1).
    const made = getU16(bytes, offset + UDP_CHECKSUM_OFFSET) !== 0
    if (!made && source.family === 6) return "udp:zero-checksum"
    if (made && checksum(bytes, offset, own, source, destination) !== 0) return "udp:bad-checksum"
  }
  return {
    source,
    destination,
    sourcePort: getU16(bytes, offset),
    destinationPort: getU16(bytes, offset + 2),
    payload: own === UDP_HEADER ? EMPTY : bytes.subarray(offset + UDP_HEADER, offset + own),
  }
}

/** Writes the header with a checksum of 0. */
export const writeUdpHeader = (
  out: Uint8Array,
  offset: number,
  sourcePort: number,
  destinationPort: number,
  payloadLength: number,
): number => {
  setU16(out, offset, sourcePort)
  setU16(out, offset + 2, destinationPort)
  setU16(out, offset + 4, UDP_HEADER + payloadLength)
  setU16(out, offset + UDP_CHECKSUM_OFFSET, 0)
  return UDP_HEADER
}

/** The whole checksum, over `length` octets of header and payload that are already in place; never 0. */
export const finishUdp = (
  out: Uint8Array,
  offset: number,
  length: number,
  source: IpAddress,
  destination: IpAddress,
): void => {
  setU16(out, offset + UDP_CHECKSUM_OFFSET, 0)
  setU16(out, offset + UDP_CHECKSUM_OFFSET, checksum(out, offset, length, source, destination) || 0xffff)
}

/** The pseudo-header's part only: the device adds the rest and complements (VIRTIO_NET_HDR_F_NEEDS_CSUM). */
export const partialUdp = (
  out: Uint8Array,
  offset: number,
  length: number,
  source: IpAddress,
  destination: IpAddress,
): void => setU16(out, offset + UDP_CHECKSUM_OFFSET, fold(pseudoHeader(source, destination, PROTOCOL_UDP, length)))

/** Header, payload and checksum at once; returns the datagram's octets. */
export const encodeUdp = (out: Uint8Array, offset: number, packet: UdpPacket): number => {
  const { source, destination, sourcePort, destinationPort, payload } = packet
  const length = writeUdpHeader(out, offset, sourcePort, destinationPort, payload.length) + payload.length
  out.set(payload, offset + UDP_HEADER)
  finishUdp(out, offset, length, source, destination)
  return length
}

/** 0 when a right checksum is among the octets. */
const checksum = (
  bytes: Uint8Array,
  offset: number,
  length: number,
  source: IpAddress,
  destination: IpAddress,
): number => finish(pseudoHeader(source, destination, PROTOCOL_UDP, length) + sum(bytes, offset, length))
