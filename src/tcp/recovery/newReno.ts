import { split } from "../board.ts"
import { headOf, LOST, segmentEnd, segmentsOf } from "../flight.ts"
import { type Ack, count, delivered, markLost } from "./ack.ts"

/** Without SACK (RFC 6582): each duplicate ACK stands for a segment that has left the network. */

/** No more can have arrived than is outstanding, less what is missing. True: more duplicates came than that. */
export const limitDuplicates = (a: Ack): boolean => {
  const { board } = a
  const holes = Math.min(Math.max(board.lost, 1), board.out)
  if (board.sacked + holes <= board.out) return false
  board.sacked = Math.max(0, board.out - holes)
  return true
}

/** More duplicates than segments: the path reorders. */
const checkReordering = (a: Ack, addend: number): void => {
  if (!limitDuplicates(a)) return
  a.rec.reordering = Math.min(a.board.out + addend, a.settings.tcpMaxReordering)
  a.rec.reorderings++
  count(a, "TCPRenoReorder")
}

export const addDuplicates = (a: Ack, n: number): void => {
  if (n === 0) return
  const before = a.board.sacked
  a.board.sacked += n
  checkReordering(a, 0)
  if (a.board.sacked > before) delivered(a, a.board.sacked - before)
}

/** `acked` segments went: one was the hole, the others have been counted as duplicates. */
export const removeDuplicates = (a: Ack, acked: number): void => {
  if (acked > 0) {
    delivered(a, Math.max(acked - a.board.sacked, 1))
    a.board.sacked = Math.max(0, a.board.sacked - (acked - 1))
  }
  checkReordering(a, acked)
}

/** DupThresh duplicates, or a partial ACK during recovery: the first segment is lost. */
export const markFirstLost = (a: Ack): void => {
  const { rec, board } = a
  const enough = rec.phase !== "recovery" && rec.phase !== "loss" && board.sacked >= rec.reordering
  const partial = rec.phase === "recovery" && a.advanced
  if (!enough && !partial) return
  const head = headOf(board)
  if (head === undefined || (head.marks & LOST) !== 0) return
  if (segmentsOf(head) > 1) split(board, board.first, segmentEnd(head, 1))
  markLost(a, board.first)
}
