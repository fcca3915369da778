import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import type { Memory } from "../../../src/tcp/receiveMemory/memory.ts"
import { distance } from "../../../src/tcp/seq.ts"
import { next, open } from "../support/peer.ts"
import { connection, eventOf, type Happened, happen, MS, play, type Scene, transmits } from "../support/world.ts"

const truesize = (more: object = {}, receiveBuffer = 10_000): Happened =>
  open({ settings: { tcpRcvbufTruesize: true, ...more }, socket: { receiveBuffer } })

const accountOf = (scene: Scene): Memory => {
  const { memory } = connection(scene).drs
  if (memory === undefined) throw new Error("no account")
  return memory
}

const counted = ({ effects }: Happened): ReadonlyArray<string> =>
  effects.flatMap((effect) => (effect._tag === "Count" ? [effect.counter] : []))

describe("the account of receive memory", () => {
  test("not asked for: there is none", () => {
    expect(connection(open()).drs.memory).toBeUndefined()
  })

  test("ESTABLISHED, a full segment: what its buffer takes; read: nothing", () => {
    let scene = next(truesize(), 200, "<ACK> seq=rcv.nxt ack=snd.nxt data=1012")
    expect(accountOf(scene)).toMatchObject({ rcvbuf: 20_000, alloc: 2304, ratio: 112 })
    scene = next(scene, 210, "RECEIVE 1011")
    expect(accountOf(scene).alloc).toBe(2304)
    scene = next(scene, 220, "RECEIVE 1")
    expect(accountOf(scene)).toMatchObject({ alloc: 0, queue: [] })
  })

  test("ESTABLISHED, above the limit, text in order: dropped, and the window closes at once", () => {
    let scene = play(truesize(), [
      [200, "<ACK> seq=rcv.nxt ack=snd.nxt data=1012"],
      [201, "<ACK> seq=rcv.nxt ack=snd.nxt data=1012"],
    ])
    const { memory } = connection(scene).drs
    if (memory === undefined) throw new Error("no account")
    const tcb = connection(scene)
    scene = { ...scene, tcb: { ...tcb, drs: { ...tcb.drs, memory: { ...memory, rcvbuf: 2304, predicts: false } } } }
    const { nxt } = connection(scene).rcv
    scene = next(scene, 202, "<ACK> seq=rcv.nxt ack=snd.nxt data=1012")
    expect(counted(scene)).toEqual(expect.arrayContaining(["PruneCalled", "RcvPruned", "TCPRcvQDrop"]))
    expect(transmits(scene.effects).map(({ ack, wnd, why }) => [ack, wnd, why])).toEqual([
      [nxt, 0, "Linux:receive-memory-full"],
    ])
    expect(connection(scene).rcv).toMatchObject({ nxt, edge: nxt })
  })

  test("a joined packet of small segments is measured by those", () => {
    const scene = next(truesize({ tcpGroSegment: 600 }), 200, "<ACK> seq=rcv.nxt ack=snd.nxt data=5000")
    expect(connection(scene).rcv.mss).toBe(600)
    expect(accountOf(scene)).toMatchObject({ alloc: 8448, ratio: 151 })
  })

  test("any arrivals and reads: what is accounted is what the buffers take, which hold what is held", () => {
    const arrival = fc.record({ gap: fc.constantFrom(0, 0, 0, 1, 500, 1012), size: fc.constantFrom(1, 100, 400, 1012) })
    const step = fc.oneof(arrival, fc.record({ read: fc.constantFrom(1, 300, 5000) }))
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 60 }),
        fc.constantFrom(1200, 4000, 10_000),
        (steps, buffer) => {
          let scene: Scene = truesize({}, buffer)
          for (const [i, what] of steps.entries()) {
            const before: Scene = { ...scene, now: (200 + 30 * i) * MS }
            const words =
              "read" in what
                ? `RECEIVE ${Math.min(what.read, connection(before).rcv.unread)}`
                : `<ACK> seq=rcv.nxt+${what.gap} ack=snd.nxt data=${what.size}`
            scene = happen(before, eventOf(words, before))
            const { rcv } = connection(scene)
            const { alloc, queue, ahead } = accountOf(scene)
            expect(alloc).toBe([...queue, ...ahead].reduce((sum, { truesize }) => sum + truesize, 0))
            expect(queue.at(-1)?.end ?? rcv.nxt).toBe(rcv.nxt)
            expect(rcv.unread === 0).toBe(queue.length === 0)
            expect(ahead.length === 0).toBe(rcv.queue.pieces === 0)
            expect(distance(rcv.edge, rcv.nxt)).toBeGreaterThanOrEqual(0)
          }
        },
      ),
      { numRuns: 200 },
    )
  })
})
