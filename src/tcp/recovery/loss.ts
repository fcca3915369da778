import { everyRecord, replace } from "../board.ts"
import { onTimeout } from "../congestion/registry.ts"
import { headOf, LOST, SACKED } from "../flight.ts"
import { after } from "../seq.ts"
import { type Ack, count, inFlight, markLost, setWindow, windowOf } from "./ack.ts"
import { isRack, remaining } from "./rack.ts"
import { flightSize } from "./reduction.ts"
import { markUndo } from "./undo.ts"

/** A retransmission time-out (RFC 6298 section 5.4, RFC 5681 section 3.1): what was out is lost, sending starts again from one segment. */
export const enterLoss = (a: Ack): void => {
  const { rec, board, tcb, settings } = a
  const { phase } = rec
  const fresh = phase !== "recovery" && phase !== "loss"
  const sacked = board.sacked
  markOutstanding(a)
  const calm = phase === "open" || phase === "disorder"
  // Once per window of data (RFC 5681 section 3.1: ssthresh stays for a segment that timed out before).
  const reduces = calm || !after(rec.point, board.una) || (phase === "loss" && tcb.rto.retransmits === 0)
  const before = a.cc
  if (reduces) {
    rec.prior = windowOf(a)
    markUndo(a, true)
  }
  a.cc = onTimeout(before, flightSize(a), a.mss, a.now, !reduces)
  setWindow(a, inFlight(a) + 1)
  // Enough duplicates, and still a time-out: reordering was overestimated.
  if (calm && sacked >= settings.tcpReordering) rec.reordering = Math.min(rec.reordering, settings.tcpReordering)
  rec.phase = "loss"
  rec.point = tcb.snd.nxt
  rec.probe = undefined
  rec.newFirst = false
  a.cwrQueued = true
  // RFC 5682 section 3.1 step 1, and section 3.2 for the same segment again; a lost MTU probe explains itself.
  rec.frto = settings.tcpFrto !== 0 && (fresh || tcb.rto.retransmits > 0) && tcb.mtu.size === 0
}

/** All is lost but what left so lately that its ACK may still come (RFC 8985 section 6.3). */
const markOutstanding = (a: Ack): void => {
  const { board, rec } = a
  const head = headOf(board)
  const reneged = head !== undefined && (head.marks & SACKED) !== 0
  if (reneged) {
    count(a, "TCPSACKReneging")
    rec.reneged = true
  } else if (!a.sack) {
    board.sacked = 0
  }
  everyRecord(board, (place, record) => {
    if (reneged) {
      if ((record.marks & SACKED) !== 0) replace(board, place, { ...record, marks: record.marks & ~SACKED })
    } else if (place !== board.first && isRack(a) && remaining(a, record, 0) > 0 && (record.marks & LOST) === 0) {
      return
    }
    markLost(a, place)
  })
}
