import type { SackBlock } from "../../wire/tcpSegment.ts"
import { replace, split, walk } from "../board.ts"
import {
  EVER,
  isEmpty,
  LOST,
  nextPlace,
  type Place,
  placeOf,
  RETRANS,
  recordAt,
  SACKED,
  SAMPLED,
  type Sent,
  segmentsOf,
} from "../flight.ts"
import { add, after, atOrAfter, atOrBefore, before, distance, latest, type Seq } from "../seq.ts"
import { OFF } from "../time.ts"
import { type Ack, count, delivered, highestSacked } from "./ack.ts"
import { advance } from "./rack.ts"
import { take } from "./rate.ts"

/**
 * SACK blocks mark the scoreboard (RFC 2018 section 5.1, RFC 6675 section 5); a first block that
 * reports a duplicate is a D-SACK (RFC 2883 section 4).
 */
export const takeBlocks = (a: Ack, blocks: ReadonlyArray<SackBlock>): void => {
  const [first, second] = blocks
  if (first === undefined) return
  const duplicate = isDuplicate(a, first, second)
  // Below SND.UNA only a D-SACK speaks; there is nothing to mark.
  const valid = blocks.filter((block, index) => {
    const ok = isValid(a, block, index === 0 && duplicate)
    if (!ok && after(block.right, a.una)) count(a, "TCPSACKDiscard")
    return ok && after(block.right, a.una)
  })
  if (isEmpty(a.board)) return
  let lowest: Seq | undefined
  const note = (seq: Seq): void => {
    if (lowest === undefined || before(seq, lowest)) lowest = seq
  }
  if (duplicate && valid[0] === first) markDuplicate(a, first, note)
  for (const block of [...valid].sort((x, y) => distance(x.left, y.left))) markBlock(a, block, note)
  // Something never sent again arrived behind what came later: reordering.
  if (lowest !== undefined && (a.rec.phase !== "loss" || a.rec.undo !== undefined)) noteReordering(a, lowest)
}

/** The first block lies below the ACK, or within the second (RFC 2883 section 4). */
const isDuplicate = (a: Ack, first: SackBlock, second: SackBlock | undefined): boolean => {
  const { rec } = a
  const ack = a.seg?.ack ?? a.una
  if (before(first.left, ack)) count(a, "TCPDSACKRecv")
  else if (second !== undefined && !after(first.right, second.right) && !before(first.left, second.left)) {
    count(a, "TCPDSACKOfoRecv")
  } else return false
  const segments = duplicated(a, first)
  if (segments === 0) {
    count(a, "TCPDSACKIgnoredDubious")
    return false
  }
  const { undo } = rec
  if (undo?.retrans !== undefined && !after(first.right, a.priorUna) && after(first.right, undo.marker)) {
    rec.undo = { ...undo, retrans: Math.max(0, undo.retrans - segments) }
  }
  return true
}

/** Segments that a D-SACK reports; 0 where it cannot be about anything that we sent twice. */
const duplicated = (a: Ack, block: SackBlock): number => {
  const { rec } = a
  const length = distance(block.right, block.left)
  if (length <= 0 || length > a.tcb.snd.maxWnd) return 0
  const segments = length > a.mss ? Math.ceil(length / a.mss) : 1
  if (length <= a.mss && rec.probe?.end === block.right) a.dsackOfProbe = true
  rec.dsackDups += segments
  if (rec.dsackDups > rec.totalRetrans) return 0
  // A probe's duplicate says nothing of RACK's window, nor does one on a path that never reordered.
  if (rec.reorderings > 0 && !a.dsackOfProbe) rec.dsackSeen = true
  a.dsack = true
  delivered(a, segments)
  return segments
}

/** A block that could be: of what is outstanding, or a D-SACK of what was in flight since the last reduction. */
const isValid = (a: Ack, block: SackBlock, duplicate: boolean): boolean => {
  const { snd } = a.tcb
  const { una } = a.board
  if (after(block.right, snd.nxt) || !before(block.left, block.right) || !before(block.left, snd.nxt)) return false
  if (after(block.left, una)) return true
  const { undo } = a.rec
  if (!duplicate || undo === undefined || after(block.right, una)) return false
  if (!before(block.left, undo.marker)) return true
  return after(block.right, undo.marker) && atOrAfter(block.left, add(block.right, -snd.maxWnd))
}

/** A D-SACK of data that is still outstanding: its retransmissions were not needed. */
const markDuplicate = (a: Ack, block: SackBlock, note: (seq: Seq) => void): void => {
  const { board } = a
  let place = placeOf(board, block.left)
  for (let record = recordAt(board, place); record !== undefined; record = recordAt(board, place)) {
    const here = place
    place = nextPlace(board, place)
    if (!before(record.seq, block.right)) return
    if (before(record.seq, block.left) || after(record.end, block.right)) continue
    if ((record.marks & (RETRANS | EVER)) === 0) continue
    const { undo } = a.rec
    if (undo?.retrans !== undefined && after(record.end, undo.marker)) {
      a.rec.undo = { ...undo, retrans: Math.max(0, undo.retrans - segmentsOf(record)) }
    }
    if ((record.marks & SACKED) !== 0) note(record.seq)
    if ((record.marks & RETRANS) !== 0) replace(board, here, { ...record, marks: record.marks & ~RETRANS })
  }
}

const markBlock = (a: Ack, block: SackBlock, note: (seq: Seq) => void): void => {
  const { board } = a
  walk(
    board,
    placeOf(board, block.left),
    ({ unsacked }) => unsacked > 0,
    (place, record) => {
      if (!before(record.seq, block.right)) return "stop"
      if ((record.marks & SACKED) !== 0 || !after(record.end, a.una)) return place
      if (before(record.seq, block.left)) {
        // Whole segments only: the rest begins at the first that lies in the block.
        const at = boundary(record, block.left, "up")
        return at === undefined ? place : split(board, place, at)
      }
      if (after(record.end, block.right)) {
        const at = boundary(record, block.right, "down")
        if (at === undefined) return "stop"
        const here = split(board, place, at)
        const left = recordAt(board, here)
        if (left !== undefined) markSacked(a, here, left, note)
        return "stop"
      }
      markSacked(a, place, record, note)
      return place
    },
  )
}

/** Where one segment of a record ends, at `seq` or the nearest in the direction; undefined: nowhere within it. */
const boundary = (record: Sent, seq: Seq, direction: "up" | "down"): Seq | undefined => {
  const n = distance(seq, record.seq) / record.size
  const at = add(record.seq, (direction === "up" ? Math.ceil(n) : Math.floor(n)) * record.size)
  return after(at, record.seq) && before(at, record.end) ? at : undefined
}

const markSacked = (a: Ack, place: Place, record: Sent, note: (seq: Seq) => void): void => {
  advance(a, record)
  let { marks } = record
  if ((marks & RETRANS) !== 0) {
    // Not judged lost again: its retransmission is taken to be on its way still.
    if ((marks & LOST) !== 0) marks &= ~(LOST | RETRANS)
  } else {
    if ((marks & EVER) === 0) {
      if (before(record.seq, highestSacked(a))) note(record.seq)
      if (atOrBefore(record.end, a.rec.point)) a.originalAcked = true
      if (a.firstSacked === OFF) a.firstSacked = record.at
      a.lastSacked = record.at
    }
    marks &= ~LOST
  }
  take(a, record)
  const before_ = highestSacked(a)
  replace(a.board, place, { ...record, marks: marks | SACKED | SAMPLED })
  a.rec.highSacked = latest(before_, record.end)
  a.dataSacked = true
  delivered(a, segmentsOf(record))
}

/** The distance of what arrived late becomes the degree of reordering (RFC 8985 section 6.2 step 3). */
export const noteReordering = (a: Ack, low: Seq): void => {
  const highest = highestSacked(a)
  if (!before(low, highest)) return
  const metric = distance(highest, low)
  if (metric > a.rec.reordering * a.mss) {
    a.rec.reordering = Math.min(Math.ceil(metric / a.mss), a.settings.tcpMaxReordering)
  }
  a.rec.reorderings++
  count(a, "TCPSACKReorder")
}
