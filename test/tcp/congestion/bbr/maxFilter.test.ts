import { expect, test } from "bun:test"
import fc from "fast-check"
import { filterOf, type MaxFilter, withSample } from "../../../../src/tcp/congestion/bbr/maxFilter.ts"

const WINDOW = 10

const fed = (samples: ReadonlyArray<readonly [value: number, at: number]>): MaxFilter =>
  samples.reduce((filter, [value, at]) => withSample(filter, value, at, WINDOW), filterOf(0, 0))

test.each([
  // what                                     samples: value, time                               best
  ["nothing", [], 0],
  ["one", [[5, 1]], 5],
  [
    "a better one",
    [
      [5, 1],
      [7, 2],
    ],
    7,
  ],
  [
    "a worse one",
    [
      [7, 1],
      [5, 2],
    ],
    7,
  ],
  [
    "the best at the window's end",
    [
      [7, 1],
      [5, 6],
      [4, 11],
    ],
    7,
  ],
  [
    "the best too old: the second",
    [
      [7, 1],
      [5, 6],
      [4, 12],
    ],
    5,
  ],
  [
    "the second too old as well: the third",
    [
      [7, 1],
      [5, 4],
      [4, 10],
      [3, 16],
    ],
    4,
  ],
  [
    "all too old: the last",
    [
      [7, 1],
      [5, 2],
      [2, 30],
    ],
    2,
  ],
] as const)("%s", (_what, samples, best) => {
  expect(fed(samples).best).toBe(best)
})

test("whatever comes: the best was seen within the window, is no less than the last, and no more than the largest", () => {
  const steps = fc.array(fc.tuple(fc.nat(100), fc.nat(4)), { minLength: 1, maxLength: 60 })
  fc.assert(
    fc.property(steps, (given) => {
      let at = 0
      const samples: Array<readonly [number, number]> = []
      for (const [value, later] of given) {
        at += later
        samples.push([value, at])
        const { best, bestAt } = fed(samples)
        const recent = samples.filter(([, when]) => at - when <= WINDOW)
        expect(recent.some(([v, when]) => v === best && when === bestAt)).toBe(true)
        expect(best).toBeGreaterThanOrEqual(value)
        // One that nothing exceeded, neither when it came nor since, is the best for as long as it is young.
        const largest = Math.max(...recent.map(([v]) => v))
        const [, since] = recent.findLast(([v]) => v === largest) ?? [0, 0]
        const before = samples.filter(([v, when]) => when <= since && since - when <= WINDOW && v > largest)
        if (before.length === 0) expect(best).toBe(largest)
      }
    }),
  )
})

test("the same again: the same object", () => {
  const filter = fed([[7, 3]])
  expect(withSample(filter, 7, 3, WINDOW)).toBe(filter)
})
