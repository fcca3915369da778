import { hasFin, type SackBlock, type Segment } from "../wire/tcpSegment.ts"
import { draftOf, type Mutable, rcvDraft } from "./draft.ts"
import type { Why } from "./effect.ts"
import { sendAck } from "./emit.ts"
import { EMPTY_REASSEMBLY, heldPart, insert, isFull, type Reassembly, takeAt } from "./reassembly.ts"
import { measureTrip, sizeBuffer } from "./receiveBuffer.ts"
import { admitAhead, admitInOrder, hurried } from "./receiveMemory/arrive.ts"
import type { Memory } from "./receiveMemory/memory.ts"
import { secondSegment } from "./receiveMemory/window.ts"
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
  const to = isTakenWhole(tcb, seg) ? end : earliest(end, rcv.edge)
  const fin = hasFin(seg) && to === end
  const counts = tcb.drs.memory === undefined && seg.payload.length > 0
  const drs = counts ? measureTrip(tcb, seg, now) : tcb.drs
  const repeated = withDuplicate(drs === tcb.drs ? tcb : { ...tcb, drs }, seg)
  if (!before(from, to) && !(fin && from === to)) {
    // Nothing new in the window: say where we are.
    return owe(hurried(repeated), "now", "RFC9293-3.10.7.4:nothing-new")
  }
  if (repeated.drs.memory === undefined) {
    return from === rcv.nxt
      ? inOrder(repeated, seg, from, to, now, out)
      : outOfOrder(repeated, seg, from, to, fin, now, out)
  }
  return byMemory(repeated, repeated.drs.memory, seg, from, to, fin, now, out)
}

/** What there is no memory for is dropped; in order, an ACK says so. */
const byMemory = (
  tcb: Synchronized,
  memory: Memory,
  seg: Segment,
  from: Seq,
  to: Seq,
  fin: boolean,
  now: Micros,
  out: Out,
): Synchronized => {
  const isNext = from === tcb.rcv.nxt
  if (!isNext && isFull(tcb.rcv.queue)) return outOfOrder(tcb, seg, from, to, fin, now, out)
  const admission = isNext ? admitInOrder(tcb, memory, seg, now, out) : admitAhead(tcb, memory, seg, now, out)
  if (admission._tag === "Taken") {
    return isNext
      ? inOrder(admission.tcb, seg, from, to, now, out)
      : outOfOrder(admission.tcb, seg, from, to, fin, now, out)
  }
  const why = "Linux:receive-memory-full"
  out.push({ _tag: "Drop", why })
  return admission.answer ? owe(admission.tcb, "now", why) : admission.tcb
}

/** Linux's tcp_sequence: a joined packet is one to it, and the memory is there. Where that is accounted it has decided before. */
const isTakenWhole = ({ rcv, link, drs }: Synchronized, { payload }: Segment): boolean =>
  drs.memory !== undefined ||
  (payload.length > link.path.mss &&
    rcv.unread === 0 &&
    link.context.settings.profile.beyondWindow === "joined-packet-and-FIN")

const inOrder = (tcb: Synchronized, seg: Segment, from: Seq, to: Seq, now: Micros, out: Out): Synchronized => {
  const { rcv } = tcb
  const skip = distance(from, seg.seq)
  const length = distance(to, from)
  if (length > 0) out.push({ _tag: "Deliver", bytes: view(seg.payload, skip, length) })
  let nxt = to
  let delivered = length
  let { queue, dsack } = rcv
  // Nothing follows the end: what waits behind it is forgotten with the FIN.
  const filledHole = queue.pieces > 0 && !(hasFin(seg) && to === add(seg.seq, seg.payload.length))
  if (filledHole) {
    // What waited here came again with what was missing before it: RFC 2883 section 4. What lies before RCV.NXT goes first.
    if (reportsDuplicates(tcb.link)) dsack ??= heldPart(queue, from, to)
    const { taken, rest } = takeAt(queue, nxt)
    for (const bytes of taken) {
      out.push({ _tag: "Deliver", bytes })
      nxt = add(nxt, bytes.length)
      delivered += bytes.length
    }
    queue = rest
  }
  const { memory } = tcb.drs
  const full = memory === undefined ? fullSize(rcv, seg, tcb.link.path.mss) : rcv.mss
  const next = rcvDraft(rcv)
  next.nxt = nxt
  if (after(nxt, rcv.edge)) next.edge = nxt
  next.unread = rcv.unread + delivered
  next.queue = queue
  next.dsack = dsack
  next.mss = full
  if (length > 0) next.at = now
  const due = ackFor(tcb, rcv, nxt, full, filledHole, hasFin(seg))
  const taken = draftOf(tcb)
  taken.rcv = next
  return memory === undefined
    ? owe(taken, due, "RFC9293-3.10.7.4:text-in-order")
    : oweByMemory(taken, memory, filledHole, hasFin(seg))
}

/** The same where a second full segment waits with a window that would get narrower. */
const oweByMemory = (tcb: Synchronized, memory: Memory, filledHole: boolean, fin: boolean): Synchronized => {
  const second = secondSegment(tcb, memory)
  const rcv = second.scarce ? { ...tcb.rcv, quick: 0 } : tcb.rcv
  const due =
    memory.full || second.due ? "now" : ackFor(tcb, { ...rcv, lastAck: rcv.nxt }, rcv.nxt, rcv.mss, filledHole, fin)
  return owe(rcv === tcb.rcv ? tcb : { ...tcb, rcv }, due, "RFC9293-3.10.7.4:text-in-order")
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
  const known = reportsDuplicates(tcb.link) ? knownPart(rcv.queue, from, to, fin) : undefined
  // An end before octets that are here already is none: Linux's tcp_data_queue_ofo drops what it has.
  const ends = fin && heldPart(rcv.queue, to, add(to, 1)) === undefined
  const queue = insert(rcv.queue, from, view(seg.payload, skip, distance(to, from)), ends)
  if (queue === undefined) {
    out.push({ _tag: "Drop", why: "Linux:out-of-order-queue-full" }, { _tag: "Count", counter: "TCPOFODrop" })
    return sendAck(tcb, now, "RFC5681-4.2:out-of-order", out)
  }
  out.push({ _tag: "Count", counter: "TCPOFOQueue" })
  const dsack = known ?? rcv.dsack
  const kept: Synchronized = { ...tcb, rcv: { ...rcv, queue, dsack } }
  const why = "RFC5681-4.2:out-of-order"
  return sendAck(tcb.drs.memory === undefined ? kept : owe(kept, "now", why), now, why, out)
}

/** What of `from`..`to`, and of the FIN that may follow, waits here already. */
const knownPart = (queue: Reassembly, from: Seq, to: Seq, fin: boolean): SackBlock | undefined => {
  const end = fin ? add(to, 1) : to
  const held = before(from, end) ? heldPart(queue, from, end) : undefined
  if (!fin || queue.fin !== to) return held
  if (held === undefined) return { left: to, right: end }
  return held.right === to ? { left: held.left, right: end } : held
}

/** RFC 2883: where SACK was agreed, unless it is switched off. */
export const reportsDuplicates = ({ agreed, context }: Link): boolean => agreed.sack && context.settings.tcpDsack

/** What we had already, a FIN too, is reported once, in the ACK that answers it (RFC 2883 section 4). */
export const withDuplicate = (tcb: Synchronized, seg: Segment): Synchronized => {
  const { rcv, link } = tcb
  const end = add(seg.seq, seg.payload.length + Number(hasFin(seg)))
  if (!reportsDuplicates(link) || end === seg.seq || !before(seg.seq, rcv.nxt)) return tcb
  return { ...tcb, rcv: { ...rcv, dsack: { left: seg.seq, right: earliest(end, rcv.nxt) } } }
}

/** The peer's FIN is next in order: from this segment, or kept from an earlier one. */
export const finArrived = (tcb: Synchronized, seg: Segment): boolean => {
  const { rcv } = tcb
  if (rcv.fin) return false
  if (rcv.queue.fin !== undefined) return rcv.queue.fin === rcv.nxt
  return hasFin(seg) && add(seg.seq, seg.payload.length) === rcv.nxt && atOrBefore(rcv.nxt, rcv.edge)
}

/** Notes an ACK in a record in the making; a stronger wish replaces a weaker one. */
export const note = (rcv: Mutable<Rcv>, due: AckDue, why: Why): void => {
  if (rcv.due === "now" || rcv.due === due) return
  rcv.due = due
  rcv.dueWhy = why
}

/** RCV.NXT moves over the peer's FIN, whose ACK is owed (RFC 9293 section 3.10.7.4, eighth check). */
export const countFin = ({ _tag, link }: Synchronized, rcv: Mutable<Rcv>, why: Why): void => {
  // Where no data has come an ACK has nothing that it could wait for (Linux's icsk_ack.ato is 0 then).
  const delays = link.context.settings.profile.finAck === "delayed"
  const waits = delays && _tag === "ESTABLISHED" && rcv.at !== OFF
  rcv.nxt = add(rcv.nxt, 1)
  if (after(rcv.nxt, rcv.edge)) rcv.edge = rcv.nxt
  rcv.fin = true
  rcv.queue = EMPTY_REASSEMBLY
  // Linux's tcp_fin forgets what there was to report.
  if (delays) rcv.dsack = undefined
  if (waits) rcv.pingpong = true
  note(rcv, waits ? "later" : "now", why)
}

/** Notes an ACK. */
export const owe = (tcb: Synchronized, due: AckDue, why: Why): Synchronized => {
  const { rcv } = tcb
  if (rcv.due === "now" || rcv.due === due) return tcb
  const next = draftOf(tcb)
  const owing = rcvDraft(rcv)
  note(owing, due, why)
  next.rcv = owing
  return next
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
