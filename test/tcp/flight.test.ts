import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { type Board, dropUntil, edit, finish, join, replace, split, walk } from "../../src/tcp/board.ts"
import {
  appendSent,
  emptyFlight,
  type Flight,
  headOf,
  LOST,
  nextPlace,
  type Place,
  pipe,
  placeOf,
  RETRANS,
  recordAt,
  recordsOf,
  SACKED,
  type Sent,
  SPAN,
  segmentEnd,
  segmentsOf,
  WITH_FIN,
} from "../../src/tcp/flight.ts"
import { add, atOrBefore, before, distance, earliest } from "../../src/tcp/seq.ts"

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

const placeAt = (b: Flight | Board, index: number): Place => {
  let place = b.first
  for (let n = 0; n < index; n++) place = nextPlace(b, place)
  return place
}

/** The version after a change of one record's marks. */
const marked = (f: Flight, index: number, marks: number): Flight => {
  const board = edit(f)
  const place = placeAt(board, index)
  const record = recordAt(board, place)
  if (record !== undefined) replace(board, place, { ...record, marks })
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
    expect(flight.chunks.length * SPAN).toBeLessThan(100 + 2 * SPAN)
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
    split(board, 0, 2000)
    const flight = finish(board)
    expect(counts(flight)).toEqual({ out: 5, sacked: 0, lost: 5, retrans: 0 })
    expect(recordsOf(flight).map(({ marks }) => marks & WITH_FIN)).toEqual([0, WITH_FIN])
  })

  test("two small ones joined: one segment", () => {
    const board = edit(marked(marked(flightOf(sent(0, 300), sent(300, 601, WITH_FIN)), 0, LOST), 1, LOST | WITH_FIN))
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
    expect(recordsOf(old).map(({ marks }) => marks)).toEqual([0, 0])
    expect(recordsOf(other).map(({ end }) => end)).toEqual([1000, 2000, 2500])
  })
})

/** The scoreboard as one list, which every change copies. */
const model = {
  append: (records: ReadonlyArray<Sent>, record: Sent): ReadonlyArray<Sent> => [...records, record],
  ack: (records: ReadonlyArray<Sent>, una: number): ReadonlyArray<Sent> =>
    records
      .filter(({ end }) => !atOrBefore(end, una))
      .map((record) => (before(record.seq, una) ? { ...record, seq: una } : record)),
  mark: (records: ReadonlyArray<Sent>, index: number, marks: number): ReadonlyArray<Sent> =>
    records.map((record, n) => (n === index ? { ...record, marks } : record)),
  split: (records: ReadonlyArray<Sent>, index: number, at: number): ReadonlyArray<Sent> =>
    records.flatMap((record, n) =>
      n === index
        ? [
            { ...record, end: at },
            { ...record, seq: at },
          ]
        : [record],
    ),
  join: (records: ReadonlyArray<Sent>, index: number): ReadonlyArray<Sent> =>
    records.flatMap((record, n) => {
      if (n === index + 1) return []
      const next = n === index ? records[index + 1] : undefined
      return [next === undefined ? record : { ...record, end: next.end }]
    }),
}

const totals = (records: ReadonlyArray<Sent>) => {
  const of = (mark: number): number =>
    records.reduce((sum, record) => sum + ((record.marks & mark) === mark ? segmentsOf(record) : 0), 0)
  return { out: of(0), sacked: of(SACKED), lost: of(LOST), retrans: of(RETRANS) }
}

/** Where in the scoreboard, as a share of it. */
const share = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const change = fc.oneof(
  { weight: 4, arbitrary: fc.record({ _tag: fc.constant("append" as const), many: fc.integer({ min: 1, max: 60 }) }) },
  { weight: 2, arbitrary: fc.record({ _tag: fc.constant("ack" as const), at: share }) },
  {
    weight: 6,
    arbitrary: fc.record({
      _tag: fc.constant("mark" as const),
      at: share,
      marks: fc.constantFrom(0, SACKED, LOST, LOST | RETRANS),
    }),
  },
  { weight: 4, arbitrary: fc.record({ _tag: fc.constant("split" as const), at: share }) },
  { weight: 2, arbitrary: fc.record({ _tag: fc.constant("join" as const), at: share }) },
  { weight: 2, arbitrary: fc.record({ _tag: fc.constant("look" as const) }) },
)

/** What `walk` must show at least: the records that bear the marks which the digest was asked for. */
const seen = (b: Board, index: number): ReadonlyArray<number> => {
  const found: Array<number> = []
  walk(
    b,
    placeAt(b, index),
    ({ due }) => due > 0,
    (place, { marks, end }) => {
      if ((marks & (LOST | RETRANS | SACKED)) === LOST) found.push(end)
      return place
    },
  )
  return found
}

describe("a scoreboard of many chunks against one list", () => {
  for (const start of [0, 0xffff_0000]) {
    test(`any changes, from ${start} on: records, counts, places and digests; old versions stay`, () => {
      fc.assert(
        fc.property(
          fc.array(change, { minLength: 5, maxLength: 60 }),
          fc.integer({ min: 1, max: 4 }),
          (changes, size) => {
            const versions: Array<{ readonly flight: Flight; readonly records: ReadonlyArray<Sent> }> = []
            let flight = emptyFlight(start)
            let records: ReadonlyArray<Sent> = []
            let nxt = start
            for (const step of changes) {
              const index = "at" in step ? Math.floor(step.at * records.length) : 0
              const record = records[index]
              if (step._tag === "append") {
                for (let n = 0; n < step.many; n++) {
                  const next = sent(nxt, add(nxt, size * 1000))
                  flight = appendSent(flight, next)
                  records = model.append(records, next)
                  nxt = next.end
                }
              } else if (record !== undefined) {
                const board = edit(flight)
                const place = placeAt(board, index)
                if (step._tag === "ack") {
                  // Within a segment, to see a record under way; never beyond what was sent.
                  const una = earliest(add(record.seq, 700), record.end)
                  dropUntil(board, una, () => {})
                  records = model.ack(records, una)
                } else if (step._tag === "mark") {
                  replace(board, place, { ...record, marks: step.marks })
                  records = model.mark(records, index, step.marks)
                } else if (step._tag === "split" && segmentsOf(record) > 1) {
                  const at = segmentEnd(record, 1)
                  const here = split(board, place, at)
                  expect(recordAt(board, here)?.end).toBe(at)
                  records = model.split(records, index, at)
                } else if (step._tag === "join") {
                  const next = records[index + 1]
                  if (next !== undefined && record.marks === next.marks) {
                    join(board, place)
                    records = model.join(records, index)
                  }
                } else if (step._tag === "look") {
                  const due = records.filter(({ marks }) => marks === LOST).map(({ end }) => end)
                  expect(seen(board, 0)).toEqual(due)
                }
                flight = finish(board)
              }
              versions.push({ flight, records })
            }
            for (const { flight: old, records: wanted } of versions) {
              expect(recordsOf(old)).toEqual([...wanted])
              const { out, sacked, lost, retrans } = old
              expect({ out, sacked, lost, retrans }).toEqual(totals(wanted))
              for (const record of wanted) expect(recordAt(old, placeOf(old, record.seq))).toEqual(record)
              const end = wanted.at(-1)?.end
              if (end !== undefined) expect(recordAt(old, placeOf(old, end))).toBeUndefined()
              expect(old.chunks.length).toBeLessThanOrEqual(distance(nxt, start) / 1000)
            }
          },
        ),
        { numRuns: 100 },
      )
    })
  }
})
