import type { Endpoint } from "../wire/address.ts"
import { hasAck, hasFin, hasRst, hasSyn, type Segment } from "../wire/tcpSegment.ts"
import { signatureOctets } from "./authentication/keys.ts"
import { rateAllows } from "./challenge.ts"
import type { Refused, Step, TcpEffect, Why } from "./effect.ts"
import { establish, fromRequest } from "./establish.ts"
import { cookiesFor } from "./fastOpenKey.ts"
import { output } from "./output.ts"
import { synAckRetries } from "./patience.ts"
import { drop, resetFor } from "./reset.ts"
import { handshakeInterval, interval, measured } from "./rto.ts"
import { add, after, distance } from "./seq.ts"
import type { TcpSettings } from "./settings.ts"
import { synAckFor } from "./synAck.ts"
import * as synchronized from "./synchronized.ts"
import { afterHandshake } from "./synchronized.ts"
import {
  CLOSED,
  type FastOpened,
  isSynchronized,
  type Listen,
  type Request,
  type Synchronized,
  type TimerName,
} from "./tcb.ts"
import { type Micros, OFF } from "./time.ts"
import { arm, cancelAll, type Out } from "./timers.ts"
import { withoutSyn } from "./withoutSyn.ts"

/**
 * TCP Fast Open, the server's side (RFC 7413): a SYN with a valid cookie opens the connection at
 * once. The block is then a whole connection inside SYN-RECEIVED: it reads and writes, while the
 * SYN-ACK still waits for its ACK.
 */

/** Bits of `tcpFastopen`, as Linux numbers them. */
export const TFO_CLIENT = 1
export const TFO_SERVER = 2
export const TFO_CLIENT_WITHOUT_COOKIE = 4
export const TFO_SERVER_WITHOUT_COOKIE = 0x200
const TFO_SERVER_UNASKED = 0x400

/** TCP_FASTOPEN of a socket that begins to listen: `somaxconn` at most, and its backlog where the bits give it to all. */
export const placesOf = ({ tcpFastopen, somaxconn }: TcpSettings, asked: number, backlog: number): number => {
  const all = TFO_SERVER | TFO_SERVER_UNASKED
  return Math.min(asked === 0 && (tcpFastopen & all) === all ? backlog : asked, somaxconn)
}

/** How long a reset keeps its place in the queue, so that spoofed SYNs and resets gain nothing (Linux's reqsk_fastopen_remove). */
const RESET_HOLD: Micros = 60_000_000

export type FastAnswer =
  /** Not asked for, or not allowed: an ordinary handshake. */
  | {
      readonly _tag: "Ordinary"
      readonly cookie: Request["cookie"]
      readonly why: "none" | "asked" | "invalid" | "full"
    }
  /** By a cookie of a key that is being given up its client gets one of the other. */
  | { readonly _tag: "Accept"; readonly cookie: Request["cookie"] }

/** What a SYN's Fast Open option gets (RFC 7413 section 4.2.2). */
export const judge = (listen: Listen, seg: Segment, local: Endpoint, remote: Endpoint, now: Micros): FastAnswer => {
  const { settings } = listen.context
  const asked = seg.options.fastOpen
  const enabled = (settings.tcpFastopen & TFO_SERVER) !== 0 && listen.options.fastOpen > 0
  const signed = signatureOctets(listen.options.authentication, remote.address) > 0
  // Beside a signature a SYN-ACK has no room for a cookie.
  if (!enabled || signed || (asked === undefined && seg.payload.length === 0)) return ordinary("none", "none")
  if (listen.fastOpens + held(listen, now).length >= listen.options.fastOpen) return ordinary("none", "full")
  if (listen.options.fastOpenNoCookie || (settings.tcpFastopen & TFO_SERVER_WITHOUT_COOKIE) !== 0) {
    return { _tag: "Accept", cookie: "none" }
  }
  if (asked === undefined) return ordinary("none", "none")
  const fresh = asked.experimental ? "experimental" : "standard"
  if (asked.cookie.length === 0) return ordinary(fresh, "asked")
  const known = cookiesFor(listen.context, listen.options, local.address, remote.address)
  const key = known.findIndex((cookie) => sameBytes(asked.cookie, cookie))
  return key < 0 ? ordinary(fresh, "invalid") : { _tag: "Accept", cookie: key > 0 ? fresh : "none" }
}

/** Resets that still count. */
export const held = (listen: Listen, now: Micros): ReadonlyArray<Micros> =>
  listen.fastResets.filter((until) => until > now)

/** The handshake of a fast open is over: its place is free, at once or after a while. */
export const settled = (listen: Listen, reset: boolean, now: Micros): Listen => ({
  ...listen,
  fastOpens: Math.max(0, listen.fastOpens - 1),
  fastResets: reset ? [...held(listen, now), now + RESET_HOLD] : held(listen, now),
})

/** The connection that a SYN opens, its data delivered and acknowledged by the SYN-ACK. */
export const accept = (
  request: Request,
  syn: Segment,
  now: Micros,
): { readonly tcb: FastOpened; readonly effects: ReadonlyArray<TcpEffect> } => {
  const out: Out = [{ _tag: "Established", why: "RFC7413-4.2.2:valid-cookie" }]
  const seg = withoutSyn(syn)
  // Nothing is measured yet, and the window of a SYN is never scaled (RFC 7323 section 2.2).
  const fresh = establish(fromRequest({ ...request, since: OFF }, request.tsRecent, now), seg, seg.wnd, now, out)
  const taken = seg.payload.length > 0 || hasFin(seg) ? afterHandshake(fresh, seg, now, out) : fresh
  const ready = acknowledgedBySynAck(isSynchronized(taken) ? taken : fresh)
  const inner: Synchronized = { ...ready, link: { ...ready.link, synData: seg.payload.length > 0 } }
  const tcb: FastOpened = { _tag: "SYN-RECEIVED", open: "fast", request, tcb: inner }
  const deadline = { _tag: "ArmTimer", timer: "retransmit", at: request.deadline } as const
  return { tcb, effects: [synAckFor(request, inner.rcv.nxt, now, "RFC7413-4.2.2:SYN-with-cookie"), deadline, ...out] }
}

/** A segment for a connection whose SYN-ACK is not acknowledged yet. */
export const segmentArrives = (fast: FastOpened, seg: Segment, now: Micros): Step => {
  const { request, tcb } = fast
  if (hasSyn(seg) && !hasAck(seg) && !hasRst(seg) && seg.seq === request.irs) return again(fast, now)
  if (hasAck(seg) && !hasRst(seg) && !hasSyn(seg)) {
    if (!after(seg.ack, request.iss) || after(seg.ack, tcb.snd.nxt)) {
      return { tcb: fast, effects: [resetFor(seg, "RFC9293-3.10.7.4:unacceptable-ACK")] }
    }
    return opened(fast, seg, now)
  }
  return wrap(fast, synchronized.segmentArrives(tcb, seg, now))
}

/** The SYN-ACK is acknowledged: from now on an ordinary connection. */
const opened = (fast: FastOpened, seg: Segment, now: Micros): Step => {
  const { request, tcb } = fast
  const { settings } = tcb.link.context
  const out: Out = [{ _tag: "CancelTimer", timer: "retransmit" }]
  const rto = request.retransmits === 0 ? measured(tcb.rto, now - request.since, settings, tcb.options) : tcb.rto
  const timers =
    tcb.snd.nxt === tcb.snd.una
      ? tcb.timers
      : arm(tcb.timers, "retransmit", now + interval(rto, settings, tcb.options), out)
  const step = synchronized.segmentArrives({ ...tcb, rto, timers }, seg, now)
  return { tcb: step.tcb, effects: [...out, ...step.effects] }
}

/** A user call, carried out on the connection within. */
export const within = (fast: FastOpened, call: (tcb: Synchronized) => Step | Refused): Step | Refused => {
  const step = call(fast.tcb)
  return "_tag" in step ? step : wrap(fast, step)
}

export const outputWithin = (fast: FastOpened, now: Micros): Step => wrap(fast, output(fast.tcb, now))

/** The SYN-ACK's time-out; a timer of the connection within is passed on. */
export const synAckTimeout = (fast: FastOpened, now: Micros): Step => {
  const { request, tcb } = fast
  const { settings } = request.context
  // One more than others get (Linux's tcp_fastopen_synack_timer).
  const retries = synAckRetries(request) + (request.options.synCount > 0 ? 0 : 1)
  if (request.retransmits >= retries) {
    const out: Out = []
    cancelAll(tcb.timers, out)
    out.push({ _tag: "Closed", reason: "ConnectionTimedOut", why: "RFC9293-3.8.3:R2-of-SYN-ACK" })
    return { tcb: CLOSED, effects: out }
  }
  const retransmits = request.retransmits + 1
  const deadline = now + handshakeInterval(settings, retransmits)
  const next: FastOpened = { ...fast, request: { ...request, cookie: "none", retransmits, deadline } }
  return {
    tcb: next,
    effects: [
      synAckFor(next.request, tcb.rcv.nxt, now, "RFC6298-5.4:retransmit"),
      { _tag: "Count", counter: "RetransSegs" },
      { _tag: "Count", counter: "TCPSynRetrans" },
      { _tag: "Count", counter: "TCPTimeouts" },
      { _tag: "ArmTimer", timer: "retransmit", at: deadline },
    ],
  }
}

const again = (fast: FastOpened, now: Micros): Step => {
  const { request, tcb } = fast
  const why: Why = "Linux:SYN-again"
  if (!rateAllows(request.oowAt, now, request.context.settings.tcpInvalidRatelimit)) {
    return { tcb: fast, effects: [drop(why), { _tag: "Count", counter: "TCPACKSkippedSynRecv" }] }
  }
  const next: FastOpened = { ...fast, request: { ...request, cookie: "none", oowAt: now } }
  return {
    tcb: next,
    effects: [
      synAckFor(next.request, tcb.rcv.nxt, now, why),
      { _tag: "Count", counter: "RetransSegs" },
      { _tag: "Count", counter: "TCPSynRetrans" },
    ],
  }
}

const OF_RECOVERY: ReadonlySet<TimerName> = new Set<TimerName>(["retransmit", "probe", "reorder"])

/** While the SYN-ACK is out its timer speaks for all that is in flight. */
const wrap = (fast: FastOpened, step: Step): Step => {
  const { tcb } = step
  if (!isSynchronized(tcb)) return step
  const { retransmit, probe, reorder } = tcb.timers
  const quiet = retransmit === OFF && probe === OFF && reorder === OFF
  const inner: Synchronized = quiet
    ? tcb
    : { ...tcb, timers: { ...tcb.timers, retransmit: OFF, probe: OFF, reorder: OFF } }
  const effects = step.effects.filter((effect) => !("timer" in effect && OF_RECOVERY.has(effect.timer)))
  return { tcb: { ...fast, tcb: inner }, effects }
}

/** The SYN-ACK announces the whole window from behind the SYN's data on. */
const acknowledgedBySynAck = (tcb: Synchronized): Synchronized => {
  const { nxt, edge, lastAck } = tcb.rcv
  return { ...tcb, rcv: { ...tcb.rcv, due: "none", lastAck: nxt, edge: add(edge, distance(nxt, lastAck)) } }
}

const ordinary = (cookie: Request["cookie"], why: Extract<FastAnswer, { _tag: "Ordinary" }>["why"]): FastAnswer => ({
  _tag: "Ordinary",
  cookie,
  why,
})

const sameBytes = (x: Uint8Array, y: Uint8Array): boolean => {
  if (x.length !== y.length) return false
  let different = 0
  for (let index = 0; index < x.length; index++) different |= (x[index] ?? 0) ^ (y[index] ?? 0)
  return different === 0
}
