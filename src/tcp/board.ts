import {
  type Chunk,
  chunkOf,
  type Digest,
  digestOf,
  EVER,
  type Flight,
  firstOf,
  LOST,
  nextPlace,
  offsetOf,
  type Place,
  RETRANS,
  recordAt,
  SACKED,
  type Sent,
  SPAN,
  segmentsFrom,
  segmentsOf,
  sentAt,
  trimmed,
  WITH_FIN,
} from "./flight.ts"
import { after, atOrBefore, before, type Seq } from "./seq.ts"

/**
 * A version of the scoreboard in the making, local to one reducer call. A change copies the chunk that
 * it is in, and the list of chunks once; those who search pass over chunks whose digest says that they
 * hold nothing of the kind. So an ACK costs by what it changes, and a thirty-second of the rest.
 */
export interface Board {
  chunks: ReadonlyArray<Chunk>
  first: Place
  last: number
  una: Seq
  out: number
  sacked: number
  lost: number
  retrans: number
  /** What is this version's alone; undefined: nothing is. */
  own: Own | undefined
}

interface Own {
  /** The same as `chunks`. */
  readonly list: Array<Chunk>
  /** Those of the list that no other version has. */
  readonly alone: Set<Chunk>
}

export const edit = ({ chunks, first, last, una, out, sacked, lost, retrans }: Flight): Board => ({
  chunks,
  first,
  last,
  una,
  out,
  sacked,
  lost,
  retrans,
  own: undefined,
})

/** The board must not be used after it. */
export const finish = ({ chunks, first, last, una, out, sacked, lost, retrans }: Board): Flight =>
  trimmed(chunks, first, last, una, out, sacked, lost, retrans)

const ownList = (b: Board): Own => {
  if (b.own === undefined) {
    b.own = { list: b.chunks.slice(), alone: new Set() }
    b.chunks = b.own.list
  }
  return b.own
}

/** A chunk that may be changed. */
const ownChunk = (b: Board, index: number): Chunk | undefined => {
  const { list, alone } = ownList(b)
  const chunk = list[index]
  if (chunk === undefined) return undefined
  if (alone.has(chunk)) {
    chunk.digest = undefined
    return chunk
  }
  const length = index === list.length - 1 ? b.last : chunk.records.length
  const copy: Chunk = { records: chunk.records.slice(0, length), digest: undefined }
  list[index] = copy
  alone.add(copy)
  return copy
}

/** Of a chunk that is not the last one. Of the first, what is acknowledged may still be in it. */
export const digestAt = (b: Board, index: number): Digest => {
  const known = b.chunks[index]?.digest
  if (known !== undefined) return known
  const { list, alone } = ownList(b)
  const chunk = list[index]
  const records = chunk?.records ?? []
  const digest = digestOf(records, index === chunkOf(b.first) ? offsetOf(b.first) : 0)
  if (chunk !== undefined && alone.has(chunk)) chunk.digest = digest
  else list[index] = { records, digest }
  return digest
}

/** Puts a record in place of one with the same segments; the counts follow its marks. */
export const replace = (b: Board, place: Place, record: Sent): void => {
  const old = recordAt(b, place)
  const chunk = ownChunk(b, chunkOf(place))
  if (old === undefined || chunk === undefined) return
  count(b, old, -1)
  count(b, record, 1)
  chunk.records[offsetOf(place)] = record
}

const count = (b: Board, record: Sent, sign: 1 | -1): void => {
  const n = sign * segmentsOf(record)
  b.out += n
  if (record.marks & SACKED) b.sacked += n
  if (record.marks & LOST) b.lost += n
  if (record.marks & RETRANS) b.retrans += n
}

/** Cuts a record in two at `at`, which lies within it. The places of others change; returns that of the left part. */
export const split = (b: Board, place: Place, at: Seq): Place => {
  const record = recordAt(b, place)
  const index = chunkOf(place)
  const chunk = ownChunk(b, index)
  if (record === undefined || chunk === undefined) return place
  const left = { ...record, end: at, marks: record.marks & ~WITH_FIN }
  const right = { ...record, seq: at }
  count(b, record, -1)
  count(b, left, 1)
  count(b, right, 1)
  chunk.records.splice(offsetOf(place), 1, left, right)
  const isLast = index === b.chunks.length - 1
  if (isLast) b.last++
  return chunk.records.length > SPAN ? halve(b, index, chunk, isLast, place) : place
}

/** A chunk that has become too long: its second half becomes a chunk of its own. Returns where the record at `place` is then. */
const halve = (b: Board, index: number, chunk: Chunk, isLast: boolean, place: Place): Place => {
  const half = SPAN / 2
  const second: Chunk = { records: chunk.records.splice(half), digest: undefined }
  const { list, alone } = ownList(b)
  list.splice(index + 1, 0, second)
  alone.add(second)
  if (isLast) b.last = second.records.length
  const moved = (p: Place): Place => (offsetOf(p) < half ? p : firstOf(index + 1) + offsetOf(p) - half)
  if (index === chunkOf(b.first)) b.first = moved(b.first)
  return moved(place)
}

/** Makes one record of two neighbours (what is sent again small may go together). */
export const join = (b: Board, place: Place): void => {
  const next = nextPlace(b, place)
  const left = recordAt(b, place)
  const right = sentAt(b, next)
  const chunk = ownChunk(b, chunkOf(place))
  const other = ownChunk(b, chunkOf(next))
  if (left === undefined || right === undefined || chunk === undefined || other === undefined) return
  count(b, left, -1)
  count(b, right, -1)
  const joined = { ...left, end: right.end, marks: left.marks | (right.marks & (EVER | WITH_FIN)) }
  count(b, joined, 1)
  chunk.records[offsetOf(place)] = joined
  other.records.splice(offsetOf(next), 1)
  if (chunkOf(next) === b.chunks.length - 1) b.last--
  if (other.records.length > 0) return
  ownList(b).list.splice(chunkOf(next), 1)
  if (b.last === 0) b.last = chunk.records.length
}

/** Moves SND.UNA over whole records and into the next; what is passed is no longer counted. */
export const dropUntil = (b: Board, una: Seq, each: (record: Sent, segments: number) => void): void => {
  for (let record = sentAt(b, b.first); record !== undefined; record = sentAt(b, b.first)) {
    const from = before(record.seq, b.una) ? b.una : record.seq
    const segments = segmentsFrom(record, from)
    if (atOrBefore(record.end, una)) {
      uncount(b, record, segments)
      each(record, segments)
      b.first = nextPlace(b, b.first)
      continue
    }
    if (!after(una, from)) break
    const gone = segments - segmentsFrom(record, una)
    if (gone > 0) {
      uncount(b, record, gone)
      each(record, gone)
    }
    break
  }
  b.una = una
}

const uncount = (b: Board, record: Sent, n: number): void => {
  b.out -= n
  if (record.marks & SACKED) b.sacked -= n
  if (record.marks & LOST) b.lost -= n
  if (record.marks & RETRANS) b.retrans -= n
}

/** Every record that SACK has not reported gets a mark. */
export const markAll = (f: Flight, mark: number): Flight => {
  const board = edit(f)
  everyRecord(board, (place, record) => {
    if ((record.marks & SACKED) === 0) replace(board, place, { ...record, marks: record.marks | mark })
  })
  return finish(board)
}

/** Visits all records; the visitor may replace the one that it sees, and change no other. */
export const everyRecord = (b: Board, visit: (place: Place, record: Sent) => void): void => {
  let place = b.first
  for (let record = recordAt(b, place); record !== undefined; record = recordAt(b, place)) {
    visit(place, record)
    place = nextPlace(b, place)
  }
}

/**
 * Visits the records from a place on, but for those in chunks whose digest says that they are of no
 * interest. The visitor says where it stands, which a split may have moved, or "stop".
 */
export const walk = (
  b: Board,
  from: Place,
  isOfInterest: (digest: Digest) => boolean,
  visit: (place: Place, record: Sent) => Place | "stop",
): void => {
  let place = seek(b, from, isOfInterest)
  for (let record = recordAt(b, place); record !== undefined; record = recordAt(b, place)) {
    const here = visit(place, record)
    if (here === "stop") return
    place = seek(b, nextPlace(b, here), isOfInterest)
  }
}

/** From a place on, the first in a chunk of interest; the last one, which has no digest, always is. */
const seek = (b: Board, from: Place, isOfInterest: (digest: Digest) => boolean): Place => {
  if (from !== b.first && offsetOf(from) !== 0) return from
  let index = chunkOf(from)
  while (index < b.chunks.length - 1 && !isOfInterest(digestAt(b, index))) index++
  return index === chunkOf(from) ? from : firstOf(index)
}
