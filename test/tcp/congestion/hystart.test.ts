import { describe, expect, test } from "bun:test"
import { cubic } from "../../../src/tcp/congestion/cubic.ts"
import { growth, type HyStart, hyStart, hyStartDone, onAck, thresholdOf } from "../../../src/tcp/congestion/hystart.ts"
import { INFINITE_SSTHRESH } from "../../../src/tcp/congestion/window.ts"
import { ack, M, MS } from "./support.ts"

/** A round of ten segments: ten samples, the last of which acknowledges the round's end. */
const round = (state: HyStart, from: number, ...rtts: ReadonlyArray<number>): HyStart =>
  rtts.reduce((now, rtt, n) => onAck(now, from + (n + 1) * M, from + 20 * M, rtt * MS), state)

const same = (rtt: number, n = 10): ReadonlyArray<number> => new Array<number>(n).fill(rtt)

describe("the threshold (RFC 9406 section 4.2: lastRoundMinRTT / 8 within 4 and 16 ms)", () => {
  test.each([
    [1, 4],
    [32, 4],
    [40, 5],
    [100, 12.5],
    [128, 16],
    [1000, 16],
  ])("a round trip of %d ms: %d ms", (rtt, threshold) => {
    expect(thresholdOf(rtt * MS)).toBe(threshold * MS)
  })
})

describe("rounds", () => {
  /** The first ACK starts the first round, at whose end a round trip of 100 ms is known. */
  const first = round(onAck(hyStart, 0, 10 * M, undefined), 0, ...same(100))

  test("the first: its shortest round trip is kept, another begins", () => {
    expect(first).toMatchObject({ phase: "standard", lastMin: 100 * MS, samples: 0, end: 20 * M })
  })

  test("a round trip as long: slow start goes on", () => {
    expect(round(first, 10 * M, ...same(112)).phase).toBe("standard")
  })

  test("longer by the threshold, seven samples: too few to tell", () => {
    expect(round(first, 10 * M, ...same(113, 7)).phase).toBe("standard")
  })

  test("longer by the threshold, eight samples: CSS, with the round's shortest as baseline", () => {
    const css = round(first, 10 * M, ...same(120, 7), 113)
    expect(css).toMatchObject({ phase: "conservative", baseline: 113 * MS, rounds: 0 })
  })

  test("one short sample among long ones: slow start goes on", () => {
    expect(round(first, 10 * M, ...same(150, 5), 100, ...same(150, 4)).phase).toBe("standard")
  })

  test("ACKs without samples: rounds end, nothing is judged", () => {
    let state = first
    for (let n = 1; n <= 10; n++) state = onAck(state, (10 + n) * M, 40 * M, undefined)
    expect(state).toMatchObject({ phase: "standard", lastMin: -1, end: 40 * M })
  })

  test("five rounds of CSS, the one that started it included: done", () => {
    let state = first
    const phases: Array<string> = []
    for (let n = 1; n <= 5; n++) {
      state = round(state, n * 10 * M, ...same(113 + n))
      phases.push(state.phase)
    }
    expect(phases).toEqual(["conservative", "conservative", "conservative", "conservative", "done"])
    expect(state).toBe(hyStartDone)
    expect(onAck(state, 1, 2, 3)).toBe(state)
  })

  test("the round trip falls below the baseline in CSS: slow start again", () => {
    const css = round(round(first, 10 * M, ...same(113)), 20 * M, ...same(120))
    expect(css.phase).toBe("conservative")
    expect(round(css, 30 * M, ...same(112, 7)).phase).toBe("conservative")
    expect(round(css, 30 * M, ...same(112, 8))).toMatchObject({ phase: "standard", baseline: -1 })
  })

  test("over the wrap: a round ends as anywhere", () => {
    const state = onAck(onAck(hyStart, 0xffff_ff00, 0x0000_0f00, 50 * MS), 0x0000_0eff, 0x0000_2000, 50 * MS)
    expect(state.end).toBe(0x0f00)
    expect(onAck(state, 0x0f00, 0x2000, 50 * MS).end).toBe(0x2000)
  })
})

describe("growth", () => {
  const css: HyStart = { ...hyStart, phase: "conservative" }
  test.each([
    ["standard, paced", hyStart, 20 * M, true, 20 * M],
    ["standard, not paced: L = 8", hyStart, 20 * M, false, 8 * M],
    ["standard, not paced, little", hyStart, 2 * M, false, 2 * M],
    ["CSS, paced: a quarter", css, 20 * M, true, 5 * M],
    ["CSS, not paced: a quarter of L", css, 20 * M, false, 2 * M],
    ["a later slow start, paced", hyStartDone, 20 * M, true, 20 * M],
    ["a later slow start, not paced: RFC 5681's one segment", hyStartDone, 20 * M, false, M],
  ] as const)("%s", (_what, state, credit, paced, octets) => {
    expect(growth(state, credit, paced, M)).toBe(octets)
  })
})

describe("in CUBIC", () => {
  test("the queue grows: CSS, then congestion avoidance where it stands, without a loss", () => {
    let state = cubic.start(10 * M, M, 0)
    const windows: Array<number> = []
    let una = 0
    let rtt = 100
    for (let trip = 1; trip <= 10; trip++) {
      const segments = Math.floor(state.cwnd / M)
      const nxt = una + segments * M
      for (let n = 1; n <= segments; n++) {
        una += M
        state = cubic.onAck(state, ack({ una, nxt: nxt + segments * M, rtt: rtt * MS }), M, trip * rtt * MS)
      }
      windows.push(state.cwnd / M)
      if (trip >= 3) rtt += 20
    }
    // Doubled three times; the fourth round is long enough for CSS after its eighth sample, then a quarter each.
    expect(windows.slice(0, 3)).toEqual([20, 40, 80])
    expect(state.hystart.phase).toBe("done")
    expect(state.ssthresh).toBeLessThan(INFINITE_SSTHRESH)
    expect(state.epoch).toBe(true)
    expect(state).toMatchObject({ k: 0 })
    for (let n = 4; n < 8; n++) expect((windows[n] ?? 0) / (windows[n - 1] ?? 1)).toBeLessThan(1.3)
  })

  test("a loss in slow start: HyStart++ is over for the connection", () => {
    expect(cubic.onCongestion(cubic.start(10 * M, M, 0), "loss", 10 * M, M, 0).hystart).toBe(hyStartDone)
  })
})
