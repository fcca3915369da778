import { describe, expect, test } from "bun:test"
import type { AckSample } from "../../../src/tcp/congestion/control.ts"
import { type Reno, reno } from "../../../src/tcp/congestion/reno.ts"
import { INFINITE_SSTHRESH } from "../../../src/tcp/congestion/window.ts"
import { ack, M, MS, SECOND } from "./support.ts"

const at = (cwnd: number, ssthresh: number, rest: Partial<Reno> = {}): Reno => ({
  ...reno.start(cwnd * M, M, 0),
  ssthresh: ssthresh * M,
  ...rest,
})
const acked = (state: Reno, told: Partial<AckSample>): Reno => reno.onAck(state, ack(told), M, 0)

describe("an ACK (RFC 5681 section 3.1, RFC 3465)", () => {
  const unpaced = { paced: false }
  const table: ReadonlyArray<
    readonly [what: string, state: Reno, told: Partial<AckSample>, cwnd: number, rest: number]
  > = [
    // what                                           state             ACK                          CWND   acked
    ["slow start, one segment", at(10, 100), {}, 11 * M, 0],
    ["slow start, 300 octets", at(10, 100), { acked: 300 }, 10_300, 0],
    ["slow start, ten segments, paced", at(10, 100), { acked: 10 * M }, 20 * M, 0],
    ["slow start, ten segments, not paced: L = 2", at(10, 100), { acked: 10 * M, ...unpaced }, 12 * M, 0],
    [
      "slow start after a time-out, not paced: L = 1",
      at(10, 100, { afterTimeout: true }),
      { acked: 10 * M, ...unpaced },
      11 * M,
      0,
    ],
    ["SACK told of nine of ten before: one counts", at(10, 100), { acked: 10 * M, delivered: M }, 11 * M, 0],
    ["SACKed data that the caller takes for progress", at(10, 100), { acked: 0, delivered: M }, 11 * M, 0],
    ["nothing delivered", at(10, 100), { acked: 10 * M, delivered: 0 }, 10 * M, 0],
    ["slow start ends within the ACK: the rest counts", at(9, 10), { acked: 4 * M }, 10 * M, 3 * M],
    ["avoidance, less than a window", at(10, 10), { acked: 4 * M }, 10 * M, 4 * M],
    ["avoidance, a window is full", at(10, 10, { acked: 9 * M }), { acked: 2 * M }, 11 * M, M],
    ["the window was not used", at(10, 100), { cwndLimited: false }, 10 * M, 0],
    ["in recovery", at(10, 10), { recovering: true }, 10 * M, 0],
  ]
  test.each(table)("%s", (_what, state, told, cwnd, rest) => {
    expect(acked(state, told)).toMatchObject({ cwnd, acked: rest })
  })

  test("nothing to change: the same state, not a copy", () => {
    const state = at(10, 10)
    for (const told of [{ cwndLimited: false }, { recovering: true }, { delivered: 0 }]) {
      expect(acked(state, told)).toBe(state)
    }
  })

  test("ten windows of avoidance, whatever the ACKs cover: ten segments", () => {
    for (const each of [100, 1000, 1460, 2000]) {
      let state = at(20, 20)
      let octets = 0
      // A window of w adds one segment, so ten of them are 20 + 21 + ... + 29.
      for (; octets < 245 * M; octets += each) state = acked(state, { acked: each })
      expect(state.cwnd).toBe(30 * M)
    }
  })
})

describe("congestion", () => {
  const table: ReadonlyArray<
    readonly [what: string, cwnd: number, event: "loss" | "ecn", flight: number, after: number, ssthresh: number]
  > = [
    ["loss: half of the flight", 20, "loss", 20 * M, 10 * M, 10 * M],
    ["loss with an unused window: half of the flight", 20, "loss", 8 * M, 4 * M, 4 * M],
    ["loss after limited transmit: half of the window", 10, "loss", 12 * M, 5 * M, 5 * M],
    ["loss of a small flight: two segments", 3, "loss", 3 * M, 2 * M, 2 * M],
    ["ECN: half of the flight", 20, "ecn", 20 * M, 10 * M, 10 * M],
    ["ECN with two segments: one, and SSTHRESH two", 2, "ecn", 2 * M, M, 2 * M],
    ["ECN with one segment: one", 1, "ecn", M, M, 2 * M],
  ]
  test.each(table)("%s", (_what, cwnd, event, flight, after, ssthresh) => {
    const state = reno.onCongestion(at(cwnd, 1000), event, flight, M, 0)
    expect(state).toMatchObject({ cwnd: after, ssthresh })
    expect(reno.onRecovered(state, flight, M, 0)).toBe(state)
  })

  test("a time-out: one segment, half of the flight; again: SSTHRESH stays", () => {
    const once = reno.onTimeout(at(20, 1000), 20 * M, M, 0, false)
    expect(once).toMatchObject({ cwnd: M, ssthresh: 10 * M })
    expect(reno.onTimeout(once, M, M, 0, true)).toMatchObject({ cwnd: M, ssthresh: 10 * M })
  })

  test("it was none: the windows of before, or the later if larger", () => {
    const before = at(20, 100)
    const reduced = reno.onCongestion(before, "loss", 20 * M, M, 0)
    expect(reno.onUndo(reduced, before, 0)).toEqual(before)
    expect(reno.onUndo({ ...reduced, cwnd: 30 * M }, before, 0)).toEqual({ ...before, cwnd: 30 * M })
  })
})

describe("idle (RFC 2861 section 3.1)", () => {
  test.each([
    // RTOs that passed, window before, window after, SSTHRESH after: segments
    [1.5, 80, 40, 60],
    [2.5, 80, 20, 60],
    [3.5, 80, 10, 60],
    [100, 80, 10, 60],
    [100, 15, 10, 11.25],
  ])("%d RTOs with a window of %d: %d", (rtos, before, after, ssthresh) => {
    const state = reno.onIdle(at(before, 2), rtos * 200 * MS, 200 * MS, 10 * M, SECOND)
    expect(state).toMatchObject({ cwnd: after * M, ssthresh: ssthresh * M })
  })

  test("a window no larger than the first one: stays", () => {
    const state = at(7, 2)
    expect(reno.onIdle(state, SECOND, 200 * MS, 10 * M, SECOND)).toBe(state)
  })

  test("before any congestion: SSTHRESH stays infinite", () => {
    const idle = reno.onIdle(reno.start(80 * M, M, 0), SECOND, 200 * MS, 10 * M, SECOND)
    expect(idle.ssthresh).toBe(INFINITE_SSTHRESH)
  })
})
