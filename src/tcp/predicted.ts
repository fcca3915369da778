import { ACK, FIN, hasFin, PSH, type Segment, segmentLength } from "../wire/tcpSegment.ts"
import { windowed } from "./ackField.ts"
import { type Draft, draftOf, rcvDraft } from "./draft.ts"
import type { Step, Why } from "./effect.ts"
import { takeLastAck, takePlainAck } from "./plainAck.ts"
import { measureTrip } from "./receiveBuffer.ts"
import { add, after, atOrBefore, before, distance } from "./seq.ts"
import type { Drs, Rcv, Snd, Synchronized } from "./tcb.ts"
import { ackFor, countFin, fullSize, note } from "./text.ts"
import { type Micros, OFF } from "./time.ts"
import type { Out } from "./timers.ts"
import { recentAt } from "./timestamps.ts"

/**
 * Header prediction (Van Jacobson; RFC 7323 appendix B calls it so): the segment that most segments
 * are, the next text or the FIN in order or an ACK that is plain progress, takes one look and
 * one copy of each record that changes. The outcome is `checked`'s to the last field, which a
 * property test holds; undefined: it takes all checks.
 */
export const predicted = (tcb: Synchronized, seg: Segment, now: Micros): Step | undefined => {
  if (!isExpected(tcb, seg)) return undefined
  const { snd } = tcb
  const length = seg.payload.length
  const fin = hasFin(seg)
  const advances = after(seg.ack, snd.una)
  if (!advances && ((length === 0 && !fin) || seg.ack !== snd.una)) return undefined
  if (after(seg.ack, snd.nxt)) return undefined
  if (tcb._tag === "LAST-ACK") return takeLastAck(tcb, seg)

  const wnd = seg.wnd << tcb.link.agreed.sndScale
  const rcv = received(tcb, seg, now)
  const drs = length > 0 ? measureTrip(tcb, seg, now) : tcb.drs
  const out: Out = []
  const next = advances
    ? takePlainAck(tcb, seg, wnd, rcv, drs, now, out)
    : taken(tcb, windowed(snd, seg, wnd), rcv, drs)
  if (next === undefined) return undefined
  if (length > 0) out.push({ _tag: "Deliver", bytes: seg.payload })
  if (fin) {
    out.push({ _tag: "PeerClosed", why: PEER_CLOSES })
    next._tag = "CLOSE-WAIT"
  }
  return { tcb: next, effects: out }
}

/** Next in sequence, within the window, with nothing on it that asks for more than its text and its ACK. */
const isExpected = ({ _tag, link, rcv, snd, rto, drs }: Synchronized, seg: Segment): boolean => {
  const { seq, flags, options } = seg
  return (
    ((_tag === "ESTABLISHED" && !rcv.shut) ||
      ((_tag === "CLOSE-WAIT" || _tag === "LAST-ACK") && segmentLength(seg) === 0)) &&
    (flags & ~(PSH | FIN)) === ACK &&
    seq === rcv.nxt &&
    drs.memory === undefined &&
    distance(rcv.edge, rcv.nxt) >= segmentLength(seg) &&
    rcv.queue.pieces === 0 &&
    rcv.queue.fin === undefined &&
    options.sack.length === 0 &&
    (!link.agreed.timestamps || (options.tsVal !== undefined && !before(options.tsVal, rcv.tsRecent))) &&
    !link.agreed.ecn &&
    snd.wnd > 0 &&
    rto.probes === 0
  )
}

const taken = (tcb: Synchronized, snd: Snd, rcv: Rcv, drs: Drs): Draft => {
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
  const fin = hasFin(seg)
  if (payload.length === 0 && !fin) {
    const same = tsRecent === rcv.tsRecent && tsRecentAt === rcv.tsRecentAt && heardAt === rcv.heardAt
    return same ? rcv : { ...rcv, tsRecent, tsRecentAt, heardAt }
  }
  const nxt = add(rcv.nxt, payload.length)
  const mss = fullSize(rcv, seg, link.path.mss)
  const due = ackFor(tcb, rcv, nxt, mss, false, fin)
  const next = rcvDraft(rcv)
  next.nxt = nxt
  next.unread = rcv.unread + payload.length
  next.mss = mss
  note(next, due, IN_ORDER)
  next.tsRecent = tsRecent
  next.tsRecentAt = tsRecentAt
  if (payload.length > 0) next.at = now
  next.heardAt = heardAt
  if (fin) countFin(tcb, next, PEER_CLOSES)
  return next
}

const IN_ORDER: Why = "RFC9293-3.10.7.4:text-in-order"
const PEER_CLOSES: Why = "RFC9293-3.10.7.4:FIN"
