import type { SackBlock } from "../wire/tcpSegment.ts"
import { add, after, before, distance, earliest, latest, type Seq } from "./seq.ts"

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

/**
 * Pieces kept at most, or one for each so many octets that are held where that is more: a peer that sends
 * single octets must not cost a record each without end, a window of whole segments has room at any size.
 */
export const MAX_PIECES = 4096
const OCTETS_PER_PIECE = 512

/** Runs remembered for SACK, as many as an option can name. */
const MAX_BLOCKS = 4

/**
 * Keeps a copy of what is new in `bytes` at `seq`. The caller has trimmed it to the window, which
 * bounds the octets; when too many pieces are held already the newcomer is refused (undefined).
 */
export const insert = (r: Reassembly, seq: Seq, bytes: Uint8Array, fin: boolean): Reassembly | undefined => {
  if (r.pieces.length >= Math.max(MAX_PIECES, r.length / OCTETS_PER_PIECE)) return undefined
  const end = add(seq, bytes.length)
  const first = firstEndingAfter(r.pieces, seq)
  const fresh: Array<Piece> = []
  let cursor = seq
  let added = 0
  const keepUntil = (to: Seq): void => {
    const n = distance(to, cursor)
    if (n <= 0) return
    const skip = distance(cursor, seq)
    fresh.push({ seq: cursor, bytes: bytes.slice(skip, skip + n) })
    added += n
  }
  let index = first
  for (let piece = r.pieces[index]; piece !== undefined && before(piece.seq, end); piece = r.pieces[++index]) {
    keepUntil(piece.seq)
    fresh.push(piece)
    cursor = latest(cursor, endOf(piece))
  }
  keepUntil(end)
  const pieces = r.pieces.slice(0, first).concat(fresh, r.pieces.slice(index))
  const blocks = bytes.length === 0 ? r.blocks : reported(pieces, r.blocks, seq)
  return { pieces, length: r.length + added, fin: fin ? end : r.fin, blocks }
}

/** The first part of `seq`..`end` that is held already: a duplicate, to be reported (RFC 2883 section 4). */
export const heldPart = (r: Reassembly, seq: Seq, end: Seq): SackBlock | undefined => {
  let index = firstEndingAfter(r.pieces, seq)
  const first = r.pieces[index]
  if (first === undefined || !before(first.seq, end)) return undefined
  const left = latest(seq, first.seq)
  let right = endOf(first)
  for (let piece = r.pieces[++index]; piece !== undefined && piece.seq === right; piece = r.pieces[++index]) {
    right = endOf(piece)
  }
  return { left, right: earliest(right, end) }
}

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

const endOf = (piece: Piece): Seq => add(piece.seq, piece.bytes.length)

/** Index of the first piece that ends after `seq`, by bisection. */
const firstEndingAfter = (pieces: ReadonlyArray<Piece>, seq: Seq): number => {
  let low = 0
  let high = pieces.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const piece = pieces[middle]
    if (piece !== undefined && after(endOf(piece), seq)) high = middle
    else low = middle + 1
  }
  return low
}

/** The run around `seq` comes first; those it has swallowed are no runs of their own any more. */
const reported = (pieces: ReadonlyArray<Piece>, old: ReadonlyArray<SackBlock>, seq: Seq): ReadonlyArray<SackBlock> => {
  const run = runAround(pieces, firstEndingAfter(pieces, seq), old)
  const others = old.filter((block) => before(block.right, run.left) || after(block.left, run.right))
  return [run, ...others].slice(0, MAX_BLOCKS)
}

/** `old`: runs as they were before, each as long as it could be: they save the walk through their pieces. */
const runAround = (pieces: ReadonlyArray<Piece>, index: number, old: ReadonlyArray<SackBlock>): SackBlock => {
  const start = pieces[index]
  if (start === undefined) return { left: 0, right: 0 }
  let left = start.seq
  let right = endOf(start)
  const below = old.find((run) => before(run.left, left) && !before(run.right, left))
  if (below !== undefined) left = below.left
  else
    for (let i = index - 1, piece = pieces[i]; piece !== undefined && endOf(piece) === left; piece = pieces[--i])
      left = piece.seq
  const above = old.find((run) => after(run.right, right) && !after(run.left, right))
  if (above !== undefined) right = above.right
  // What has come may reach beyond the run.
  let next = above === undefined ? index + 1 : firstEndingAfter(pieces, right)
  for (let piece = pieces[next]; piece !== undefined && piece.seq === right; piece = pieces[++next])
    right = endOf(piece)
  return { left, right }
}
