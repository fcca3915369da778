import { expect, test } from "bun:test"
import { Effect } from "effect"
import { type Device, NO_OFFLOAD, type Offload } from "../../src/device/device.ts"
import { memoryPair } from "../../src/device/memory.ts"
import { sibling } from "../../src/device/siblings.ts"
import { garbageOf, noise } from "./garbage.ts"
import { netmapSuite, scoped } from "./netmapSuite.ts"

const FRAMES = 256
const TSO: Offload = { checksumStart: 34, checksumOffset: 16, segmentSize: 1448, headerLength: 66, family: 4 }
const frame = new Uint8Array(1514).fill(255, 0, 6)
let octets = 0
const look = (received: { readonly length: number }): void => {
  octets += received.length
}

const there = (near: Device, far: Device, offload: Offload, size: Uint8Array, frames = FRAMES): number =>
  garbageOf(frames, () => {
    octets = 0
    for (let n = 0; n < frames; n++) {
      near.reserve(size.length)?.set(size)
      near.commit(size.length, offload)
    }
    near.flush()
    far.receive(look, frames)
    if (octets !== frames * size.length) throw new Error("frames were lost")
  })

const LIMIT = noise(FRAMES)

test("the measure sees an object for each operation", () => {
  // Large enough to be allocated each by itself, not into holes that other tests have left in the heap; together less
  // than what the engine collects for by itself, which would cut the growth short.
  const operations = 8
  const held: Array<object> = new Array(operations).fill({})
  const garbage = garbageOf(operations, () => {
    for (let n = 0; n < operations; n++) held[n] = new Array(1200).fill(n)
  })
  expect(garbage).toBeGreaterThan(4 * noise(operations))
})

test("memory: frames leave no garbage", () => {
  const [near, far] = memoryPair()
  expect(there(near, far, NO_OFFLOAD, frame)).toBeLessThanOrEqual(LIMIT)
})

test("one of several siblings: frames leave no garbage", () => {
  const [near, far] = memoryPair()
  const channel = { post: () => expect.unreachable(), listen: () => {} }
  const one = sibling(far, { index: 0, portRanges: [[1, 2]], channel })
  expect(there(near, one, NO_OFFLOAD, frame)).toBeLessThanOrEqual(LIMIT)
})

netmapSuite("netmap garbage", (test) => {
  const cases = [
    ["frames of one slot", 1500, false, NO_OFFLOAD, frame],
    ["frames of several slots", 3000, false, NO_OFFLOAD, new Uint8Array(2900).fill(255, 0, 6)],
    ["frames with a virtio-net header", 1500, true, { ...TSO, segmentSize: 0 }, frame],
  ] as const
  for (const [name, mtu, offload, wanted, size] of cases) {
    test(`${name} leave none`, async ({ open }) => {
      await scoped(
        Effect.gen(function* () {
          const near = yield* open({ port: "valenfg:a", mtu, offload })
          const far = yield* open({ port: "valenfg:b", mtu, offload })
          // Slots come back at the next batch: two of them must fit into a ring.
          const frames = size.length > 2048 ? FRAMES / 2 : FRAMES
          expect(there(near, far, wanted, size, frames)).toBeLessThanOrEqual(noise(frames))
        }),
      )
    }, 60_000)
  }
})
