import { add, after, atOrBefore, before, distance, type Seq } from "./seq.ts"
import type { Micros } from "./time.ts"

/**
 * What has been sent and not yet acknowledged, as the scoreboard of RFC 6675 section 3: one record
 * per transmission, however many segments that was, cut only where SACK or loss speaks of a part.
 */
export interface Flight {
  /** Versions share the array; only the latest appends to it, so that an old version keeps its meaning. */
  readonly records: Array<Sent>
  readonly first: number
  /** One past this version's last record. */
  readonly last: number
  /** SND.UNA: the first record may begin before it. */
  readonly una: Seq
  /** Counts of segments: outstanding; of those reported by SACK (without SACK: duplicate ACKs), judged lost, sent again. */
  readonly out: number
  readonly sacked: number
  readonly lost: number
  readonly retrans: number
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

export const emptyFlight = (una: Seq): Flight => ({
  records: [],
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

/** RFC 6675's pipe, in segments: what is thought to be in the network. */
export const pipe = (f: {
  readonly out: number
  readonly sacked: number
  readonly lost: number
  readonly retrans: number
}): number => f.out - f.sacked - f.lost + f.retrans

/** Appends what is sent for the first time: it bears no mark but its FIN's. */
export const appendSent = (f: Flight, record: Sent): Flight => {
  if (f.first === f.last) return alone(f, record)
  const shared = f.last === f.records.length
  const records = shared ? f.records : f.records.slice(f.first, f.last)
  const first = shared ? f.first : 0
  records.push(record)
  const { una, out, sacked, lost, retrans } = f
  return { records, first, last: records.length, una, out: out + segmentsOf(record), sacked, lost, retrans }
}

const alone = ({ una, out, sacked, lost, retrans }: Flight, record: Sent): Flight => ({
  records: [record],
  first: 0,
  last: 1,
  una,
  out: out + segmentsOf(record),
  sacked,
  lost,
  retrans,
})

/** The first record, from SND.UNA on; undefined: nothing is outstanding. */
export const headOf = (f: Flight): Sent | undefined => {
  const record = f.first < f.last ? f.records[f.first] : undefined
  return record !== undefined && before(record.seq, f.una) ? { ...record, seq: f.una } : record
}

/** A version in the making, local to one reducer call. Its records are copied when the first of them changes. */
export interface Board {
  records: Array<Sent>
  first: number
  last: number
  una: Seq
  out: number
  sacked: number
  lost: number
  retrans: number
  own: boolean
}

export const edit = (f: Flight): Board => ({
  records: f.records,
  first: f.first,
  last: f.last,
  una: f.una,
  out: f.out,
  sacked: f.sacked,
  lost: f.lost,
  retrans: f.retrans,
  own: false,
})

export const finish = ({ records, first, last, una, out, sacked, lost, retrans, own }: Board): Flight =>
  !own && isHalfDead(records, first)
    ? { records: records.slice(first, last), first: 0, last: last - first, una, out, sacked, lost, retrans }
    : { records, first, last, una, out, sacked, lost, retrans }

/** Half of the array is dead: the rest is copied, so that acknowledged records can be collected. */
const isHalfDead = (records: ReadonlyArray<Sent>, first: number): boolean => first > 32 && first * 2 > records.length

/** SND.UNA moves to where the record `first` begins or is under way; `out` segments stay, none of which bears a mark. */
export const passed = ({ records, last }: Flight, first: number, una: Seq, out: number): Flight =>
  isHalfDead(records, first)
    ? { records: records.slice(first, last), first: 0, last: last - first, una, out, sacked: 0, lost: 0, retrans: 0 }
    : { records, first, last, una, out, sacked: 0, lost: 0, retrans: 0 }

export const recordAt = (b: Board, index: number): Sent | undefined => {
  const record = index < b.last ? b.records[index] : undefined
  return record !== undefined && before(record.seq, b.una) ? { ...record, seq: b.una } : record
}

/** Makes the records this version's own: indices then begin at 0, and the first record at SND.UNA. */
const own = (b: Board): void => {
  if (b.own) {
    if (b.first > 0) b.records.splice(0, b.first)
    b.last -= b.first
    b.first = 0
    return
  }
  b.records = b.records.slice(b.first, b.last)
  b.last -= b.first
  b.first = 0
  b.own = true
  const head = b.records[0]
  if (head !== undefined && before(head.seq, b.una)) b.records[0] = { ...head, seq: b.una }
}

/** For those who mean to change records: afterwards indices stay valid until the next `split` or `join`. */
export const openRecords = (b: Board): void => own(b)

/** Puts a record in place of one with the same segments; the counts follow its marks. */
export const replace = (b: Board, index: number, record: Sent): void => {
  const old = b.records[index]
  if (old === undefined) return
  count(b, old, -1)
  count(b, record, 1)
  b.records[index] = record
}

const count = (b: Board, record: Sent, sign: 1 | -1): void => {
  const n = sign * segmentsOf(record)
  b.out += n
  if (record.marks & SACKED) b.sacked += n
  if (record.marks & LOST) b.lost += n
  if (record.marks & RETRANS) b.retrans += n
}

/** Cuts a record in two at `at`, which lies within it. */
export const split = (b: Board, index: number, at: Seq): void => {
  const record = b.records[index]
  if (record === undefined) return
  const left = { ...record, end: at, marks: record.marks & ~WITH_FIN }
  const right = { ...record, seq: at }
  count(b, record, -1)
  count(b, left, 1)
  count(b, right, 1)
  b.records.splice(index, 1, left, right)
  b.last++
}

/** Makes one record of two neighbours (what is sent again small may go together). */
export const join = (b: Board, index: number): void => {
  const left = b.records[index]
  const right = b.records[index + 1]
  if (left === undefined || right === undefined) return
  count(b, left, -1)
  count(b, right, -1)
  const joined = { ...left, end: right.end, marks: left.marks | (right.marks & (EVER | WITH_FIN)) }
  count(b, joined, 1)
  b.records.splice(index, 2, joined)
  b.last--
}

/** Moves SND.UNA over the first `index - first` records and into the next; what is passed is no longer counted. */
export const dropUntil = (b: Board, una: Seq, each: (record: Sent, segments: number) => void): void => {
  while (b.first < b.last) {
    const record = b.records[b.first]
    if (record === undefined) break
    const from = before(record.seq, b.una) ? b.una : record.seq
    const before_ = segmentsFrom(record, from)
    if (atOrBefore(record.end, una)) {
      uncount(b, record, before_)
      each(record, before_)
      b.first++
      continue
    }
    if (!after(una, from)) break
    const gone = before_ - segmentsFrom(record, una)
    if (gone > 0) {
      uncount(b, record, gone)
      each(record, gone)
    }
    break
  }
  b.una = una
  const head = b.own ? b.records[b.first] : undefined
  if (head !== undefined && before(head.seq, una)) b.records[b.first] = { ...head, seq: una }
}

const uncount = (b: Board, record: Sent, n: number): void => {
  b.out -= n
  if (record.marks & SACKED) b.sacked -= n
  if (record.marks & LOST) b.lost -= n
  if (record.marks & RETRANS) b.retrans -= n
}

/** Index of the record that holds `seq`, or of the first behind it. */
export const indexAt = (b: Board, seq: Seq): number => {
  let low = b.first
  let high = b.last
  while (low < high) {
    const middle = (low + high) >>> 1
    const record = b.records[middle]
    if (record !== undefined && atOrBefore(record.end, seq)) low = middle + 1
    else high = middle
  }
  return low
}

/** Where the `n`-th of a record's segments ends. */
export const segmentEnd = (record: Sent, n: number): Seq =>
  n >= segmentsOf(record) ? record.end : add(record.seq, n * record.size)

/** All that SACK has not reported gets a mark. */
export const markAll = (f: Flight, mark: number): Flight => {
  const board = edit(f)
  openRecords(board)
  for (let index = 0; index < board.last; index++) {
    const record = board.records[index]
    if (record !== undefined && (record.marks & SACKED) === 0)
      replace(board, index, { ...record, marks: record.marks | mark })
  }
  return finish(board)
}
