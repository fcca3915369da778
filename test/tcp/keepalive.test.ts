import { describe, expect, test } from "bun:test"
import { setOptions } from "../../src/tcp/setOptions.ts"
import type { SocketOptions } from "../../src/tcp/tcb.ts"
import { OFF } from "../../src/tcp/time.ts"
import { next, open } from "./support/peer.ts"
import {
  deadline,
  type Happened,
  MS,
  type Scene,
  SECOND,
  timersOf,
  transmits,
  type WorldOptions,
} from "./support/world.ts"

const alive = (socket: Partial<SocketOptions> = {}): WorldOptions => ({
  socket: { keepAlive: true, keepIdle: 10 * SECOND, keepInterval: 2 * SECOND, keepCount: 3, ...socket },
})

const ends = (scene: Scene): Happened => next(scene, deadline(scene, "keepalive") / MS, "keepalive timeout")

/** A peer that has vanished: when each probe left, and when it was all over, in seconds. */
const vanished = (scene: Scene): { readonly probes: ReadonlyArray<number>; readonly end: Happened } => {
  let now: Happened = { ...scene, effects: [], refused: undefined }
  const probes: Array<number> = []
  while (timersOf(now.tcb).keepalive !== OFF) {
    now = ends(now)
    if (now.tcb._tag !== "CLOSED" && transmits(now.effects).length > 0) probes.push(now.now / SECOND)
  }
  return { probes, end: now }
}

const set = (scene: Happened, at: number, changed: Partial<SocketOptions>): Happened => {
  const step = setOptions(scene.tcb, changed, at * MS)
  if ("_tag" in step) throw new Error(step.why)
  return { ...scene, now: at * MS, tcb: step.tcb, effects: step.effects }
}

describe("keep-alive (RFC 9293 section 3.8.4)", () => {
  test("not asked for: no timer", () => {
    expect(timersOf(open().tcb).keepalive).toBe(OFF)
  })

  test("a peer that has vanished: a probe after the silence, others at intervals, then a RST", () => {
    const { probes, end } = vanished(open(alive()))
    expect(probes).toEqual([10.1, 12.1, 14.1])
    expect(end.now).toBe(16_100 * MS)
    expect(transmits(end.effects).map(({ flags, why }) => [flags & 0x04, why])).toEqual([
      [4, "RFC9293-3.8.4:no-answer-to-keep-alive"],
    ])
    expect(end.effects.find((e) => e._tag === "Closed")).toEqual({
      _tag: "Closed",
      reason: "ConnectionTimedOut",
      why: "RFC9293-3.8.4:no-answer-to-keep-alive",
    })
  })

  test("no times given: two hours, then nine times 75 seconds", () => {
    const { probes, end } = vanished(open(alive({ keepIdle: 0, keepInterval: 0, keepCount: 0 })))
    expect(probes.length).toBe(9)
    expect(probes[0]).toBe(7200.1)
    expect(end.now).toBe((7200.1 + 9 * 75) * SECOND)
  })

  test("a probe: no data, left of what the peer expects, so that it must answer", () => {
    const [probe] = transmits(ends(open(alive())).effects)
    expect(probe).toMatchObject({ length: 0, flags: 0x10 })
    expect(probe?.seq).toBe(100)
  })

  test("the probe is answered: the silence begins anew, and so do the probes", () => {
    let scene = ends(open(alive()))
    scene = next(scene, 10_200, "<ACK> seq=rcv.nxt ack=snd.nxt")
    scene = ends(scene)
    expect(transmits(scene.effects)).toEqual([])
    expect(vanished(scene).probes).toEqual([20.2, 22.2, 24.2])
  })

  test("text arrives: the silence is counted from there", () => {
    const scene = next(open(alive()), 5000, "<ACK> seq=rcv.nxt ack=snd.nxt data=10")
    expect(vanished(scene).probes[0]).toBe(15)
  })

  test("data is on its way: no probe, retransmission finds out", () => {
    const scene = ends(open(alive(), [[200, "SEND 100"]]))
    expect(transmits(scene.effects)).toEqual([])
    expect(deadline(scene, "keepalive")).toBe(20.1 * SECOND)
  })

  test("a user timeout takes the place of the count: over once the silence is as long", () => {
    const { probes, end } = vanished(open(alive({ userTimeout: 15 * SECOND, keepCount: 1 })))
    expect(probes).toEqual([10.1, 12.1, 14.1])
    expect(end.now).toBe(16_100 * MS)
  })

  test("switched on while the connection is open: from there on; off again: no timer", () => {
    const on = set(open(), 500, { keepAlive: true, keepIdle: 10 * SECOND })
    expect(deadline(on, "keepalive")).toBe(10.5 * SECOND)
    const off = set(on, 600, { keepAlive: false })
    expect(timersOf(off.tcb).keepalive).toBe(OFF)
    expect(off.effects).toEqual([{ _tag: "CancelTimer", timer: "keepalive" }])
  })

  test("TCP_KEEPIDLE shorter than the silence so far: a probe at once", () => {
    const scene = set(open(alive()), 8000, { keepIdle: 5 * SECOND })
    expect(deadline(scene, "keepalive")).toBe(8 * SECOND)
  })

  test.each([
    { keepIdle: 40_000 * SECOND },
    { keepInterval: 0.5 * SECOND },
    { keepCount: 128 },
    { synCount: 200 },
    { maxSegment: 20 },
    { userTimeout: -1 },
  ])("%j: EINVAL", (changed) => {
    expect(setOptions(open().tcb, changed, 0)).toMatchObject({ _tag: "Refused", errno: "EINVAL" })
  })
})
