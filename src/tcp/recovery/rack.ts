import { walk } from "../board.ts"
import { EVER, LOST, RETRANS, SACKED, type Sent } from "../flight.ts"
import { after, type Seq } from "../seq.ts"
import type { Micros } from "../time.ts"
import { arm } from "../timers.ts"
import { type Ack, markLost } from "./ack.ts"
import { minimumOf } from "./minFilter.ts"

/** RACK: loss by time (RFC 8985 section 6). */

/** Bits of `tcpRecovery`. */
const RACK = 1
const STATIC_WINDOW = 2
const NO_DUP_THRESH = 4

/** Recoveries for which an enlarged reordering window is kept (section 6.2 step 4). */
export const PERSIST = 16

/** Longest reordering window, in quarters of the least RTT. */
const MOST_STEPS = 255

/** Timers of the kernel that this behaves like end no sooner than two of its ticks. */
export const LEAST_TIMEOUT: Micros = 2000

export const isRack = (a: Ack): boolean => (a.settings.tcpRecovery & RACK) !== 0

/** Sent later, ties broken by sequence number (section 6.2 step 2: RACK_sent_after). */
const sentAfter = (at: Micros, end: Seq, otherAt: Micros, otherEnd: Seq): boolean =>
  at > otherAt || (at === otherAt && after(end, otherEnd))

/** Steps 1 and 2: a delivered segment may be the most recently sent one. */
export const advance = (a: Pick<Ack, "now" | "del" | "rackAdvanced">, record: Sent): void => {
  const rtt = a.now - record.at
  // An answer sooner than any round trip is to the original, not to the retransmission.
  if (rtt < minimumOf(a.del.minRtt) && (record.marks & (RETRANS | EVER)) !== 0) return
  a.rackAdvanced = true
  a.del.rackRtt = rtt
  if (sentAfter(record.at, record.end, a.del.rackAt, a.del.rackEnd)) {
    a.del.rackAt = record.at
    a.del.rackEnd = record.end
  }
}

/** Step 4: D-SACKs that reordering explains widen the window, for a while. */
export const updateWindow = (a: Ack): void => {
  const { rec, prior } = a
  if ((a.settings.tcpRecovery & STATIC_WINDOW) !== 0 || prior.delivered === 0) return
  // Once a round trip.
  if (prior.delivered < rec.dsackRound) rec.dsackSeen = false
  if (rec.dsackSeen) {
    rec.steps = Math.min(MOST_STEPS, rec.steps + 1)
    rec.dsackSeen = false
    rec.dsackRound = a.del.delivered
    rec.persist = PERSIST
  } else if (rec.persist === 0) {
    rec.steps = 1
  }
}

const reorderingWindow = (a: Ack): Micros => {
  const { rec, board, settings, del } = a
  if (rec.reorderings === 0) {
    if (rec.phase === "recovery" || rec.phase === "loss") return 0
    if (board.sacked >= rec.reordering && (settings.tcpRecovery & NO_DUP_THRESH) === 0) return 0
  }
  const least = minimumOf(del.minRtt)
  return Math.min(Number.isFinite(least) ? Math.floor(least / 4) * rec.steps : 0, a.tcb.rto.srtt)
}

/** How long until a record is overdue; not positive: it is. */
export const remaining = (a: Ack, record: Sent, window: Micros): Micros => a.del.rackRtt + window - (a.now - record.at)

/** Step 5: what was sent before the newest delivered, and is overdue, is lost. Returns how long to wait for the rest; 0: nothing waits. */
const detect = (a: Ack): Micros => {
  const window = reorderingWindow(a)
  let wait = 0
  const { board, del } = a
  walk(
    board,
    board.first,
    ({ oldest }) => oldest <= del.rackAt,
    (place, record) => {
      const inNetwork = (record.marks & SACKED) === 0 && (record.marks & (LOST | RETRANS)) !== LOST
      if (!inNetwork || !sentAfter(del.rackAt, del.rackEnd, record.at, record.end)) return place
      const left = remaining(a, record, window)
      if (left <= 0) markLost(a, place)
      else wait = Math.max(wait, left)
      return place
    },
  )
  return wait
}

/** On an ACK. True: the reordering timer runs, no other retransmission timer needs to start. */
export const detectLoss = (a: Ack): boolean => {
  if (!a.rackAdvanced) return false
  a.rackAdvanced = false
  const wait = detect(a)
  if (wait === 0) return false
  reorderTimer(a, a.now + wait + LEAST_TIMEOUT)
  return true
}

const reorderTimer = (a: Ack, at: Micros): void => {
  a.timers = arm(a.timers, "reorder", at, a.out)
}

/** The reordering timer has ended. */
export const detectLate = (a: Ack): void => {
  const wait = detect(a)
  if (wait > 0) reorderTimer(a, a.now + wait + LEAST_TIMEOUT)
}
