import { describe, expect, test } from "bun:test"
import {
  cubicFunctionWindow,
  cubicWindow,
  rateOf,
  renoRateWithTimeouts,
  renoWindow,
} from "../../../src/tcp/congestion/response.ts"

/** RFC 9438 section 5.1's tables (as RFC 8312's): mean windows in segments. They round 1.2247 to 1.2. */
describe.each([
  [
    0.1,
    [
      [1e-2, 12, 12],
      [1e-3, 38, 38],
      [1e-4, 120, 187],
      [1e-5, 379, 1054],
      [1e-6, 1200, 5926],
      [1e-7, 3795, 33_325],
      [1e-8, 12_000, 187_400],
    ],
  ],
  [
    0.01,
    [
      [1e-2, 12, 12],
      [1e-3, 38, 38],
      [1e-4, 120, 120],
      [1e-5, 379, 379],
      [1e-6, 1200, 1200],
      [1e-7, 3795, 5926],
      [1e-8, 12_000, 33_325],
    ],
  ],
] as ReadonlyArray<readonly [number, ReadonlyArray<readonly [loss: number, reno: number, cubic: number]>]>)(
  "a round trip of %d s",
  (rtt, table) => {
    test.each(table)("loss %d: Reno %d, CUBIC %d segments", (loss, reno, cubic) => {
      expect(Math.abs(renoWindow(loss) / reno - 1)).toBeLessThan(0.03)
      expect(Math.abs(cubicWindow(loss, rtt) / cubic - 1)).toBeLessThan(0.03)
    })
  },
)

test("the cubic function alone: 1.054 * RTT^0.75 / p^0.75", () => {
  expect(cubicFunctionWindow(1, 1)).toBeCloseTo(1.054, 3)
  expect(cubicFunctionWindow(1e-4, 0.02) / 0.02 ** 0.75 / 1000).toBeCloseTo(1.054, 3)
})

test("as a rate: a window a round trip, no more than the path takes", () => {
  // 0.1 % loss, 20 ms, segments of 1460 octets: 22.6 Mbit/s.
  expect((rateOf(cubicWindow(1e-3, 0.02), 0.02, 1460) * 8) / 1e6).toBeCloseTo(22.6, 1)
  expect(rateOf(1000, 0.1, 1000, 1_000_000)).toBe(1_000_000)
})

test("with time-outs (RFC 5348 section 3.1): Reno's at little loss, far less at much", () => {
  const plain = (loss: number): number => rateOf(renoWindow(loss), 0.1, 1460)
  expect(renoRateWithTimeouts(1e-5, 0.1, 0.4, 1460) / plain(1e-5)).toBeCloseTo(1, 2)
  expect(renoRateWithTimeouts(0.1, 0.1, 0.4, 1460) / plain(0.1)).toBeLessThan(0.5)
})
