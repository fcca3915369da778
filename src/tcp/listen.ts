import type { Endpoint } from "../wire/address.ts"
import { ACK, hasAck, hasFin, hasRst, hasSyn, type Segment, SYN } from "../wire/tcpSegment.ts"
import type { Counter } from "./counters.ts"
import type { Step, TcpEffect, Transmit, Why } from "./effect.ts"
import { agree, initialReceiveBuffer, initialWindow, offerOf, synAckOptions, timestamp } from "./handshake.ts"
import { drop, resetFor } from "./reset.ts"
import { add } from "./seq.ts"
import { cookieIss, cookieMss, cookieOffers, cookiesPending, cookieTimestamp, rememberedOptions } from "./syncookie.ts"
import type { Listen, Request } from "./tcb.ts"
import { type Micros, OFF } from "./time.ts"

/**
 * LISTEN: a segment arrives (RFC 9293 section 3.10.7.2). A SYN that the queues have room for
 * becomes a half-open request, which the listener only counts; one that they have not is answered
 * with a cookie or dropped. `proven`: the peer has completed a handshake before.
 */
export const segmentArrives = (
  listen: Listen,
  seg: Segment,
  local: Endpoint,
  remote: Endpoint,
  proven: boolean,
  now: Micros,
): Step<Listen> => {
  // First: RST. Second: ACK, which may bring a cookie back. Third: SYN. Fourth: anything else.
  if (hasRst(seg)) return ignore(listen, "RFC9293-3.10.7.2:RST")
  if (hasAck(seg)) {
    return cookiesPending(listen, now) && !hasSyn(seg)
      ? cookieReturns(listen, seg, local, remote, now)
      : { tcb: listen, effects: [resetFor(seg, "RFC9293-3.10.7.2:ACK")] }
  }
  if (!hasSyn(seg)) return ignore(listen, "RFC9293-3.10.7.2:neither-SYN-nor-ACK")
  if (hasFin(seg) && listen.context.settings.profile.synFin === "drop") return ignore(listen, "Linux:SYN-FIN")
  return synArrives(listen, seg, local, remote, proven, now)
}

/** Linux's tcp_conn_request: cookies when the SYN queue is full, nothing when the accept queue is. */
const synArrives = (
  listen: Listen,
  seg: Segment,
  local: Endpoint,
  remote: Endpoint,
  proven: boolean,
  now: Micros,
): Step<Listen> => {
  const { tcpSyncookies, tcpMaxSynBacklog } = listen.context.settings
  const counts: Array<TcpEffect> = []
  const full = listen.requests >= Math.max(listen.backlog, 1)
  const cookie = tcpSyncookies === 2 || (full && tcpSyncookies === 1)
  if (full) counts.push(count(cookie ? "TCPReqQFullDoCookies" : "TCPReqQFullDrop"))
  if (full && !cookie) return refuse(listen, "Linux:SYN-queue-full", counts)
  if (listen.waiting > listen.backlog)
    return refuse(listen, "Linux:accept-queue-full", [...counts, count("ListenOverflows")])
  // Without cookies the last quarter is for those who have shown that they exist.
  if (tcpSyncookies === 0 && !proven && tcpMaxSynBacklog - listen.requests < tcpMaxSynBacklog >> 2) {
    return refuse(listen, "Linux:SYN-queue-kept-for-proven-peers", counts)
  }
  if (cookie) {
    const request = requestFrom(listen, { ...seg, options: cookieOffers(seg.options) }, local, remote, now)
    const iss = cookieIss(listen.context, local, remote, seg.seq, request.agreed.peerMss, now)
    const answer = cookieSynAck({ ...request, iss }, now)
    return { tcb: { ...listen, cookiesAt: now }, effects: [...counts, answer, count("SyncookiesSent")] }
  }
  const request = requestFrom(listen, seg, local, remote, now)
  const why = "RFC9293-3.10.7.2:SYN"
  return {
    tcb: { ...listen, requests: listen.requests + 1, young: listen.young + 1 },
    effects: [{ _tag: "Spawn", request, cookie: false, why }, synAck(request, now, why)],
  }
}

/** An ACK for a connection that nobody remembers: is SEG.ACK - 1 a cookie of ours? */
const cookieReturns = (listen: Listen, seg: Segment, local: Endpoint, remote: Endpoint, now: Micros): Step<Listen> => {
  const { context } = listen
  const irs = add(seg.seq, -1)
  const iss = add(seg.ack, -1)
  const mss = cookieMss(context, local, remote, irs, iss, now)
  const tsOffset = context.settings.tcpTimestamps ? context.keys.timestampOffset(local, remote) : 0
  const agreed = mss === undefined ? undefined : rememberedOptions(listen, seg, mss, tsOffset)
  if (agreed === undefined) {
    return { tcb: listen, effects: [resetFor(seg, "RFC4987-3.6:no-cookie-of-ours"), count("SyncookiesFailed")] }
  }
  if (listen.waiting > listen.backlog) {
    return refuse(listen, "Linux:accept-queue-full", [count("SyncookiesRecv"), count("ListenOverflows")])
  }
  const blank = requestFrom(listen, seg, local, remote, now)
  const request: Request = {
    ...blank,
    iss,
    irs,
    agreed,
    tsOffset,
    tsRecent: seg.options.tsVal ?? 0,
    since: OFF,
    acked: true,
  }
  return {
    tcb: { ...listen, requests: listen.requests + 1, young: listen.young + 1 },
    effects: [count("SyncookiesRecv"), { _tag: "Spawn", request, cookie: true, why: "RFC4987-3.6:cookie" }],
  }
}

/** How often a SYN-ACK is sent again: less often where old requests fill the queue (Linux's reqsk_timer_handler). */
export const synAckRetries = (listen: Listen): number => {
  let retries = listen.context.settings.tcpSynackRetries
  if (listen.requests * 2 <= Math.max(8, listen.backlog)) return retries
  for (let young = listen.young * 2; retries > 2 && listen.requests >= young; young *= 2) retries--
  return retries
}

const requestFrom = (listen: Listen, seg: Segment, local: Endpoint, remote: Endpoint, now: Micros): Request => {
  const { context, options, path } = listen
  const { settings, keys } = context
  return {
    _tag: "SYN-RECEIVED",
    open: "passive",
    context,
    options,
    path,
    local,
    remote,
    iss: keys.iss(local, remote, now),
    irs: seg.seq,
    agreed: agree(offerOf(settings, options), seg.options, settings, remote.address.family),
    tsRecent: seg.options.tsVal ?? 0,
    tsOffset: settings.tcpTimestamps ? keys.timestampOffset(local, remote) : 0,
    rcvBuf: initialReceiveBuffer(settings, options),
    sndWnd: seg.wnd,
    since: now,
    retransmits: 0,
    acked: false,
    oowAt: OFF,
    deadline: now + settings.profile.initialRto,
  }
}

/** A SYN-ACK that carries all that is to be remembered. */
const cookieSynAck = (request: Request, now: Micros): Transmit => {
  const plain = synAck(request, now, "RFC4987-3.6:SYN-cookie")
  if (!request.agreed.timestamps) return plain
  const ticks = timestamp(request.context, 0, now)
  const tsVal = add(cookieTimestamp(request.agreed, ticks), request.tsOffset)
  return { ...plain, options: { ...plain.options, tsVal } }
}

/** <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>, with only those options that the SYN had. */
export const synAck = (request: Request, now: Micros, why: Why): Transmit => ({
  _tag: "Transmit",
  seq: request.iss,
  ack: add(request.irs, 1),
  flags: SYN | ACK,
  wnd: initialWindow(request.context.settings, request.rcvBuf, request.path.mss),
  up: 0,
  options: synAckOptions(
    request.agreed,
    request.path,
    timestamp(request.context, request.tsOffset, now),
    request.tsRecent,
  ),
  queue: undefined,
  length: 0,
  segmentSize: 0,
  why,
})

const ignore = (listen: Listen, why: Why): Step<Listen> => ({ tcb: listen, effects: [drop(why)] })

const refuse = (listen: Listen, why: Why, counts: ReadonlyArray<TcpEffect>): Step<Listen> => ({
  tcb: listen,
  effects: [drop(why), ...counts, count("ListenDrops")],
})

const count = (counter: Counter) => ({ _tag: "Count", counter }) as const
