import type { SackBlock } from "../wire/tcpSegment.ts"
import {
  gapBefore,
  joined,
  NO_RUNS,
  nextGap,
  type Octets,
  partsOf,
  type Run,
  type Runs,
  runAfter,
  runsAfter,
  withRun,
} from "./runs.ts"
import { add, after, before, distance, earliest, latest, type Seq } from "./seq.ts"

/** Data that arrived ahead of RCV.NXT (RFC 9293 SHLD-31). A segment costs by the runs that it touches, not by all. */
export interface Reassembly {
  readonly runs: Runs
  /** Arrays held. */
  readonly pieces: number
  /** Octets held. */
  readonly length: number
  /** The peer's FIN, where it arrived ahead of its data. */
  readonly fin: Seq | undefined
  /** The runs of the latest arrivals, the last of them first (RFC 2018 section 4). */
  readonly blocks: ReadonlyArray<SackBlock>
}

export const EMPTY_REASSEMBLY: Reassembly = { runs: NO_RUNS, pieces: 0, length: 0, fin: undefined, blocks: [] }

/**
 * Pieces kept at most, or one for each so many octets that are held where that is more: a peer that sends
 * single octets must not cost a record each without end, a window of whole segments has room at any size.
 */
export const MAX_PIECES = 4096
const OCTETS_PER_PIECE = 512

/** Runs remembered for SACK, as many as an option can name. */
const MAX_BLOCKS = 4

/** No more pieces are taken. */
export const isFull = ({ pieces, length }: Reassembly): boolean =>
  pieces >= Math.max(MAX_PIECES, length / OCTETS_PER_PIECE)

/**
 * Keeps a copy of what is new in `bytes` at `seq`. The caller has trimmed it to the window, which
 * bounds the octets; when too many pieces are held already the newcomer is refused (undefined).
 */
export const insert = (r: Reassembly, seq: Seq, bytes: Uint8Array, fin: boolean): Reassembly | undefined => {
  if (isFull(r)) return undefined
  const end = add(seq, bytes.length)
  const ending = fin ? end : r.fin
  if (bytes.length === 0) return { ...r, fin: ending, blocks: reported(runAt(r, end), r.blocks) }
  let octets: Octets | undefined
  let cursor = seq
  let added = 0
  let pieces = 0
  const keepUntil = (to: Seq): void => {
    const n = distance(to, cursor)
    if (n <= 0) return
    const skip = distance(cursor, seq)
    octets = joined(octets, bytes.slice(skip, skip + n))
    added += n
    pieces++
  }
  // Those that it overlaps or touches become one with it.
  const from = gapBefore(r.runs, ({ right }) => !before(right, seq))
  let to = from
  let left = seq
  for (let run = runAfter(r.runs, to); run !== undefined && !after(run.left, end); run = runAfter(r.runs, to)) {
    if (to === from && before(run.left, left)) left = run.left
    keepUntil(run.left)
    octets = joined(octets, run.octets)
    cursor = latest(cursor, run.right)
    to = nextGap(r.runs, to)
  }
  keepUntil(end)
  if (octets === undefined) return r
  const run: Run = { left, right: latest(cursor, end), octets }
  return {
    runs: added === 0 ? r.runs : withRun(r.runs, from, to, run),
    pieces: r.pieces + pieces,
    length: r.length + added,
    fin: ending,
    blocks: reported(run, r.blocks),
  }
}

/** The run that holds `seq` or ends there; where there is none, an empty one. */
const runAt = (r: Reassembly, seq: Seq): SackBlock => {
  const run = runAfter(
    r.runs,
    gapBefore(r.runs, ({ right }) => !before(right, seq)),
  )
  return run === undefined || after(run.left, seq) ? { left: seq, right: seq } : run
}

/** The blocks of an ACK: a FIN has a sequence number of its own, in the block that it ends. */
export const blocksOf = ({ blocks, fin }: Reassembly): ReadonlyArray<SackBlock> =>
  fin === undefined
    ? blocks
    : blocks.map((block) => (block.right === fin ? { left: block.left, right: add(fin, 1) } : block))

/** The first part of `seq`..`end` that is held already: a duplicate, to be reported (RFC 2883 section 4). */
export const heldPart = (r: Reassembly, seq: Seq, end: Seq): SackBlock | undefined => {
  const run = runAfter(
    r.runs,
    gapBefore(r.runs, ({ right }) => after(right, seq)),
  )
  if (run === undefined || !before(run.left, end)) return undefined
  return { left: latest(seq, run.left), right: earliest(run.right, end) }
}

/** Takes what has become in order at `nxt`: the pieces to deliver, and what stays. */
export const takeAt = (
  r: Reassembly,
  nxt: Seq,
): { readonly taken: ReadonlyArray<Uint8Array>; readonly rest: Reassembly } => {
  let cursor = nxt
  let gap = { chunk: 0, run: 0 }
  let { pieces, length } = r
  const taken: Array<Uint8Array> = []
  for (let run = runAfter(r.runs, gap); run !== undefined && !after(run.left, cursor); run = runAfter(r.runs, gap)) {
    length -= distance(run.right, run.left)
    let at = run.left
    for (const piece of partsOf(run.octets)) {
      const skip = distance(cursor, at)
      at = add(at, piece.length)
      pieces--
      if (skip >= piece.length) continue
      taken.push(skip === 0 ? piece : piece.subarray(skip))
      cursor = at
    }
    gap = nextGap(r.runs, gap)
  }
  if (gap.chunk === 0 && gap.run === 0) return { taken, rest: r }
  const runs = runsAfter(r.runs, gap)
  const blocks = r.blocks.filter((block) => after(block.right, cursor))
  return {
    taken,
    rest: runs.length === 0 && r.fin === undefined ? EMPTY_REASSEMBLY : { runs, pieces, length, fin: r.fin, blocks },
  }
}

/** What lies before `at`, and nothing of it reported any more: the rest is given up (RFC 2018 section 8 allows it). */
export const keptBefore = (r: Reassembly, at: Seq): Reassembly => {
  let kept: Reassembly = EMPTY_REASSEMBLY
  for (const { left, octets } of r.runs.flat()) {
    let seq = left
    for (const piece of partsOf(octets)) {
      const room = distance(at, seq)
      if (room > 0) kept = insert(kept, seq, piece.subarray(0, Math.min(room, piece.length)), false) ?? kept
      seq = add(seq, piece.length)
    }
  }
  const fin = r.fin !== undefined && !after(r.fin, at) ? r.fin : undefined
  return { ...kept, fin, blocks: [] }
}

/** The run of the latest arrival comes first; those that it has swallowed are no runs of their own any more. */
const reported = (run: SackBlock, old: ReadonlyArray<SackBlock>): ReadonlyArray<SackBlock> => {
  const others = old.filter((block) => before(block.right, run.left) || after(block.left, run.right))
  return [{ left: run.left, right: run.right }, ...others].slice(0, MAX_BLOCKS)
}
