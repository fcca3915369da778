import { ECE, type Segment, segmentLength } from "../wire/tcpSegment.ts"
import { finish, markAll } from "./board.ts"
import type { AckSample } from "./congestion/control.ts"
import { type Cc, governsRecovery, onAck } from "./congestion/registry.ts"
import { draftOf, type Mutable, sndDraft } from "./draft.ts"
import { LOST, pipe } from "./flight.ts"
import { afterMtuProbe } from "./mtuProbe.ts"
import { type Ack, begin, inFlight, isReducing } from "./recovery/ack.ts"
import { passTo } from "./recovery/acknowledged.ts"
import { alert } from "./recovery/alert.ts"
import { headDeadline, probeDeadline, takeProbeAck } from "./recovery/probe.ts"
import { updateWindow } from "./recovery/rack.ts"
import { generate, type RateSample } from "./recovery/rate.ts"
import { reduce } from "./recovery/reduction.ts"
import { takeBlocks } from "./recovery/sack.ts"
import { interval } from "./rto.ts"
import { sendEnd } from "./sendEnd.ts"
import { dropBefore, type SendQueue } from "./sendQueue.ts"
import { add, after, before, distance, latest, type Seq } from "./seq.ts"
import type { Delivery, Rto, Snd, Synchronized, Timers } from "./tcb.ts"
import { type Micros, OFF } from "./time.ts"
import { armBoth, cancel, type Out } from "./timers.ts"
import { isLimited } from "./usage.ts"

/** An ACK may lag behind SND.UNA by one window, and not run ahead of SND.NXT (RFC 5961 section 5.2). */
export const ackAcceptable = (tcb: Synchronized, seg: Segment): boolean =>
  !after(seg.ack, tcb.snd.nxt) && !before(seg.ack, add(tcb.snd.una, -tcb.snd.maxWnd))

/** Our FIN has been sent and acknowledged. */
export const finAcknowledged = (tcb: Synchronized): boolean => tcb.snd.fin && tcb.snd.una === sendEnd(tcb)

/** RFC 9293 section 3.10.7.4, fifth check, for an ACK that is acceptable: the queue, the window, recovery, the timers. */
export const takeAck = (tcb: Synchronized, seg: Segment, now: Micros, out: Out): Synchronized => {
  const { snd, link } = tcb
  const blocks = link.agreed.sack ? seg.options.sack : NO_BLOCKS
  // Nothing to learn: data of the peer's, mostly.
  const { rto: before_ } = tcb
  const silent = before_.probes > 0 || before_.softError !== undefined
  const heard: Synchronized = silent ? { ...tcb, rto: { ...before_, probes: 0, softError: undefined } } : tcb
  const windowed = takeWindow(heard, seg, out)
  const advanced = after(seg.ack, snd.una)
  const echo = link.agreed.ecn && (seg.flags & ECE) !== 0
  if (!advanced && blocks.length === 0 && (windowed.flight.out === 0 || segmentLength(seg) > 0) && !echo)
    return windowed
  const a = begin(windowed, seg, now, out)
  a.advanced = advanced
  if (advanced) a.una = seg.ack
  a.ece = echo
  a.notDuplicate = segmentLength(seg) > 0 || isUpdate(tcb, seg)
  if (before(seg.ack, snd.una)) {
    // An old ACK may bring news of SACK.
    if (blocks.length === 0) return windowed
    takeBlocks(a, blocks)
    alert(a, 0)
    return settle(a, windowed.rto, undefined)
  }
  const outstanding = a.board.out > 0
  if (blocks.length > 0) takeBlocks(a, blocks)
  if (!outstanding) {
    if (a.dsack) alert(a, 0)
    takeProbeAck(a)
    return advanced || a.dsack ? settle(a, windowed.rto, undefined) : windowed
  }
  const { rto, rtt } = passTo(a)
  updateWindow(a)
  takeProbeAck(a)
  if (isDubious(a)) alert(a, !a.advanced && !a.notDuplicate && !a.dataAcked && !a.dsack ? 1 : 0)
  return settle(a, rto, rtt)
}

const NO_BLOCKS: Segment["options"]["sack"] = []

/** Not plain progress of a connection without trouble. */
const isDubious = (a: Ack): boolean =>
  a.rec.phase !== "open" || a.dataSacked || a.ece || a.dsack || !(a.notDuplicate || a.dataAcked)

/** It moves the window, so it is no duplicate (RFC 5681 section 2). */
const isUpdate = (tcb: Synchronized, seg: Segment): boolean => seg.wnd << tcb.link.agreed.sndScale !== tcb.snd.wnd

/** From the newest segment so far, as SND.WL1 and SND.WL2 have it. */
const tellsWindow = ({ una, wl1, wl2 }: Snd, { seq, ack }: Segment): boolean =>
  after(ack, una) || (ack === una && (before(wl1, seq) || (wl1 === seq && !after(wl2, ack))))

const isKnownWindow = ({ wnd, wl1, wl2 }: Snd, { seq, ack }: Segment, told: number): boolean =>
  told === wnd && wl1 === seq && wl2 === ack

/** SND.WND from the newest segment, SND.WL1 and SND.WL2 telling which that is. */
export const windowed = (snd: Snd, seg: Segment, wnd: number): Snd => {
  if (!tellsWindow(snd, seg) || isKnownWindow(snd, seg, wnd)) return snd
  const next = sndDraft(snd)
  noteWindow(next, seg, wnd)
  return next
}

export const noteWindow = (snd: Mutable<Snd>, { seq, ack }: Segment, wnd: number): void => {
  snd.wnd = wnd
  snd.wl1 = seq
  snd.wl2 = ack
  snd.maxWnd = Math.max(wnd, snd.maxWnd)
}

/** What a window that it tells means for the rest of the block too. */
const takeWindow = (tcb: Synchronized, seg: Segment, out: Out): Synchronized => {
  const { snd, link } = tcb
  const wnd = seg.wnd << link.agreed.sndScale
  const told = windowed(snd, seg, wnd)
  if (told === snd) return tcb
  const opened = snd.wnd === 0 && wnd > 0
  const timers = opened ? cancel(cancel(tcb.timers, "persist", out), "user", out) : tcb.timers
  // What a probe sent beyond the closed window was refused: it is the first to go now that the window is open.
  const refused = opened && link.context.settings.profile.windowProbe === "next-octet" && tcb.flight.out > 0
  const next = draftOf(tcb)
  next.timers = timers
  if (refused) next.flight = markAll(tcb.flight, LOST)
  if (opened && tcb.timers.persist !== OFF) next.rto = { ...tcb.rto, backoff: 0 }
  next.snd = told
  return next
}

/** What the ACK has come to: congestion control hears of it, then the block follows. */
const settle = (a: Ack, measured: Rto, rtt: Micros | undefined): Synchronized => {
  tellCongestionControl(a, measured, rtt)
  const { tcb, out } = a
  const { snd, queue } = tcb
  const { una } = a.board
  const acked = acknowledgedOf(queue, una)
  if (acked > 0) out.push({ _tag: "Acknowledged", count: acked })
  const quiet = a.advanced || a.forgetTimeouts
  const next = draftOf(tcb)
  next.rto = quiet && measured.retransmits !== 0 ? { ...measured, retransmits: 0 } : measured
  next.cc = a.cc
  next.flight = finish(a.board)
  next.recovery = a.rec
  next.delivery = a.del
  next.ecn = queuedCwr(a)
  next.timers = a.timers
  if (acked > 0) next.queue = dropBefore(queue, add(queue.start, acked))
  if (a.advanced) next.snd = movedUna(snd, una)
  const probed = afterMtuProbe(a, next)
  const timers = restarted(probed, a.advanced, a.rearm, a.now, out)
  return timers === probed.timers ? probed : { ...probed, timers }
}

/** Marks in the stream go along with SND.UNA: one that is left behind would be ahead again 2^31 octets later. */
export const movedUna = (snd: Snd, una: Seq): Mutable<Snd> => {
  const next = sndDraft(snd)
  next.una = una
  next.small = latest(snd.small, una)
  next.push = latest(snd.push, una)
  next.up = latest(snd.up, una)
  return next
}

/** Octets of the queue that lie before `una`. */
export const acknowledgedOf = (queue: SendQueue, una: Seq): number =>
  Math.min(queue.length, Math.max(0, distance(una, queue.start)))

const queuedCwr = (a: Ack): Synchronized["ecn"] => {
  const { ecn, link } = a.tcb
  if (!link.agreed.ecn || (!a.cwrQueued && !a.cwrWithdrawn)) return ecn
  const cwr = a.cwrQueued
  return cwr === ecn.cwr ? ecn : { ...ecn, cwr }
}

/** Outside of a reduction the algorithm sees every ACK of data; within, PRR has the word, unless the algorithm governs it itself. */
const tellCongestionControl = (a: Ack, rto: Rto, rtt: Micros | undefined): void => {
  const rate = generate(a)
  const lost = a.rec.totalLost - a.priorLost
  if (!governsRecovery(a.cc)) {
    if (isReducing(a)) return reduce(a, (a.del.delivered - a.priorDelivered) / a.mss, lost)
    // Where a path reorders, SACKed data is progress too.
    const progress = a.dataAcked || (a.rec.reordering > a.settings.tcpReordering && a.dataSacked)
    if (!progress) return
  }
  const sample = sampleOf(
    a.tcb,
    a.cc,
    a.del,
    a.board.una,
    inFlight(a),
    lost,
    a.rec.phase === "recovery",
    rto,
    rtt,
    rate,
  )
  a.cc = onAck(a.cc, sample, a.mss, a.now)
}

/** What an ACK tells congestion control. `before`: the block until then; `flight` and `lost` are segments. */
export const sampleOf = (
  before: Synchronized,
  cc: Cc,
  { delivered, minRtt }: Delivery,
  una: Seq,
  flight: number,
  lost: number,
  recovering: boolean,
  { srtt }: Rto,
  rtt: Micros | undefined,
  rate: RateSample,
): AckSample => {
  const { snd, usage } = before
  const { mss } = snd
  return {
    delivered: delivered - before.delivery.delivered,
    acked: distance(una, snd.una),
    lost: lost * mss,
    priorFlight: pipe(before.flight) * mss,
    flight: flight * mss,
    rtt,
    srtt,
    minRtt: minRtt.at === OFF ? 0 : minRtt.value,
    cwndLimited: isLimited(usage, cc, mss),
    recovering,
    una,
    nxt: snd.nxt,
    deliveryRate: rate.rate,
    appLimited: rate.appLimited,
    // Linux bounds no burst in slow start: neither does a limit of ours (RFC 3465 section 2.1 allows both).
    paced: true,
    totalDelivered: delivered,
    deliveredAtSend: rate.deliveredAtSend,
  }
}

/** RFC 6298 sections 5.2 and 5.3: the timer restarts while anything is outstanding. */
export const restarted = (tcb: Synchronized, advanced: boolean, rearm: boolean, now: Micros, out: Out): Timers => {
  let { timers } = tcb
  if (advanced) {
    if (timers.persist !== OFF) timers = cancel(timers, "persist", out)
    if (timers.user !== OFF) timers = cancel(timers, "user", out)
  }
  if (timers.reorder !== OFF && (rearm || tcb.flight.out === 0)) timers = cancel(timers, "reorder", out)
  if (tcb.flight.out === 0) return armBoth(timers, OFF, OFF, out)
  if (!rearm) return timers
  const at = now + interval(tcb.rto, tcb.link.context.settings, tcb.options)
  const probe = probeDeadline(tcb, at, now)
  // Where a probe was due and none may be sent any more the time-out counts from when the segment left.
  const deadline = timers.probe !== OFF && probe === OFF ? Math.max(headDeadline(tcb), now + 1) : at
  return armBoth(timers, probe, deadline, out)
}
