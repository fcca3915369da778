import { FIN } from "../wire/tcpSegment.ts"
import { initialCc, restart } from "./congestion.ts"
import { NO_EFFECTS, type Step, type Why } from "./effect.ts"
import { sackLength, sendAck, sendSegment } from "./emit.ts"
import { interval } from "./rto.ts"
import { add, after, before, distance, earliest, latest, type Seq } from "./seq.ts"
import type { Synchronized } from "./tcb.ts"
import { type Micros, OFF } from "./time.ts"
import { arm, type Out } from "./timers.ts"

/**
 * What is due now: data that the windows, Nagle and silly-window avoidance let go (RFC 9293
 * sections 3.7.4, 3.8.6.2.1; RFC 5681), then the ACK that is still owed. Runs at the end of a
 * batch of inputs, so that one ACK answers a burst (MUST-58) and a reply carries it.
 */
export const output = (tcb: Synchronized, now: Micros): Step<Synchronized> => {
  if (tcb.rcv.due === "none" && !hasWork(tcb)) return { tcb, effects: NO_EFFECTS }
  const out: Out = []
  let next = sendWaiting(tcb, now, out)
  if (next.rcv.due === "now") next = sendAck(next, now, next.rcv.dueWhy, out)
  else if (next.rcv.due === "later" && next.timers.delayedAck === OFF) {
    next = { ...next, timers: arm(next.timers, "delayedAck", now + next.link.context.settings.profile.delayedAck, out) }
  }
  return { tcb: next, effects: out }
}

/** Sequence number after everything that the application wants sent, its FIN included. */
export const sendEnd = (tcb: Synchronized): Seq => add(tcb.queue.start, tcb.queue.length + (tcb.snd.fin ? 1 : 0))

/** Sent and not acknowledged; while lost data is sent again only what went out since counts. */
export const flight = (tcb: Synchronized): number => distance(tcb.snd.rtx, tcb.snd.una)

/** Waiting to be sent, or to be sent again. */
const hasWork = (tcb: Synchronized): boolean => tcb.snd.rtx !== sendEnd(tcb)

const sendWaiting = (start: Synchronized, now: Micros, out: Out): Synchronized => {
  let tcb = idleRestart(start, now)
  const { settings } = tcb.link.context
  for (;;) {
    const end = sendEnd(tcb)
    const from = tcb.snd.rtx
    if (!before(from, end)) break
    const n = allowance(tcb)
    if (n === 0) break
    tcb = sendFrom(tcb, from, n, now, reason(tcb, from), out)
  }
  if (tcb.snd.rtx === sendEnd(tcb) || flight(tcb) > 0) return tcb
  // Nothing in flight and something held back: only a probe can find out that the window opened.
  return tcb.timers.persist === OFF && tcb.timers.retransmit === OFF
    ? { ...tcb, timers: arm(tcb.timers, "persist", now + interval(tcb.rto, settings), out) }
    : tcb
}

const reason = (tcb: Synchronized, from: Seq): Why => {
  if (from !== tcb.snd.nxt) return "RFC6582-3.2:retransmit"
  return from === add(tcb.queue.start, tcb.queue.length) ? "RFC9293-3.10.4:CLOSE" : "RFC9293-3.10.2:send"
}

/**
 * Payload of a full segment now: Eff.snd.MSS less the SACK blocks that go along, and no more than
 * half of the largest window that the peer ever offered, so that two fit it (RFC 9293 section
 * 3.8.6.2.1, case 3; Linux's tcp_bound_to_half_wnd).
 */
const segmentSize = (tcb: Synchronized): number => {
  const { mss, maxWnd } = tcb.snd
  const half = maxWnd > SMALL_WINDOW ? maxWnd >> 1 : maxWnd
  return Math.max(1, Math.min(mss - sackLength(tcb), half > 0 ? Math.max(half, SMALLEST_SEGMENT) : mss))
}

/** A window no larger than this is not halved. */
const SMALL_WINDOW = 536
const SMALLEST_SEGMENT = 28

/** How many sequence numbers may leave from SND.RTX now, the FIN being one of them; 0: wait. */
const allowance = (tcb: Synchronized): number => {
  const { snd, cc, queue } = tcb
  const text = distance(add(queue.start, queue.length), snd.rtx)
  // Limited transmit (RFC 3042): the first two duplicate ACKs each let one new segment out.
  const congestion = cc.cwnd + (cc.recovering ? 0 : Math.min(cc.dupAcks, 2) * snd.mss)
  const window = Math.min(snd.wnd, congestion) - flight(tcb)
  if (window <= 0) return 0
  const n = text > 0 ? textAllowance(tcb, text, window, snd.wnd < congestion) : 0
  // A FIN goes along with the last of the text.
  return snd.fin && n === text && n < window ? n + 1 : n
}

/** `windowLimits`: it is the peer's window that `window` comes from, not congestion. */
const textAllowance = (tcb: Synchronized, text: number, window: number, windowLimits: boolean): number => {
  const { snd } = tcb
  const mss = segmentSize(tcb)
  const burst = Math.max(mss, tcb.link.path.burst - (tcb.link.path.burst % mss))
  const n = Math.min(text, window, burst)
  if (n >= mss) {
    // Whole segments; a shorter last one only where everything that waits is leaving.
    return n === text && mayBeShort(tcb, n % mss) ? n : n - (n % mss)
  }
  if (before(snd.rtx, snd.nxt)) return n
  if (isCorked(tcb) && !snd.fin && !before(snd.rtx, snd.push)) return 0
  if (n === text) return mayBeShort(tcb, n) ? n : 0
  // The window is the limit: half of the largest ever seen is worth a segment (RFC 9293 section 3.8.6.2.1, case 3).
  return windowLimits && n * 2 >= snd.maxWnd && mayBeShort(tcb, n) ? n : 0
}

/** Nagle's algorithm with Minshall's change: one short segment unacknowledged at a time. */
const mayBeShort = (tcb: Synchronized, tail: number): boolean =>
  tail === 0 ||
  tcb.snd.fin ||
  before(tcb.snd.rtx, tcb.snd.push) ||
  (!isCorked(tcb) && (tcb.options.noDelay || !after(tcb.snd.small, tcb.snd.una)))

/** TCP_CORK, or MSG_MORE of the last write: a short segment waits for what fills it, or for the persist timer. */
const isCorked = ({ options, snd }: Synchronized): boolean => options.cork || snd.more

/** Sends `n` sequence numbers from `from` on, the FIN being the last of them where it is reached. */
export const sendFrom = (tcb: Synchronized, from: Seq, n: number, now: Micros, why: Why, out: Out): Synchronized => {
  const dataEnd = add(tcb.queue.start, tcb.queue.length)
  const to = add(from, n)
  const fin = tcb.snd.fin && after(to, dataEnd)
  const length = fin ? n - 1 : n
  const mss = segmentSize(tcb)
  const again = before(from, tcb.snd.nxt)
  const sent = sendSegment(tcb, from, length, fin ? FIN : 0, mss, now, why, out)
  if (again) out.push(RETRANSMITTED)
  const { snd, rto } = sent
  const nxt = latest(snd.nxt, to)
  // Time one octet per round trip, never one that is sent again (RFC 6298 section 3).
  const timed = !again && rto.timedAt === OFF ? { ...rto, timedSeq: from, timedAt: now } : rto
  const small = !again && length % mss !== 0 ? to : snd.small
  const rearm = sent.timers.retransmit === OFF
  const { settings } = sent.link.context
  let timers = sent.timers
  if (rearm) {
    timers = arm(timers, "retransmit", now + interval(timed, settings), out)
    if (timers.persist !== OFF) {
      out.push({ _tag: "CancelTimer", timer: "persist" })
      timers = { ...timers, persist: OFF }
    }
  }
  return {
    ...sent,
    timers,
    rto: timed,
    snd: { ...snd, nxt, rtx: to, small, at: now },
  }
}

const RETRANSMITTED = { _tag: "Count", counter: "RetransSegs" } as const

/** RFC 5681 section 4.1: after an idle RTO the old window says nothing about the path. */
const idleRestart = (tcb: Synchronized, now: Micros): Synchronized => {
  const { snd, rto, cc, link } = tcb
  if (snd.una !== snd.nxt || snd.at === OFF || now - snd.at <= rto.rto) return tcb
  const initial = initialCc(snd.mss, link.context.settings.profile.initialWindowSegments, link.iss).cwnd
  const next = restart(cc, initial)
  return next === cc ? tcb : { ...tcb, cc: next }
}

/** The part of SND.UNA..SND.NXT that one retransmission may carry. */
export const firstUnacknowledged = (tcb: Synchronized): number =>
  Math.max(1, Math.min(segmentSize(tcb), distance(earliest(tcb.snd.nxt, sendEnd(tcb)), tcb.snd.una)))
