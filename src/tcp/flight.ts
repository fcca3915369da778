import { add, atOrBefore, before, distance, type Seq } from "./seq.ts"
import type { Delivery } from "./tcb.ts"
import type { Micros } from "./time.ts"

/**
 * What has been sent and not yet acknowledged, as the scoreboard of RFC 6675 section 3: one record
 * per transmission, however many segments that was, cut only where SACK or loss speaks of a part.
 * Records lie in chunks, so that a version which changes some (board.ts) shares all others with the
 * one before.
 */
export interface Flight {
  /** In sequence order, none of them empty, the first holding the head. */
  readonly chunks: ReadonlyArray<Chunk>
  /** Records of the first chunk that are acknowledged. */
  readonly first: number
  /** Records of the last chunk that are this version's: only the latest appends to it, so that an old one keeps its meaning. */
  readonly last: number
  /** SND.UNA: the first record may begin before it. */
  readonly una: Seq
  /** Counts of segments: outstanding; of those reported by SACK (without SACK: duplicate ACKs), judged lost, sent again. */
  readonly out: number
  readonly sacked: number
  readonly lost: number
  readonly retrans: number
}

/** At most SPAN records. */
export interface Chunk {
  readonly records: Array<Sent>
  /** What those who look for some records need to know of all; undefined: nobody has asked, or it is still appended to. */
  digest: Digest | undefined
}

export interface Digest {
  /** Records that SACK has not reported; those of them that are not judged lost either. */
  readonly unsacked: number
  readonly unjudged: number
  /** Records that are judged lost and wait to be sent again. */
  readonly due: number
  /** When the oldest of those in the network left; Infinity: none is there. */
  readonly oldest: Micros
  /** Segments that SACK has reported. */
  readonly sacked: number
}

export interface Sent {
  readonly seq: Seq
  readonly end: Seq
  /** Payload octets of each of its segments. */
  readonly size: number
  /** SACKED | LOST | ... */
  readonly marks: number
  /** When it last left. */
  readonly at: Micros
  /** Delivered by then, since when, and when the first segment of that window left (delivery rate). */
  readonly delivered: number
  readonly deliveredAt: Micros
  readonly firstAt: Micros
  readonly appLimited: boolean
}

/** Marks of a record. RETRANS: sent again since it was last judged lost; EVER: sent again at all. */
export const SACKED = 1
export const LOST = 2
export const RETRANS = 4
export const EVER = 8
/** Its last sequence number is the FIN's. */
export const WITH_FIN = 16
/** Its delivery has been counted into a rate sample. */
export const SAMPLED = 32

/** Where a record lies: its chunk's index times SPAN, plus its own. */
export type Place = number

/** Most records of a chunk: a power of two. */
export const SPAN = 32
const SHIFT = 5

export const chunkOf = (place: Place): number => place >>> SHIFT
export const offsetOf = (place: Place): number => place & (SPAN - 1)
export const firstOf = (chunk: number): Place => chunk << SHIFT

const NO_CHUNKS: ReadonlyArray<Chunk> = []

export const emptyFlight = (una: Seq): Flight => ({
  chunks: NO_CHUNKS,
  first: 0,
  last: 0,
  una,
  out: 0,
  sacked: 0,
  lost: 0,
  retrans: 0,
})

/** Segments of a record from `from` on. */
export const segmentsFrom = (record: Sent, from: Seq): number => {
  const length = distance(record.end, from) - (record.marks & WITH_FIN ? 1 : 0)
  return length <= record.size ? 1 : Math.ceil(length / record.size)
}

/** What is left of it. */
export const segmentsOf = (record: Sent): number => segmentsFrom(record, record.seq)

/** Where the `n`-th of a record's segments ends. */
export const segmentEnd = (record: Sent, n: number): Seq =>
  n >= segmentsOf(record) ? record.end : add(record.seq, n * record.size)

/** RFC 6675's pipe, in segments: what is thought to be in the network. */
export const pipe = (f: {
  readonly out: number
  readonly sacked: number
  readonly lost: number
  readonly retrans: number
}): number => f.out - f.sacked - f.lost + f.retrans

/** Of what leaves for the first time now. */
export const recordOf = (
  seq: Seq,
  end: Seq,
  size: number,
  marks: number,
  { delivered, at, firstAt, appLimited }: Delivery,
  now: Micros,
): Sent => ({
  seq,
  end,
  size,
  marks,
  at: now,
  delivered,
  deliveredAt: at,
  firstAt,
  appLimited: appLimited !== 0,
})

/** Appends what is sent for the first time: it bears no mark but its FIN's. */
export const appendSent = (f: Flight, record: Sent): Flight => {
  const { first, last, una, sacked, lost, retrans } = f
  const out = f.out + segmentsOf(record)
  const tail = f.chunks[f.chunks.length - 1]
  if (tail === undefined) {
    return { chunks: [{ records: [record], digest: undefined }], first, last: 1, una, out, sacked, lost, retrans }
  }
  if (last === SPAN) {
    const chunks = [...f.chunks, { records: [record], digest: undefined }]
    return { chunks, first, last: 1, una, out, sacked, lost, retrans }
  }
  let { chunks } = f
  if (tail.records.length === last) tail.records.push(record)
  else chunks = chunks.with(-1, { records: [...tail.records.slice(0, last), record], digest: undefined })
  return { chunks, first, last: last + 1, una, out, sacked, lost, retrans }
}

/** What both a version and one in the making have. */
interface Records {
  readonly chunks: ReadonlyArray<Chunk>
  readonly first: Place
  readonly last: number
  readonly una: Seq
}

/** The record at a place, as it was sent; undefined: behind the last. */
export const sentAt = ({ chunks, last }: Records, place: Place): Sent | undefined => {
  const index = chunkOf(place)
  const offset = offsetOf(place)
  return index === chunks.length - 1 && offset >= last ? undefined : chunks[index]?.records[offset]
}

/** The record at a place, from SND.UNA on. */
export const recordAt = (f: Records, place: Place): Sent | undefined => {
  const record = sentAt(f, place)
  return record !== undefined && before(record.seq, f.una) ? { ...record, seq: f.una } : record
}

export const nextPlace = ({ chunks }: Records, place: Place): Place => {
  const index = chunkOf(place)
  const length = index < chunks.length - 1 ? (chunks[index]?.records.length ?? SPAN) : SPAN
  return offsetOf(place) + 1 < length ? place + 1 : firstOf(index + 1)
}

/** Of the last record, where there is any. */
export const lastPlace = ({ chunks, last }: Records): Place => firstOf(chunks.length - 1) + last - 1

export const isEmpty = (f: Records): boolean => sentAt(f, f.first) === undefined

/** The first record; undefined: nothing is outstanding. */
export const headOf = (f: Records): Sent | undefined => recordAt(f, f.first)

/** All of them, from SND.UNA on. For tests and dumps. */
export const recordsOf = (f: Records): ReadonlyArray<Sent> => {
  const records: Array<Sent> = []
  let place = f.first
  for (let record = headOf(f); record !== undefined; record = recordAt(f, place)) {
    records.push(record)
    place = nextPlace(f, place)
  }
  return records
}

/** SND.UNA moves to where the record at `first` begins or is under way; `out` segments stay, none of which bears a mark. */
export const passed = (f: Flight, first: Place, una: Seq, out: number): Flight =>
  trimmed(f.chunks, first, f.last, una, out, 0, 0, 0)

/** Chunks that are acknowledged as a whole go, so that they can be collected. */
export const trimmed = (
  chunks: ReadonlyArray<Chunk>,
  first: Place,
  last: number,
  una: Seq,
  out: number,
  sacked: number,
  lost: number,
  retrans: number,
): Flight => {
  // Who sends again after a pause begins anew, with memory that is young.
  if (out === 0) return { chunks: NO_CHUNKS, first: 0, last: 0, una, out, sacked, lost, retrans }
  if (first < SPAN) return { chunks, first, last, una, out, sacked, lost, retrans }
  const gone = chunkOf(first)
  return { chunks: chunks.slice(gone), first: offsetOf(first), last, una, out, sacked, lost, retrans }
}

/** The place of the record that holds `seq`, or of the first behind it. */
export const placeOf = (f: Records, seq: Seq): Place => {
  const { chunks } = f
  let low = 0
  let high = chunks.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const end = sentAt(f, middle < chunks.length - 1 ? lastOf(chunks, middle) : lastPlace(f))?.end
    if (end !== undefined && atOrBefore(end, seq)) low = middle + 1
    else high = middle
  }
  const index = low
  low = Math.max(f.first, firstOf(index))
  high = index < chunks.length - 1 ? lastOf(chunks, index) + 1 : lastPlace(f) + 1
  while (low < high) {
    const middle = (low + high) >>> 1
    const record = sentAt(f, middle)
    if (record !== undefined && atOrBefore(record.end, seq)) low = middle + 1
    else high = middle
  }
  return low
}

const lastOf = (chunks: ReadonlyArray<Chunk>, index: number): Place =>
  firstOf(index) + (chunks[index]?.records.length ?? 1) - 1

export const digestOf = (records: ReadonlyArray<Sent>, from: number): Digest => {
  let unsacked = 0
  let unjudged = 0
  let due = 0
  let oldest = Number.POSITIVE_INFINITY
  let sacked = 0
  for (let index = from; index < records.length; index++) {
    const record = records[index]
    if (record === undefined) continue
    const { marks, at } = record
    if ((marks & SACKED) !== 0) {
      sacked += segmentsOf(record)
      continue
    }
    unsacked++
    if ((marks & LOST) === 0) unjudged++
    if ((marks & (LOST | RETRANS)) === LOST) due++
    else if (at < oldest) oldest = at
  }
  return { unsacked, unjudged, due, oldest, sacked }
}
