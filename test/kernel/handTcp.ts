import type { Offload } from "../../src/device/device.ts"

/**
 * Just enough TCP over IPv4 and IPv6, by hand, to hold a connection with the kernel in tests of a device: the test
 * is then not a test of the stack too. Frames are made with offload: checksums are left partial.
 */

/** A connection, seen from our side. */
export interface Flow {
  /** The Ethernet, IP and port octets of our frames, from the kernel's SYN turned round. */
  readonly destinationMac: Uint8Array
  readonly sourceMac: Uint8Array
  /** 4 octets, or 16. */
  readonly source: Uint8Array
  readonly destination: Uint8Array
  readonly sourcePort: number
  readonly destinationPort: number
  /** SEG.SEQ of the kernel's SYN. */
  readonly irs: number
}

const IP = 14
const IPV4_HEADER = 20
const IPV6_HEADER = 40
const PROTOCOL = 6
export const SYN = 0x02
export const RST = 0x04
export const PSH = 0x08
export const ACK = 0x10
export const ISS = 1000
const MSS = 1460

const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Where the TCP header of a frame begins, behind an IP header without options; undefined: it has none. */
export const tcpAt = (frame: Uint8Array): number | undefined => {
  const etherType = frame.length < IP + IPV4_HEADER ? 0 : view(frame).getUint16(12)
  if (etherType === 0x0800 && frame[IP] === 0x45 && frame[IP + 9] === PROTOCOL) return IP + IPV4_HEADER
  return etherType === 0x86dd && frame[IP + 6] === PROTOCOL ? IP + IPV6_HEADER : undefined
}

export const isTcp = (frame: Uint8Array): boolean => tcpAt(frame) !== undefined
export const isSyn = (frame: Uint8Array): boolean => frame[(tcpAt(frame) ?? Number.NaN) + 13] === SYN

/** Octets of the frame's packet, as its header says. */
const packetLength = (frame: Uint8Array): number =>
  frame[12] === 0x86 ? IPV6_HEADER + view(frame).getUint16(IP + 4) : view(frame).getUint16(IP + 2)

/** Octets of TCP payload in a frame; 0 for what is not TCP. */
export const payloadLength = (frame: Uint8Array): number => {
  const tcp = tcpAt(frame)
  return tcp === undefined ? 0 : IP + packetLength(frame) - tcp - 4 * ((frame[tcp + 12] ?? 0) >> 4)
}

/** Reads the flow out of a frame with the kernel's SYN. */
export const flowOf = (frame: Uint8Array): Flow => {
  const tcp = tcpAt(frame)
  if (tcp === undefined) throw new Error("no TCP")
  const size = tcp === IP + IPV6_HEADER ? 16 : 4
  return {
    destinationMac: frame.slice(6, 12),
    sourceMac: frame.slice(0, 6),
    source: frame.slice(tcp - size, tcp),
    destination: frame.slice(tcp - 2 * size, tcp - size),
    sourcePort: view(frame).getUint16(tcp + 2),
    destinationPort: view(frame).getUint16(tcp),
    irs: view(frame).getUint32(tcp + 4),
  }
}

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
  const tcp = tcpAt(complete) ?? Number.NaN
  // The field holds the pseudo-header's sum already.
  view(complete).setUint16(tcp + 16, ~sum(complete.subarray(tcp), 0) & 0xffff)
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
  const family = flow.source.length === 16 ? 6 : 4
  const tcp = IP + (family === 6 ? IPV6_HEADER : IPV4_HEADER)
  const headerLength = tcp + 20 + options.length
  const frame = new Uint8Array(headerLength + payload.length)
  const out = view(frame)
  frame.set(flow.destinationMac, 0)
  frame.set(flow.sourceMac, 6)
  if (family === 6) writeIpv6(out)
  else writeIpv4(out)
  frame.set(flow.source, tcp - 2 * flow.source.length)
  frame.set(flow.destination, tcp - flow.destination.length)
  if (family === 4) out.setUint16(IP + 10, ~sum(frame.subarray(IP, tcp), 0) & 0xffff)
  out.setUint16(tcp, flow.sourcePort)
  out.setUint16(tcp + 2, flow.destinationPort)
  out.setUint32(tcp + 4, parts.seq)
  out.setUint32(tcp + 8, parts.ack)
  out.setUint8(tcp + 12, ((20 + options.length) / 4) << 4)
  out.setUint8(tcp + 13, parts.flags)
  out.setUint16(tcp + 14, 65535)
  frame.set(options, tcp + 20)
  frame.set(payload, headerLength)
  // Partial: the pseudo-header's sum, not complemented.
  const addresses = frame.subarray(tcp - 2 * flow.source.length, tcp)
  out.setUint16(tcp + 16, sum(addresses, PROTOCOL + frame.length - tcp))
  const segmentSize = payload.length > MSS ? MSS : 0
  return { frame, offload: { checksumStart: tcp, checksumOffset: 16, segmentSize, headerLength, family } }
}

/** Without its addresses and checksum. */
const writeIpv4 = (out: DataView): void => {
  out.setUint16(12, 0x0800)
  out.setUint8(IP, 0x45)
  out.setUint16(IP + 2, out.byteLength - IP)
  out.setUint8(IP + 8, 64)
  out.setUint8(IP + 9, PROTOCOL)
}

const writeIpv6 = (out: DataView): void => {
  out.setUint16(12, 0x86dd)
  out.setUint8(IP, 0x60)
  out.setUint16(IP + 4, out.byteLength - IP - IPV6_HEADER)
  out.setUint8(IP + 6, PROTOCOL)
  out.setUint8(IP + 7, 64)
}

/** The Internet checksum's sum, folded (RFC 1071), of an even number of octets. */
const sum = (bytes: Uint8Array, start: number): number => {
  let total = start
  for (let at = 0; at < bytes.length; at += 2) total += view(bytes).getUint16(at)
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16)
  return total
}
