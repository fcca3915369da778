import type { Transmit } from "../tcp/effect.ts"
import { copyTo } from "../tcp/sendQueue.ts"
import type { MacAddress } from "../wire/address.ts"
import { ETHERNET_HEADER, ETHERTYPE_IPV4, ETHERTYPE_IPV6, writeEthernet } from "../wire/ethernet.ts"
import { IPV4_HEADER, PROTOCOL_TCP, writeIpv4 } from "../wire/ipv4.ts"
import { IPV6_HEADER, writeIpv6 } from "../wire/ipv6.ts"
import { NO_OFFLOAD, type Offload } from "../wire/offload.ts"
import { finishTcp, partialTcp, TCP_CHECKSUM_OFFSET, TCP_HEADER, writeTcpHeader } from "../wire/tcp.ts"
import { type OptionLayout, optionsLength } from "../wire/tcpOptionLayout.ts"
import { CWR, EMPTY, FIN, PSH, SYN, URG } from "../wire/tcpSegment.ts"
import { sign } from "./authentication/signature.ts"
import type { SendSegment } from "./types.ts"

/** What a segment is written into: a device, or a port of a simulated network. See `Device` for the calls. */
export interface Transmitter {
  readonly mac: MacAddress
  readonly capabilities: {
    readonly layer: "ethernet" | "ip"
    readonly checksumOffload: boolean
    /** Largest TCP payload that it cuts into segments itself; 0: none. */
    readonly segmentationOffload: number
  }
  reserve(length: number): Uint8Array | undefined
  commit(length: number, offload: Offload): void
}

/** Where the parts of one segment's frames begin: the same for all pieces that it is cut into. */
interface Layout {
  readonly device: Transmitter
  readonly options: OptionLayout
  readonly ipStart: number
  readonly tcpStart: number
  readonly payloadStart: number
}

/**
 * Writes a segment into the device's transmit memory: one frame where the device cuts and sums by
 * itself, else as many as its payload needs. Frames that the device has no room for are lost, as on
 * any full wire (the device counts them). Returns how many segments went to the wire.
 */
export const encodeSegment = (device: Transmitter, options: OptionLayout, effect: SendSegment): number => {
  const { segment } = effect
  const ipStart = device.capabilities.layer === "ethernet" ? ETHERNET_HEADER : 0
  const tcpStart = ipStart + (effect.source.family === 4 ? IPV4_HEADER : IPV6_HEADER)
  const payloadStart = tcpStart + TCP_HEADER + optionsLength(segment.options, options)
  const layout: Layout = { device, options, ipStart, tcpStart, payloadStart }
  const { length, segmentSize } = segment
  if (segmentSize === 0 || length <= segmentSize) {
    return writeFrame(layout, effect, 0, length, effect.identification) ? 1 : 0
  }
  // Whole segments only, as many as the device takes in one frame; what is signed is cut here, for each piece is.
  const offload = effect.signature === undefined ? device.capabilities.segmentationOffload : 0
  const perFrame = Math.max(1, Math.floor(offload / segmentSize))
  let sent = 0
  for (let from = 0, index = 0; from < length; from += perFrame * segmentSize, index += perFrame) {
    const n = Math.min(perFrame * segmentSize, length - from)
    const identification = (effect.identification + index) & 0xffff
    if (writeFrame(layout, effect, from, n, identification)) sent += Math.ceil(n / segmentSize)
  }
  return sent
}

/** The `n` octets of payload from `from` on; false when the device had no room. */
const writeFrame = (layout: Layout, effect: SendSegment, from: number, n: number, identification: number): boolean => {
  const { device, ipStart, tcpStart, payloadStart } = layout
  const { segment, source, destination } = effect
  const total = payloadStart + n
  const out = device.reserve(total)
  if (out === undefined) return false
  if (ipStart > 0) {
    const etherType = source.family === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6
    writeEthernet(out, 0, { destination: effect.nextHop, source: device.mac, etherType })
  }
  writeIp(out, ipStart, effect, total - tcpStart, identification)
  writeTcp(out, layout, effect, from, n)
  if (n > 0 && segment.queue !== undefined) {
    copyTo(segment.queue, (payloadSeq(segment) + from) >>> 0, n, out, payloadStart)
  }
  if (effect.signature !== undefined) {
    const octets = { bytes: out, offset: tcpStart, length: total - tcpStart, source, destination }
    if (!sign(octets, effect.signature, seqOf(segment, from))) return false
  }
  if (device.capabilities.checksumOffload && effect.signature === undefined) {
    partialTcp(out, tcpStart, total - tcpStart, source, destination)
    device.commit(total, offloadOf(layout, effect, n))
  } else {
    finishTcp(out, tcpStart, total - tcpStart, source, destination)
    device.commit(total, NO_OFFLOAD)
  }
  return true
}

const writeIp = (
  out: Uint8Array,
  offset: number,
  effect: SendSegment,
  payloadLength: number,
  identification: number,
): void => {
  const { source, destination, ttl, tos } = effect
  if (source.family === 4) {
    writeIpv4(out, offset, {
      source,
      destination,
      protocol: PROTOCOL_TCP,
      ttl,
      tos,
      identification,
      dontFragment: true,
      moreFragments: false,
      fragmentOffset: 0,
      options: EMPTY,
      payloadLength,
    })
  } else {
    writeIpv6(out, offset, {
      source,
      destination,
      nextHeader: PROTOCOL_TCP,
      hopLimit: ttl,
      trafficClass: tos,
      flowLabel: effect.flowLabel ?? 0,
      payloadLength,
    })
  }
}

const writeTcp = (out: Uint8Array, layout: Layout, effect: SendSegment, from: number, n: number): void => {
  const { segment } = effect
  const { ack, wnd, options } = segment
  const header = {
    sourcePort: effect.sourcePort,
    destinationPort: effect.destinationPort,
    seq: seqOf(segment, from),
    ack,
    flags: pieceFlags(segment, from, n),
    wnd,
    up: Math.max(0, segment.up - from),
    options,
  }
  writeTcpHeader(out, layout.tcpStart, header, layout.options)
}

/** A SYN stands before the payload, so it is in the first piece or in none. */
const seqOf = (segment: Transmit, from: number): number =>
  from === 0 ? segment.seq : (payloadSeq(segment) + from) >>> 0

const payloadSeq = (segment: Transmit): number => segment.seq + (segment.flags & SYN ? 1 : 0)

/** FIN and PSH belong to the last piece; SYN, and CWR (RFC 3168 section 6.1.2), to the first; URG to those before its pointer. */
const pieceFlags = (segment: Transmit, from: number, n: number): number => {
  let { flags } = segment
  if (from > 0) {
    flags &= ~(SYN | CWR)
    if (segment.up <= from) flags &= ~URG
  }
  return from + n < segment.length ? flags & ~(FIN | PSH) : flags
}

const offloadOf = (layout: Layout, effect: SendSegment, n: number): Offload => ({
  checksumStart: layout.tcpStart,
  checksumOffset: TCP_CHECKSUM_OFFSET,
  segmentSize: effect.segment.segmentSize > 0 && n > effect.segment.segmentSize ? effect.segment.segmentSize : 0,
  headerLength: layout.payloadStart,
  family: effect.source.family,
})
