import { describe, expect, test } from "bun:test"
import type { AckSample } from "../../../src/tcp/congestion/control.ts"
import { ALPHA, type Cubic, cubic, kOf, wCubic } from "../../../src/tcp/congestion/cubic.ts"
import { hyStartDone } from "../../../src/tcp/congestion/hystart.ts"
import { ack, M, MS, SECOND } from "./support.ts"

const RTT = 100 * MS

/** In congestion avoidance at `cwnd` segments, slow start being over. */
const avoiding = (cwnd: number, rest: Partial<Cubic> = {}): Cubic => ({
  ...cubic.start(cwnd * M, M, 0),
  ssthresh: cwnd * M,
  hystart: hyStartDone,
  ...rest,
})

/** A flow that fills its window, an ACK for each segment, until `until`; `look` sees every state. */
const run = (
  start: Cubic,
  from: number,
  until: number,
  rtt = RTT,
  look: (state: Cubic, now: number) => void = () => {},
): Cubic => {
  let state = start
  let now = from
  while (now < until) {
    state = cubic.onAck(state, ack({ srtt: rtt, rtt }), M, Math.floor(now))
    look(state, now)
    now += (rtt * M) / state.cwnd
  }
  return state
}

describe("the function (RFC 9438 section 4.2, C = 0.4)", () => {
  test.each([
    // W_max, window, K: segments, seconds
    [10, 7, 1.957],
    [100, 70, 4.217],
    [1000, 700, 9.086],
    [10_000, 7000, 19.574],
    [100, 100, 0],
    [100, 120, 0],
  ])("W_max %d, window %d: K = %d s", (wMax, cwnd, k) => {
    expect(kOf(wMax * M, cwnd * M, M)).toBeCloseTo(k, 3)
  })

  test.each([
    // seconds, W_cubic with W_max 100 and K 4.217: segments
    [0, 70],
    [1, 86.68],
    [2, 95.641],
    [4.217, 100],
    [6, 102.267],
    [10, 177.353],
  ])("after %d s: %d segments", (t, segments) => {
    expect(wCubic(t, kOf(100 * M, 70 * M, M), 100 * M, M) / M).toBeCloseTo(segments, 1)
  })

  test("alpha: 3 * (1 - 0.7) / (1 + 0.7)", () => expect(ALPHA).toBeCloseTo(0.529, 3))
})

describe("congestion avoidance", () => {
  test("after a loss at 1000 segments: the window follows the function, concave, then convex", () => {
    const reduced = cubic.onCongestion(avoiding(1000), "loss", 1000 * M, M, 0)
    expect(reduced).toMatchObject({ cwnd: 700 * M, ssthresh: 700 * M, wMax: 1000 * M, cwndPrior: 1000 * M })
    const seen: Array<number> = []
    run(reduced, 0, 14 * SECOND, RTT, (state, now) => {
      const t = now / SECOND
      if (t > 1) expect(Math.abs(state.cwnd / wCubic(t, 9.0856, 1000 * M, M) - 1)).toBeLessThan(0.01)
      if (seen.length < 14 && t >= seen.length) seen.push(state.cwnd)
    })
    const steps = seen.slice(1).map((cwnd, n) => cwnd - (seen[n] ?? 0))
    for (let n = 1; n < 8; n++) expect(steps[n]).toBeLessThan(steps[n - 1] ?? 0)
    for (let n = 10; n < steps.length; n++) expect(steps[n]).toBeGreaterThan(steps[n - 1] ?? 0)
  })

  test("the ACKs' size does not matter: one for each segment, or one for 40", () => {
    const ends = [1, 2, 40].map((segments) => {
      let state = cubic.onCongestion(avoiding(1000), "loss", 1000 * M, M, 0)
      for (let now = 0; now < 10 * SECOND; now += (RTT * segments * M) / state.cwnd) {
        state = cubic.onAck(state, ack({ acked: segments * M }), M, Math.floor(now))
      }
      return state.cwnd / M
    })
    for (const cwnd of ends) expect(Math.abs(cwnd - 1000.3)).toBeLessThan(10)
  })

  test("no drift: single octets acknowledged at a large window still add up", () => {
    // A window of 100,000 segments: each ACK of a segment is worth less than an octet.
    const reduced = cubic.onCongestion(avoiding(100_000), "loss", 1, M, 0)
    let state = cubic.onAck(reduced, ack(), M, 0)
    for (let n = 1; n <= 70_000; n++) state = cubic.onAck(state, ack(), M, n)
    // One window was acknowledged at t = 0..0.07 s: the way to W_cubic(t + RTT), taken once.
    const target = wCubic(0.1, kOf(100_000 * M, 70_000 * M, M), 100_000 * M, M)
    expect(state.cwnd - 70_000 * M).toBeGreaterThan((target - 70_000 * M) * 0.6)
    expect(Number.isInteger(state.cwnd)).toBe(true)
  })

  test("far behind the function: half as much again in a round trip, not more", () => {
    const late = { ...avoiding(100), epoch: true, wMax: 100 * M, elapsed: 100 * SECOND, at: 0, wEst: 0 }
    let state: Cubic = late
    for (let n = 0; n < 100; n++) state = cubic.onAck(state, ack(), M, 0)
    expect(state.cwnd / (100 * M)).toBeGreaterThan(1.45)
    expect(state.cwnd / (100 * M)).toBeLessThan(1.66)
    // One ACK for the whole window adds exactly a half.
    expect(cubic.onAck(late, ack({ acked: 100 * M }), M, 0).cwnd).toBe(150 * M)
  })

  test("short round trips: the Reno-friendly region, alpha segments a trip until the old window, then one", () => {
    const rtt = 5 * MS
    const reduced = cubic.onCongestion(avoiding(40), "loss", 40 * M, M, 0)
    expect(reduced.cwnd).toBe(28 * M)
    const trips = (n: number): number => run(reduced, 0, n * rtt, rtt).cwnd / M
    expect(trips(10) - 28).toBeCloseTo(10 * ALPHA, 0)
    // 12 segments take 12 / alpha = 22.7 trips.
    expect(trips(22)).toBeLessThan(40)
    expect(trips(24)).toBeGreaterThan(40)
    expect(trips(44) - trips(24)).toBeCloseTo(20, 0)
  })
})

describe("congestion", () => {
  test("10 segments: 7 exactly, however large they are", () => {
    for (const mss of [536, 1000, 1448, 1460, 8948]) {
      const state = cubic.onCongestion({ ...avoiding(1), cwnd: 10 * mss }, "loss", 10 * mss, mss, 0)
      expect([state.cwnd, state.ssthresh]).toEqual([7 * mss, 7 * mss])
    }
  })

  test.each([
    ["loss", 2, 2 * M],
    ["loss", 1, 2 * M],
    ["ecn", 2, 1400],
    ["ecn", 1, M],
  ] as const)("%s with a window of %d: %d octets, SSTHRESH two segments (section 4.6)", (event, cwnd, after) => {
    expect(cubic.onCongestion(avoiding(cwnd), event, cwnd * M, M, 0)).toMatchObject({ cwnd: after, ssthresh: 2 * M })
  })

  test("fast convergence: below the last W_max 85 % of the window are remembered (section 4.7)", () => {
    const first = cubic.onCongestion(avoiding(100), "loss", 0, M, 0)
    expect(first.wMax).toBe(100 * M)
    const early = cubic.onCongestion({ ...first, cwnd: 90 * M }, "loss", 0, M, 0)
    expect(early).toMatchObject({ wMax: 76_500, cwnd: 63 * M, cwndPrior: 90 * M })
    const late = cubic.onCongestion({ ...first, cwnd: 110 * M }, "loss", 0, M, 0)
    expect(late).toMatchObject({ wMax: 110 * M })
  })

  test("an ECN echo is answered as a loss", () => {
    const state = avoiding(100)
    expect(cubic.onCongestion(state, "ecn", 0, M, 0)).toEqual(cubic.onCongestion(state, "loss", 0, M, 0))
  })

  test("a time-out: one segment, SSTHRESH 0.7; then slow start and a stage with K 0 (section 4.8)", () => {
    const out = cubic.onTimeout(avoiding(100), 100 * M, M, 0, false)
    expect(out).toMatchObject({ cwnd: M, ssthresh: 70 * M })
    const again = cubic.onTimeout(out, M, M, 0, true)
    expect(again).toMatchObject({ cwnd: M, ssthresh: 70 * M, cwndPrior: 100 * M })
    let state = out
    for (let n = 0; n < 69; n++) state = cubic.onAck(state, ack(), M, n)
    expect(state).toMatchObject({ cwnd: 70 * M, epoch: true, k: 0, wMax: 70 * M, wEst: 70 * M })
  })
})

describe("it was none (section 4.9)", () => {
  const before = run(cubic.onCongestion(avoiding(100), "loss", 100 * M, M, 0), 0, 2 * SECOND)

  test.each(["loss", "time-out"] as const)("after a %s: everything is as before, and its time goes on", (what) => {
    const reduced =
      what === "loss"
        ? cubic.onCongestion(before, "loss", before.cwnd, M, 2 * SECOND)
        : cubic.onTimeout(before, before.cwnd, M, 2 * SECOND, false)
    const undone = cubic.onUndo(reduced, before, 3 * SECOND)
    expect(undone).toEqual({ ...before, at: 3 * SECOND })
    // The second in between is not counted: growth goes on where it stopped.
    expect(run(undone, 3 * SECOND, 4 * SECOND).cwnd).toBeCloseTo(run(before, 2 * SECOND, 3 * SECOND).cwnd, -3)
  })

  test("in slow start: slow start goes on, with HyStart++", () => {
    const start = cubic.start(10 * M, M, 0)
    expect(cubic.onUndo(cubic.onCongestion(start, "loss", 0, M, 0), start, 5)).toEqual(start)
  })

  test("the window has come back by itself: stays", () => {
    const later = { ...cubic.onCongestion(before, "loss", 0, M, 0), cwnd: before.cwnd + M, ssthresh: before.ssthresh }
    expect(cubic.onUndo(later, before, 0)).toBe(later)
  })
})

describe("time that does not count (section 5.8)", () => {
  const reduced = cubic.onCongestion(avoiding(100), "loss", 100 * M, M, 0)
  const some = run(reduced, 0, SECOND)
  const unused: Partial<AckSample> = { cwndLimited: false }

  test("the application sends less than it may for a minute: the window grows on from where it was", () => {
    let state = some
    for (let now = SECOND; now < 61 * SECOND; now += RTT) state = cubic.onAck(state, ack(unused), M, now)
    expect(state.cwnd).toBe(some.cwnd)
    const after = run(state, 61 * SECOND, 62 * SECOND)
    expect(after.cwnd / run(some, SECOND, 2 * SECOND).cwnd).toBeCloseTo(1, 2)
    expect(after.elapsed / SECOND).toBeCloseTo(2, 1)
  })

  test("nothing in flight for a minute: the same", () => {
    const empty = cubic.onAck(some, ack({ flight: 0 }), M, SECOND)
    const after = run(empty, 61 * SECOND, 62 * SECOND)
    expect(after.elapsed / SECOND).toBeCloseTo(2, 1)
  })

  test("ACKs of an unused window: the same state after the first", () => {
    const stopped = cubic.onAck(some, ack(unused), M, 2 * SECOND)
    expect(cubic.onAck(stopped, ack(unused), M, 3 * SECOND)).toBe(stopped)
  })

  test("idle for three RTOs: a quarter, slow start to three quarters, then a stage towards W_max", () => {
    const large = { ...some, cwnd: 96 * M }
    const idle = cubic.onIdle(large, 2.5 * SECOND, SECOND, 10 * M, 4 * SECOND)
    expect(idle).toMatchObject({ cwnd: 24 * M, ssthresh: 72 * M, epoch: false, wMax: 100 * M })
    let state = idle
    for (let n = 0; n < 48; n++) state = cubic.onAck(state, ack(), M, 5 * SECOND + n)
    expect(state).toMatchObject({ cwnd: 72 * M, epoch: true })
    expect(state.k).toBeCloseTo(Math.cbrt(28 / 0.4), 3)
  })

  test("in recovery: the same state", () => {
    expect(cubic.onAck(some, ack({ recovering: true }), M, 2 * SECOND)).toBe(some)
  })
})
