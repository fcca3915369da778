import { getU16, setU16 } from "../wire/bytes.ts"
import { finish, fold, sum } from "../wire/checksum.ts"
import { ETHERNET_HEADER, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from "../wire/ethernet.ts"
import { IPV4_HEADER, PROTOCOL_UDP } from "../wire/ipv4.ts"
import { IPV6_HEADER } from "../wire/ipv6.ts"
import { UDP_CHECKSUM_OFFSET, UDP_HEADER } from "../wire/udp.ts"
import { type Device, NO_OFFLOAD } from "./device.ts"

/** Sends whole frames to a device. */
export interface FrameSender {
  /** The frame must not change before the next `flush`. */
  readonly send: (frame: Uint8Array) => void
  /** Ends a batch: all frames are with the device. */
  readonly flush: () => void
}

/** Datagrams in one frame: Linux's UDP_MAX_SEGMENTS. */
const MOST = 64
/** Of an IP packet, by its own 16 bits; IPv6 does not count its header. */
const LONGEST = 65_535

const IPV4_TOTAL_LENGTH = 2
const IPV4_IDENTIFICATION = 4
const IPV4_FRAGMENT = 6
const IPV4_PROTOCOL = 9
const IPV4_CHECKSUM = 10
const IPV6_PAYLOAD_LENGTH = 4
const IPV6_NEXT_HEADER = 6
/** More fragments to come, or an offset (RFC 791 section 3.1). */
const IS_FRAGMENT = 0x3fff
const UDP_LENGTH = 4
/** Both addresses, from the IP header's first octet. */
const ADDRESSES = { 4: { at: 12, length: 8 }, 6: { at: 8, length: 32 } } as const

/**
 * Frames as they are; but where the device cuts datagrams (USO), those of one flow that follow each other leave as
 * one frame: as many of one size as there are, the last of which may be shorter. What comes out at the other
 * end is the same but for IPv4's identification, which then counts up from the first one's.
 */
export const frameSender = (device: Device): FrameSender => {
  if (device.capabilities.datagramOffload !== true)
    return { send: (frame) => sendWhole(device, frame), flush: () => {} }
  const start = device.capabilities.layer === "ethernet" ? ETHERNET_HEADER : 0
  let train: Array<Uint8Array> = []
  let headers = 0
  let size = 0
  let octets = 0
  /** A shorter one is the last. */
  let ended = false

  const flush = (): void => {
    const [first] = train
    if (first === undefined) return
    if (train.length === 1) sendWhole(device, first)
    else sendJoined(device, train, start, headers, octets)
    train = []
  }

  const follows = (frame: Uint8Array): boolean => {
    const [first] = train
    const length = frame.length - headers
    return (
      first !== undefined &&
      !ended &&
      train.length < MOST &&
      length <= size &&
      headers - start + octets + length <= LONGEST &&
      sameFlow(first, frame, start, headers)
    )
  }

  const send = (frame: Uint8Array): void => {
    const length = headersOf(frame, start)
    if (length === 0) {
      flush()
      return sendWhole(device, frame)
    }
    if (length === headers && follows(frame)) ended = frame.length - headers < size
    else {
      flush()
      headers = length
      size = frame.length - headers
      octets = 0
      ended = false
    }
    train.push(frame)
    octets += frame.length - headers
  }

  return { send, flush }
}

const sendWhole = (device: Device, frame: Uint8Array): void => {
  const out = device.reserve(frame.length)
  if (out === undefined) return
  out.set(frame)
  device.commit(frame.length, NO_OFFLOAD)
}

/** Octets of all headers of a whole UDP datagram with a checksum and something in it; 0: the frame is no such thing. */
const headersOf = (frame: Uint8Array, start: number): number => {
  if (frame.length < start + IPV4_HEADER + UDP_HEADER) return 0
  const version = (frame[start] ?? 0) >> 4
  if (start > 0 && getU16(frame, start - 2) !== (version === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6)) return 0
  const udp = start + (version === 4 ? ((frame[start] ?? 0) & 15) * 4 : IPV6_HEADER)
  const protocol = frame[start + (version === 4 ? IPV4_PROTOCOL : IPV6_NEXT_HEADER)]
  if ((version !== 4 && version !== 6) || protocol !== PROTOCOL_UDP || udp + UDP_HEADER >= frame.length) return 0
  if (version === 4 && (getU16(frame, start + IPV4_FRAGMENT) & IS_FRAGMENT) !== 0) return 0
  const whole = getU16(frame, udp + UDP_LENGTH) === frame.length - udp
  return whole && getU16(frame, udp + UDP_CHECKSUM_OFFSET) !== 0 ? udp + UDP_HEADER : 0
}

/** The headers differ in nothing but lengths, identification and checksums. */
const sameFlow = (first: Uint8Array, frame: Uint8Array, start: number, headers: number): boolean => {
  const udp = headers - UDP_HEADER
  const isIpv4 = (first[start] ?? 0) >> 4 === 4
  for (let at = 0; at < udp + UDP_LENGTH; at++) {
    const field = at - start
    const varies = isIpv4
      ? (field & ~1) === IPV4_TOTAL_LENGTH || (field & ~1) === IPV4_IDENTIFICATION || (field & ~1) === IPV4_CHECKSUM
      : (field & ~1) === IPV6_PAYLOAD_LENGTH
    if (first[at] !== frame[at] && !(field >= 0 && varies)) return false
  }
  return true
}

const sendJoined = (
  device: Device,
  train: ReadonlyArray<Uint8Array>,
  start: number,
  headers: number,
  octets: number,
): void => {
  const out = device.reserve(headers + octets)
  const [first] = train
  if (out === undefined || first === undefined) return
  out.set(first)
  let at = headers
  for (const frame of train) {
    out.set(frame.subarray(headers), at)
    at += frame.length - headers
  }
  const udp = headers - UDP_HEADER
  const family = (first[start] ?? 0) >> 4 === 4 ? 4 : 6
  setU16(out, udp + UDP_LENGTH, UDP_HEADER + octets)
  if (family === 4) {
    setU16(out, start + IPV4_TOTAL_LENGTH, headers - start + octets)
    setU16(out, start + IPV4_CHECKSUM, 0)
    setU16(out, start + IPV4_CHECKSUM, finish(sum(out, start, udp - start)))
  } else setU16(out, start + IPV6_PAYLOAD_LENGTH, UDP_HEADER + octets)
  // The pseudo-header's part: the device adds the rest (VIRTIO_NET_HDR_F_NEEDS_CSUM).
  const { at: addresses, length } = ADDRESSES[family]
  const pseudo = sum(out, start + addresses, length) + PROTOCOL_UDP + UDP_HEADER + octets
  setU16(out, udp + UDP_CHECKSUM_OFFSET, fold(pseudo))
  device.commit(headers + octets, {
    checksumStart: udp,
    checksumOffset: UDP_CHECKSUM_OFFSET,
    segmentSize: first.length - headers,
    headerLength: headers,
    family,
  })
}
