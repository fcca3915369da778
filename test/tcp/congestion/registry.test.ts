import { describe, expect, test } from "bun:test"
import { sendRoom } from "../../../src/tcp/calls.ts"
import type { CcName } from "../../../src/tcp/congestion/control.ts"
import { hyStart, hyStartDone } from "../../../src/tcp/congestion/hystart.ts"
import {
  ALGORITHMS,
  bufferFor,
  type Cc,
  controlOf,
  isAlgorithm,
  onAck,
  onCongestion,
  onIdle,
  onRecovered,
  onTimeout,
  onUndo,
  start,
  switchTo,
} from "../../../src/tcp/congestion/registry.ts"
import { INFINITE_SSTHRESH } from "../../../src/tcp/congestion/window.ts"
import { isSynchronized } from "../../../src/tcp/tcb.ts"
import { open } from "../support/peer.ts"
import { ack, M, MS, SECOND } from "./support.ts"

test("names: those of the algorithms, and no others", () => {
  for (const name of ALGORITHMS) expect([isAlgorithm(name), controlOf(name).name]).toEqual([true, name])
  for (const name of ["", "vegas", "Reno", "toString", "__proto__"]) expect(isAlgorithm(name)).toBe(false)
})

describe.each(ALGORITHMS)("%s", (name) => {
  const begun = start(name, 10 * M, M, 0)
  const steps: ReadonlyArray<readonly [what: string, step: (cc: Cc) => Cc]> = [
    ["an ACK", (cc) => onAck(cc, ack({ deliveryRate: 1e6, totalDelivered: M }), M, 100 * MS)],
    ["an ACK in recovery", (cc) => onAck(cc, ack({ recovering: true, lost: M }), M, 150 * MS)],
    ["a loss", (cc) => onCongestion(cc, "loss", 10 * M, M, 200 * MS)],
    ["an echo", (cc) => onCongestion(cc, "ecn", 10 * M, M, 200 * MS)],
    ["recovered", (cc) => onRecovered(cc, 5 * M, M, 300 * MS)],
    ["a time-out", (cc) => onTimeout(cc, 10 * M, M, SECOND, false)],
    ["undone", (cc) => onUndo(cc, begun, SECOND)],
    ["idle", (cc) => onIdle(cc, SECOND, 200 * MS, 10 * M, 2 * SECOND)],
  ]

  test("starts with the window it is given, and no congestion seen", () => {
    expect(begun).toMatchObject({ algorithm: name, cwnd: 10 * M, ssthresh: INFINITE_SSTHRESH })
  })

  test.each(steps)("%s: the same fields, in the same order", (_what, step) => {
    expect(Object.keys(step(begun))).toEqual(Object.keys(begun))
    expect(step(begun).algorithm).toBe(name)
  })

  test("to itself: nothing happens", () => expect(switchTo(name, begun, M, 0)).toBe(begun))

  test.each(ALGORITHMS.filter((other) => other !== name))("to %s: from the windows that it finds", (other) => {
    const reduced = onCongestion({ ...begun, cwnd: 40 * M }, "loss", 40 * M, M, 0)
    const switched = switchTo(other, reduced, M, SECOND)
    expect(Object.keys(switched)).toEqual(Object.keys(start(other, 10 * M, M, 0)))
    expect(switched).toMatchObject({ algorithm: other, cwnd: reduced.cwnd, ssthresh: reduced.ssthresh })
  })

  test.each(ALGORITHMS.filter((other) => other !== name))("undone under %s: the larger windows", (other) => {
    const before = { ...begun, cwnd: 40 * M, ssthresh: 50 * M }
    const switched = switchTo(other, { ...begun, cwnd: 20 * M, ssthresh: 20 * M }, M, SECOND)
    expect(onUndo(switched, before, SECOND)).toEqual({ ...switched, cwnd: 40 * M, ssthresh: 50 * M })
  })
})

describe("to CUBIC", () => {
  test("before any congestion: with HyStart++; after: without (RFC 9406 section 4.3)", () => {
    const early = switchTo("cubic", start("reno", 10 * M, M, 0), M, 0)
    const late = switchTo("cubic", onCongestion(start("reno", 10 * M, M, 0), "loss", 10 * M, M, 0), M, 0)
    expect(early).toMatchObject({ hystart: hyStart })
    expect(late).toMatchObject({ hystart: hyStartDone })
  })

  test("its first stage begins at the window it found, with K 0", () => {
    const found = { ...start("reno", 10 * M, M, 0), cwnd: 30 * M, ssthresh: 30 * M }
    const after = onAck(switchTo("cubic", found, M, 0), ack(), M, SECOND)
    expect(after).toMatchObject({ epoch: true, k: 0, wMax: 30 * M })
  })
})

describe("the send buffer (Linux's tcp_sndbuf_expand)", () => {
  test.each([
    // What is in flight, and as much again to send when it is acknowledged.
    ["reno", 2],
    ["cubic", 2],
    // While it probes, its window is twice what the path holds.
    ["bbr", 3],
  ] as const)("%s: %d windows", (name, windows) => {
    const cc = { ...start(name, 10 * M, M, 0), cwnd: 40 * M }
    expect(bufferFor(cc)).toBe(windows * 40 * M)
  })

  test("it follows a change of algorithm on the way", () => {
    const cc = { ...start("cubic", 10 * M, M, 0), cwnd: 40 * M }
    expect(bufferFor(switchTo("bbr", cc, M, 0))).toBe(3 * 40 * M)
  })

  test("what SEND takes: as many windows, between tcpWmem's default and its maximum", () => {
    const room = (tcpCongestionControl: CcName, cwnd: number): number => {
      const settings = { tcpCongestionControl, tcpWmem: [4096, 5000, 200_000] as const }
      const { tcb } = open({ settings, habits: { timestamps: false, mss: M }, path: { mss: M } })
      if (!isSynchronized(tcb)) throw new Error("no connection")
      return sendRoom({ ...tcb, cc: { ...tcb.cc, cwnd } })
    }
    expect([room("cubic", 5 * M), room("bbr", 5 * M)]).toEqual([20_000, 20_000])
    expect([room("cubic", 40 * M), room("bbr", 40 * M)]).toEqual([80_000, 120_000])
    expect([room("cubic", 500 * M), room("bbr", 500 * M)]).toEqual([200_000, 200_000])
  })
})
