import type { Endpoint } from "../wire/address.ts"
import type { Segment, TcpOptions } from "../wire/tcpSegment.ts"
import { signatureOctets } from "./authentication/keys.ts"
import { offerOf, scaleFor } from "./handshake.ts"
import { add, type Seq } from "./seq.ts"
import type { Listen, Negotiated, TcpContext } from "./tcb.ts"
import { type Micros, OFF } from "./time.ts"

/**
 * SYN cookies (RFC 4987 section 3.6), laid out as Linux does: the ISS holds a minute counter in its
 * upper octet and an index of MSS values under a keyed hash; window scale and SACK travel in the
 * six low bits of the timestamp that the peer echoes. Nothing is kept until the ACK returns.
 */
const MINUTE: Micros = 60_000_000

/** Minutes for which a cookie is good. */
const MAX_AGE = 2

const MSS_VALUES = {
  4: [536, 1300, 1440, 1460],
  6: [1220, 1420, 1440, 8940],
} as const

const LOW_24 = 0xffffff

/** Bits of the timestamp: window scale in four (15: none), then SACK-permitted, then ECN. */
const OPTION_BITS = 6
const NO_SCALE = 0xf
const SACK_BIT = 1 << 4
const ECN_BIT = 1 << 5

export const cookieIss = (
  context: TcpContext,
  local: Endpoint,
  remote: Endpoint,
  irs: Seq,
  mss: number,
  now: Micros,
): Seq => {
  const minute = minuteOf(now)
  const { keys } = context
  const hidden = (keys.cookie(local, remote, minute + 1) + mssIndex(mss, remote.address.family)) & LOW_24
  return add(add(keys.cookie(local, remote, 0), irs), (((minute & 0xff) << 24) >>> 0) + hidden)
}

/** The MSS that a returning cookie stands for; undefined: it is not one of ours, or too old. */
export const cookieMss = (
  context: TcpContext,
  local: Endpoint,
  remote: Endpoint,
  irs: Seq,
  cookie: Seq,
  now: Micros,
): number | undefined => {
  const minute = minuteOf(now)
  const { keys } = context
  const rest = (cookie - keys.cookie(local, remote, 0) - irs) >>> 0
  const age = (minute - (rest >>> 24)) & 0xff
  if (age >= MAX_AGE) return undefined
  const index = ((rest & LOW_24) - (keys.cookie(local, remote, minute - age + 1) & LOW_24)) & LOW_24
  return MSS_VALUES[remote.address.family][index]
}

/** A cookie may be on its way back: one was sent in the last minutes. */
export const cookiesPending = (listen: Listen, now: Micros): boolean =>
  listen.cookiesAt !== OFF && now - listen.cookiesAt <= MAX_AGE * MINUTE

/** One has been sent, which is noted once a second (Linux's tcp_synq_overflow). */
export const withCookie = (listen: Listen, now: Micros): Listen =>
  listen.cookiesAt !== OFF && now - listen.cookiesAt < NOTED_EVERY ? listen : { ...listen, cookiesAt: now }

const NOTED_EVERY: Micros = 1_000_000

/** The timestamp clock, pulled back by less than 64 ticks so that its low bits can hold the options. */
export const cookieTimestamp = (agreed: Negotiated, ticks: number): number => {
  const options =
    (agreed.scaling ? agreed.sndScale : NO_SCALE) | (agreed.sack ? SACK_BIT : 0) | (agreed.ecn ? ECN_BIT : 0)
  const high = ticks - (ticks % 2 ** OPTION_BITS)
  const value = high + options
  return (value > ticks ? value - 2 ** OPTION_BITS : value) >>> 0
}

/** What the handshake agreed, as far as the cookie and the echoed timestamp remember it. */
export const rememberedOptions = (
  listen: Listen,
  remote: Endpoint,
  seg: Segment,
  mss: number,
  tsOffset: number,
): Negotiated | undefined => {
  const { settings } = listen.context
  const { tsVal, tsEcr } = seg.options
  const signature = signatureOctets(listen.options.authentication, remote.address)
  if (tsVal === undefined || tsEcr === undefined) {
    return {
      peerMss: mss,
      sndScale: 0,
      rcvScale: 0,
      scaling: false,
      timestamps: false,
      sack: false,
      ecn: false,
      signature,
    }
  }
  const bits = (tsEcr - tsOffset) & (2 ** OPTION_BITS - 1)
  const scale = bits & NO_SCALE
  const scaling = scale !== NO_SCALE
  const sack = (bits & SACK_BIT) !== 0
  // The settings may have changed since, or the echo is made up (Linux's cookie_timestamp_decode).
  if (!settings.tcpTimestamps) return undefined
  if ((scaling && !settings.tcpWindowScaling) || (sack && !settings.tcpSack)) return undefined
  return {
    peerMss: mss,
    sndScale: scaling ? scale : 0,
    rcvScale: scaling ? scaleFor(settings, listen.options) : 0,
    scaling,
    timestamps: true,
    sack,
    ecn: (bits & ECN_BIT) !== 0 && settings.tcpEcn !== 0,
    signature,
  }
}

/** Without timestamps nothing but the MSS comes back: nothing else may be agreed. */
export const cookieOffers = (listen: Listen, remote: Endpoint, options: TcpOptions): TcpOptions =>
  options.tsVal !== undefined && offerOf(listen.context.settings, listen.options, remote.address).timestamps
    ? options
    : { ...options, windowScale: undefined, sackPermitted: false, fastOpen: undefined }

/** The whole counter goes into the hash; only its low octet fits the cookie. */
const minuteOf = (now: Micros): number => Math.floor(now / MINUTE) >>> 0

const mssIndex = (mss: number, family: 4 | 6): number => {
  const values = MSS_VALUES[family]
  let index = values.length - 1
  while (index > 0 && (values[index] ?? 0) > mss) index--
  return index
}
