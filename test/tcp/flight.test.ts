import { describe, expect, test } from "bun:test"
import {
  appendSent,
  dropUntil,
  edit,
  emptyFlight,
  type Flight,
  finish,
  headOf,
  join,
  LOST,
  openRecords,
  pipe,
  RETRANS,
  replace,
  SACKED,
  type Sent,
  split,
  WITH_FIN,
} from "../../src/tcp/flight.ts"

const sent = (seq: number, end: number, marks = 0): Sent => ({
  seq,
  end,
  size: 1000,
  marks,
  at: 0,
  delivered: 0,
  deliveredAt: 0,
  firstAt: 0,
  appLimited: false,
})

const flightOf = (...records: ReadonlyArray<Sent>): Flight =>
  records.reduce(appendSent, emptyFlight(records[0]?.seq ?? 0))

const counts = ({ out, sacked, lost, retrans }: Flight) => ({ out, sacked, lost, retrans })

/** Versions after a change of the first record's marks. */
const marked = (f: Flight, index: number, marks: number): Flight => {
  const board = edit(f)
  openRecords(board)
  const record = board.records[index]
  if (record !== undefined) replace(board, index, { ...record, marks })
  return finish(board)
}

const acked = (f: Flight, una: number): { readonly flight: Flight; readonly passed: ReadonlyArray<number> } => {
  const board = edit(f)
  const passed: Array<number> = []
  dropUntil(board, una, (_, segments) => passed.push(segments))
  return { flight: finish(board), passed }
}

describe("segments of a record", () => {
  test.each([
    ["full ones", sent(0, 5000), 5],
    ["a short one at the end", sent(0, 5001), 6],
    ["one octet", sent(0, 1), 1],
    ["text and FIN: the FIN goes along", sent(0, 5001, WITH_FIN), 5],
    ["a FIN alone", sent(0, 1, WITH_FIN), 1],
  ])("%s", (_, record, n) => {
    expect(flightOf(record).out).toBe(n)
  })
})

describe("an ACK", () => {
  test("of whole records: they go, and are told", () => {
    const { flight, passed } = acked(flightOf(sent(0, 2000), sent(2000, 5000)), 2000)
    expect(passed).toEqual([2])
    expect(flight).toMatchObject({ una: 2000, out: 3 })
  })

  test("of part of one: the segments that are whole", () => {
    const first = acked(flightOf(sent(0, 5000)), 2500)
    expect(first.passed).toEqual([2])
    expect(first.flight.out).toBe(3)
    expect(headOf(first.flight)).toMatchObject({ seq: 2500, end: 5000 })
    const second = acked(first.flight, 5000)
    expect(second.passed).toEqual([3])
    expect(second.flight).toMatchObject({ una: 5000, out: 0 })
  })

  test("of part of a segment: nothing goes", () => {
    const { flight, passed } = acked(flightOf(sent(0, 1000)), 400)
    expect(passed).toEqual([])
    expect(flight).toMatchObject({ una: 400, out: 1 })
  })

  test("over the wrap of sequence numbers", () => {
    const { flight, passed } = acked(flightOf(sent(0xffff_fc18, 1000)), 0)
    expect(passed).toEqual([1])
    expect(flight).toMatchObject({ una: 0, out: 1 })
  })

  test("of many records, one by one: the array does not keep what is gone", () => {
    let flight = emptyFlight(0)
    for (let n = 0; n < 1000; n++) flight = appendSent(flight, sent(n * 1000, (n + 1) * 1000))
    for (let n = 1; n <= 900; n++) flight = acked(flight, n * 1000).flight
    expect(flight.out).toBe(100)
    expect(flight.records.length).toBeLessThan(300)
  })
})

describe("marks", () => {
  test("reported, lost, sent again: counted by segments, and the pipe with them (RFC 6675 section 4)", () => {
    let flight = flightOf(sent(0, 1000), sent(1000, 3000), sent(3000, 6000))
    flight = marked(flight, 2, SACKED)
    flight = marked(flight, 1, LOST)
    expect(counts(flight)).toEqual({ out: 6, sacked: 3, lost: 2, retrans: 0 })
    expect(pipe(flight)).toBe(1)
    flight = marked(flight, 1, LOST | RETRANS)
    expect(pipe(flight)).toBe(3)
    expect(counts(acked(flight, 6000).flight)).toEqual({ out: 0, sacked: 0, lost: 0, retrans: 0 })
  })

  test("a record cut in two: both parts keep them, the counts stay", () => {
    const board = edit(marked(flightOf(sent(0, 5001, WITH_FIN)), 0, LOST | WITH_FIN))
    openRecords(board)
    split(board, 0, 2000)
    const flight = finish(board)
    expect(counts(flight)).toEqual({ out: 5, sacked: 0, lost: 5, retrans: 0 })
    expect(flight.records.map(({ marks }) => marks & WITH_FIN)).toEqual([0, WITH_FIN])
  })

  test("two small ones joined: one segment", () => {
    const board = edit(marked(marked(flightOf(sent(0, 300), sent(300, 601, WITH_FIN)), 0, LOST), 1, LOST | WITH_FIN))
    openRecords(board)
    join(board, 0)
    expect(counts(finish(board))).toEqual({ out: 1, sacked: 0, lost: 1, retrans: 0 })
  })
})

describe("versions", () => {
  test("an old one keeps its meaning when a later one is changed, or grows", () => {
    const old = flightOf(sent(0, 1000), sent(1000, 2000))
    marked(old, 0, LOST)
    appendSent(old, sent(2000, 3000))
    const other = appendSent(old, sent(2000, 2500))
    expect(counts(old)).toEqual({ out: 2, sacked: 0, lost: 0, retrans: 0 })
    expect(old.records.slice(old.first, old.last).map(({ marks }) => marks)).toEqual([0, 0])
    expect(other.records.slice(other.first, other.last).map(({ end }) => end)).toEqual([1000, 2000, 2500])
  })
})
