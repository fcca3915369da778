import { describe, expect, test } from "bun:test"
import {
  INTERVAL_MAX_ROUNDS,
  type Policer,
  type PolicerSample,
  policer,
  reset,
  USE_ROUNDS,
  withSample,
} from "../../../../src/tcp/congestion/bbr/policer.ts"

const TRIP = 50_000
const PER_TRIP = 100_000

/** `trips` round trips, each of which delivers `delivered` and loses `lost` octets, from `round` on. */
const trips = (
  from: Policer,
  round: number,
  n: number,
  told: Partial<PolicerSample> & { readonly perTrip?: number; readonly lossPerTrip?: number } = {},
): Policer => {
  const { perTrip = PER_TRIP, lossPerTrip = 0, ...rest } = told
  let state = from
  for (let trip = round; trip < round + n; trip++) {
    const totals = { delivered: trip * perTrip, lost: trip * lossPerTrip }
    const sample = { roundStart: true, lossy: lossPerTrip > 0, appLimited: false, cruising: true, ...totals, ...rest }
    state = withSample(state, sample, trip * TRIP)
  }
  return state
}
const policed = { lossPerTrip: PER_TRIP / 4 }

describe("a policer", () => {
  test("no loss: nothing is measured", () => expect(trips(policer, 1, 100)).toBe(policer))

  test("two intervals of four round trips that lose a fifth: their rate is used", () => {
    const first = trips(policer, 1, 4, policed)
    expect(first).toMatchObject({ using: false, sampling: true, rate: 2_000_000, rounds: 0 })
    expect(trips(first, 5, 4, policed)).toMatchObject({ using: true, rate: 2_000_000, rounds: 0 })
  })

  test("losses below 50/256 of what is delivered: no interval ends, and after sixteen round trips it is given up", () => {
    const few = { lossPerTrip: PER_TRIP / 6 }
    expect(trips(policer, 1, INTERVAL_MAX_ROUNDS, few)).toMatchObject({ sampling: true, rate: 0 })
    expect(trips(policer, 1, INTERVAL_MAX_ROUNDS + 1, few)).toMatchObject({ sampling: false, rate: 0 })
  })

  test.each([
    [19_000, false],
    [20_000, true],
  ])("of 100,000 delivered %d are lost: an interval ends, %p", (lossPerTrip, ends) => {
    expect(trips(policer, 1, 4, { lossPerTrip }).rate > 0).toBe(ends)
  })

  test.each([
    // octets per second after 2,000,000; used?
    [2_240_000, 2_120_000],
    [1_760_000, 1_880_000],
    [2_260_000, 0],
    [1_740_000, 0],
  ])("then an interval at %d: the mean is used if they are within an eighth (%d)", (rate, mean) => {
    const first = trips(policer, 1, 4, policed)
    const time = 4 * TRIP
    const delivered = first.delivered + (rate * time) / 1_000_000
    const last = { delivered, lost: first.lost + delivered / 2, lossy: true }
    const quiet = trips(first, 5, 3, { lossy: false, delivered: first.delivered, lost: first.lost })
    const state = withSample(quiet, { roundStart: true, appLimited: false, cruising: true, ...last }, first.at + time)
    expect(state).toMatchObject(mean > 0 ? { using: true, rate: mean } : { using: false, rate })
  })

  test("rates that differ by more than an eighth: the later one is kept, and not used", () => {
    const first = trips(policer, 1, 4, policed)
    const state = withSample(
      trips(first, 5, 3, { ...policed, lossPerTrip: 0, lost: first.lost, lossy: false }),
      { roundStart: true, lossy: true, appLimited: false, cruising: true, delivered: 2_000_000, lost: 1_000_000 },
      8 * TRIP,
    )
    expect(state).toMatchObject({ using: false, rate: 8_000_000 })
  })

  test("the application is the limit: starts over", () => {
    const first = trips(policer, 1, 4, policed)
    expect(trips(first, 5, 1, { ...policed, appLimited: true })).toMatchObject({ sampling: false, rate: 0 })
  })

  test("the rate is used for 48 round trips of steady state, then the path is looked at again", () => {
    const using = trips(policer, 1, 8, policed)
    expect(trips(using, 9, USE_ROUNDS - 1).using).toBe(true)
    expect(trips(using, 9, USE_ROUNDS)).toMatchObject({ using: false, rate: 0 })
    expect(trips(using, 9, 1000, { cruising: false })).toBe(using)
  })

  test("reset: forgets, and does nothing where there is nothing", () => {
    expect(reset(trips(policer, 1, 8, policed), 1, 2, 3)).toEqual({ ...policer, delivered: 1, lost: 2, at: 3 })
    expect(reset(policer, 1, 2, 3)).toBe(policer)
  })
})
