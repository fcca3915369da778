import { expect, test } from "bun:test"
import type { EventTime } from "../../../src/sim/packetdrill/ast.ts"
import { onTime, scheduleOf } from "../../../src/sim/packetdrill/clock.ts"

const SECOND = 1_000_000
const relative = (after: number): EventTime => ({ _tag: "Relative", after })
const range = (from: number, to: number): EventTime => ({ _tag: "RelativeRange", from, to })

test.each([
  // time                                last        happened        tolerance: us, %   on time
  [relative(0), SECOND, SECOND, 4000, 0, true],
  [relative(0), SECOND, SECOND + 4000, 4000, 0, true],
  [relative(0), SECOND, SECOND + 4001, 4000, 0, false],
  [relative(0), SECOND, SECOND - 4000, 4000, 0, true],
  [relative(0), SECOND, SECOND - 4001, 4000, 0, false],
  // One percent of ten seconds is more than the tolerance; of a tenth of one it is less.
  [relative(10 * SECOND), 0, 10 * SECOND + 100_000, 4000, 1, true],
  [relative(10 * SECOND), 0, 10 * SECOND + 100_001, 4000, 1, false],
  [relative(SECOND / 10), 0, SECOND / 10 + 4001, 4000, 1, false],
  [{ _tag: "Absolute", at: 2 * SECOND }, SECOND, 2 * SECOND, 4000, 0, true],
  [{ _tag: "Absolute", at: 2 * SECOND }, SECOND, SECOND, 4000, 0, false],
  [range(SECOND, 2 * SECOND), SECOND, 2 * SECOND, 0, 0, true],
  [range(SECOND, 2 * SECOND), SECOND, 3 * SECOND, 0, 0, true],
  [range(SECOND, 2 * SECOND), SECOND, 2 * SECOND - 1, 0, 0, false],
  [range(SECOND, 2 * SECOND), SECOND, 3 * SECOND + 1, 0, 0, false],
  [range(SECOND, 2 * SECOND), SECOND, 3 * SECOND + 4000, 4000, 0, true],
  [{ _tag: "Any" }, SECOND, 99 * SECOND, 0, 0, true],
] as const)("%j after %d at %d within %d us or %d %%: %p", (time, last, at, micros, percent, expected) => {
  expect(onTime(scheduleOf(time, last), at, last, { micros, percent })).toBe(expected)
})
