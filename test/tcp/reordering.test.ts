import { expect, test } from "bun:test"
import { next, open } from "./support/peer.ts"
import type { Happened } from "./support/world.ts"

const M = 1000
const counted = (scene: Happened): ReadonlyArray<string> =>
  scene.effects.flatMap((effect) => (effect._tag === "Count" ? [effect.counter] : []))

test("a burst acknowledged segment by segment: no reordering, for what an ACK finds acknowledged is no hole", () => {
  let scene: Happened = open({
    habits: { timestamps: false, mss: M, wnd: 60_000, sack: true },
    path: { mss: M, burst: 8000 },
  })
  scene = next(scene, 100, "SEND 4000")
  expect(scene.effects.filter(({ _tag }) => _tag === "Transmit").length).toBeLessThan(4)
  for (const n of [1, 2, 3]) {
    scene = next(scene, 150 + n, "<ACK> seq=rcv.nxt ack=snd.una+1000")
    expect(counted(scene)).not.toContain("TCPSACKReorder")
  }
})
