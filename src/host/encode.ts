import { copyTo } from "../tcp/sendQueue.ts"
import type { MacAddress } from "../wire/address.ts"
import { NO_OFFLOAD, type Offload } from "../wire/offload.ts"
import { finishTcp, partialTcp, TCP_CHECKSUM_OFFSET } from "../wire/tcp.ts"
import type { OptionLayout } from "../wire/tcpOptionLayout.ts"
import { sign } from "./authentication/signature.ts"
import { PieceHeaders } from "./pieceHeaders.ts"
import { type FrameLayout, frameLayout, payloadSeq, seqOf, writeHeaders } from "./segmentHeaders.ts"
import type { SendSegment } from "./types.ts"

/** What a segment is written into: a device, or a port of a simulated network. See `Device` for the calls. */
export interface Transmitter {
  readonly mac: MacAddress
  readonly capabilities: {
    readonly layer: "ethernet" | "ip"
    readonly checksumOffload: boolean
    /** Largest TCP payload that it cuts into segments itself; 0: none. */
    readonly segmentationOffload: number
    /** Full segments may be held back until one comes with PSH. */
    readonly gathers?: boolean
  }
  reserve(length: number): Uint8Array | undefined
  commit(length: number, offload: Offload): void
}

/**
 * Writes a segment into the device's transmit memory: one frame where the device cuts and sums by
 * itself, else as many as its payload needs. Frames that the device has no room for are lost, as on
 * any full wire (the device counts them). Returns how many segments went to the wire.
 */
export const encodeSegment = (device: Transmitter, options: OptionLayout, effect: SendSegment): number => {
  const { segment } = effect
  const layout = frameLayout(device, options, effect)
  const { length, segmentSize } = segment
  if (segmentSize === 0 || length <= segmentSize) {
    return writeFrame(device, layout, effect, 0, length, effect.identification) ? 1 : 0
  }
  // Whole segments only, as many as the device takes in one frame; what is signed is cut here, for each piece is.
  const offload = effect.signature === undefined ? device.capabilities.segmentationOffload : 0
  const perFrame = Math.max(1, Math.floor(offload / segmentSize))
  if (perFrame === 1 && isAlike(effect)) return cut(device, layout, effect)
  let sent = 0
  for (let from = 0, index = 0; from < length; from += perFrame * segmentSize, index += perFrame) {
    const n = Math.min(perFrame * segmentSize, length - from)
    const identification = (effect.identification + index) & 0xffff
    if (writeFrame(device, layout, effect, from, n, identification)) sent += Math.ceil(n / segmentSize)
  }
  return sent
}

/** All pieces but the first have the same headers but for their place: none has a signature or an urgent pointer of its own. */
const isAlike = ({ signature, segment }: SendSegment): boolean => signature === undefined && segment.up === 0

/** One frame for each piece, for a device that takes whole frames and, mostly, leaves the sum to us. */
const cut = (device: Transmitter, layout: FrameLayout, effect: SendSegment): number => {
  const { segment, source, destination } = effect
  const { length, segmentSize, queue } = segment
  const { tcpStart, payloadStart } = layout
  const summed = !device.capabilities.checksumOffload
  let sent = writeFrame(device, layout, effect, 0, segmentSize, effect.identification) ? 1 : 0
  const headers = new PieceHeaders(layout, effect)
  for (let from = segmentSize, index = 1; from < length; from += segmentSize, index++) {
    const n = Math.min(segmentSize, length - from)
    const total = payloadStart + n
    const out = device.reserve(total)
    if (out === undefined) continue
    headers.write(out, from, n, effect.identification + index)
    if (queue !== undefined) copyTo(queue, (payloadSeq(segment) + from) >>> 0, n, out, payloadStart)
    if (summed) {
      finishTcp(out, tcpStart, total - tcpStart, source, destination)
      device.commit(total, NO_OFFLOAD)
    } else {
      partialTcp(out, tcpStart, total - tcpStart, source, destination)
      device.commit(total, offloadOf(layout, effect, n))
    }
    sent++
  }
  return sent
}

/** The `n` octets of payload from `from` on; false when the device had no room. */
const writeFrame = (
  device: Transmitter,
  layout: FrameLayout,
  effect: SendSegment,
  from: number,
  n: number,
  identification: number,
): boolean => {
  const { tcpStart, payloadStart } = layout
  const { segment, source, destination } = effect
  const total = payloadStart + n
  const out = device.reserve(total)
  if (out === undefined) return false
  writeHeaders(out, layout, effect, from, n, identification)
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

const offloadOf = (layout: FrameLayout, effect: SendSegment, n: number): Offload => ({
  checksumStart: layout.tcpStart,
  checksumOffset: TCP_CHECKSUM_OFFSET,
  segmentSize: effect.segment.segmentSize > 0 && n > effect.segment.segmentSize ? effect.segment.segmentSize : 0,
  headerLength: layout.payloadStart,
  family: effect.source.family,
})
