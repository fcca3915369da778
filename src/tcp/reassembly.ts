import type { SackBlock } from "../wire/tcpSegment.ts"
import { add, after, atOrAfter, atOrBefore, before, distance, latest, type Seq } from "./seq.ts"

/** Data that arrived ahead of RCV.NXT (RFC 9293 SHLD-31), disjoint and in sequence order. */
export interface Reassembly {
  readonly pieces: ReadonlyArray<Piece>
  /** Octets held. */
  readonly length: number
  /** The peer's FIN, where it arrived ahead of its data. */
  readonly fin: Seq | undefined
  /** Contiguous runs, that of the latest arrival first (RFC 2018 section 4). */
  readonly blocks: ReadonlyArray<SackBlock>
}

interface Piece {
  readonly seq: Seq
  readonly bytes: Uint8Array
}

export const EMPTY_REASSEMBLY: Reassembly = { pieces: [], length: 0, fin: undefined, blocks: [] }

/** Pieces kept at most: a peer that sends single octets must not cost a record each without end. */
export const MAX_PIECES = 4096

/**
 * Keeps a copy of what is new in `bytes` at `seq`. The caller has trimmed it to the window, which
 * bounds the octets; when too many pieces are held already the newcomer is refused (undefined).
 */
export const insert = (r: Reassembly, seq: Seq, bytes: Uint8Array, fin: boolean): Reassembly | undefined => {
  if (r.pieces.length >= MAX_PIECES) return undefined
  const end = add(seq, bytes.length)
  const pieces: Array<Piece> = []
  let cursor = seq
  let added = 0
  const keep = (to: Seq) => {
    const n = distance(to, cursor)
    if (n <= 0) return
    const skip = distance(cursor, seq)
    pieces.push({ seq: cursor, bytes: bytes.slice(skip, skip + n) })
    added += n
  }
  for (const piece of r.pieces) {
    const pieceEnd = add(piece.seq, piece.bytes.length)
    if (atOrAfter(piece.seq, end)) {
      keep(end)
      cursor = latest(cursor, end)
    } else if (after(pieceEnd, cursor)) {
      keep(piece.seq)
      cursor = latest(cursor, pieceEnd)
    }
    pieces.push(piece)
  }
  keep(end)
  const finAt = fin ? end : r.fin
  return { pieces, length: r.length + added, fin: finAt, blocks: reported(pieces, r.blocks, seq, end) }
}

/** All of `seq`..`end` is held already: the arrival is a duplicate (RFC 2883 section 4). */
export const holds = (r: Reassembly, seq: Seq, end: Seq): boolean =>
  r.blocks.some((block) => atOrBefore(block.left, seq) && atOrAfter(block.right, end))

/** Takes what has become in order at `nxt`: the pieces to deliver, and what stays. */
export const takeAt = (
  r: Reassembly,
  nxt: Seq,
): { readonly taken: ReadonlyArray<Uint8Array>; readonly rest: Reassembly } => {
  let cursor = nxt
  let index = 0
  let length = r.length
  const taken: Array<Uint8Array> = []
  for (const piece of r.pieces) {
    if (after(piece.seq, cursor)) break
    index++
    length -= piece.bytes.length
    const skip = distance(cursor, piece.seq)
    if (skip < piece.bytes.length) {
      taken.push(skip === 0 ? piece.bytes : piece.bytes.subarray(skip))
      cursor = add(piece.seq, piece.bytes.length)
    }
  }
  if (index === 0) return { taken, rest: r }
  const pieces = r.pieces.slice(index)
  const blocks = r.blocks.filter((block) => after(block.right, cursor))
  return {
    taken,
    rest: pieces.length === 0 && r.fin === undefined ? EMPTY_REASSEMBLY : { pieces, length, fin: r.fin, blocks },
  }
}

const reported = (
  pieces: ReadonlyArray<Piece>,
  old: ReadonlyArray<SackBlock>,
  seq: Seq,
  end: Seq,
): ReadonlyArray<SackBlock> => {
  if (seq === end) return old
  const runs: Array<SackBlock> = []
  let left = -1
  let right = -1
  for (const piece of pieces) {
    if (piece.seq !== right) {
      if (left >= 0) runs.push({ left, right })
      left = piece.seq
    }
    right = add(piece.seq, piece.bytes.length)
  }
  if (left >= 0) runs.push({ left, right })
  // The run with the arrival first, then the others by how recently they were reported.
  const recency = (run: SackBlock): number => {
    if (atOrBefore(run.left, seq) && atOrAfter(run.right, end)) return -1
    const index = old.findIndex((block) => atOrBefore(run.left, block.left) && before(block.left, run.right))
    return index < 0 ? old.length : index
  }
  return runs
    .map((run) => [recency(run), run] as const)
    .sort((x, y) => x[0] - y[0])
    .map(([, run]) => run)
}
