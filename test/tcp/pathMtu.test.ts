import { describe, expect, test } from "bun:test"
import { pathMtuArrives } from "../../src/tcp/pathMtu.ts"
import { isSynchronized } from "../../src/tcp/tcb.ts"
import { open } from "./support/peer.ts"
import { connection, type Scene, type WorldOptions } from "./support/world.ts"

/** Segments of 1460 octets on a path of 1500; ten of them are out. */
const options: WorldOptions = {
  habits: { timestamps: false, mss: 1460, wnd: 65_535 },
  path: { mss: 1460 },
  socket: { sendBuffer: 100_000 },
}
const sending = (): Scene => open(options, [[100, "SEND 14600"]])

const told = (mtu: number, at = 0) => {
  const scene = sending()
  const before = connection(scene)
  const step = pathMtuArrives(before, (before.snd.una + at) >>> 0, mtu, scene.now)
  if (!isSynchronized(step.tcb)) throw new Error("no connection any more")
  return { tcb: step.tcb, whys: step.effects.flatMap((effect) => (effect._tag === "Drop" ? [effect.why] : [])) }
}

describe("packet too big (RFC 1191, RFC 5927)", () => {
  test.each([
    ["the first segment in flight", 1200, 0, 1160],
    ["a later one", 1400, 2920, 1360],
    ["less than a router may ask: the least", 100, 0, 512],
    ["a router that says no size: the next plateau", 0, 0, 1452],
  ])("%s, MTU %d: segments of that size", (_, mtu, at, mss) => {
    const { tcb } = told(mtu, at)
    expect(tcb.snd.mss).toBe(mss)
    expect(tcb.flight.lost).toBe(10)
  })

  test.each([
    ["before what is in flight", 1200, -1, "RFC5927-4.1:sequence-number"],
    ["behind what is in flight", 1200, 14_600, "RFC5927-4.1:sequence-number"],
    ["the MTU in use", 1500, 0, "RFC1191-3:no-smaller-MTU"],
    ["a larger one", 9000, 0, "RFC1191-3:no-smaller-MTU"],
  ] as const)("%s: dropped", (_, mtu, at, why) => {
    const { tcb, whys } = told(mtu, at)
    expect(whys).toEqual([why])
    expect(tcb.snd.mss).toBe(1460)
    expect(tcb.flight.lost).toBe(0)
  })

  test("the window stays what it is in segments, and its threshold where it was", () => {
    const { tcb } = told(1200)
    expect(tcb.cc).toMatchObject({ cwnd: 10 * 1160, ssthresh: connection(sending()).cc.ssthresh })
  })
})
