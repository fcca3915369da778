import { hasAck, hasRst, hasSyn, type Segment, segmentLength } from "../wire/tcpSegment.ts"
import { acceptable } from "./acceptable.ts"
import { ackFrom } from "./bareAck.ts"
import { rateAllows } from "./challenge.ts"
import type { Step, Why } from "./effect.ts"
import { drop } from "./reset.ts"
import { add, after, before, type Seq } from "./seq.ts"
import { CLOSED, type Synchronized, type TimeWait } from "./tcb.ts"
import { type Micros, OFF } from "./time.ts"
import { cancelAll, type Out } from "./timers.ts"
import { isRecent, pawsRejects } from "./timestamps.ts"
import { announced } from "./window.ts"

/** Both FINs are done: the application is finished, the endpoints are kept for 2 MSL (RFC 9293 section 3.6.1). */
export const enterTimeWait = (tcb: Synchronized, now: Micros, why: Why, out: Out): TimeWait => {
  const { link, rcv, snd } = tcb
  const { settings } = link.context
  const deadline = now + settings.timeWait
  cancelAll(tcb.timers, out)
  out.push(
    { _tag: "ArmTimer", timer: "linger", at: deadline },
    { _tag: "Count", counter: "TW" },
    { _tag: "Closed", reason: "done", why },
  )
  return {
    _tag: "TIME-WAIT",
    context: link.context,
    local: link.local,
    remote: link.remote,
    sndNxt: snd.nxt,
    rcvNxt: rcv.nxt,
    rcvWnd: announced(rcv),
    rcvScale: link.agreed.rcvScale,
    timestamps: link.agreed.timestamps,
    tsRecent: rcv.tsRecent,
    tsRecentAt: rcv.tsRecentAt,
    tsOffset: link.tsOffset,
    oowAt: OFF,
    deadline,
  }
}

/** A SYN that may open the endpoints anew, before 2 MSL are over: the host hands it to the listener. */
export const mayReopen = (tw: TimeWait, seg: Segment, now: Micros): boolean =>
  hasSyn(seg) &&
  !hasRst(seg) &&
  !hasAck(seg) &&
  !(tw.timestamps && pawsRejects(seg, tw.tsRecent, tw.tsRecentAt, now)) &&
  // RFC 6191 section 2, RFC 1122 section 4.2.2.13 (b): a later timestamp, or a later sequence number.
  (after(seg.seq, tw.rcvNxt) ||
    (tw.timestamps && seg.options.tsVal !== undefined && after(seg.options.tsVal, tw.tsRecent)))

/** ISS of the connection that follows: larger than all the old one used (RFC 1122 section 4.2.2.13; Linux's tcp_timewait_state_process). */
export const nextIss = (tw: TimeWait): Seq => add(tw.sndNxt, 65535 + 2)

/** TIME-WAIT: a segment arrives (RFC 9293 section 3.10.7.4); a SYN that `mayReopen` has been taken out by the host. */
export const segmentArrives = (tw: TimeWait, seg: Segment, now: Micros): Step => {
  const { settings } = tw.context
  const paws = tw.timestamps && !hasRst(seg) && pawsRejects(seg, tw.tsRecent, tw.tsRecentAt, now)
  if (paws) {
    const step = answer(tw, seg, now, "RFC7323-5.3:PAWS", true)
    return { tcb: step.tcb, effects: [{ _tag: "Count", counter: "PAWSEstab" }, ...step.effects] }
  }
  if (settings.profile.timeWaitChecks === "RCV.NXT") return ofExpected(tw, seg, now)
  if (!acceptable(seg.seq, segmentLength(seg), tw.rcvNxt, tw.rcvWnd)) {
    return hasRst(seg)
      ? nothing(tw, "RFC9293-3.10.7.4:RST-outside-window")
      : answer(tw, seg, now, "RFC9293-3.10.7.4:unacceptable")
  }
  if (hasRst(seg)) {
    // RFC 1337: a reset must not cut the quiet time short, where the setting says so.
    if (settings.tcpRfc1337) return nothing(tw, "RFC1337-3:RST-in-TIME-WAIT-ignored")
    if (seg.seq !== tw.rcvNxt) return answer(tw, seg, now, "RFC5961-3.2:RST-not-at-RCV.NXT")
    return assassinated
  }
  const heard = withTimestamp(tw, seg, now)
  if (hasSyn(seg)) return answer(heard, seg, now, "RFC5961-4.2:SYN-in-window")
  if (!hasAck(seg)) return nothing(heard, "RFC9293-3.10.7.4:no-ACK")
  return segmentLength(seg) > 0
    ? answer(heard, seg, now, "RFC9293-3.10.7.4:text-in-TIME-WAIT")
    : nothing(heard, "RFC9293-3.10.7.4:ACK-in-TIME-WAIT")
}

/** The RST that RFC 1337 warns of. */
const assassinated: Step = {
  tcb: CLOSED,
  effects: [{ _tag: "CancelTimer", timer: "linger" }, drop("RFC9293-3.10.7.4:RST-in-TIME-WAIT")],
}

/** Linux: an ACK or RST at RCV.NXT is expected; all else is acknowledged, since the last ACK may be what was lost. */
const ofExpected = (tw: TimeWait, seg: Segment, now: Micros): Step => {
  const expected = seg.seq === tw.rcvNxt && (segmentLength(seg) === 0 || hasRst(seg))
  if (hasRst(seg)) {
    if (!expected) return nothing(tw, "Linux:RST-not-at-RCV.NXT-in-TIME-WAIT")
    return tw.context.settings.tcpRfc1337 ? nothing(tw, "RFC1337-3:RST-in-TIME-WAIT-ignored") : assassinated
  }
  if (!expected) return answer(tw, seg, now, "RFC9293-3.10.7.4:text-in-TIME-WAIT")
  const deadline = now + tw.context.settings.timeWait
  return {
    tcb: { ...withTimestamp(tw, seg, now), deadline },
    effects: [drop("RFC9293-3.10.7.4:ACK-in-TIME-WAIT"), { _tag: "ArmTimer", timer: "linger", at: deadline }],
  }
}

/** TS.Recent moves on here too: a new SYN is judged by it (RFC 7323 section 4.3, RFC 6191). */
const withTimestamp = (tw: TimeWait, seg: Segment, now: Micros): TimeWait =>
  tw.timestamps && isRecent(seg, tw.rcvNxt, tw.tsRecent)
    ? { ...tw, tsRecent: seg.options.tsVal ?? tw.tsRecent, tsRecentAt: now }
    : tw

/** 2 MSL are over. */
export const timeout = (_: TimeWait): Step => ({ tcb: CLOSED, effects: [drop("RFC9293-3.10.8:TIME-WAIT-timeout")] })

/** Acknowledges what came, as often as that is allowed; `paws`: it is an old duplicate. */
const answer = (tw: TimeWait, seg: Segment, now: Micros, why: Why, paws = false): Step => {
  const { settings } = tw.context
  const deadline = begins(tw, seg, paws) ? now + settings.timeWait : tw.deadline
  const armed: Out = deadline === tw.deadline ? [] : [{ _tag: "ArmTimer", timer: "linger", at: deadline }]
  const empty = segmentLength(seg) === 0 || hasSyn(seg)
  if (empty && !rateAllows(tw.oowAt, now, settings.tcpInvalidRatelimit)) {
    return {
      tcb: { ...tw, deadline },
      effects: [drop(why), { _tag: "Count", counter: "TCPACKSkippedTimeWait" }, ...armed],
    }
  }
  const ack = ackFrom(
    {
      context: tw.context,
      seq: tw.sndNxt,
      ack: tw.rcvNxt,
      wnd: Math.min(Math.floor(tw.rcvWnd / 2 ** tw.rcvScale), 65535),
      timestamps: tw.timestamps,
      tsOffset: tw.tsOffset,
      tsRecent: tw.tsRecent,
    },
    now,
    why,
  )
  return { tcb: { ...tw, oowAt: empty ? now : tw.oowAt, deadline }, effects: [ack, ...armed] }
}

/** 2 MSL begin again: with the peer's FIN (RFC 9293 section 3.10.7.4); in Linux with all but a SYN, unless PAWS knows that as an old one. */
const begins = (tw: TimeWait, seg: Segment, paws: boolean): boolean =>
  tw.context.settings.profile.timeWaitChecks === "RCV.NXT"
    ? paws || hasAck(seg)
    : !hasSyn(seg) && segmentLength(seg) > 0 && !before(tw.rcvNxt, seg.seq)

const nothing = (tw: TimeWait, why: Why): Step => ({ tcb: tw, effects: [drop(why)] })
