import { copyPart } from "../wire/bytes.ts"
import { EMPTY } from "../wire/tcpSegment.ts"
import { add, distance, type Seq } from "./seq.ts"

/**
 * What the application has given to send and the peer has not yet acknowledged: an immutable
 * list of chunks. Versions share one backing array that only its latest version appends to,
 * so appending and dropping cost O(1) and an old version keeps its meaning.
 */
export interface SendQueue {
  readonly chunks: Array<Chunk>
  /** Index of the first chunk that still holds unacknowledged octets. */
  readonly first: number
  /** One past this version's last chunk; `chunks` may hold those of later versions. */
  readonly last: number
  /** Sequence number of the first octet held. */
  readonly start: Seq
  /** Octets held. */
  readonly length: number
  /** Some of what was appended ended a record (MSG_EOR). */
  readonly records: boolean
}

interface Chunk {
  readonly seq: Seq
  readonly bytes: Uint8Array
  /** A record ends with it: no segment goes on behind it. */
  readonly record: boolean
}

export const emptyQueue = (start: Seq): SendQueue => ({
  chunks: NO_CHUNKS,
  first: 0,
  last: 0,
  start,
  length: 0,
  records: false,
})

/** Of every empty queue: nothing is ever appended to it. */
const NO_CHUNKS: Array<Chunk> = []

export const end = (q: SendQueue): Seq => add(q.start, q.length)

/** The queue owns `bytes` from here on: they must not change until they are acknowledged. `record`: they end a record (MSG_EOR). */
export const append = (q: SendQueue, bytes: Uint8Array, record = false): SendQueue => {
  if (bytes.length === 0) return q
  if (q.length === 0) {
    const chunks = [{ seq: q.start, bytes, record }]
    return { chunks, first: 0, last: 1, start: q.start, length: bytes.length, records: record }
  }
  const chunks = q.last === q.chunks.length ? q.chunks : q.chunks.slice(q.first, q.last)
  const first = chunks === q.chunks ? q.first : 0
  chunks.push({ seq: end(q), bytes, record })
  const { start, length, records } = q
  return { chunks, first, last: chunks.length, start, length: length + bytes.length, records: records || record }
}

/** Forgets the octets before `seq`, which lies within the queue. */
export const dropBefore = (q: SendQueue, seq: Seq): SendQueue => {
  const n = distance(seq, q.start)
  if (n <= 0) return q
  const { records } = q
  if (n >= q.length) return emptyQueue(end(q))
  const first = chunkAt(q, seq)
  // Half of the array is dead: copy the rest, so that acknowledged chunks can be collected.
  return first > 16 && first * 2 > q.chunks.length
    ? {
        chunks: q.chunks.slice(first, q.last),
        first: 0,
        last: q.last - first,
        start: seq,
        length: q.length - n,
        records,
      }
    : { chunks: q.chunks, first, last: q.last, start: seq, length: q.length - n, records }
}

/** Copies `length` octets from `seq` on into `out` at `offset`. The range must lie within the queue. */
export const copyTo = (q: SendQueue, seq: Seq, length: number, out: Uint8Array, offset: number): void => {
  let index = chunkAt(q, seq)
  let left = length
  let from = seq
  let to = offset
  while (left > 0) {
    const chunk = q.chunks[index++]
    if (chunk === undefined) return
    const skip = distance(from, chunk.seq)
    const n = Math.min(chunk.bytes.length - skip, left)
    copyPart(chunk.bytes, skip, n, out, to)
    left -= n
    to += n
    from = add(from, n)
  }
}

/** One of the application's writes ends just before `seq`. */
export const isWriteEnd = (q: SendQueue, seq: Seq): boolean => {
  if (seq === end(q)) return true
  const chunk = q.chunks[chunkAt(q, seq)]
  return chunk !== undefined && chunk.seq === seq
}

/** Octets from `seq` to the end of its record; all there will ever be where it has none. */
export const toRecordEnd = (q: SendQueue, seq: Seq): number => {
  if (!q.records) return Number.POSITIVE_INFINITY
  for (let index = chunkAt(q, seq); index < q.last; index++) {
    const chunk = q.chunks[index]
    if (chunk?.record === true) return distance(chunk.seq, seq) + chunk.bytes.length
  }
  return Number.POSITIVE_INFINITY
}

/** Nothing may go along with the last octet. */
export const endsRecord = (q: SendQueue): boolean => q.records && q.length > 0 && q.chunks[q.last - 1]?.record === true

/** The range as one array, copied only where it spans chunks. For tests, recordings and dumps. */
export const slice = (q: SendQueue, seq: Seq, length: number): Uint8Array => {
  if (length === 0) return EMPTY
  const out = new Uint8Array(length)
  copyTo(q, seq, length, out, 0)
  return out
}

/** Index of the chunk that holds `seq`, by bisection. */
const chunkAt = (q: SendQueue, seq: Seq): number => {
  let low = q.first
  let high = q.last - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    const chunk = q.chunks[middle]
    if (chunk !== undefined && distance(chunk.seq, seq) <= 0) low = middle
    else high = middle - 1
  }
  return low
}
