/**
 * Just enough TCP over IPv4, by hand, to hold a connection with the kernel in tests of a device: the test
 * is then not a test of the stack too. Frames are made with offload: checksums are left partial.
 */
import type { Offload } from "../../src/device/device.ts"

/** A connection, seen from our side. */
export interface Flow {
  /** The Ethernet, IPv4 and port octets of our frames, from the kernel's SYN turned round. */
  readonly destinationMac: Uint8Array
  readonly sourceMac: Uint8Array
  readonly source: Uint8Array
  readonly destination: Uint8Array
  readonly sourcePort: number
  readonly destinationPort: number
  /** SEG.SEQ of the kernel's SYN. */
  readonly irs: number
}

const IP = 14
const TCP = 34
export const SYN = 0x02
export const RST = 0x04
export const PSH = 0x08
export const ACK = 0x10
export const ISS = 1000
const MSS = 1460

const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Reads the flow out of a frame with the kernel's SYN. */
export const flowOf = (frame: Uint8Array): Flow => ({
  destinationMac: frame.slice(6, 12),
  sourceMac: frame.slice(0, 6),
  source: frame.slice(IP + 16, IP + 20),
  destination: frame.slice(IP + 12, IP + 16),
  sourcePort: view(frame).getUint16(TCP + 2),
  destinationPort: view(frame).getUint16(TCP),
  irs: view(frame).getUint32(TCP + 4),
})

export const isSyn = (frame: Uint8Array): boolean => isTcp(frame) && (frame[TCP + 13] ?? 0) === SYN
export const isTcp = (frame: Uint8Array): boolean =>
  view(frame).getUint16(12) === 0x0800 && frame[IP] === 0x45 && frame[IP + 9] === 6

/** Octets of TCP payload in a frame; 0 for what is not TCP. */
export const payloadLength = (frame: Uint8Array): number =>
  isTcp(frame) ? view(frame).getUint16(IP + 2) - 20 - 4 * ((frame[TCP + 12] ?? 0) >> 4) : 0

export interface HandMade {
  readonly frame: Uint8Array
  readonly offload: Offload
}

export const synAck = (flow: Flow): HandMade =>
  segment(flow, { seq: ISS, ack: flow.irs + 1, flags: SYN | ACK, options: Uint8Array.of(2, 4, MSS >> 8, MSS & 255) })

/** Data from our side, from its first octet on; larger than one MSS it asks to be cut. */
export const data = (flow: Flow, payload: Uint8Array): HandMade =>
  segment(flow, { seq: ISS + 1, ack: flow.irs + 1, flags: ACK | PSH, payload })

/** The same frame for a device without offload: its checksum finished. */
export const finished = ({ frame }: HandMade): Uint8Array => {
  const complete = frame.slice()
  // The field holds the pseudo-header's sum already.
  view(complete).setUint16(TCP + 16, ~sum(complete.subarray(TCP), 0) & 0xffff)
  return complete
}

interface Parts {
  readonly seq: number
  readonly ack: number
  readonly flags: number
  readonly options?: Uint8Array
  readonly payload?: Uint8Array
}

/** Any segment of a flow's. */
export const segment = (flow: Flow, parts: Parts): HandMade => {
  const { options = new Uint8Array(0), payload = new Uint8Array(0) } = parts
  const headerLength = TCP + 20 + options.length
  const frame = new Uint8Array(headerLength + payload.length)
  const out = view(frame)
  frame.set(flow.destinationMac, 0)
  frame.set(flow.sourceMac, 6)
  out.setUint16(12, 0x0800)
  out.setUint8(IP, 0x45)
  out.setUint16(IP + 2, frame.length - IP)
  out.setUint8(IP + 8, 64)
  out.setUint8(IP + 9, 6)
  frame.set(flow.source, IP + 12)
  frame.set(flow.destination, IP + 16)
  out.setUint16(IP + 10, ~sum(frame.subarray(IP, TCP), 0) & 0xffff)
  out.setUint16(TCP, flow.sourcePort)
  out.setUint16(TCP + 2, flow.destinationPort)
  out.setUint32(TCP + 4, parts.seq)
  out.setUint32(TCP + 8, parts.ack)
  out.setUint8(TCP + 12, ((20 + options.length) / 4) << 4)
  out.setUint8(TCP + 13, parts.flags)
  out.setUint16(TCP + 14, 65535)
  frame.set(options, TCP + 20)
  frame.set(payload, headerLength)
  // Partial: the pseudo-header's sum, not complemented.
  out.setUint16(TCP + 16, sum(frame.subarray(IP + 12, TCP), 6 + frame.length - TCP))
  const segmentSize = payload.length > MSS ? MSS : 0
  return { frame, offload: { checksumStart: TCP, checksumOffset: 16, segmentSize, headerLength, family: 4 } }
}

/** The Internet checksum's sum, folded (RFC 1071), of an even number of octets. */
const sum = (bytes: Uint8Array, start: number): number => {
  let total = start
  for (let at = 0; at < bytes.length; at += 2) total += view(bytes).getUint16(at)
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16)
  return total
}
