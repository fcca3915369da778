import type { Segment } from "../wire/tcpSegment.ts"
import { acknowledgedOf, movedUna, noteWindow, restarted, sampleOf } from "./ackField.ts"
import { onAck } from "./congestion/registry.ts"
import { type Draft, deliveryDraft, draftOf } from "./draft.ts"
import type { Step } from "./effect.ts"
import { type Flight, nextPlace, passed, type Sent, segmentsFrom, sentAt, WITH_FIN } from "./flight.ts"
import { noSample } from "./recovery/ack.ts"
import { withSample } from "./recovery/minFilter.ts"
import { advance } from "./recovery/rack.ts"
import { generate, take } from "./recovery/rate.ts"
import { measured } from "./rto.ts"
import { sendEnd } from "./sendEnd.ts"
import { dropBefore } from "./sendQueue.ts"
import { add, after, atOrBefore, distance, latest } from "./seq.ts"
import { CLOSED, type Drs, type Rcv, type Recovery, type Snd, type Synchronized } from "./tcb.ts"
import { type Micros, OFF } from "./time.ts"
import { armBoth, cancelAll, type Out } from "./timers.ts"

/** Nothing is lost, sent twice or doubted, and no timer of trouble runs: an ACK can only be progress. */
const isQuiet = ({ link, flight, recovery, rto, mtu, timers }: Synchronized): boolean =>
  link.agreed.sack &&
  isUnmarked(flight) &&
  isCalm(recovery) &&
  rto.retransmits === 0 &&
  mtu.size === 0 &&
  timers.persist === OFF &&
  timers.user === OFF &&
  timers.reorder === OFF

const isUnmarked = ({ out, sacked, lost, retrans }: Flight): boolean =>
  out > 0 && sacked === 0 && lost === 0 && retrans === 0

/** It bears no mark, or its FIN's. */
const isSentOnce = ({ marks }: Sent): boolean => (marks & ~WITH_FIN) === 0

/** Plain progress would leave it as it is. */
const isCalm = ({ phase, probe, dsackSeen, persist, steps }: Recovery): boolean =>
  phase === "open" && probe === undefined && !dsackSeen && (persist > 0 || steps === 1)

/**
 * `takeAck` of an ACK that takes unmarked segments off the scoreboard and does nothing else, in one
 * copy of what changes. `rcv`, `drs`, `wnd`: what else the segment makes of the block. Undefined: it
 * may be more than that; nothing is in `out` then.
 */
export const takePlainAck = (
  tcb: Synchronized,
  seg: Segment,
  wnd: number,
  rcv: Rcv,
  drs: Drs,
  now: Micros,
  out: Out,
): Draft | undefined => {
  if (!isQuiet(tcb)) return undefined
  const { snd, flight, delivery, link, queue } = tcb
  const { settings } = link.context
  const una = seg.ack
  const del = deliveryDraft(delivery)
  const a = { now, del, rec: tcb.recovery, prior: noSample(), priorDelivered: delivery.delivered, rackAdvanced: false }

  let firstAt = OFF
  let lastAt = OFF
  let segments = 0
  let first = flight.first
  for (let record = sentAt(flight, first); record !== undefined; record = sentAt(flight, first)) {
    if (!isSentOnce(record)) return undefined
    const from = latest(record.seq, flight.una)
    const whole = atOrBefore(record.end, una)
    if (!whole && !after(una, from)) break
    const n = segmentsFrom(record, from) - (whole ? 0 : segmentsFrom(record, una))
    if (n > 0) {
      if (segments === 0) firstAt = record.at
      lastAt = record.at
      segments += n
      del.delivered += n * snd.mss
      advance(a, record)
      take(a, record)
    }
    if (!whole) break
    first = nextPlace(flight, first)
  }
  if (segments === 0) return undefined

  const left = flight.out - segments
  // The ACK of a lone short segment may have waited (RFC 9293 section 3.8.6.3).
  const delayed = segments === 1 && left === 0 && distance(una, snd.una) < snd.mss
  const rtt = now - lastAt
  if (!(delayed && del.minRtt.at !== OFF && rtt > del.minRtt.value)) {
    del.minRtt = withSample(del.minRtt, Math.max(1, rtt), settings.tcpMinRttWlen, now)
  }
  const rto = measured(tcb.rto, now - firstAt, settings, tcb.options)
  const rate = generate(a)
  const cc = onAck(tcb.cc, sampleOf(tcb, tcb.cc, del, una, left, 0, false, rto, rtt, rate), snd.mss, now)
  const acked = acknowledgedOf(queue, una)
  if (acked > 0) out.push({ _tag: "Acknowledged", count: acked })
  const next = draftOf(tcb)
  next.snd = acknowledged(snd, seg, wnd)
  next.rcv = rcv
  next.rto = rto
  next.cc = cc
  next.flight = passed(flight, first, una, left)
  next.delivery = del
  next.drs = drs
  if (acked > 0) next.queue = dropBefore(queue, add(queue.start, acked))
  next.timers = restarted(next, true, true, now, out)
  return next
}

/** LAST-ACK, and all is acknowledged: what the ACK makes of the block need not be worked out, for it goes. */
export const takeLastAck = (tcb: Synchronized, seg: Segment): Step | undefined => {
  const { snd, flight, queue, timers } = tcb
  if (!isQuiet(tcb) || seg.ack !== snd.nxt || snd.nxt !== sendEnd(tcb)) return undefined
  let place = flight.first
  for (let record = sentAt(flight, place); record !== undefined; record = sentAt(flight, place)) {
    if (!isSentOnce(record)) return undefined
    place = nextPlace(flight, place)
  }
  const out: Out = []
  const acked = acknowledgedOf(queue, seg.ack)
  if (acked > 0) out.push({ _tag: "Acknowledged", count: acked })
  cancelAll(armBoth(timers, OFF, OFF, out), out)
  out.push({ _tag: "Closed", reason: "done", why: "RFC9293-3.10.7.4:FIN-acknowledged-in-LAST-ACK" })
  return { tcb: CLOSED, effects: out }
}

/** SND.UNA moves, the marks in the stream along with it; the segment tells the window. */
const acknowledged = (snd: Snd, seg: Segment, wnd: number): Snd => {
  const next = movedUna(snd, seg.ack)
  noteWindow(next, seg, wnd)
  return next
}
