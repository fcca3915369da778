import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import {
  append,
  copyTo,
  dropBefore,
  emptyQueue,
  end,
  type SendQueue,
  slice,
  toRecordEnd,
} from "../../src/tcp/sendQueue.ts"
import { add } from "../../src/tcp/seq.ts"

/** The queue as one array: its first sequence number and its octets. */
interface Model {
  readonly queue: SendQueue
  readonly start: number
  readonly bytes: ReadonlyArray<number>
}

/** Of the versions so far, by number: append `bytes`, or drop a share of what it holds. */
type Command =
  | { readonly _tag: "append"; readonly version: number; readonly bytes: Uint8Array }
  | { readonly _tag: "drop"; readonly version: number; readonly share: number }

const version = fc.oneof({ weight: 3, arbitrary: fc.constant(-1) }, { weight: 1, arbitrary: fc.nat() })
const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({
    _tag: fc.constant("append" as const),
    version,
    bytes: fc.uint8Array({ maxLength: 12 }),
  }),
  fc.record({ _tag: fc.constant("drop" as const), version, share: fc.double({ min: 0, max: 1, noNaN: true }) }),
)

const apply = (model: Model, c: Command): Model => {
  if (c._tag === "append") {
    return { queue: append(model.queue, c.bytes), start: model.start, bytes: [...model.bytes, ...c.bytes] }
  }
  const n = Math.round(c.share * model.bytes.length)
  return {
    queue: dropBefore(model.queue, add(model.start, n)),
    start: add(model.start, n),
    bytes: model.bytes.slice(n),
  }
}

const holds = ({ queue, start, bytes }: Model): void => {
  expect(queue.start).toBe(start)
  expect(queue.length).toBe(bytes.length)
  expect(end(queue)).toBe(add(start, bytes.length))
  expect([...slice(queue, start, bytes.length)]).toEqual([...bytes])
}

describe("send queue", () => {
  test("append and drop, from any version, over the wrap: every version keeps its octets", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(0, 0x7fff_fff0, 0xffff_ffec),
        fc.array(command, { maxLength: 120 }),
        (start, commands) => {
          const versions: Array<Model> = [{ queue: emptyQueue(start), start, bytes: [] }]
          for (const c of commands) {
            const from = versions.at(c.version < 0 ? -1 : c.version % versions.length)
            if (from !== undefined) versions.push(apply(from, c))
          }
          for (const model of versions) holds(model)
        },
      ),
      { numRuns: 300 },
    )
  })

  test("slice, of any part of any chunks: the octets between", () => {
    const chunks = fc.array(fc.uint8Array({ maxLength: 9 }), { maxLength: 40 })
    fc.assert(
      fc.property(chunks, fc.nat(), fc.nat(), (list, a, b) => {
        const start = 0xffff_fff8
        const all = list.flatMap((bytes) => [...bytes])
        const queue = list.reduce((q, bytes) => append(q, bytes), emptyQueue(start))
        const from = a % (all.length + 1)
        const length = b % (all.length - from + 1)
        expect([...slice(queue, add(start, from), length)]).toEqual(all.slice(from, from + length))
      }),
    )
  })

  test("toRecordEnd: to the end of the record that an octet is of, of whatever chunks it is made", () => {
    const parts = [
      [3, false],
      [2, true],
      [4, true],
      [5, false],
    ] as const
    const queue = parts.reduce((q, [n, record]) => append(q, new Uint8Array(n), record), emptyQueue(0xffff_fffe))
    const ends = Array.from({ length: 14 }, (_, i) => toRecordEnd(queue, add(0xffff_fffe, i)))
    const open = Number.POSITIVE_INFINITY
    expect(ends).toEqual([5, 4, 3, 2, 1, 4, 3, 2, 1, open, open, open, open, open])
    expect(toRecordEnd(dropBefore(queue, add(0xffff_fffe, 6)), add(0xffff_fffe, 6))).toBe(3)
  })

  test("copyTo, at an offset: writes the range and nothing beside it", () => {
    const queue = append(append(emptyQueue(10), Uint8Array.of(1, 2, 3)), Uint8Array.of(4, 5))
    const out = new Uint8Array(8)
    copyTo(queue, 11, 3, out, 2)
    expect([...out]).toEqual([0, 0, 2, 3, 4, 0, 0, 0])
  })

  test("drop, all or more or nothing: empty at its end, or unchanged", () => {
    const queue = append(emptyQueue(10), Uint8Array.of(1, 2, 3))
    expect(dropBefore(queue, 13)).toEqual(emptyQueue(13))
    expect(dropBefore(queue, 10)).toBe(queue)
    expect(dropBefore(queue, 5)).toBe(queue)
  })

  test("a long transfer of small writes: dead chunks do not pile up", () => {
    let queue = emptyQueue(0)
    for (let i = 0; i < 10_000; i++) {
      queue = append(queue, Uint8Array.of(i & 0xff))
      if (i >= 10) queue = dropBefore(queue, add(queue.start, 1))
    }
    expect(queue.length).toBe(10)
    expect(queue.chunks.length).toBeLessThan(100)
    expect([...slice(queue, queue.start, 10)]).toEqual(Array.from({ length: 10 }, (_, i) => (9990 + i) & 0xff))
  })
})
