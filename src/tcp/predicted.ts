import { ACK, PSH, type Segment } from "../wire/tcpSegment.ts"
import { isKnownWindow, tellsWindow } from "./ackField.ts"
import { draftOf, rcvDraft, sndDraft } from "./draft.ts"
import type { Step, Why } from "./effect.ts"
import { takePlainAck } from "./plainAck.ts"
import { measureTrip } from "./receiveBuffer.ts"
import { add, after, atOrBefore, before, distance } from "./seq.ts"
import type { Drs, Rcv, Snd, Synchronized } from "./tcb.ts"
import { ackFor, fullSize } from "./text.ts"
import { type Micros, OFF } from "./time.ts"
import type { Out } from "./timers.ts"
import { recentAt } from "./timestamps.ts"

/**
 * Header prediction (Van Jacobson; RFC 7323 appendix B calls it so): the segment that most segments
 * are, the next text in order or an ACK that is plain progress, in ESTABLISHED, takes one look and
 * one copy of each record that changes. The outcome is `checked`'s to the last field, which a
 * property test holds; undefined: it takes all checks.
 */
export const predicted = (tcb: Synchronized, seg: Segment, now: Micros): Step | undefined => {
  if (!isExpected(tcb, seg)) return undefined
  const { snd } = tcb
  const length = seg.payload.length
  const advances = after(seg.ack, snd.una)
  if (!advances && (length === 0 || seg.ack !== snd.una)) return undefined
  if (after(seg.ack, snd.nxt)) return undefined

  const wnd = seg.wnd << tcb.link.agreed.sndScale
  const rcv = received(tcb, seg, now)
  const drs = length > 0 ? measureTrip(tcb, seg, now) : tcb.drs
  if (!advances) {
    const next = taken(tcb, windowed(snd, seg, wnd), rcv, drs)
    return { tcb: next, effects: [{ _tag: "Deliver", bytes: seg.payload }] }
  }
  const out: Out = []
  const next = takePlainAck(tcb, seg, wnd, rcv, drs, now, out)
  if (next === undefined) return undefined
  if (length > 0) out.push({ _tag: "Deliver", bytes: seg.payload })
  return { tcb: next, effects: out }
}

/** Next in sequence, within the window, with nothing on it that asks for more than its text and its ACK. */
const isExpected = (
  { _tag, link, rcv, snd, rto, drs }: Synchronized,
  { seq, flags, options, payload }: Segment,
): boolean =>
  _tag === "ESTABLISHED" &&
  (flags & ~PSH) === ACK &&
  seq === rcv.nxt &&
  drs.memory === undefined &&
  distance(rcv.edge, rcv.nxt) >= payload.length &&
  rcv.queue.pieces === 0 &&
  rcv.queue.fin === undefined &&
  !rcv.shut &&
  options.sack.length === 0 &&
  (!link.agreed.timestamps || (options.tsVal !== undefined && !before(options.tsVal, rcv.tsRecent))) &&
  !link.agreed.ecn &&
  snd.wnd > 0 &&
  rto.probes === 0

const taken = (tcb: Synchronized, snd: Snd, rcv: Rcv, drs: Drs): Synchronized => {
  const next = draftOf(tcb)
  next.snd = snd
  next.rcv = rcv
  next.drs = drs
  return next
}

/** RCV as the segment leaves it. */
const received = (tcb: Synchronized, seg: Segment, now: Micros): Rcv => {
  const { rcv, link, timers } = tcb
  const { payload, options } = seg
  const recent = link.agreed.timestamps && atOrBefore(seg.seq, rcv.lastAck)
  const tsRecent = recent ? (options.tsVal ?? rcv.tsRecent) : rcv.tsRecent
  const tsRecentAt = recent ? recentAt(rcv, tsRecent, now) : rcv.tsRecentAt
  const heardAt = timers.keepalive === OFF ? rcv.heardAt : now
  if (payload.length === 0) {
    const same = tsRecent === rcv.tsRecent && tsRecentAt === rcv.tsRecentAt && heardAt === rcv.heardAt
    return same ? rcv : { ...rcv, tsRecent, tsRecentAt, heardAt }
  }
  const nxt = add(rcv.nxt, payload.length)
  const mss = fullSize(rcv, seg, link.path.mss)
  const due = ackFor(tcb, rcv, nxt, mss, false, false)
  const next = rcvDraft(rcv)
  next.nxt = nxt
  next.unread = rcv.unread + payload.length
  next.mss = mss
  if (rcv.due !== "now" && rcv.due !== due) {
    next.due = due
    next.dueWhy = IN_ORDER
  }
  next.tsRecent = tsRecent
  next.tsRecentAt = tsRecentAt
  next.at = now
  next.heardAt = heardAt
  return next
}

const IN_ORDER: Why = "RFC9293-3.10.7.4:text-in-order"

/** SND after a segment that acknowledges nothing anew. */
const windowed = (snd: Snd, seg: Segment, wnd: number): Snd => {
  if (!tellsWindow(snd, seg) || isKnownWindow(snd, seg, wnd)) return snd
  const next = sndDraft(snd)
  next.wnd = wnd
  next.wl1 = seg.seq
  next.wl2 = seg.ack
  next.maxWnd = Math.max(wnd, snd.maxWnd)
  return next
}
