import type { Endpoint } from "../wire/address.ts"
import { CWR, ECE, hasAck, hasFin, hasRst, hasSyn, type Segment } from "../wire/tcpSegment.ts"
import type { Counter } from "./counters.ts"
import { listenDraft } from "./draft.ts"
import { ecnAccepted } from "./ecn.ts"
import type { Step, TcpEffect, Transmit, Why } from "./effect.ts"
import * as fastOpen from "./fastOpen.ts"
import { agree, initialReceiveBuffer, offerOf, timestamp } from "./handshake.ts"
import { synAckRetries } from "./patience.ts"
import * as request from "./request.ts"
import { drop, resetFor } from "./reset.ts"
import { add, type Seq } from "./seq.ts"
import { synAck } from "./synAck.ts"
import {
  cookieIss,
  cookieMss,
  cookieOffers,
  cookiesPending,
  cookieTimestamp,
  rememberedOptions,
  withCookie,
} from "./syncookie.ts"
import type { Listen, Request } from "./tcb.ts"
import { agreedBy, termsOf } from "./terms.ts"
import { type Micros, OFF } from "./time.ts"

/**
 * LISTEN: a segment arrives (RFC 9293 section 3.10.7.2). A SYN that the queues have room for
 * becomes a half-open request, which the listener only counts; one that they have not is answered
 * with a cookie or dropped. `proven`: the peer has completed a handshake before. `reopens`: the ISS
 * for a SYN that ends a TIME-WAIT, which no SYN queue is too full for.
 */
export const segmentArrives = (
  listen: Listen,
  seg: Segment,
  local: Endpoint,
  remote: Endpoint,
  proven: boolean,
  now: Micros,
  reopens?: Seq,
): Step<Listen> => {
  // First: RST. Second: ACK, which may bring a cookie back. Third: SYN. Fourth: anything else.
  if (hasRst(seg)) return ignore(listen, "RFC9293-3.10.7.2:RST")
  if (hasAck(seg)) {
    return listen.context.settings.tcpSyncookies !== 0 && cookiesPending(listen, now) && !hasSyn(seg)
      ? cookieReturns(listen, seg, local, remote, now)
      : { tcb: listen, effects: [resetFor(seg, "RFC9293-3.10.7.2:ACK")] }
  }
  if (!hasSyn(seg)) return ignore(listen, "RFC9293-3.10.7.2:neither-SYN-nor-ACK")
  if (hasFin(seg) && listen.context.settings.profile.synFin === "drop") return ignore(listen, "Linux:SYN-FIN")
  return synArrives(listen, seg, local, remote, proven, now, reopens)
}

/** Linux's tcp_conn_request: cookies when the SYN queue is full, nothing when the accept queue is. */
const synArrives = (
  listen: Listen,
  seg: Segment,
  local: Endpoint,
  remote: Endpoint,
  proven: boolean,
  now: Micros,
  reopens: Seq | undefined,
): Step<Listen> => {
  const { tcpSyncookies, tcpMaxSynBacklog } = listen.context.settings
  const full = reopens === undefined && listen.requests > listen.backlog
  const cookie = tcpSyncookies !== 0 && (full || (tcpSyncookies === 2 && reopens === undefined))
  if (full && !cookie) return refuse(listen, "Linux:SYN-queue-full", [count("TCPReqQFullDrop")])
  // Of cookies that are always sent the queue counts as full (Linux's tcp_syn_flood_action).
  const counts: ReadonlyArray<TcpEffect> = cookie ? [count("TCPReqQFullDoCookies")] : []
  if (listen.waiting > listen.backlog)
    return refuse(listen, "Linux:accept-queue-full", [...counts, count("ListenOverflows")])
  // Without cookies the last quarter is for those who have shown that they exist.
  if (
    tcpSyncookies === 0 &&
    reopens === undefined &&
    !proven &&
    tcpMaxSynBacklog - listen.requests < tcpMaxSynBacklog >> 2
  ) {
    return refuse(listen, "Linux:SYN-queue-kept-for-proven-peers", counts)
  }
  if (cookie) {
    const options = cookieOffers(listen, remote, seg.options)
    // ECN is remembered in the timestamp too (Linux's cookie_ecn_ok).
    const remembers = options.tsVal !== undefined && listen.context.settings.tcpTimestamps
    const flags = remembers ? seg.flags : seg.flags & ~(ECE | CWR)
    const half = requestFrom(listen, { ...seg, flags, options }, local, remote, now)
    const iss = cookieIss(listen.context, local, remote, seg.seq, agreedBy(half.terms).peerMss, now)
    const answer = cookieSynAck({ ...half, iss }, now)
    return { tcb: withCookie(listen, now), effects: [...counts, answer, count("SyncookiesSent")] }
  }
  const counted = oneMore(listen)
  const fresh = requestFrom(listen, seg, local, remote, now)
  const half = reopens === undefined ? fresh : { ...fresh, iss: reopens }
  const answer = fastOpen.judge(listen, seg, local, remote, now)
  const asks: ReadonlyArray<TcpEffect> =
    seg.options.fastOpen?.cookie.length === 0 ? [count("TCPFastOpenCookieReqd")] : []
  if (answer._tag === "Accept") {
    const fast: Request = answer.cookie === "none" ? half : { ...half, cookie: answer.cookie }
    return {
      tcb: { ...counted, fastOpens: listen.fastOpens + 1, fastResets: fastOpen.held(listen, now) },
      effects: [
        ...asks,
        { _tag: "Spawn", ...fastOpen.accept(fast, seg, now), why: "RFC7413-4.2.2:valid-cookie" },
        ...(answer.cookie === "none" ? [] : [count("TCPFastOpenPassiveAltKey")]),
        count("TCPFastOpenPassive"),
      ],
    }
  }
  const request: Request = answer.cookie === "none" ? half : { ...half, cookie: answer.cookie }
  const why = "RFC9293-3.10.7.2:SYN"
  return {
    tcb: counted,
    effects: [
      ...asks,
      { _tag: "Spawn", tcb: request, effects: [], why },
      synAck(request, now, why),
      ...fastOpenCounts[answer.why],
    ],
  }
}

/** An ACK for a connection that nobody remembers: is SEG.ACK - 1 a cookie of ours? */
const cookieReturns = (listen: Listen, seg: Segment, local: Endpoint, remote: Endpoint, now: Micros): Step<Listen> => {
  const { context } = listen
  const irs = add(seg.seq, -1)
  const iss = add(seg.ack, -1)
  const mss = cookieMss(context, local, remote, irs, iss, now)
  if (mss === undefined) {
    return { tcb: listen, effects: [resetFor(seg, "RFC4987-3.6:no-cookie-of-ours"), count("SyncookiesFailed")] }
  }
  const tsOffset = context.settings.tcpTimestamps ? context.keys.timestampOffset(local, remote) : 0
  const agreed = rememberedOptions(listen, remote, seg, mss, tsOffset)
  if (agreed === undefined) {
    return { tcb: listen, effects: [resetFor(seg, "Linux:cookie-of-a-disabled-option"), count("SyncookiesRecv")] }
  }
  if (listen.waiting > listen.backlog) {
    return refuse(listen, "Linux:accept-queue-full", [count("SyncookiesRecv"), count("ListenOverflows")])
  }
  const blank = requestFrom(listen, seg, local, remote, now)
  const half: Request = {
    ...blank,
    iss,
    irs,
    terms: termsOf(agreed),
    tsOffset,
    tsRecent: seg.options.tsVal ?? 0,
    since: OFF,
    acked: true,
  }
  return {
    tcb: oneMore(listen),
    effects: [
      count("SyncookiesRecv"),
      // A cookie that returns has no request to go back to: whether it brings data is not asked.
      { _tag: "Spawn", ...request.accepted(half, seg, now), why: "RFC4987-3.6:cookie" },
    ],
  }
}

/** A listener with one request more, and with one less. */
const oneMore = (listen: Listen): Listen => {
  const next = listenDraft(listen)
  next.requests++
  next.young++
  return next
}

export const oneLess = (listen: Listen, young: boolean): Listen => {
  const next = listenDraft(listen)
  next.requests--
  if (young) next.young--
  return next
}

/** A listener with so many connections that wait. */
export const withWaiting = (listen: Listen, waiting: number): Listen => {
  const next = listenDraft(listen)
  next.waiting = waiting
  return next
}

/** How often a SYN-ACK is sent again: less often where old requests fill the queue (Linux's reqsk_timer_handler). */
export const retriesUnderLoad = (listen: Listen): number => {
  let retries = synAckRetries(listen)
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
    terms: termsOf(
      agree(
        offerOf(settings, options, remote.address),
        seg.options,
        ecnAccepted(seg, settings),
        settings,
        remote.address.family,
      ),
    ),
    tsRecent: seg.options.tsVal ?? 0,
    tsOffset: settings.tcpTimestamps ? keys.timestampOffset(local, remote) : 0,
    rcvBuf: initialReceiveBuffer(settings, options),
    since: now,
    retransmits: 0,
    acked: false,
    oowAt: OFF,
    deadline: now + settings.profile.initialRto,
    cookie: "none",
  }
}

/** A SYN-ACK that carries all that is to be remembered. */
const cookieSynAck = (request: Request, now: Micros): Transmit => {
  const plain = synAck(request, now, "RFC4987-3.6:SYN-cookie")
  const agreed = agreedBy(request.terms)
  if (!agreed.timestamps) return plain
  const ticks = timestamp(request.context, 0, now)
  const tsVal = add(cookieTimestamp(agreed, ticks), request.tsOffset)
  return { ...plain, options: { ...plain.options, tsVal } }
}

const ignore = (listen: Listen, why: Why): Step<Listen> => ({ tcb: listen, effects: [drop(why)] })

const refuse = (listen: Listen, why: Why, counts: ReadonlyArray<TcpEffect>): Step<Listen> => ({
  tcb: listen,
  effects: [drop(why), ...counts, count("ListenDrops")],
})

const fastOpenCounts: Record<"none" | "asked" | "invalid" | "full", ReadonlyArray<TcpEffect>> = {
  none: [],
  asked: [],
  invalid: [{ _tag: "Count", counter: "TCPFastOpenPassiveFail" }],
  full: [{ _tag: "Count", counter: "TCPFastOpenListenOverflow" }],
}

const count = (counter: Counter) => ({ _tag: "Count", counter }) as const
