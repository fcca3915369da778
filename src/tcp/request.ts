import { hasAck, hasFin, hasRst, hasSyn, RST, type Segment, segmentLength } from "../wire/tcpSegment.ts"
import { acceptable, acknowledgesAtEdge } from "./acceptable.ts"
import { ackFrom } from "./bareAck.ts"
import { rateAllows } from "./challenge.ts"
import type { Step, Why } from "./effect.ts"
import { establish, fromRequest } from "./establish.ts"
import { synAckWindow } from "./handshake.ts"
import { drop, reset, resetFor } from "./reset.ts"
import { handshakeInterval } from "./rto.ts"
import { add, atOrAfter } from "./seq.ts"
import { synAck } from "./synAck.ts"
import { afterHandshake } from "./synchronized.ts"
import { CLOSED, isSynchronized, type Request, type Synchronized } from "./tcb.ts"
import { agreedBy } from "./terms.ts"
import { type Micros, OFF } from "./time.ts"
import type { Out } from "./timers.ts"
import { pawsRejects } from "./timestamps.ts"
import { withoutSyn } from "./withoutSyn.ts"

/**
 * SYN-RECEIVED from LISTEN: a segment arrives for a half-open request (RFC 9293 section
 * 3.10.7.4). `room` says whether the accept queue would take the connection now.
 */
export const segmentArrives = (request: Request, arrived: Segment, room: boolean, now: Micros): Step => {
  const { settings } = request.context
  const nxt = add(request.irs, 1)

  const agreed = agreedBy(request.terms)
  const paws = agreed.timestamps && !hasRst(arrived) && pawsRejects(arrived, request.tsRecent, now, now)

  // The SYN once more: our SYN-ACK was lost, send it again (RFC 9293 section 3.10.7.4 would send a bare ACK).
  if (hasSyn(arrived) && !hasAck(arrived) && !hasRst(arrived) && arrived.seq === request.irs && !paws) {
    return again(request, now, "Linux:SYN-again")
  }
  // A wrong ACK before all else: two listeners that a third party sets upon each other must end it here, not exchange
  // ACKs (the crossed-SYN defence of Linux's tcp_check_req; RFC 9293 comes to the ACK only in its fifth check).
  if (hasAck(arrived) && !hasRst(arrived) && arrived.ack !== add(request.iss, 1)) {
    return { tcb: request, effects: [resetFor(arrived, "RFC9293-3.10.7.4:unacceptable-ACK")] }
  }
  // With text behind it the SYN lies left of the window, and is trimmed (first check, last paragraph).
  const seg = arrived.seq === request.irs && segmentLength(arrived) > 1 ? withoutSyn(arrived) : arrived
  if (paws) {
    const step = bareAck(request, now, "RFC7323-5.3:PAWS")
    return { tcb: step.tcb, effects: [{ _tag: "Count", counter: "PAWSEstab" }, ...step.effects] }
  }
  // First: the sequence number.
  const wnd = synAckWindow(settings, request.rcvBuf, request.path, agreed)
  if (!acceptable(seg.seq, segmentLength(seg), nxt, wnd) && !acknowledgesAtEdge(seg, nxt, wnd)) {
    return hasRst(seg)
      ? ignored(request, "RFC9293-3.10.7.4:RST-outside-window")
      : bareAck(request, now, "RFC9293-3.10.7.4:unacceptable")
  }
  // Second: RST. The request goes, the listener stays, nobody is told.
  if (hasRst(seg)) {
    return seg.seq === nxt
      ? endByReset(request, "RFC9293-3.10.7.4:RST-ends-request")
      : bareAck(request, now, "RFC5961-3.2:RST-not-at-RCV.NXT")
  }
  // Fourth: SYN. A passive open returns to LISTEN; real stacks tell the peer so.
  if (hasSyn(seg)) {
    const step = endByReset(request, "RFC9293-3.10.7.4:SYN-ends-request")
    if (settings.profile.synInRequest === "silence") return step
    return { tcb: step.tcb, effects: [resetFor(seg, "Linux:embryonic-reset"), ...step.effects] }
  }
  // Fifth: ACK.
  if (!hasAck(seg)) return ignored(request, "RFC9293-3.10.7.4:no-ACK")
  if (mustBringData(request, seg)) {
    return {
      tcb: { ...request, acked: true },
      effects: [drop("Linux:TCP_DEFER_ACCEPT"), { _tag: "Count", counter: "TCPDeferAcceptDrop" }],
    }
  }
  if (!room) return full(request, seg)
  return accepted(request, seg, now)
}

/** TCP_DEFER_ACCEPT: a bare ACK does not wake the application, until the waiting time is over. */
const mustBringData = (request: Request, seg: Segment): boolean =>
  request.retransmits < deferredTimeouts(request) && seg.payload.length === 0 && !hasFin(seg)

/** The waiting time as a number of SYN-ACK time-outs, as Linux counts it. */
const deferredTimeouts = (request: Request): number => {
  const { deferAccept } = request.options
  if (deferAccept <= 0) return 0
  let wait = request.context.settings.profile.initialRto
  let timeouts = 1
  for (let period = wait; deferAccept > period && timeouts < 255; period += wait) {
    wait = Math.min(wait * 2, request.context.settings.profile.maxRto)
    timeouts++
  }
  return timeouts
}

/** The handshake is complete: text and FIN of the same segment follow at once. */
export const accepted = (request: Request, seg: Segment, now: Micros): Step<Synchronized> => {
  const out: Out = [
    { _tag: "CancelTimer", timer: "retransmit" },
    { _tag: "Established", why: "RFC9293-3.10.7.4:ACK-of-SYN" },
  ]
  const { tsVal } = seg.options
  const tsRecent = tsVal !== undefined && atOrAfter(tsVal, request.tsRecent) ? tsVal : request.tsRecent
  const tcb = establish(
    fromRequest(request, tsRecent, now),
    seg,
    seg.wnd * 2 ** agreedBy(request.terms).sndScale,
    now,
    out,
  )
  return { tcb: seg.payload.length > 0 || hasFin(seg) ? takeFirst(tcb, seg, now, out) : tcb, effects: out }
}

/** The text and FIN of a first segment leave a connection synchronized: nobody has closed it yet. */
const takeFirst = (tcb: Synchronized, seg: Segment, now: Micros, out: Out): Synchronized => {
  const next = afterHandshake(tcb, seg, now, out)
  return isSynchronized(next) ? next : tcb
}

/** Linux's listen_overflow: the peer believes itself connected; drop the ACK and let it retransmit, or say no. */
const full = (request: Request, seg: Segment): Step => {
  const overflows = { _tag: "Count", counter: "ListenOverflows" } as const
  if (!request.context.settings.tcpAbortOnOverflow) {
    return {
      tcb: { ...request, acked: true },
      effects: [drop("Linux:accept-queue-full"), overflows, { _tag: "Count", counter: "ListenDrops" }],
    }
  }
  const step = end(request, "Linux:tcp_abort_on_overflow")
  return {
    tcb: step.tcb,
    effects: [
      reset(seg.ack, 0, RST, "Linux:tcp_abort_on_overflow"),
      overflows,
      { _tag: "Count", counter: "ListenDrops" },
      { _tag: "Count", counter: "EmbryonicRsts" },
      ...step.effects,
    ],
  }
}

/**
 * RETRANSMISSION TIMEOUT of a SYN-ACK: 1, 2, 4, ... seconds, `retries` times. While an ACK waits
 * for its data time passes in silence; the last SYN-ACK gives the peer one more chance. As in Linux
 * a Fast Open cookie goes with the first only: some path may have dropped it for that.
 */
export const timeout = (request: Request, retries: number, now: Micros): Step => {
  const { settings } = request.context
  const deferred = deferredTimeouts(request)
  const waits = request.acked && request.retransmits < deferred
  const timedOut = { _tag: "Count", counter: "TCPTimeouts" } as const
  if (request.retransmits >= retries && !waits) {
    const step = end(request, "RFC9293-3.8.3:R2-of-SYN-ACK")
    return { tcb: step.tcb, effects: [timedOut, ...step.effects] }
  }
  const again = deferred === 0 || !request.acked || request.retransmits >= deferred - 1
  const retransmits = request.retransmits + 1
  const wait = handshakeInterval(settings, retransmits)
  const next: Request = { ...request, cookie: "none", retransmits, deadline: now + wait }
  const armed = { _tag: "ArmTimer", timer: "retransmit", at: next.deadline } as const
  return again
    ? {
        tcb: next,
        effects: [
          synAck(next, now, "RFC6298-5.4:retransmit"),
          { _tag: "Count", counter: "RetransSegs" },
          { _tag: "Count", counter: "TCPSynRetrans" },
          timedOut,
          armed,
        ],
      }
    : { tcb: next, effects: [timedOut, armed] }
}

/** The SYN-ACK again, at the rate of challenge ACKs; the handshake is measured no more (Karn), and the timer starts anew. */
const again = (request: Request, now: Micros, why: Why): Step => {
  const { settings } = request.context
  if (!rateAllows(request.oowAt, now, settings.tcpInvalidRatelimit)) {
    return { tcb: request, effects: [drop(why), { _tag: "Count", counter: "TCPACKSkippedSynRecv" }] }
  }
  const deadline = now + handshakeInterval(settings, request.retransmits)
  const next: Request = { ...request, cookie: "none", oowAt: now, since: OFF, deadline }
  return {
    tcb: next,
    effects: [
      synAck(next, now, why),
      { _tag: "Count", counter: "RetransSegs" },
      { _tag: "Count", counter: "TCPSynRetrans" },
      { _tag: "ArmTimer", timer: "retransmit", at: deadline },
    ],
  }
}

/** <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK> for what is not acceptable. */
const bareAck = (request: Request, now: Micros, why: Why): Step => {
  const { context } = request
  const agreed = agreedBy(request.terms)
  if (!rateAllows(request.oowAt, now, context.settings.tcpInvalidRatelimit)) {
    return { tcb: request, effects: [drop(why), { _tag: "Count", counter: "TCPACKSkippedSynRecv" }] }
  }
  const ack = ackFrom(
    {
      context,
      seq: add(request.iss, 1),
      ack: add(request.irs, 1),
      wnd: Math.floor(synAckWindow(context.settings, request.rcvBuf, request.path, agreed) / 2 ** agreed.rcvScale),
      timestamps: agreed.timestamps,
      tsOffset: request.tsOffset,
      tsRecent: request.tsRecent,
    },
    now,
    why,
  )
  return { tcb: { ...request, oowAt: now }, effects: [ack] }
}

const end = (_: Request, why: Why): Step => ({
  tcb: CLOSED,
  effects: [
    { _tag: "CancelTimer", timer: "retransmit" },
    { _tag: "Closed", reason: "ConnectionReset", why },
  ],
})

/** Ended by the peer, or by us in its face: an embryonic reset. */
const endByReset = (request: Request, why: Why): Step => {
  const step = end(request, why)
  return {
    tcb: step.tcb,
    effects: [{ _tag: "Count", counter: "EmbryonicRsts" }, { _tag: "Count", counter: "AttemptFails" }, ...step.effects],
  }
}

const ignored = (request: Request, why: Why): Step => ({ tcb: request, effects: [drop(why)] })
