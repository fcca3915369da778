import { FIN } from "../wire/tcpSegment.ts"
import { initialWindow } from "./congestion/initial.ts"
import { onIdle } from "./congestion/registry.ts"
import { type Draft, deliveryDraft, draftOf, sndDraft } from "./draft.ts"
import { NO_EFFECTS, type Step, type Why } from "./effect.ts"
import { sendAck, sendSegment } from "./emit.ts"
import { appendSent, pipe, recordOf, WITH_FIN } from "./flight.ts"
import { mtuProbe } from "./mtuProbe.ts"
import { burstSegments, mustWait, pace } from "./pacing.ts"
import { plainSend } from "./plainSend.ts"
import { isReducing, segmentsIn } from "./recovery/ack.ts"
import { headDeadline, scheduleProbe } from "./recovery/probe.ts"
import { resendLost, resentBetween } from "./resend.ts"
import { interval } from "./rto.ts"
import { isCorked, mayBeShort, segmentSize } from "./segmentSize.ts"
import { sendEnd } from "./sendEnd.ts"
import { toRecordEnd } from "./sendQueue.ts"
import { add, after, before, distance } from "./seq.ts"
import type { Delivery, Synchronized, Timers } from "./tcb.ts"
import { type Micros, OFF } from "./time.ts"
import { arm, cancel, type Out } from "./timers.ts"
import { noteUse } from "./usage.ts"

/**
 * What is due now: what was lost, then data that the windows, Nagle and silly-window avoidance let
 * go (RFC 9293 sections 3.7.4, 3.8.6.2.1; RFC 5681), then the ACK that is still owed. Runs at the end
 * of a batch of inputs, so that one ACK answers a burst (MUST-58) and a reply carries it. No data beyond
 * `most` octets, what is sent again included, begin to leave: whoever says how much asks again for the rest.
 */
export const output = (tcb: Synchronized, now: Micros, most = Number.POSITIVE_INFINITY): Step<Synchronized> => {
  if (tcb.rcv.due === "none" && !hasWork(tcb)) return { tcb, effects: NO_EFFECTS }
  return (most > 0 ? plainSend(tcb, now) : undefined) ?? weighed(tcb, now, most)
}

/** `output` by every rule that there is. */
export const weighed = (tcb: Synchronized, now: Micros, most: number): Step<Synchronized> => {
  const out: Out = []
  const sent = sendWaiting(tcb, now, most, out)
  return { tcb: acknowledge(sent, now, out), effects: out }
}

/** The ACK that nothing which left has carried, or the wait for something that will. */
const acknowledge = (tcb: Synchronized, now: Micros, out: Out): Synchronized => {
  if (tcb.rcv.due === "now") return sendAck(tcb, now, tcb.rcv.dueWhy, out)
  if (tcb.rcv.due === "none" || tcb.timers.delayedAck !== OFF) return tcb
  const next = draftOf(tcb)
  next.timers = arm(tcb.timers, "delayedAck", now + delayOf(tcb), out)
  return next
}

/** How long an ACK waits for something to go with. */
const delayOf = ({ options, link }: Synchronized): Micros => {
  const { delayedAck } = link.context.settings.profile
  return options.maxDelayedAck > 0 ? Math.min(options.maxDelayedAck, delayedAck) : delayedAck
}

/** Waiting to be sent, or to be sent again. */
const hasWork = (tcb: Synchronized): boolean => tcb.snd.nxt !== sendEnd(tcb) || tcb.flight.lost > tcb.flight.retrans

const sendWaiting = (start: Synchronized, now: Micros, most: number, out: Out): Synchronized => {
  if (mustWait(start)) return start
  let tcb = idleRestart(start, now)
  // F-RTO's new data go first, and decide (RFC 5682 section 3.1 step 2.b).
  if (!tcb.recovery.newFirst) tcb = resendLost(tcb, segmentSize(tcb), now, out, most)
  const before_ = tcb.snd.nxt
  tcb = sendNew(tcb, now, most - resentBetween(start, tcb), out)
  if (tcb.recovery.newFirst && !after(tcb.snd.nxt, tcb.recovery.point)) {
    tcb = { ...tcb, recovery: { ...tcb.recovery, newFirst: false, frto: false } }
    tcb = resendLost(tcb, segmentSize(tcb), now, out, most - distance(tcb.snd.nxt, before_))
  }
  if (tcb.snd.nxt !== before_) tcb = scheduleProbe(tcb, headDeadline(tcb), now, out)
  if (tcb.snd.nxt === sendEnd(tcb) || tcb.flight.out > 0 || mustWait(tcb)) return tcb
  // Nothing in flight and something held back: only a probe can find out that the window opened.
  return tcb.timers.persist === OFF && tcb.timers.retransmit === OFF
    ? {
        ...tcb,
        timers: arm(tcb.timers, "persist", now + interval(tcb.rto, tcb.link.context.settings, tcb.options), out),
      }
    : tcb
}

const sendNew = (start: Synchronized, now: Micros, most: number, out: Out): Draft => {
  let tcb = start
  /** The last of what was made here, and nobody else's yet. */
  let draft: Draft | undefined
  let held = false
  while (before(tcb.snd.nxt, sendEnd(tcb)) && !mustWait(tcb) && distance(tcb.snd.nxt, start.snd.nxt) < most) {
    const probed = mtuProbe(tcb, now, out)
    if (probed === "wait") break
    if (probed !== undefined) {
      tcb = probed
      draft = undefined
      continue
    }
    const quota = quotaOf(tcb)
    held = quota <= 0
    const n = allowance(tcb, quota)
    if (n === 0) break
    draft = sendFrom(tcb, n, now, reason(tcb), out)
    tcb = draft
  }
  const next = draft ?? draftOf(tcb)
  const { flight, cc, snd } = tcb
  held ||= pipe(flight) >= segmentsIn(cc.cwnd, snd.mss)
  if (snd.nxt !== start.snd.nxt || held) noteUse(next, held, now)
  next.delivery = pausing(next)
  return next
}

/** The application has less than a segment to send: what is delivered now says nothing of the path's rate. */
const pausing = (tcb: Synchronized): Delivery => {
  const { snd, flight, delivery, cc } = tcb
  const inFlight = pipe(flight)
  const pauses =
    distance(sendEnd(tcb), snd.nxt) < snd.mss &&
    inFlight < segmentsIn(cc.cwnd, snd.mss) &&
    flight.lost <= flight.retrans
  if (!pauses) return delivery
  const appLimited = Math.max(1, delivery.delivered + inFlight * snd.mss)
  if (appLimited === delivery.appLimited) return delivery
  const next = deliveryDraft(delivery)
  next.appLimited = appLimited
  return next
}

/** Segments that congestion control lets go now. */
const quotaOf = (tcb: Synchronized): number => segmentsIn(tcb.cc.cwnd, tcb.snd.mss) - pipe(tcb.flight)

const reason = (tcb: Synchronized): Why =>
  tcb.snd.nxt === add(tcb.queue.start, tcb.queue.length) ? "RFC9293-3.10.4:CLOSE" : "RFC9293-3.10.2:send"

/** How many sequence numbers may leave from SND.NXT now, the FIN being one of them; 0: wait. */
const allowance = (tcb: Synchronized, quota: number): number => {
  const { snd, queue } = tcb
  const text = distance(add(queue.start, queue.length), snd.nxt)
  const size = segmentSize(tcb)
  // A FIN alone does not wait for congestion (Linux's tcp_cwnd_test).
  const congestion = text > 0 ? quota * size : Math.max(1, quota)
  const room = snd.wnd - distance(snd.nxt, snd.una)
  const window = Math.min(room, congestion)
  if (window <= 0) return 0
  const n = text > 0 ? textAllowance(tcb, text, window, room < congestion, size) : 0
  // A FIN goes along with the last of the text, for which it needs no segment of its own.
  return snd.fin && n === text && n < room ? n + 1 : n
}

/** `windowLimits`: it is the peer's window that `window` comes from, not congestion. */
const textAllowance = (tcb: Synchronized, text: number, window: number, windowLimits: boolean, mss: number): number => {
  const { snd } = tcb
  const record = tcb.queue.records ? toRecordEnd(tcb.queue, snd.nxt) : text
  const n = Math.min(text, window, record, text <= mss ? mss : burstOf(tcb, mss))
  // What follows a record may not go along (MSG_EOR), so there is nothing to wait for.
  if (n === record && n < text) return n
  if (n >= mss) {
    // Whole segments; a shorter last one only where everything that waits is leaving.
    return n === text && mayBeShort(tcb, n % mss) ? n : n - (n % mss)
  }
  if (isCorked(tcb) && !snd.fin && !before(snd.nxt, snd.push)) return 0
  if (n === text) return mayBeShort(tcb, n) ? n : 0
  // The window is the limit: half of the largest ever seen is worth a segment (RFC 9293 section 3.8.6.2.1, case 3).
  return windowLimits && n * 2 >= snd.maxWnd && mayBeShort(tcb, n) ? n : 0
}

/** Half a window at once, so that one burst does not stand for all of it (Linux's tcp_cwnd_test). */
const burstOf = (tcb: Synchronized, mss: number): number => {
  const half = Math.max(1, segmentsIn(tcb.cc.cwnd, tcb.snd.mss) >> 1)
  return Math.min(burstSegments(tcb, mss), half) * mss
}

/** Sends `n` sequence numbers from SND.NXT on, the FIN being the last of them where it is reached. `flags`: further ones. */
export const sendFrom = (
  tcb: Synchronized,
  n: number,
  now: Micros,
  why: Why,
  out: Out,
  size = segmentSize(tcb),
  flags = 0,
): Draft => {
  const from = tcb.snd.nxt
  const dataEnd = add(tcb.queue.start, tcb.queue.length)
  const to = add(from, n)
  const fin = tcb.snd.fin && after(to, dataEnd)
  const length = fin ? n - 1 : n
  const next = sendSegment(tcb, from, length, fin ? FIN | flags : flags, size, true, now, why, out)
  const { snd, flight, recovery } = next
  if (flight.out === 0) {
    const delivery = deliveryDraft(next.delivery)
    delivery.at = now
    delivery.firstAt = now
    next.delivery = delivery
  }
  const record = recordOf(from, to, size, fin ? WITH_FIN : 0, next.delivery, now)
  next.flight = appendSent(flight, record)
  const left = sndDraft(snd)
  left.nxt = to
  if (length % size !== 0) left.small = to
  left.at = now
  next.snd = left
  if (isReducing({ rec: recovery })) {
    next.recovery = { ...recovery, prrOut: recovery.prrOut + Math.max(1, Math.ceil(length / size)) }
  }
  next.timers = pace(next, startTimer(next, now, out), length, now, out)
  return next
}

/** RFC 6298 section 5.1: whatever leaves, the timer runs. */
const startTimer = ({ timers, rto, link, options }: Synchronized, now: Micros, out: Out): Timers => {
  if (timers.retransmit !== OFF) return timers
  const armed = arm(timers, "retransmit", now + interval(rto, link.context.settings, options), out)
  return armed.persist === OFF ? armed : cancel(armed, "persist", out)
}

/** RFC 5681 section 4.1: after an idle RTO the old window says nothing about the path. */
const idleRestart = (tcb: Synchronized, now: Micros): Synchronized => {
  const { snd, rto, cc, link, flight } = tcb
  const { settings } = link.context
  if (flight.out > 0 || snd.at === OFF || snd.nxt === sendEnd(tcb)) return tcb
  const timeout = interval(rto, settings, tcb.options)
  if (!settings.tcpSlowStartAfterIdle || now - snd.at <= timeout) return tcb
  const initial = initialWindow(snd.mss, settings.profile.initialWindowSegments)
  const next = onIdle(cc, now - snd.at, timeout, initial, now)
  return next === cc ? tcb : { ...tcb, cc: next, usage: { ...tcb.usage, at: now, used: 0 } }
}
