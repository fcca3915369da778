import { expect, test } from "bun:test"
import { add } from "../../src/tcp/seq.ts"
import { next, open } from "./support/peer.ts"
import { connection, type Scene, transmits } from "./support/world.ts"

/** So far behind, a sequence number looks as if it were ahead: half of all of them and a few. */
const PASSED = -(2 ** 31) - 1000
const URG = 0x20

test("SND.UP goes along with SND.UNA: more than 2^31 octets on, nothing is urgent that was not said to be", () => {
  const sent = next(open(), 100, "SEND 1000")
  const acked = next(sent, 150, "<ACK> seq=rcv.nxt ack=snd.nxt")
  const { snd } = connection(acked)
  expect(snd.up).toBe(snd.una)
  const later = next(acked, 200, "SEND 1000")
  expect(transmits(later.effects).map(({ flags, up }) => [flags & URG, up])).toEqual([[0, 0]])
})

test("an urgent pointer is news, also where the last one was passed 2^31 octets ago", () => {
  const scene: Scene = open()
  const tcb = connection(scene)
  const old = { ...scene, tcb: { ...tcb, rcv: { ...tcb.rcv, up: add(tcb.rcv.nxt, PASSED) } } }
  const { effects } = next(old, 200, "<URG,ACK> seq=rcv.nxt ack=snd.una up=50 data=100")
  expect(effects.filter(({ _tag }) => _tag === "Urgent")).toEqual([{ _tag: "Urgent", at: add(tcb.rcv.nxt, 50) }])
})
