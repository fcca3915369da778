import { NOT_ECT } from "../wire/ecn.ts"
import { ACK, ECE, hasAck, hasFin, hasRst, hasSyn, type Segment, SYN } from "../wire/tcpSegment.ts"
import { ecnInSyn, ecnInSynAck } from "./ecn.ts"
import type { Step, Transmit, Why } from "./effect.ts"
import { sendAck } from "./emit.ts"
import { establish, fromSent } from "./establish.ts"
import { emptyFlight } from "./flight.ts"
import { agree, DEFAULT_MSS, initialWindow, synAckOptions, synAckWindow, timestamp } from "./handshake.ts"
import { drop, resetFor } from "./reset.ts"
import { dropBefore } from "./sendQueue.ts"
import { add, after, atOrBefore, distance } from "./seq.ts"
import { afterHandshake } from "./synchronized.ts"
import { CLOSED, type Synchronized, type SynReceived, type SynSent } from "./tcb.ts"
import { owe } from "./text.ts"
import { type Micros, OFF } from "./time.ts"
import { arm, cancelAll, type Out } from "./timers.ts"
import { withoutSyn } from "./withoutSyn.ts"

/**
 * SYN-SENT: an active open has sent its SYN and waits for the peer's.
 * Calls: send and receive queue; close deletes the block; listen and connect are refused.
 * RFC 9293 section 3.10.7.3.
 */
export const segmentArrives = (tcb: SynSent, seg: Segment, now: Micros): Step => {
  // First: the ACK can only be for our SYN.
  const acked = hasAck(seg)
  if (acked && (atOrBefore(seg.ack, tcb.iss) || after(seg.ack, add(tcb.iss, 1 + tcb.synData)))) {
    return hasRst(seg)
      ? dropped(tcb, "RFC9293-3.10.7.3:RST-with-unacceptable-ACK")
      : { tcb, effects: [resetFor(seg, "RFC9293-3.10.7.3:unacceptable-ACK")] }
  }
  // Second: RST, believed only with an acceptable ACK.
  if (hasRst(seg)) {
    return acked ? refused(tcb) : dropped(tcb, "RFC9293-3.10.7.3:RST-without-ACK")
  }
  // Fourth: SYN. Fifth: anything else.
  if (!hasSyn(seg)) return dropped(tcb, "RFC9293-3.10.7.3:neither-SYN-nor-RST")
  if (acked && tcb.offer.timestamps && !echoPlausible(tcb, seg, now)) {
    return {
      tcb,
      effects: [resetFor(seg, "RFC7323-3.2:echo-of-another-SYN"), { _tag: "Count", counter: "PAWSActive" }],
    }
  }
  return acked ? established(tcb, seg, now) : crossed(tcb, seg, now)
}

/** The SYN-ACK echoes a timestamp that we sent since the first SYN, where it echoes one at all. */
const echoPlausible = (tcb: SynSent, seg: Segment, now: Micros): boolean => {
  const { tsEcr } = seg.options
  if (tsEcr === undefined || tsEcr === 0) return true
  const first = timestamp(tcb.context, tcb.tsOffset, tcb.since)
  return !after(first, tsEcr) && !after(tsEcr, timestamp(tcb.context, tcb.tsOffset, now))
}

const refused = (tcb: SynSent): Step => {
  const out: Out = []
  cancelAll(tcb.timers, out)
  out.push(
    { _tag: "Count", counter: "AttemptFails" },
    { _tag: "Closed", reason: "ConnectionRefused", why: "RFC9293-3.10.7.3:RST-answers-SYN" },
  )
  return { tcb: CLOSED, effects: out }
}

const established = (sent: SynSent, seg: Segment, now: Micros): Step => {
  const out: Out = fastOpenEffects(sent, seg)
  const { context, path, remote, offer } = sent
  const agreed = agree(offer, seg.options, offer.ecn && ecnInSynAck(seg), context.settings, remote.address.family)
  cancelAll(sent.timers, out)
  const why = "RFC9293-3.10.7.3:SYN-acknowledged"
  out.push({ _tag: "Established", why })
  const announced = initialWindow(context.settings, sent.rcvBuf, path.mss)
  const handshake = fromSent(sent, seg.seq, agreed, seg.options.tsVal ?? 0, announced, now)
  // The window of a SYN is never scaled (RFC 7323 section 2.2).
  const fresh = establish(handshake, seg, seg.wnd, now, out)
  const tcb = sent.synData > 0 ? withSynData(fresh, sent, seg, out) : fresh
  // The third segment leaves at once unless data carries the ACK.
  const acked = tcb.queue.length > 0 ? owe(tcb, "now", why) : sendAck(tcb, now, why, out)
  const text = seg.payload.length > 0 || hasFin(seg)
  return { tcb: text ? afterHandshake(acked, withoutSyn(seg), now, out) : acked, effects: out }
}

/** The data of the SYN: what the peer took is done, what it did not take leaves again at once (RFC 7413 section 4.2.1). */
const withSynData = (tcb: Synchronized, sent: SynSent, seg: Segment, out: Out): Synchronized => {
  const first = add(sent.iss, 1)
  const taken = distance(seg.ack, first)
  if (taken > 0) out.push({ _tag: "Acknowledged", count: taken })
  return {
    ...tcb,
    link: { ...tcb.link, synData: taken > 0 },
    queue: dropBefore(sent.queue, seg.ack),
    flight: emptyFlight(seg.ack),
    snd: { ...tcb.snd, una: seg.ack, nxt: seg.ack, small: seg.ack },
  }
}

/** A cookie for the next time, and whether this time the data was taken. */
const fastOpenEffects = (sent: SynSent, seg: Segment): Out => {
  const out: Out = []
  const { fastOpen, mss } = seg.options
  if (sent.fastOpen !== undefined && fastOpen !== undefined && fastOpen.cookie.length > 0) {
    out.push({ _tag: "RememberCookie", cookie: fastOpen, mss: mss ?? DEFAULT_MSS[sent.remote.address.family] })
  }
  if (sent.synData > 0) {
    const taken = after(seg.ack, add(sent.iss, 1))
    out.push({ _tag: "Count", counter: taken ? "TCPFastOpenActive" : "TCPFastOpenActiveFail" })
  }
  return out
}

/** Both SYNs are under way (RFC 9293 figure 7): answer with <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>. */
const crossed = (sent: SynSent, seg: Segment, now: Micros): Step => {
  const out: Out = []
  const { settings } = sent.context
  const tcb: SynReceived = {
    _tag: "SYN-RECEIVED",
    open: "active",
    // The SYN-ACK has retries of its own; a SYN that was sent again is not measured (Karn).
    sent: { ...sent, retransmits: 0, since: sent.retransmits === 0 ? sent.since : OFF },
    irs: seg.seq,
    agreed: agree(sent.offer, seg.options, sent.offer.ecn && ecnInSyn(seg), settings, sent.remote.address.family),
    tsRecent: seg.options.tsVal ?? 0,
    oowAt: OFF,
    timers: sent.timers,
  }
  out.push(synAckOf(tcb, now, "RFC9293-3.10.7.3:simultaneous-open"))
  const timers = arm(tcb.timers, "retransmit", now + settings.profile.initialRto, out)
  return { tcb: { ...tcb, timers }, effects: out }
}

export const synAckOf = (tcb: SynReceived, now: Micros, why: Why): Transmit => {
  const { sent } = tcb
  return {
    _tag: "Transmit",
    seq: sent.iss,
    ack: add(tcb.irs, 1),
    flags: tcb.agreed.ecn ? SYN | ACK | ECE : SYN | ACK,
    wnd: synAckWindow(sent.context.settings, sent.rcvBuf, sent.path, tcb.agreed),
    up: 0,
    options: synAckOptions(tcb.agreed, sent.path, timestamp(sent.context, sent.tsOffset, now), tcb.tsRecent),
    queue: undefined,
    length: 0,
    segmentSize: 0,
    ecn: NOT_ECT,
    why,
  }
}

const dropped = (tcb: SynSent, why: Why): Step => ({ tcb, effects: [drop(why)] })
