import { type Segment, segmentLength } from "../wire/tcpSegment.ts"
import { enterRecovery, grow, inflate, leaveRecovery, mayRecover, partialAck } from "./congestion.ts"
import type { Why } from "./effect.ts"
import { timestamp } from "./handshake.ts"
import { firstUnacknowledged, sendEnd, sendFrom } from "./output.ts"
import { interval, measured } from "./rto.ts"
import { dropBefore } from "./sendQueue.ts"
import { add, after, atOrAfter, before, distance, latest, type Seq } from "./seq.ts"
import type { Rto, Synchronized } from "./tcb.ts"
import { type Micros, OFF } from "./time.ts"
import { arm, cancel, type Out } from "./timers.ts"

/** An ACK may lag behind SND.UNA by one window, and not run ahead of SND.NXT (RFC 5961 section 5.2). */
export const ackAcceptable = (tcb: Synchronized, seg: Segment): boolean =>
  !after(seg.ack, tcb.snd.nxt) && !before(seg.ack, add(tcb.snd.una, -tcb.snd.maxWnd))

/** Our FIN has been sent and acknowledged. */
export const finAcknowledged = (tcb: Synchronized): boolean => tcb.snd.fin && tcb.snd.una === sendEnd(tcb)

/** RFC 9293 section 3.10.7.4, fifth check, for an ACK that is acceptable: the queue, the window, the timers. */
export const takeAck = (tcb: Synchronized, seg: Segment, now: Micros, out: Out): Synchronized => {
  const duplicate = isDuplicate(tcb, seg)
  const heard: Synchronized = tcb.rto.probes === 0 ? tcb : { ...tcb, rto: { ...tcb.rto, probes: 0 } }
  const windowed = takeWindow(heard, seg, out)
  if (after(seg.ack, tcb.snd.una)) return advance(windowed, seg, now, out)
  return duplicate ? duplicateAck(windowed, now, out) : windowed
}

/** RFC 5681 section 2: no data, no SYN or FIN, the same ACK and window, and something outstanding. */
const isDuplicate = (tcb: Synchronized, seg: Segment): boolean =>
  seg.ack === tcb.snd.una &&
  tcb.snd.una !== tcb.snd.nxt &&
  segmentLength(seg) === 0 &&
  seg.wnd * 2 ** tcb.link.agreed.sndScale === tcb.snd.wnd

/** SND.WND from the newest segment, SND.WL1 and SND.WL2 telling which that is. */
const takeWindow = (tcb: Synchronized, seg: Segment, out: Out): Synchronized => {
  const { snd, link } = tcb
  const newer = after(seg.ack, snd.una) || before(snd.wl1, seg.seq) || (snd.wl1 === seg.seq && !after(snd.wl2, seg.ack))
  if (!newer || before(seg.ack, snd.una)) return tcb
  const wnd = seg.wnd * 2 ** link.agreed.sndScale
  if (wnd === snd.wnd && snd.wl1 === seg.seq && snd.wl2 === seg.ack) return tcb
  const opened = snd.wnd === 0 && wnd > 0
  const timers = opened ? cancel(cancel(tcb.timers, "persist", out), "user", out) : tcb.timers
  return {
    ...tcb,
    timers,
    rto: opened && tcb.timers.persist !== OFF ? { ...tcb.rto, backoff: 0 } : tcb.rto,
    // What a probe sent beyond the closed window was refused: it is the first to go now that the window is open.
    snd: {
      ...snd,
      rtx: opened ? latest(snd.una, seg.ack) : snd.rtx,
      wnd,
      wl1: seg.seq,
      wl2: seg.ack,
      maxWnd: Math.max(wnd, snd.maxWnd),
    },
  }
}

/** SND.UNA moves: octets are acknowledged. */
const advance = (tcb: Synchronized, seg: Segment, now: Micros, out: Out): Synchronized => {
  const { snd, link, queue } = tcb
  const { settings } = link.context
  const una = seg.ack
  const acked = distance(una, snd.una)
  const fullWindow = distance(snd.nxt, snd.una) + snd.mss > Math.min(tcb.cc.cwnd, snd.wnd)
  const dataAcked = Math.min(queue.length, Math.max(0, distance(una, queue.start)))
  if (dataAcked > 0) out.push({ _tag: "Acknowledged", count: dataAcked })

  const rto = sampled(tcb, seg, now)
  const outstanding = una !== snd.nxt
  // RFC 6298 sections 5.2 and 5.3: restart while anything is outstanding.
  let timers = outstanding
    ? arm(tcb.timers, "retransmit", now + interval(rto, settings), out)
    : cancel(tcb.timers, "retransmit", out)
  if (timers.persist !== OFF) timers = cancel(timers, "persist", out)
  timers = cancel(timers, "user", out)

  const moved: Synchronized = {
    ...tcb,
    timers,
    rto,
    queue: dropBefore(queue, add(queue.start, dataAcked)),
    snd: {
      ...snd,
      una,
      rtx: before(snd.rtx, una) ? una : snd.rtx,
      small: before(snd.small, una) ? una : snd.small,
    },
  }
  return congestion(moved, tcb, acked, fullWindow, now, out)
}

const congestion = (
  moved: Synchronized,
  old: Synchronized,
  acked: number,
  fullWindow: boolean,
  now: Micros,
  out: Out,
): Synchronized => {
  const { cc, snd } = moved
  if (!cc.recovering) return { ...moved, cc: grow(cc, acked, snd.mss, fullWindow) }
  if (atOrAfter(snd.una, cc.recover)) {
    return { ...moved, cc: leaveRecovery(cc, distance(snd.nxt, snd.una), snd.mss) }
  }
  const partial: Synchronized = { ...moved, cc: partialAck(cc, acked, snd.mss) }
  return retransmitFirst(partial, now, "RFC6582-3.2:partial-ACK", out, old.snd.rtx)
}

/** Karn: nothing that was retransmitted is measured; timestamps, where agreed, tell them apart (RFC 7323 section 4). */
const sampled = (tcb: Synchronized, seg: Segment, now: Micros): Rto => {
  const { rto, link } = tcb
  const { settings } = link.context
  const fresh = rto.retransmits === 0 ? rto : { ...rto, retransmits: 0 }
  if (rto.timedAt !== OFF && after(seg.ack, rto.timedSeq)) {
    return { ...measured(fresh, now - rto.timedAt, settings), timedAt: OFF }
  }
  const echo = seg.options.tsEcr
  if (rto.timedAt === OFF && link.agreed.timestamps && echo !== undefined && echo !== 0) {
    const ticks = distance(timestamp(link.context, link.tsOffset, now), echo)
    if (ticks >= 0 && ticks < MAX_ECHO_TICKS) {
      return measured(fresh, (ticks * 1_000_000) / settings.profile.timestampRate, settings)
    }
  }
  return fresh
}

/** An echo that is older than this is nonsense, not a measurement. */
const MAX_ECHO_TICKS = 1_000_000

const DUP_THRESH = 3

const duplicateAck = (tcb: Synchronized, now: Micros, out: Out): Synchronized => {
  const { cc, snd } = tcb
  if (cc.recovering) return { ...tcb, cc: inflate(cc, snd.mss) }
  const dupAcks = cc.dupAcks + 1
  if (dupAcks < DUP_THRESH || !mayRecover(cc, snd.una)) return { ...tcb, cc: { ...cc, dupAcks } }
  const recovering: Synchronized = {
    ...tcb,
    cc: enterRecovery(distance(snd.nxt, snd.una), snd.mss, snd.nxt),
  }
  out.push({ _tag: "Count", counter: "TCPFastRetrans" })
  return retransmitFirst(recovering, now, "RFC5681-3.2:third-duplicate-ACK", out, snd.rtx)
}

/** Sends the first unacknowledged segment again and goes on where sending was. */
export const retransmitFirst = (tcb: Synchronized, now: Micros, why: Why, out: Out, resume: Seq): Synchronized => {
  const untimed: Synchronized = { ...tcb, rto: { ...tcb.rto, timedAt: OFF } }
  const sent = sendFrom(untimed, tcb.snd.una, firstUnacknowledged(tcb), now, why, out)
  return { ...sent, snd: { ...sent.snd, rtx: after(resume, sent.snd.rtx) ? resume : sent.snd.rtx } }
}
