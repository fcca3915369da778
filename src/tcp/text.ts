import { hasFin, type Segment } from "../wire/tcpSegment.ts"
import { draftOf, rcvDraft } from "./draft.ts"
import type { Why } from "./effect.ts"
import { sendAck } from "./emit.ts"
import { heldPart, insert, takeAt } from "./reassembly.ts"
import { measureTrip, sizeBuffer } from "./receiveBuffer.ts"
import { add, after, atOrBefore, before, distance, earliest, type Seq } from "./seq.ts"
import type { AckDue, Link, Rcv, Synchronized } from "./tcb.ts"
import { type Micros, OFF } from "./time.ts"
import type { Out } from "./timers.ts"

/**
 * RFC 9293 section 3.10.7.4, seventh check: the segment's text. Takes what lies in the window,
 * delivers what is in order, keeps the rest (SHLD-31). The FIN that may follow is left to the
 * caller: `rcv.nxt` is then before it, or `finArrived` says so.
 */
export const takeText = (tcb: Synchronized, seg: Segment, now: Micros, out: Out): Synchronized => {
  const { rcv } = tcb
  const end = add(seg.seq, seg.payload.length)
  const from = before(seg.seq, rcv.nxt) ? rcv.nxt : seg.seq
  const to = earliest(end, rcv.edge)
  const fin = hasFin(seg) && to === end
  const drs = seg.payload.length > 0 ? measureTrip(tcb, seg, now) : tcb.drs
  const repeated = rcvDuplicate(drs === tcb.drs ? tcb : { ...tcb, drs }, seg, end)
  if (!before(from, to) && !(fin && from === to)) {
    // Nothing new in the window: say where we are.
    return owe(repeated, "now", "RFC9293-3.10.7.4:nothing-new")
  }
  return from === rcv.nxt
    ? inOrder(repeated, seg, from, to, now, out)
    : outOfOrder(repeated, seg, from, to, fin, now, out)
}

const inOrder = (tcb: Synchronized, seg: Segment, from: Seq, to: Seq, now: Micros, out: Out): Synchronized => {
  const { rcv } = tcb
  const skip = distance(from, seg.seq)
  const length = distance(to, from)
  if (length > 0) out.push({ _tag: "Deliver", bytes: view(seg.payload, skip, length) })
  let nxt = to
  let delivered = length
  let queue = rcv.queue
  if (queue.pieces > 0) {
    const { taken, rest } = takeAt(queue, nxt)
    for (const bytes of taken) {
      out.push({ _tag: "Deliver", bytes })
      nxt = add(nxt, bytes.length)
      delivered += bytes.length
    }
    queue = rest
  }
  const filledHole = rcv.queue.pieces > 0
  const full = fullSize(rcv, seg, tcb.link.path.mss)
  const next: Rcv = {
    ...rcv,
    nxt,
    edge: after(nxt, rcv.edge) ? nxt : rcv.edge,
    unread: rcv.unread + delivered,
    queue,
    mss: full,
    at: length > 0 ? now : rcv.at,
  }
  const due = ackFor(tcb, rcv, nxt, full, filledHole, hasFin(seg))
  return owe({ ...tcb, rcv: next }, due, "RFC9293-3.10.7.4:text-in-order")
}

/** RFC 5681 section 4.2: at least every second full segment, and at once where a hole is filled. */
export const ackFor = (
  { link, timers }: Synchronized,
  rcv: Rcv,
  nxt: Seq,
  mss: number,
  filledHole: boolean,
  fin: boolean,
): AckDue => {
  const { profile } = link.context.settings
  const second = profile.ackEvery === "second-segment" && timers.delayedAck !== OFF
  const quick = rcv.quick > 0 && !rcv.pingpong && !(fin && profile.finAck === "delayed")
  return filledHole || second || quick || distance(nxt, rcv.lastAck) > mss ? "now" : "later"
}

/** The peer's full segment, as far as seen; a segment joined by the device counts as announced. */
export const fullSize = (rcv: Rcv, seg: Segment, mss: number): number => {
  const n = seg.payload.length
  if (n <= rcv.mss) return rcv.mss
  return Math.min(n, mss)
}

/** Out of order: kept, and answered at once with a duplicate ACK (RFC 5681 section 4.2). */
const outOfOrder = (
  tcb: Synchronized,
  seg: Segment,
  from: Seq,
  to: Seq,
  fin: boolean,
  now: Micros,
  out: Out,
): Synchronized => {
  const { rcv } = tcb
  const skip = distance(from, seg.seq)
  const known = reportsDuplicates(tcb.link) && before(from, to) ? heldPart(rcv.queue, from, to) : undefined
  const queue = insert(rcv.queue, from, view(seg.payload, skip, distance(to, from)), fin)
  if (queue === undefined) {
    out.push({ _tag: "Drop", why: "Linux:out-of-order-queue-full" }, { _tag: "Count", counter: "TCPOFODrop" })
    return sendAck(tcb, now, "RFC5681-4.2:out-of-order", out)
  }
  out.push({ _tag: "Count", counter: "TCPOFOQueue" })
  const dsack = known ?? rcv.dsack
  const kept: Synchronized = { ...tcb, rcv: { ...rcv, queue, dsack } }
  return sendAck(kept, now, "RFC5681-4.2:out-of-order", out)
}

/** RFC 2883: where SACK was agreed, unless it is switched off. */
export const reportsDuplicates = ({ agreed, context }: Link): boolean => agreed.sack && context.settings.tcpDsack

/** Octets that we had already are reported once (RFC 2883 section 4). */
const rcvDuplicate = (tcb: Synchronized, seg: Segment, end: Seq): Synchronized => {
  const { rcv, link } = tcb
  if (!reportsDuplicates(link) || seg.payload.length === 0 || !before(seg.seq, rcv.nxt)) return tcb
  return { ...tcb, rcv: { ...rcv, dsack: { left: seg.seq, right: earliest(end, rcv.nxt) } } }
}

/** The peer's FIN is next in order: from this segment, or kept from an earlier one. */
export const finArrived = (tcb: Synchronized, seg: Segment): boolean => {
  const { rcv } = tcb
  if (rcv.fin) return false
  if (rcv.queue.fin !== undefined) return rcv.queue.fin === rcv.nxt
  return hasFin(seg) && add(seg.seq, seg.payload.length) === rcv.nxt && atOrBefore(rcv.nxt, rcv.edge)
}

/** Notes an ACK; a stronger wish replaces a weaker one. */
export const owe = (tcb: Synchronized, due: AckDue, why: Why): Synchronized => {
  const { rcv } = tcb
  if (rcv.due === "now" || rcv.due === due) return tcb
  return { ...tcb, rcv: { ...rcv, due, dueWhy: why } }
}

/** The application has taken `n` octets: the window may open, the buffer may grow. */
export const consumed = (tcb: Synchronized, n: number, now: Micros): Synchronized => {
  const { rcv } = tcb
  const { drs, buf } = sizeBuffer(tcb, n, now)
  const next = draftOf(tcb)
  const read = rcvDraft(rcv)
  read.unread = Math.max(0, rcv.unread - n)
  read.buf = buf
  next.rcv = read
  next.drs = drs
  return next
}

const view = (payload: Uint8Array, skip: number, length: number): Uint8Array =>
  skip === 0 && length === payload.length ? payload : payload.subarray(skip, skip + length)
