import { describe, expect, test } from "bun:test"
import { DRAIN_GAIN, HIGH_GAIN } from "../../../../src/tcp/congestion/bbr/path.ts"
import type { Bbr } from "../../../../src/tcp/congestion/bbr/state.ts"
import { bbr } from "../../../../src/tcp/congestion/bbr.ts"
import type { AckSample } from "../../../../src/tcp/congestion/control.ts"
import { type Flow, type Path, run } from "../model.ts"
import { ack, M, MS, SECOND } from "../support.ts"

/** 10 Mbit/s, 40 ms: 50 segments fill it. */
const RATE = 1_250_000
const RTT = 40 * MS
const BDP = 50 * M
const path: Path = { rate: RATE, queue: BDP, loses: () => false, mss: M }
const flow = { algorithm: "bbr", rtt: RTT, startsAt: 0, iss: 77 } as const

const stateOf = ({ cc }: Flow): Bbr => {
  if (cc.algorithm !== "bbr") throw new Error(cc.algorithm)
  return cc
}

/** Every change of mode and of place in the cycle of one flow alone. */
const course = (until: number, iss = 77): ReadonlyArray<{ readonly at: number; readonly state: Bbr }> => {
  const seen: Array<{ at: number; state: Bbr }> = []
  run(path, [{ ...flow, iss }], until, (one, at) => {
    const state = stateOf(one)
    const last = seen.at(-1)?.state
    if (last?.mode !== state.mode || last.cycle !== state.cycle) seen.push({ at, state })
  })
  return seen
}

describe("alone on a path", () => {
  const seen = course(25 * SECOND)
  const modes = seen.map(({ state }) => state.mode).filter((mode, n, all) => mode !== all[n - 1])

  test("startup, drain, steady state, and a dip every ten seconds", () => {
    expect(modes).toEqual(["startup", "drain", "probeBw", "probeRtt", "probeBw", "probeRtt", "probeBw"])
    const dips = seen.filter(({ state }) => state.mode === "probeRtt").map(({ at }) => at / SECOND)
    expect(dips[0]).toBeGreaterThan(10)
    expect(dips[0]).toBeLessThan(10.5)
    expect((dips[1] ?? 0) - (dips[0] ?? 0)).toBeCloseTo(10.3, 0)
  })

  test("a dip lasts 200 ms and a round trip, four segments in flight, and the window comes back", () => {
    const from = seen.findIndex(({ state }) => state.mode === "probeRtt")
    const [before, dip, after] = [seen[from - 1], seen[from], seen[from + 1]]
    expect(dip?.state.cwnd).toBe(4 * M)
    const lasted = (after?.at ?? 0) - (dip?.at ?? 0)
    expect(lasted).toBeGreaterThan(200 * MS)
    expect(lasted).toBeLessThan(400 * MS)
    expect(after?.state.cwnd).toBeGreaterThan((before?.state.cwnd ?? 0) / 2)
  })

  test("drain paces as much below the bandwidth as startup did above, the cycle a quarter around it", () => {
    const at = (mode: Bbr["mode"], cycle?: number): Bbr | undefined =>
      seen.find(({ state }) => state.mode === mode && (cycle === undefined || state.cycle === cycle))?.state
    const pace = (gain: number): number => RATE * gain * 0.99
    expect((at("drain")?.pacingRate ?? 0) / pace(DRAIN_GAIN)).toBeCloseTo(1, 1)
    expect((at("probeBw", 0)?.pacingRate ?? 0) / pace(5 / 4)).toBeCloseTo(1, 1)
    expect((at("probeBw", 1)?.pacingRate ?? 0) / pace(3 / 4)).toBeCloseTo(1, 1)
    for (let cycle = 2; cycle < 8; cycle++) {
      expect((at("probeBw", cycle)?.pacingRate ?? 0) / pace(1)).toBeCloseTo(1, 1)
    }
  })

  test("the model is that of the path", () => {
    const state = seen.at(-1)?.state
    expect((state?.bw.best ?? 0) / RATE).toBeCloseTo(1, 1)
    expect((state?.minRtt ?? 0) / RTT).toBeCloseTo(1, 1)
  })

  test("the same numbers: the same course; another ISS: cycles begin elsewhere", () => {
    const phases = (iss: number): string =>
      JSON.stringify(
        course(2 * SECOND, iss)
          .filter(({ state }) => state.mode === "probeBw")
          .map(({ state }) => state.cycle),
      )
    expect(phases(77)).toBe(phases(77))
    expect(new Set([1, 2, 3, 4, 5, 6, 7, 8].map(phases)).size).toBeGreaterThan(2)
  })
})

/** In steady state, with a model of 1 Mbyte/s and 100 ms: 100 segments. */
const steady: Bbr = (() => {
  let state = bbr.start(10 * M, M, 0)
  const bw = { best: 1_000_000, bestAt: 50, second: 1_000_000, secondAt: 50, third: 1_000_000, thirdAt: 50 }
  state = { ...state, mode: "probeBw", pipeFilled: true, bw, round: 50, roundEnd: 1000 * M, cycle: 3, cwnd: 200 * M }
  return { ...state, paceKnown: true, pacingRate: 990_000, minRtt: 100 * MS, minRttAt: SECOND, seed: 5 }
})()
const told: Partial<AckSample> = {
  totalDelivered: 1001 * M,
  deliveredAtSend: 900 * M,
  deliveryRate: 1_000_000,
  priorFlight: 101 * M,
  flight: 100 * M,
}
const acked = (state: Bbr, more: Partial<AckSample> = {}, now = SECOND): Bbr =>
  bbr.onAck(state, ack({ ...told, ...more }), M, now)

describe("losses", () => {
  test("a loss: the model stays; a round of conservation; then the window of before", () => {
    const lost = bbr.onCongestion(steady, "loss", 100 * M, M, SECOND)
    expect(lost).toMatchObject({ cwnd: steady.cwnd, priorCwnd: steady.cwnd, bw: steady.bw })
    const first = acked(lost, { recovering: true, lost: 2 * M, flight: 98 * M })
    expect(first).toMatchObject({ conserving: true, cwnd: 99 * M })
    // Sent before the loss was seen: not yet of the next round.
    const second = acked(first, { recovering: true, flight: 97 * M, deliveredAtSend: 1000 * M })
    expect(second).toMatchObject({ conserving: true, cwnd: 99 * M })
    const nextRound = acked(second, { recovering: true, deliveredAtSend: 1001 * M, totalDelivered: 1100 * M })
    expect(nextRound).toMatchObject({ conserving: false, cwnd: 100 * M })
    const over = acked(nextRound, { recovering: false, totalDelivered: 1101 * M })
    expect(over.cwnd).toBeGreaterThanOrEqual(steady.cwnd)
  })

  test("an echo: nothing but the window is noted", () => {
    expect(bbr.onCongestion(steady, "ecn", 100 * M, M, SECOND)).toEqual({ ...steady, priorCwnd: steady.cwnd })
  })

  test("a time-out: one segment, then up from four, and back when all of it is acknowledged", () => {
    const out = bbr.onTimeout(steady, 100 * M, M, SECOND, false)
    expect(out).toMatchObject({ cwnd: M, lost: 100 * M, fullBw: 0, pipeFilled: true, bw: steady.bw })
    const first = acked(out, { una: 1000, nxt: 101_000, flight: M })
    expect(first.cwnd).toBe(4 * M)
    const second = acked(first, { una: 2000, nxt: 103_000, flight: M })
    expect(second.cwnd).toBe(5 * M)
    const over = acked(second, { una: 101_000, nxt: 103_000, acked: 99 * M })
    expect(over.cwnd).toBeGreaterThanOrEqual(steady.cwnd)
  })

  test("it was no loss: the window of before with the next ACK, and startup may go on", () => {
    const out = bbr.onTimeout({ ...steady, fullBwRounds: 2 }, 100 * M, M, SECOND, false)
    const undone = bbr.onUndo(out, steady, SECOND)
    expect(undone).toMatchObject({ fullBwRounds: 0, timedOut: "no" })
    expect(acked(undone).cwnd).toBeGreaterThanOrEqual(steady.cwnd)
  })
})

describe("samples", () => {
  test("the application was the limit: a low rate does not count, a higher one does", () => {
    const later = { appLimited: true, deliveredAtSend: 1000 * M }
    const low = acked({ ...steady, round: 59 }, { ...later, deliveryRate: 100_000 })
    expect(low.bw).toEqual(steady.bw)
    expect(acked(steady, { ...later, deliveryRate: 2_000_000 }).bw.best).toBe(2_000_000)
  })

  test("no rate: the bandwidth stays", () => expect(acked(steady, { deliveryRate: 0 }).bw).toEqual(steady.bw))

  test("a lower rate: believed after ten rounds", () => {
    let state = steady
    const best: Array<number> = []
    for (let round = 1; round <= 11; round++) {
      const at = { deliveredAtSend: (1000 + round) * M, totalDelivered: (1001 + round) * M }
      state = acked(state, { ...at, deliveryRate: 500_000 }, SECOND + round * 100 * MS)
      best.push(state.bw.best)
    }
    expect(best).toEqual([...new Array<number>(10).fill(1_000_000), 500_000])
  })

  test("a round trip that only the handshake told: taken", () => {
    const first = bbr.onAck(bbr.start(10 * M, M, 0), ack({ rtt: undefined, minRtt: 30 * MS }), M, SECOND)
    expect(first).toMatchObject({ minRtt: 30 * MS, minRttAt: SECOND })
  })

  test("what was sent in a dip says nothing about the bandwidth", () => {
    const dipping = acked({ ...steady, minRttAt: -20 * SECOND }, { flight: 100 * M })
    expect(dipping).toMatchObject({ mode: "probeRtt", quietFrom: 1001 * M, quietTo: 1101 * M, cwnd: 4 * M })
    const sentInDip = { deliveredAtSend: 1050 * M, totalDelivered: 1051 * M, deliveryRate: 40_000 }
    expect(acked({ ...dipping, round: 100 }, sentInDip).bw).toEqual(steady.bw)
  })
})

describe("startup", () => {
  test("ends with the third round that brings less than a quarter more", () => {
    let state = bbr.start(10 * M, M, 0)
    const modes: Array<string> = []
    for (const [round, deliveryRate] of [1000, 1250, 1563, 1900, 1900, 1900].entries()) {
      const at = { deliveredAtSend: round * 10 * M, totalDelivered: (round + 1) * 10 * M, flight: 1000 * M }
      state = bbr.onAck(state, ack({ ...at, deliveryRate: deliveryRate * 1000 }), M, (round + 1) * 100 * MS)
      modes.push(state.mode)
    }
    expect(modes).toEqual(["startup", "startup", "startup", "startup", "startup", "drain"])
    // 190 segments fill the path; three bursts of five at the pace of startup, rounded up to an even number.
    expect(state.ssthresh).toBe(206 * M)
  })

  test("drain ends when no more than that is in flight", () => {
    const drain: Bbr = { ...steady, mode: "drain" }
    expect(acked(drain, { flight: 107 * M }).mode).toBe("drain")
    expect(acked(drain, { flight: 106 * M }).mode).toBe("probeBw")
  })
})

describe("the cycle: a round trip of 100 ms each, but", () => {
  const [short, long] = [50 * MS, 101 * MS]
  test.each([
    // phase, since, in flight before the ACK, lost, next phase
    ["cruising, not yet", 3, short, 50, 0, 3],
    ["cruising, over", 3, long, 50, 0, 4],
    ["the last, over", 7, long, 50, 0, 0],
    ["draining, more in flight than the path holds", 1, short, 107, 0, 1],
    ["draining, no more than that", 1, short, 106, 0, 2],
    ["draining, over whatever is in flight", 1, long, 200, 0, 2],
    ["probing, over, not enough in flight", 0, long, 131, 0, 0],
    ["probing, over, enough in flight", 0, long, 132, 0, 1],
    ["probing, over, a loss", 0, long, 50, 1, 1],
    ["probing, not yet, whatever happens", 0, short, 200, 1, 0],
  ] as const)("%s", (_what, cycle, since, priorFlight, lost, next) => {
    const state = { ...steady, cycle, cycleAt: SECOND - since }
    expect(acked(state, { priorFlight: priorFlight * M, lost: lost * M }).cycle).toBe(next)
  })

  test("the policer's rate has been used for long enough: the cycle begins again", () => {
    const since = { cycle: 3, cycleAt: SECOND - short }
    const using = { ...steady, ...since, policer: { ...steady.policer, using: true, rate: 500_000, rounds: 47 } }
    const at = { deliveredAtSend: 1000 * M, totalDelivered: 1001 * M }
    expect(acked(using, { ...at, deliveredAtSend: 900 * M }).pacingRate).toBe(495_000)
    expect(acked(using, at)).toMatchObject({ policer: { using: false }, cycleAt: SECOND, mode: "probeBw" })
  })
})

describe("the window", () => {
  const wide = { ...steady, cwnd: 500 * M }
  test("steady state: twice the product, and what one ACK brought beyond the bandwidth", () => {
    // 200, 1 and 3 * 2, rounded up to an even number.
    expect(acked(wide).cwnd).toBe(208 * M)
    expect(acked(wide, { delivered: 20 * M }).cwnd).toBe(226 * M)
  })

  test("below that: what an ACK delivered is added", () => {
    expect(acked({ ...steady, cwnd: 100 * M }, { delivered: 20 * M }).cwnd).toBe(120 * M)
  })

  test("a later round of recovery: what is lost is taken off first", () => {
    const repairing: Bbr = { ...steady, losing: "recovery", cwnd: 100 * M }
    expect(acked(repairing, { recovering: true, lost: 5 * M }).cwnd).toBe(96 * M)
  })
})

describe("a dip", () => {
  const dip: Bbr = { ...steady, mode: "probeRtt", dipUntil: SECOND, cwnd: 4 * M, priorCwnd: 200 * M, minRttAt: 0 }
  const round = { deliveredAtSend: 1000 * M, flight: 4 * M }
  test.each([
    ["its time is not over", { ...dip, dipUntil: 2 * SECOND }, round, "probeRtt"],
    ["no round trip has passed", dip, { flight: 4 * M }, "probeRtt"],
    ["both are over", dip, round, "probeBw"],
    ["both are over, the pipe was never full", { ...dip, pipeFilled: false }, round, "startup"],
  ] as const)("%s", (_what, state, more, mode) => {
    expect(acked(state, more, SECOND + 1).mode).toBe(mode)
  })

  test("its time begins when no more than four segments are in flight", () => {
    const fresh = { ...dip, dipUntil: -1 }
    expect(acked(fresh, { flight: 5 * M }, 2 * SECOND).dipUntil).toBe(-1)
    // And the round trip that it has to take begins as well.
    const begun = acked(fresh, { flight: 4 * M }, 2 * SECOND)
    expect(begun).toMatchObject({ dipUntil: 2.2 * SECOND, roundEnd: 1001 * M })
  })
})

describe("idle", () => {
  test("the window stays, the pace is that of the path, and the round trip is not asked for at once", () => {
    const idle = bbr.onIdle({ ...steady, cycle: 0, pacingRate: 1_237_500 }, 60 * SECOND, 200 * MS, 10 * M, 61 * SECOND)
    expect(idle).toMatchObject({ cwnd: steady.cwnd, pacingRate: 990_000, afterIdle: true })
    const next = acked(idle, {}, 61 * SECOND + 100 * MS)
    expect(next).toMatchObject({ mode: "probeBw", afterIdle: false, minRttAt: 61 * SECOND + 100 * MS })
  })

  test("in a dip whose time is over: it ends", () => {
    const dip: Bbr = { ...steady, mode: "probeRtt", dipUntil: 2 * SECOND, cwnd: 4 * M, priorCwnd: 200 * M }
    expect(bbr.onIdle(dip, SECOND, 200 * MS, 10 * M, 3 * SECOND)).toMatchObject({ mode: "probeBw", cwnd: 200 * M })
    expect(bbr.onIdle(dip, SECOND, 200 * MS, 10 * M, SECOND)).toMatchObject({ mode: "probeRtt", cwnd: 4 * M })
  })
})

test("before a round trip is known: the pace of the first window in a millisecond, then in the round trip", () => {
  const begun = bbr.start(10 * M, M, 0)
  expect(bbr.pacingRate(begun)).toBe(Math.floor(10_000_000 * HIGH_GAIN * 0.99))
  const first = bbr.onAck(begun, ack({ totalDelivered: M, srtt: 100 * MS }), M, 100 * MS)
  expect(bbr.pacingRate(first)).toBe(Math.floor(100_000 * HIGH_GAIN * 0.99))
})
