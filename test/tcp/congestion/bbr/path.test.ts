import { describe, expect, test } from "bun:test"
import {
  bdp,
  burstSegments,
  CYCLE,
  cwndGain,
  DRAIN_GAIN,
  HIGH_GAIN,
  inflight,
  pacingGain,
} from "../../../../src/tcp/congestion/bbr/path.ts"
import { policer } from "../../../../src/tcp/congestion/bbr/policer.ts"
import { type Bbr, bbrOf } from "../../../../src/tcp/congestion/bbr/state.ts"
import { M, MS } from "../support.ts"

const state = (rest: Partial<Bbr> = {}): Bbr => ({ ...bbrOf(10 * M, 0), minRtt: 100 * MS, ...rest })

describe("what leaves at once: a millisecond's worth (1/1024 s), two segments at least, 64 KiB at most", () => {
  test.each([
    // octets per second, MSS, segments
    [100_000, 1000, 1],
    [149_999, 1000, 1],
    [150_000, 1000, 2],
    [2_000_000, 1000, 2],
    [4_096_000, 1000, 4],
    [1_000_000_000, 1000, 65],
    [1_000_000_000, 100, 127],
  ])("at %d, MSS %d: %d", (pacingRate, mss, segments) => {
    expect(burstSegments(state({ pacingRate }), mss)).toBe(segments)
  })
})

describe("what fills the path, and what may be in flight: three bursts more, an even number", () => {
  test.each([
    // bandwidth, gain, place in the cycle, product, in flight: segments
    [1_000_000, 1, 3, 100, 106],
    [1_000_000, 2, 3, 200, 206],
    [1_000_000, 1.25, 3, 125, 132],
    // Probing has to exceed the product even where that is small.
    [1_000_000, 1.25, 0, 125, 134],
    [1_005_000, 1, 3, 101, 108],
    [1000, 1, 3, 1, 8],
  ])("%d octets/s, gain %d, phase %d: %d, %d", (bw, gain, cycle, product, flight) => {
    const s = state({ mode: "probeBw", cycle, pacingRate: 990_000 })
    expect([bdp(s, bw, gain, M) / M, inflight(s, bw, gain, M) / M]).toEqual([product, flight])
  })

  test("no round trip known: ten segments", () => expect(bdp(state({ minRtt: -1 }), 1e9, 2, M)).toBe(10 * M))
})

describe("gains", () => {
  test.each([
    ["startup", HIGH_GAIN, HIGH_GAIN],
    ["drain", DRAIN_GAIN, HIGH_GAIN],
    ["probeRtt", 1, 1],
  ] as const)("%s: %d for the pace, %d for the window", (mode, pace, window) => {
    expect([pacingGain(state({ mode })), cwndGain(state({ mode }))]).toEqual([pace, window])
  })

  test("2/ln 2, and what empties its queue in a round trip", () => {
    expect(HIGH_GAIN).toBeCloseTo(2 / Math.LN2, 2)
    expect(DRAIN_GAIN).toBeCloseTo(1 / HIGH_GAIN, 2)
  })

  test("probeBw: the cycle's for the pace, two for the window; behind a policer always one", () => {
    for (const [cycle, gain] of CYCLE.entries()) {
      const s = state({ mode: "probeBw", cycle })
      expect([pacingGain(s), cwndGain(s)]).toEqual([gain, 2])
      expect(pacingGain({ ...s, policer: { ...policer, using: true } })).toBe(1)
    }
  })
})
