import { describe, expect, test } from "bun:test"
import type { CcName } from "../../../src/tcp/congestion/control.ts"
import { ALGORITHMS } from "../../../src/tcp/congestion/registry.ts"
import { cubicWindow, renoWindow } from "../../../src/tcp/congestion/response.ts"
import { type Flow, jain, type Path, randomLoss, regularLoss, run } from "./model.ts"
import { M, MS, SECOND } from "./support.ts"

const only = (flows: ReadonlyArray<Flow>): Flow => {
  const [flow] = flows
  if (flow === undefined || flows.length !== 1) throw new Error("not one flow")
  return flow
}

describe("the mean window at a given loss, against the response function (RFC 9438 section 5.1)", () => {
  const meanWindow = (algorithm: CcName, loses: Path["loses"], rtt: number, seconds: number): number => {
    const path = { rate: Number.POSITIVE_INFINITY, queue: 0, loses, mss: M }
    const flow = only(run(path, [{ algorithm, rtt: rtt * SECOND, startsAt: 0, iss: 1 }], seconds * SECOND))
    return flow.windowTime / (seconds * SECOND) / M
  }
  const expected = (algorithm: CcName, loss: number, rtt: number): number =>
    algorithm === "reno" ? renoWindow(loss) : cubicWindow(loss, rtt)

  // One loss in every 1/p segments, as the functions suppose: they hold within a sixth at windows of a few
  // segments, where whole segments and the round trip of recovery count, and within 7 % at larger ones.
  test.each([
    ["reno", 1e-2, 0.1, 600, 0.16],
    ["reno", 1e-3, 0.1, 600, 0.07],
    ["reno", 1e-3, 0.01, 60, 0.07],
    ["reno", 1e-4, 0.1, 1200, 0.07],
    ["cubic", 1e-2, 0.1, 600, 0.16],
    ["cubic", 1e-3, 0.1, 600, 0.07],
    ["cubic", 1e-3, 0.01, 60, 0.07],
    ["cubic", 1e-4, 0.1, 600, 0.07],
    ["cubic", 1e-4, 0.01, 120, 0.12],
  ] as const)("%s, regular loss of %d, %d s", (algorithm, loss, rtt, seconds, within) => {
    const ratio = meanWindow(algorithm, regularLoss(loss), rtt, seconds) / expected(algorithm, loss, rtt)
    expect(Math.abs(ratio - 1)).toBeLessThan(within)
  })

  // Independent losses fall into one round trip now and then, where they count once.
  test.each([
    ["reno", 1e-2, 0.1, 600],
    ["reno", 1e-3, 0.1, 600],
    ["cubic", 1e-2, 0.1, 600],
    ["cubic", 1e-3, 0.1, 600],
    ["cubic", 1e-4, 0.1, 600],
  ] as const)("%s, random loss of %d, %d s: no less, and no more than 35 % above", (algorithm, loss, rtt, seconds) => {
    const ratio = meanWindow(algorithm, randomLoss(loss, 7), rtt, seconds) / expected(algorithm, loss, rtt)
    expect(ratio).toBeGreaterThan(0.9)
    expect(ratio).toBeLessThan(1.35)
  })
})

/** 10 Mbit/s, 40 ms. */
const RATE = 1_250_000
const RTT = 40 * MS
const BDP = (RATE * RTT) / SECOND
const none = () => false

describe("alone at a bottleneck", () => {
  const alone = (algorithm: CcName, queue: number, loses: Path["loses"], seconds = 30): Flow =>
    only(
      run({ rate: RATE, queue, loses, mss: M }, [{ algorithm, rtt: RTT, startsAt: 0, iss: 12_345 }], seconds * SECOND),
    )
  const utilization = (flow: Flow, seconds = 30): number => (flow.acked * M) / seconds / RATE
  const roundTrip = (flow: Flow): number => flow.rttSum / flow.acked / RTT

  test.each([
    // algorithm, queue in BDPs, at least
    ["reno", 1, 0.97],
    ["cubic", 0.5, 0.95],
    ["cubic", 1, 0.97],
    ["bbr", 0.5, 0.95],
    ["bbr", 1, 0.95],
  ] as const)("%s, a queue of %d BDP: fills it to %d", (algorithm, queue, least) => {
    expect(utilization(alone(algorithm, queue * BDP, none))).toBeGreaterThan(least)
  })

  test.each([
    [0.01, 0.95],
    [0.03, 0.9],
    [0.05, 0.85],
  ])("bbr, %d of all segments lost at random: fills it to %d", (loss, least) => {
    expect(utilization(alone("bbr", 0.5 * BDP, randomLoss(loss, 3)))).toBeGreaterThan(least)
  })

  test("bbr, a queue of 8 BDP: a quarter of one is used, where CUBIC fills it", () => {
    expect(roundTrip(alone("bbr", 8 * BDP, none))).toBeLessThan(1.4)
    expect(roundTrip(alone("cubic", 8 * BDP, none))).toBeGreaterThan(4)
  })

  // CSS goes on for five round trips, a quarter more in each: it takes a deep queue to do without a loss.
  test("cubic: HyStart++ leaves slow start before a queue of 12 BDP overflows; reno does not", () => {
    const short = (algorithm: CcName): Flow => alone(algorithm, 12 * BDP, none, 4)
    expect(short("cubic").lost).toBe(0)
    expect(short("cubic").cc.ssthresh).toBeLessThan(13 * BDP)
    expect(short("reno").lost).toBeGreaterThan(50)
  })
})

describe("two at a bottleneck, the second five seconds later", () => {
  const shares = (first: CcName, second: CcName, queue: number, rtts: readonly [number, number] = [RTT, RTT]) => {
    const begun = new Map<Flow, number>()
    const flows = run(
      { rate: RATE, queue: queue * BDP, loses: none, mss: M },
      [
        { algorithm: first, rtt: rtts[0], startsAt: 0, iss: 12_345 },
        { algorithm: second, rtt: rtts[1], startsAt: 5 * SECOND, iss: 99 },
      ],
      65 * SECOND,
      (flow, now) => {
        if (now < 5 * SECOND) begun.set(flow, flow.acked)
      },
    )
    return flows.map((flow) => flow.acked - (begun.get(flow) ?? 0))
  }

  test.each(ALGORITHMS.flatMap((algorithm) => [0.5, 1, 2].map((queue) => [algorithm, queue] as const)))(
    "%s, a queue of %d BDP: Jain's index over 60 s is 0.9 at least",
    (algorithm, queue) => {
      expect(jain(shares(algorithm, algorithm, queue))).toBeGreaterThanOrEqual(0.9)
    },
  )

  test("reno and cubic at a short round trip: as if they were alike (RFC 9438 section 4.3)", () => {
    const [reno, cubic] = shares("reno", "cubic", 1, [10 * MS, 10 * MS])
    expect((cubic ?? 0) / (reno ?? 1)).toBeGreaterThan(0.6)
    expect((cubic ?? 0) / (reno ?? 1)).toBeLessThan(1.8)
  })
})

test.each(ALGORITHMS)("%s: the same seed, the same course", (algorithm) => {
  const hash = (): string => {
    const loses = randomLoss(0.01, 5)
    const path = { rate: RATE, queue: BDP, loses, mss: M }
    return JSON.stringify(only(run(path, [{ algorithm, rtt: RTT, startsAt: 0, iss: 3 }], 5 * SECOND)).cc)
  }
  expect(hash()).toBe(hash())
})
