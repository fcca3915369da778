import type { IpAddress } from "../wire/address.ts"
import { OPTION_SPACE } from "../wire/tcpOptionKind.ts"
import { NO_OPTIONS, type TcpOptions } from "../wire/tcpSegment.ts"
import { signatureOctets } from "./authentication/keys.ts"
import type { TcpSettings } from "./settings.ts"
import type { Negotiated, Offer, PathLimits, SocketOptions, TcpContext } from "./tcb.ts"
import type { Micros } from "./time.ts"

/** Largest shift that may be used, whatever the option says (RFC 7323 section 2.3). */
const MAX_SCALE = 14

/** A peer without an MSS option takes this much (RFC 9293 section 3.7.1). */
export const DEFAULT_MSS = { 4: 536, 6: 1220 } as const

/** Octets that the timestamp option takes in every segment, padding included. */
export const TIMESTAMP_LENGTH = 12

/** The same of a SACK option with one block. */
const ONE_SACK_BLOCK = 12

/** Payload octets that a receive buffer starts with: half of tcpRmem's, the rest is Linux's bookkeeping. */
export const initialReceiveBuffer = (settings: TcpSettings, options: SocketOptions): number =>
  clamped(options.receiveBuffer > 0 ? askedBuffer(settings, options) : settings.tcpRmem[1] / 2, options)

/** SO_RCVBUF: of memory that is accounted a socket gets so much and no more, nor less (Linux's rmem_max, SOCK_MIN_RCVBUF). */
export const askedBuffer = (
  { tcpRcvbufTruesize, rmemMax }: TcpSettings,
  { receiveBuffer }: Pick<SocketOptions, "receiveBuffer">,
): number => (tcpRcvbufTruesize ? Math.max(Math.min(receiveBuffer, rmemMax), LEAST_BUFFER) : receiveBuffer)

/** Half of SOCK_MIN_RCVBUF, which counts Linux's own overhead too. */
export const LEAST_BUFFER = 1152

/** The window of a SYN, and all after it, stays below TCP_WINDOW_CLAMP. */
const clamped = (buffer: number, { windowClamp }: SocketOptions): number =>
  windowClamp > 0 ? Math.min(buffer, windowClamp) : buffer

export const largestReceiveBuffer = (settings: TcpSettings, options: SocketOptions): number =>
  options.receiveBuffer > 0 ? options.receiveBuffer : settings.tcpRmem[2] / 2

/** The least shift with which 16 bits can announce the largest buffer that this socket may grow to. */
export const scaleFor = (settings: TcpSettings, options: SocketOptions): number => {
  const most = clamped(options.receiveBuffer > 0 ? askedBuffer(settings, options) : largestBuffer(settings), options)
  let scale = 0
  while (scale < MAX_SCALE && most / 2 ** scale >= 65536) scale++
  return scale
}

const largestBuffer = ({ tcpRcvbufTruesize, tcpRmem, rmemMax }: TcpSettings): number =>
  tcpRcvbufTruesize ? Math.max(tcpRmem[2], rmemMax) : tcpRmem[2]

/** Window of a SYN, which is never scaled (RFC 7323 section 2.2). */
export const initialWindow = (settings: TcpSettings, buffer: number, mss: number): number =>
  Math.min(wholeWindow(settings, buffer, mss), 65535)

/** The same, were there no limit to it. */
export const wholeWindow = (settings: TcpSettings, buffer: number, mss: number): number => {
  const whole = settings.profile.initialWindow === "whole-segments" && buffer > mss
  return whole ? buffer - (buffer % mss) : buffer
}

export const offerOf = (settings: TcpSettings, options: SocketOptions, remote: IpAddress): Offer => {
  const signature = signatureOctets(options.authentication, remote)
  return {
    scaling: settings.tcpWindowScaling,
    rcvScale: settings.tcpWindowScaling ? scaleFor(settings, options) : 0,
    // Beside an MD5 digest and timestamps no SACK block fits; Linux gives up the timestamps.
    timestamps: settings.tcpTimestamps && OPTION_SPACE - signature - TIMESTAMP_LENGTH >= ONE_SACK_BLOCK,
    sack: settings.tcpSack,
    ecn: settings.tcpEcn === 1,
    signature,
  }
}

/** The receive buffer of a connection, once the peer's MSS is known. */
export const agreedReceiveBuffer = (
  settings: TcpSettings,
  buffer: number,
  peerMss: number,
  path: PathLimits,
): number => {
  const segment = Math.min(peerMss, path.mss)
  return settings.profile.receiveBuffer === "whole-segments" ? Math.ceil(buffer / segment) * segment : buffer
}

/** Window of a SYN-ACK: the segments that it counts in carry timestamps where those are agreed (Linux's tcp_openreq_init_rwin). */
export const synAckWindow = (settings: TcpSettings, buffer: number, path: PathLimits, agreed: Negotiated): number =>
  initialWindow(settings, buffer, path.mss - (agreed.timestamps ? TIMESTAMP_LENGTH : 0))

/** Both ends must have offered an extension for it to be used. */
export const agree = (
  offer: Offer,
  peer: TcpOptions,
  ecn: boolean,
  settings: TcpSettings,
  family: 4 | 6,
): Negotiated => {
  const scaling = offer.scaling && peer.windowScale !== undefined
  return {
    peerMss: Math.max(peer.mss === undefined || peer.mss === 0 ? DEFAULT_MSS[family] : peer.mss, settings.tcpMinSndMss),
    scaling,
    sndScale: scaling ? Math.min(peer.windowScale ?? 0, MAX_SCALE) : 0,
    rcvScale: scaling ? offer.rcvScale : 0,
    timestamps: offer.timestamps && peer.tsVal !== undefined,
    sack: offer.sack && peer.sackPermitted,
    ecn,
    signature: offer.signature,
  }
}

/** Eff.snd.MSS (RFC 9293 section 3.7.1): what fits when the options of every segment are counted. */
export const effectiveMss = (agreed: Negotiated, path: PathLimits): number =>
  Math.min(agreed.peerMss, path.mss) - (agreed.timestamps ? TIMESTAMP_LENGTH : 0) - agreed.signature

/** Options of our SYN. */
export const synOptions = (offer: Offer, path: PathLimits, tsVal: number): TcpOptions => ({
  ...NO_OPTIONS,
  mss: path.mss,
  windowScale: offer.scaling ? offer.rcvScale : undefined,
  sackPermitted: offer.sack,
  tsVal: offer.timestamps ? tsVal : undefined,
  tsEcr: offer.timestamps ? 0 : undefined,
})

/** Options of a SYN-ACK: only what the peer offered too. */
export const synAckOptions = (agreed: Negotiated, path: PathLimits, tsVal: number, tsRecent: number): TcpOptions => ({
  ...NO_OPTIONS,
  mss: path.mss,
  windowScale: agreed.scaling ? agreed.rcvScale : undefined,
  sackPermitted: agreed.sack,
  tsVal: agreed.timestamps ? tsVal : undefined,
  tsEcr: agreed.timestamps ? tsRecent : undefined,
})

/** The timestamp clock (RFC 7323 section 5.4). */
export const timestamp = (context: TcpContext, offset: number, now: Micros): number =>
  (Math.floor((now * context.settings.profile.timestampRate) / 1_000_000) + offset) >>> 0
