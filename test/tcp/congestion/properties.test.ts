import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import type { AckSample } from "../../../src/tcp/congestion/control.ts"
import {
  ALGORITHMS,
  type Cc,
  onAck,
  onCongestion,
  onIdle,
  onRecovered,
  onTimeout,
  onUndo,
  pacingRate,
  start,
  switchTo,
} from "../../../src/tcp/congestion/registry.ts"
import { MAX_CWND } from "../../../src/tcp/congestion/window.ts"

/** Anything that may happen to a connection, in any order, sensible or not. */
const sample: fc.Arbitrary<AckSample> = fc.record({
  delivered: fc.nat(1_000_000),
  acked: fc.nat(1_000_000),
  lost: fc.nat(100_000),
  priorFlight: fc.nat(2_000_000),
  flight: fc.nat(2_000_000),
  rtt: fc.option(fc.integer({ min: 0, max: 10_000_000 }), { nil: undefined }),
  srtt: fc.nat(10_000_000),
  minRtt: fc.nat(10_000_000),
  cwndLimited: fc.boolean(),
  recovering: fc.boolean(),
  una: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  nxt: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  paced: fc.boolean(),
  deliveryRate: fc.nat(2_000_000_000),
  appLimited: fc.boolean(),
  totalDelivered: fc.nat(2 ** 30),
  deliveredAtSend: fc.nat(2 ** 30),
})

type Event = (cc: Cc, before: Cc, mss: number, now: number) => Cc

const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 8,
    arbitrary: sample.map(
      (ack): Event =>
        (cc, _before, mss, now) =>
          onAck(cc, ack, mss, now),
    ),
  },
  fc.tuple(fc.constantFrom("loss" as const, "ecn" as const), fc.nat(2_000_000)).map(
    ([what, flight]): Event =>
      (cc, _before, mss, now) =>
        onCongestion(cc, what, flight, mss, now),
  ),
  fc.nat(2_000_000).map(
    (flight): Event =>
      (cc, _before, mss, now) =>
        onRecovered(cc, flight, mss, now),
  ),
  fc.tuple(fc.nat(2_000_000), fc.boolean()).map(
    ([flight, again]): Event =>
      (cc, _before, mss, now) =>
        onTimeout(cc, flight, mss, now, again),
  ),
  fc.constant<Event>((cc, before, _mss, now) => onUndo(cc, before, now)),
  fc.tuple(fc.nat(100_000_000), fc.integer({ min: 1, max: 60_000_000 })).map(
    ([idle, rto]): Event =>
      (cc, _before, mss, now) =>
        onIdle(cc, idle, rto, 10 * mss, now),
  ),
  fc.constantFrom(...ALGORITHMS).map(
    (name): Event =>
      (cc, _before, mss, now) =>
        switchTo(name, cc, mss, now),
  ),
)

/** Numbers anywhere in a state that are none. */
const notFinite = (value: object): ReadonlyArray<string> =>
  Object.entries(value).flatMap(([key, part]) => {
    if (typeof part === "object" && part !== null) return notFinite(part)
    return typeof part === "number" && !Number.isFinite(part) ? [`${key}: ${part}`] : []
  })

describe.each(ALGORITHMS)("%s: whatever happens", (name) => {
  test("the window is whole octets, a segment at least, SSTHRESH two; every number is one; the fields stay", () => {
    const mss = fc.constantFrom(536, 1000, 1448, 1460, 8948)
    const steps = fc.array(fc.tuple(event, fc.nat(5_000_000)), { maxLength: 60 })
    fc.assert(
      fc.property(mss, steps, (size, happened) => {
        let cc = start(name, 10 * size, size, 0)
        let before = cc
        let now = 0
        for (const [step, later] of happened) {
          now += later
          const next = step(cc, before, size, now)
          before = cc
          cc = next
          expect(Number.isInteger(cc.cwnd)).toBe(true)
          expect(cc.cwnd).toBeGreaterThanOrEqual(size)
          expect(cc.cwnd).toBeLessThanOrEqual(MAX_CWND)
          expect(Number.isInteger(cc.ssthresh)).toBe(true)
          expect(cc.ssthresh).toBeGreaterThanOrEqual(2 * size)
          expect(notFinite(cc)).toEqual([])
          expect(pacingRate(cc)).toBeGreaterThanOrEqual(0)
          expect(Object.keys(cc)).toEqual(Object.keys(start(cc.algorithm, 10 * size, size, 0)))
        }
      }),
      { numRuns: 300 },
    )
  })
})
