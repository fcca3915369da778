import { digestAt, split } from "../board.ts"
import { chunkOf, firstOf, headOf, LOST, lastPlace, recordAt, SACKED, segmentEnd, segmentsOf } from "../flight.ts"
import { type Ack, markLost } from "./ack.ts"

/**
 * Loss by counting, where RACK is off: RFC 6675 section 4's IsLost. A segment is lost when DupThresh
 * of them, or more than DupThresh - 1 segments' worth, were reported above it.
 */
export const markByCount = (a: Ack): void => {
  const { board, rec } = a
  const first = chunkOf(board.first)
  let above = 0
  for (let index = board.chunks.length - 1; index >= first; index--) {
    const isLast = index === board.chunks.length - 1
    if (!isLast) {
      const { unjudged, sacked } = digestAt(board, index)
      if (unjudged === 0 || (sacked === 0 && above < rec.reordering)) {
        above += sacked
        continue
      }
    }
    const least = Math.max(firstOf(index), board.first)
    for (let place = isLast ? lastPlace(board) : firstOf(index + 1) - 1; place >= least; place--) {
      const record = recordAt(board, place)
      if (record === undefined) continue
      if ((record.marks & SACKED) !== 0) above += segmentsOf(record)
      else if (above >= rec.reordering && (record.marks & LOST) === 0) markLost(a, place)
    }
  }
}

/** Recovery begins with the first segment, whatever else is known (RFC 6675 section 5 step 4.3). */
export const markHead = (a: Ack): void => {
  const { board } = a
  const head = headOf(board)
  if (head === undefined || (head.marks & (LOST | SACKED)) !== 0) return
  if (segmentsOf(head) > 1) split(board, board.first, segmentEnd(head, 1))
  markLost(a, board.first)
}
