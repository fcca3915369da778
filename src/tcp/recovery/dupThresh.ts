import { LOST, openRecords, SACKED, segmentEnd, segmentsOf, split } from "../flight.ts"
import { type Ack, markLost } from "./ack.ts"

/**
 * Loss by counting, where RACK is off: RFC 6675 section 4's IsLost. A segment is lost when DupThresh
 * of them, or more than DupThresh - 1 segments' worth, were reported above it.
 */
export const markByCount = (a: Ack): void => {
  const { board, rec } = a
  openRecords(board)
  let above = 0
  for (let index = board.last - 1; index >= 0; index--) {
    const record = board.records[index]
    if (record === undefined) continue
    if ((record.marks & SACKED) !== 0) above += segmentsOf(record)
    else if (above >= rec.reordering && (record.marks & LOST) === 0) markLost(a, index)
  }
}

/** Recovery begins with the first segment, whatever else is known (RFC 6675 section 5 step 4.3). */
export const markHead = (a: Ack): void => {
  const { board } = a
  openRecords(board)
  const head = board.records[0]
  if (head === undefined || board.last === 0 || (head.marks & (LOST | SACKED)) !== 0) return
  if (segmentsOf(head) > 1) split(board, 0, segmentEnd(head, 1))
  markLost(a, 0)
}
