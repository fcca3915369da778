import { hasAck, hasFin, hasRst, hasSyn, hasUrg, type Segment, segmentLength } from "../wire/tcpSegment.ts"
import { acceptable, acknowledgesAtEdge } from "./acceptable.ts"
import { ackAcceptable, finAcknowledged, takeAck } from "./ackField.ts"
import { answerUnacceptable, challenge } from "./challenge.ts"
import { draftOf, rcvDraft } from "./draft.ts"
import { noteMarks } from "./ecn.ts"
import type { Step, Why } from "./effect.ts"
import { sendAck } from "./emit.ts"
import { heard } from "./keepalive.ts"
import { finTimeout } from "./patience.ts"
import { predicted } from "./predicted.ts"
import { blocksOf } from "./reassembly.ts"
import { hurried } from "./receiveMemory/arrive.ts"
import { type Memory, purged } from "./receiveMemory/memory.ts"
import { drop, resetFor } from "./reset.ts"
import { add, after, before, distance, type Seq } from "./seq.ts"
import { CLOSED, type Rcv, type Synchronized, type Tcb } from "./tcb.ts"
import { countFin, finArrived, owe, takeText, withDuplicate } from "./text.ts"
import type { Micros } from "./time.ts"
import { arm, cancel, cancelAll, type Out } from "./timers.ts"
import { isRecent, pawsRejects, recentAt } from "./timestamps.ts"
import { enterTimeWait } from "./timeWait.ts"
import { announced } from "./window.ts"

/**
 * ESTABLISHED to LAST-ACK: a segment arrives (RFC 9293 section 3.10.7.4), the checks in the
 * clause's order, PAWS before them (RFC 7323 section 5.3). What is owed in answer to acceptable
 * text waits for `output`; answers to everything else leave here.
 */
export const segmentArrives = (tcb: Synchronized, seg: Segment, now: Micros): Step =>
  predicted(tcb, seg, now) ?? checked(tcb, seg, now)

/** Every check that the clause has, in its order. */
export const checked = (tcb: Synchronized, seg: Segment, now: Micros): Step => {
  const out: Out = []
  return { tcb: process(tcb, seg, now, out), effects: out }
}

const process = (start: Synchronized, seg: Segment, now: Micros, out: Out): Tcb => {
  let tcb = start
  const { link, rcv } = tcb
  const { settings } = link.context

  // Before all: timestamps (RFC 7323). A RST is exempt.
  if (link.agreed.timestamps && !hasRst(seg)) {
    if (seg.options.tsVal === undefined) {
      if (settings.profile.missingTimestamp === "drop") return dropped(tcb, "RFC7323-3.2:timestamp-missing", out)
    } else if (pawsRejects(seg, rcv.tsRecent, rcv.tsRecentAt, now, settings.profile.pawsTolerance)) {
      out.push({ _tag: "Count", counter: "PAWSEstab" })
      return answerUnacceptable(reporting(tcb, seg), seg, now, "RFC7323-5.3:PAWS", "TCPACKSkippedPAWS", out)
    }
  }

  // First: the sequence number.
  const wnd = announced(rcv)
  if (tcb.drs.memory !== undefined && isBeyond(rcv, wnd, tcb.drs.memory, seg)) {
    out.push({ _tag: "Count", counter: "BeyondWindow" })
    return answerUnacceptable(reporting(tcb, seg), seg, now, "Linux:beyond-window", "TCPACKSkippedSeq", out)
  }
  const inWindow =
    acceptable(seg.seq, segmentLength(seg), rcv.nxt, wnd) || (tcb.drs.memory !== undefined && covers(seg, rcv, wnd))
  const edgeOnly = !inWindow && atEdge(seg, rcv.nxt, wnd)
  if (!inWindow && !edgeOnly) {
    if (hasRst(seg) && rcv.fin && seg.seq === add(rcv.nxt, -1) && settings.profile.resetAtFin)
      return resetByPeer(tcb, "Linux:RST-at-FIN", out)
    if (hasRst(seg)) return dropped(tcb, "RFC9293-3.10.7.4:RST-outside-window", out)
    if (hasSyn(seg)) return challenge(tcb, now, "RFC5961-4.2:SYN-outside-window", out)
    return answerUnacceptable(reporting(tcb, seg), seg, now, "RFC9293-3.10.7.4:unacceptable", "TCPACKSkippedSeq", out)
  }
  // Second: RST, believed only at exactly RCV.NXT (RFC 5961 section 3.2).
  if (hasRst(seg)) {
    if (settings.profile.resetAtSack && seg.seq === highestReported(tcb))
      return resetByPeer(tcb, "Linux:RST-at-SACK", out)
    return seg.seq === rcv.nxt
      ? resetByPeer(tcb, "RFC9293-3.10.7.4:RST-at-RCV.NXT", out)
      : challenge(tcb, now, "RFC5961-3.2:RST-not-at-RCV.NXT", out)
  }
  // Fourth: SYN (third, security, does not exist here).
  if (hasSyn(seg)) return challenge(tcb, now, "RFC5961-4.2:SYN-in-window", out)

  // Fifth: ACK.
  if (!hasAck(seg)) return dropped(tcb, "RFC9293-3.10.7.4:no-ACK", out)
  if (!ackAcceptable(tcb, seg)) return challenge(tcb, now, "RFC5961-5.2:ACK-out-of-range", out)
  // TS.Recent (RFC 7323 section 4.3) only now, as Linux does: a blind segment must not poison PAWS.
  if (link.agreed.timestamps && isRecent(seg, rcv.lastAck, rcv.tsRecent)) {
    const tsRecent = seg.options.tsVal ?? rcv.tsRecent
    const tsRecentAt = recentAt(rcv, tsRecent, now)
    if (tsRecent !== rcv.tsRecent || tsRecentAt !== rcv.tsRecentAt) {
      tcb = { ...tcb, rcv: { ...rcv, tsRecent, tsRecentAt } }
    }
  }
  const acked = afterAck(heard(takeAck(tcb, seg, now, out), now), now, out)
  if (acked._tag === "CLOSED" || acked._tag === "TIME-WAIT") return acked
  const noted = noteMarks(acked, seg)

  if (edgeOnly && segmentLength(seg) > 0 && !isTakenFin(tcb, seg)) {
    const told = hasUrg(seg) && !noted.rcv.fin ? takeUrgent(noted, seg, out) : noted
    const why = "RFC9293-3.8.6.1:zero-window"
    if (told.drs.memory === undefined) return sendAck(told, now, why, out)
    out.push({ _tag: "Count", counter: "TCPZeroWindowDrop" })
    return sendAck(owe(hurried(told), "now", why), now, why, out)
  }
  return afterHandshake(noted, seg, now, out)
}

/**
 * What stands at the window's right edge is taken for its ACK and URG: everything while the window
 * is closed (section 3.10.7.4, first check), and the bare ACKs of a peer that has filled it.
 */
const atEdge = (seg: Segment, nxt: number, wnd: number): boolean =>
  (wnd === 0 && seg.seq === nxt) || acknowledgesAtEdge(seg, nxt, wnd)

/**
 * Linux's tcp_sequence drops what ends beyond the window as a whole, not the part that is beyond, unless nothing waits
 * to be read. A FIN may lie beyond it.
 */
const isBeyond = (rcv: Rcv, wnd: number, { queue }: Memory, seg: Segment): boolean =>
  queue.length > 0 &&
  !hasRst(seg) &&
  !hasSyn(seg) &&
  after(add(seg.seq, seg.payload.length), add(rcv.nxt, wnd)) &&
  !after(seg.seq, add(rcv.nxt, wnd))

/** A joined packet may begin before the window and end behind it. */
const covers = (seg: Segment, { nxt }: Rcv, wnd: number): boolean =>
  before(seg.seq, nxt) && after(add(seg.seq, segmentLength(seg)), add(nxt, wnd))

/** Linux's tcp_data_queue: some stacks send a FIN though the window is closed, and again until it is acknowledged. */
const isTakenFin = ({ rcv, link }: Synchronized, seg: Segment): boolean =>
  hasFin(seg) &&
  seg.payload.length === 0 &&
  seg.seq === rcv.nxt &&
  link.context.settings.profile.beyondWindow === "joined-packet-and-FIN"

/** The sixth check and on: also where the segment that completed the handshake carries more. */
export const afterHandshake = (start: Synchronized, seg: Segment, now: Micros, out: Out): Tcb => {
  let tcb = start
  // Sixth: URG. Seventh: text. Neither is expected after the peer's FIN.
  if (!tcb.rcv.fin) {
    if (hasUrg(seg)) tcb = takeUrgent(tcb, seg, out)
    if (seg.payload.length > 0 || hasFin(seg)) {
      if (isDeaf(tcb) && after(add(seg.seq, seg.payload.length), tcb.rcv.nxt)) return refuseText(tcb, seg, out)
      tcb = takeText(tcb, seg, now, out)
    }
    // Eighth: FIN.
    if (finArrived(tcb, seg)) return takeFin(tcb, now, out)
  } else if (segmentLength(seg) > 0) {
    return owe(tcb, "now", "RFC9293-3.10.7.4:text-after-FIN")
  }
  return tcb
}

/** What an acknowledged FIN means for the state. */
const afterAck = (
  tcb: Synchronized,
  now: Micros,
  out: Out,
): Tcb & { _tag: Synchronized["_tag"] | "CLOSED" | "TIME-WAIT" } => {
  if (!finAcknowledged(tcb)) return tcb
  switch (tcb._tag) {
    case "ESTABLISHED":
    case "CLOSE-WAIT":
    case "FIN-WAIT-2":
      return tcb
    case "FIN-WAIT-1":
      return enterFinWait2(tcb, now, out)
    case "CLOSING":
      return enterTimeWait(payOwedAck(tcb, now, out), now, "RFC9293-3.10.7.4:FIN-acknowledged-in-CLOSING", out)
    case "LAST-ACK":
      cancelAll(tcb.timers, out)
      out.push({ _tag: "Closed", reason: "done", why: "RFC9293-3.10.7.4:FIN-acknowledged-in-LAST-ACK" })
      return CLOSED
  }
}

/** TIME-WAIT remembers no debt: the ACK of the peer's FIN leaves before it. */
const payOwedAck = (tcb: Synchronized, now: Micros, out: Out): Synchronized =>
  tcb.rcv.due === "none" ? tcb : sendAck(tcb, now, tcb.rcv.dueWhy, out)

/** FIN-WAIT-2; when nobody reads any more the peer has `finTimeout` to finish. */
const enterFinWait2 = (
  tcb: Synchronized,
  now: Micros,
  out: Out,
): (Synchronized & { _tag: "FIN-WAIT-2" }) | { _tag: "CLOSED" } => {
  if (!tcb.rcv.shut) return { ...tcb, _tag: "FIN-WAIT-2" }
  const wait = finTimeout(tcb)
  if (wait < 0) {
    cancelAll(tcb.timers, out)
    out.push(
      { _tag: "Count", counter: "TCPAbortOnLinger" },
      { _tag: "Closed", reason: "done", why: "Linux:TCP_LINGER2" },
    )
    return CLOSED
  }
  return { ...tcb, _tag: "FIN-WAIT-2", timers: arm(cancel(tcb.timers, "keepalive", out), "linger", now + wait, out) }
}

/** The end of the highest block that our ACKs report; undefined: none is. */
const highestReported = ({ link, rcv }: Synchronized): Seq | undefined =>
  link.agreed.sack
    ? blocksOf(rcv.queue).reduce<Seq | undefined>(
        (highest, { right }) => (highest === undefined || after(right, highest) ? right : highest),
        undefined,
      )
    : undefined

/** Nobody will read: the application has gone, or has shut both directions down (Linux's tcp_rcv_state_process). */
const isDeaf = ({ _tag, rcv }: Synchronized): boolean =>
  rcv.shut || (rcv.deaf && (_tag === "FIN-WAIT-1" || _tag === "FIN-WAIT-2"))

const resetByPeer = (tcb: Synchronized, why: Why, out: Out): Tcb => {
  cancelAll(tcb.timers, out)
  out.push({ _tag: "Count", counter: "EstabResets" }, { _tag: "Closed", reason: "ConnectionReset", why })
  return CLOSED
}

/** The furthest that an urgent pointer reaches. */
const MOST_URGENT = 0xffff

/** RCV.UP, told once per advance (section 3.8.5: the pointer names the octet after the urgent data). */
const takeUrgent = (tcb: Synchronized, seg: Segment, out: Out): Synchronized => {
  const { nxt } = tcb.rcv
  const up = add(seg.seq, seg.up)
  // A pointer has 16 bits: what is known of one is further ahead than that only because it was passed 2^31 octets ago.
  const ahead = distance(tcb.rcv.up, nxt)
  const known = ahead > 0 && ahead <= MOST_URGENT ? tcb.rcv.up : nxt
  if (!after(up, known)) return tcb
  out.push({ _tag: "Urgent", at: up })
  return { ...tcb, rcv: { ...tcb.rcv, up } }
}

/** Data for an application that has gone: the peer must learn that it is lost (RFC 1122 section 4.2.2.13). */
const refuseText = (tcb: Synchronized, seg: Segment, out: Out): Tcb => {
  cancelAll(tcb.timers, out)
  const why = "RFC1122-4.2.2.13:data-after-close"
  out.push(
    resetFor(seg, why),
    { _tag: "Count", counter: "TCPAbortOnData" },
    { _tag: "Closed", reason: "ConnectionAborted", why },
  )
  return CLOSED
}

/** The peer has closed: the state follows. */
const takeFin = (tcb: Synchronized, now: Micros, out: Out): Tcb => {
  const { drs } = tcb
  const why = "RFC9293-3.10.7.4:FIN"
  out.push({ _tag: "PeerClosed", why })
  const closed = draftOf(tcb)
  if (drs.memory !== undefined) closed.drs = { ...drs, memory: purged(drs.memory) }
  const rcv = rcvDraft(tcb.rcv)
  countFin(tcb, rcv, why)
  closed.rcv = rcv
  switch (tcb._tag) {
    case "ESTABLISHED":
      closed._tag = "CLOSE-WAIT"
      return closed
    case "FIN-WAIT-1":
      closed._tag = "CLOSING"
      return closed
    case "FIN-WAIT-2":
      return enterTimeWait(sendAck(closed, now, why, out), now, why, out)
    case "CLOSE-WAIT":
    case "CLOSING":
    case "LAST-ACK":
      return closed
  }
}

/** What came again is reported in the ACK that answers it (RFC 2883 section 4). */
const reporting = (tcb: Synchronized, seg: Segment): Synchronized => {
  if (hasSyn(seg) || segmentLength(seg) === 0 || !before(seg.seq, tcb.rcv.nxt)) return tcb
  return withDuplicate(hurried(tcb), seg)
}

const dropped = (tcb: Synchronized, why: Why, out: Out): Synchronized => {
  out.push(drop(why))
  return tcb
}
