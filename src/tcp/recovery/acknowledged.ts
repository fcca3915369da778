import { dropUntil } from "../board.ts"
import { EVER, headOf, RETRANS, SACKED, type Sent } from "../flight.ts"
import { timestamp } from "../handshake.ts"
import { measured } from "../rto.ts"
import { atOrBefore, before, distance, latest, type Seq } from "../seq.ts"
import type { Rto } from "../tcb.ts"
import { type Micros, OFF } from "../time.ts"
import { type Ack, delivered } from "./ack.ts"
import { withSample } from "./minFilter.ts"
import { removeDuplicates } from "./newReno.ts"
import { advance } from "./rack.ts"
import { take } from "./rate.ts"
import { noteReordering } from "./sack.ts"

/** What a cumulative ACK takes off the scoreboard, and what it measures. */
interface Passed {
  /** When the first and the last left of those that were sent once only and not reported before. */
  first: Micros
  last: Micros
  lowest: Seq
  segments: number
  again: boolean
}

/** The scoreboard follows SND.UNA. Returns the round trip measured, for the RTO and for congestion control. */
export const passTo = (a: Ack): { readonly rto: Rto; readonly rtt: Micros | undefined } => {
  const { board, tcb, una } = a
  const passed: Passed = { first: OFF, last: OFF, lowest: tcb.snd.nxt, segments: 0, again: false }
  const priorSacked = board.sacked
  dropUntil(board, una, (record, segments) => pass(a, passed, record, segments))
  const head = headOf(board)
  if (head !== undefined && (head.marks & SACKED) !== 0) a.reneging = true
  const measuredNow = measure(a, passed, priorSacked)
  // RFC 6298 section 5.3: whatever of new data is acknowledged.
  if (a.advanced) a.rearm = true
  if (a.dataAcked) {
    if (!a.sack) {
      removeDuplicates(a, passed.segments)
      // Without SACK nothing tells which transmission arrived.
      if (passed.again) a.originalAcked = false
    } else if (before(passed.lowest, a.priorHighest)) {
      // A hole was filled by what had been sent once only.
      noteReordering(a, passed.lowest)
    }
    const { mtu } = tcb
    if (mtu.size !== 0 && atOrBefore(mtu.end, una)) a.mtuProbe = "passed"
  } else if (head !== undefined && measuredNow.bySack && a.now - a.firstSacked > a.now - head.at) {
    // Not where the measurement is younger than the head's last transmission: recovery would put the time-out off for ever.
    a.rearm = true
  }
  return measuredNow
}

const pass = (a: Ack, passed: Passed, record: Sent, segments: number): void => {
  const { marks } = record
  if ((marks & (RETRANS | EVER)) !== 0) passed.again = true
  else if ((marks & SACKED) === 0) {
    passed.last = record.at
    if (passed.first === OFF) passed.first = record.at
    // What of it was acknowledged before this ACK is no hole that it fills.
    const from = latest(record.seq, a.priorUna)
    if (before(from, passed.lowest)) passed.lowest = from
    if (atOrBefore(record.end, a.rec.point)) a.originalAcked = true
  }
  if ((marks & SACKED) === 0 && a.sack) {
    delivered(a, segments)
    if (!isSpurious(a, record)) advance(a, record)
  }
  passed.segments += segments
  take(a, record)
  a.dataAcked = true
}

/** Acknowledged by the original: the echo is older than the retransmission. */
const isSpurious = (a: Ack, record: Sent): boolean => {
  const { link } = a.tcb
  const echo = a.seg?.options.tsEcr
  if ((record.marks & (RETRANS | EVER)) === 0 || !link.agreed.timestamps || echo === undefined || echo === 0)
    return false
  return before(echo, timestamp(link.context, link.tsOffset, record.at))
}

/** An echo that is older than this is nonsense, not a measurement. */
const MAX_ECHO_TICKS = 1_000_000

/**
 * The round trip by the clock that saw the segment leave; Karn's rule excludes what was sent again,
 * of which only timestamps can tell (RFC 6298 section 3, RFC 7323 section 4).
 */
const measure = (
  a: Ack,
  passed: Passed,
  priorSacked: number,
): { readonly rto: Rto; readonly rtt: Micros | undefined; readonly bySack: boolean } => {
  const { now, tcb, settings, del } = a
  const { rto, link } = tcb
  let sample: Micros | undefined
  let rtt: Micros | undefined
  let delayed = false
  if (passed.first !== OFF && !passed.again) {
    sample = now - passed.first
    rtt = now - passed.last
    // A lone short segment: its ACK may have waited (RFC 9293 section 3.8.6.3).
    delayed =
      passed.segments === 1 &&
      priorSacked === 0 &&
      distance(a.board.una, a.priorUna) < a.mss &&
      !a.dataSacked &&
      !a.ece &&
      a.board.out === 0
  }
  const bySack = sample === undefined && a.firstSacked !== OFF
  if (a.firstSacked !== OFF) {
    rtt = now - a.lastSacked
    sample ??= now - a.firstSacked
  }
  if (sample === undefined && a.dataAcked && link.agreed.timestamps) {
    const echo = a.seg?.options.tsEcr
    if (echo !== undefined && echo !== 0) {
      const ticks = distance(timestamp(link.context, link.tsOffset, now), echo)
      if (ticks >= 0 && ticks < MAX_ECHO_TICKS) {
        sample = (Math.max(ticks, 1) * 1_000_000) / settings.profile.timestampRate
        rtt = sample
      }
    }
  }
  if (sample === undefined) return { rto, rtt, bySack: false }
  if (rtt !== undefined && !(delayed && del.minRtt.at !== OFF && rtt > del.minRtt.value)) {
    del.minRtt = withSample(del.minRtt, Math.max(1, rtt), settings.tcpMinRttWlen, now)
  }
  return { rto: measured(rto, sample, settings, a.tcb.options), rtt, bySack }
}
