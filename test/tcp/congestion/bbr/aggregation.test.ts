import { describe, expect, test } from "bun:test"
import {
  type Aggregation,
  aggregationAt,
  allowance,
  restarted,
  withAck,
} from "../../../../src/tcp/congestion/bbr/aggregation.ts"

const M = 1000
/** A segment in a millisecond. */
const BW = 1_000_000
const CWND = 100 * M

const acks = (from: Aggregation, ...events: ReadonlyArray<readonly [at: number, delivered: number, round?: boolean]>) =>
  events.reduce((state, [at, n, round]) => withAck(state, n * M, round === true, BW, CWND, M, at * 1000), from)
const start = aggregationAt(0)

describe("ACKs that come together", () => {
  test("one for each segment, as the bandwidth goes: never more than that one", () => {
    expect(allowance(acks(start, [1, 1], [2, 1], [3, 1], [4, 1]), BW)).toBe(M)
  })

  test("twenty at once: twenty more than the bandwidth brought", () => {
    expect(allowance(acks(start, [1, 1], [21, 20], [21, 1]), BW)).toBe(21 * M)
  })

  test("two bursts in one epoch: the time between is taken off", () => {
    // 30 in the first, and 10 again after 10 ms.
    expect(allowance(acks(start, [1, 30], [11, 10]), BW)).toBe(30 * M)
    expect(allowance(acks(start, [1, 30], [6, 10]), BW)).toBe(35 * M)
  })

  test("never more than the window, nor than 100 ms of the bandwidth", () => {
    expect(allowance(acks(start, [1, 300]), BW)).toBe(CWND)
    expect(allowance(acks(start, [1, 80]), BW / 2)).toBe(50 * M)
  })

  test("it is remembered for five to ten round trips", () => {
    const burst = acks(start, [1, 40])
    const trips = (n: number): Aggregation =>
      acks(burst, ...Array.from({ length: n }, (_, trip) => [1000 + trip, 1, true] as const))
    for (const [n, octets] of [
      [4, 40],
      [5, 40],
      [9, 40],
      [10, 1],
    ] as const) {
      expect([n, allowance(trips(n), BW)]).toEqual([n, octets * M])
    }
  })

  test("silence: the epoch begins again", () => {
    expect(restarted(acks(start, [1, 40]), 5_000_000)).toMatchObject({ epochAt: 5_000_000, acked: 0, even: 40 * M })
  })
})
