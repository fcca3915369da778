import { expect, test } from "bun:test"
import { Effect } from "effect"
import { type Device, NO_OFFLOAD } from "../../src/device/device.ts"
import { tapPair } from "../../src/device/tapPair.ts"

const FRAME = Uint8Array.from({ length: 100 }, (_, index) => index)

const withPair = (
  offload: boolean,
  use: (...ends: Effect.Effect.Success<ReturnType<typeof tapPair>>) => Promise<void>,
) =>
  Effect.runPromise(
    Effect.scoped(Effect.flatMap(tapPair(offload), ([near, far]) => Effect.promise(() => use(near, far)))),
  )

const send = (device: Device, frame: Uint8Array): void => {
  device.reserve(frame.length)?.set(frame)
  device.commit(frame.length, NO_OFFLOAD)
}

/** What waits at an end, and how many frames that was said to be. */
const received = (device: Device) => {
  const frames: Array<Uint8Array> = []
  const count = device.receive(({ bytes, offset, length }) => frames.push(bytes.slice(offset, offset + length)), 1000)
  return { frames, count }
}

for (const offload of [false, true]) {
  const kind = offload ? "with offload" : "without offload"

  test(`${kind}, a frame committed: read at the other end once it is flushed, and nowhere else`, () =>
    withPair(offload, async (near, far) => {
      send(near, FRAME)
      expect(received(far).count).toBe(0)
      near.flush()
      expect(received(far)).toEqual({ frames: [FRAME], count: 1 })
      expect(received(near).count).toBe(0)
      expect(near.counters).toMatchObject({ txPackets: 1, txBytes: FRAME.length, txDropped: 0 })
    }))

  test(`${kind}, more frames than are written together: all of them, in their order`, () =>
    withPair(offload, async (near, far) => {
      const frames = Array.from({ length: 150 }, (_, n) => FRAME.map((octet) => (octet + n) & 0xff))
      for (const frame of frames) send(near, frame)
      near.flush()
      expect(received(far)).toEqual({ frames, count: frames.length })
    }))

  test(`${kind}, one end waits: what the other writes wakes it`, () =>
    withPair(offload, async (near, far) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      far.wake(resolve)
      send(near, FRAME)
      near.flush()
      await promise
      expect(received(far).count).toBe(1)
    }))

  test(`${kind}, one end closed: the other fails, and does not spin`, () =>
    withPair(offload, async (near, far) => {
      near.close()
      expect(received(far).count).toBe(0)
      expect(far.failure()?.errno).toBe("ENODEV")
    }))

  test(`${kind}, closed inside a visit: the frames behind it are not visited`, () =>
    withPair(offload, async (near, far) => {
      for (let n = 0; n < 5; n++) send(near, FRAME)
      near.flush()
      let visited = 0
      far.receive(() => {
        visited++
        far.close()
      }, 1000)
      expect(visited).toBe(1)
    }))
}

test("a frame too long to wait with others: it does not overtake them", () =>
  withPair(true, async (near, far) => {
    const long = new Uint8Array(30_000).fill(7)
    for (const frame of [FRAME, long, FRAME]) send(near, frame)
    near.flush()
    expect(received(far)).toEqual({ frames: [FRAME, long, FRAME], count: 3 })
  }))

test("a virtio header that asked for something: the next frame in its place does not", () =>
  withPair(true, async (near, far) => {
    const asking = { checksumStart: 34, checksumOffset: 16, segmentSize: 0, headerLength: 54, family: 4 } as const
    const vouched: Array<boolean> = []
    for (const offload of [asking, NO_OFFLOAD]) {
      near.reserve(FRAME.length)?.set(FRAME)
      near.commit(FRAME.length, offload)
      near.flush()
      far.receive(({ checksumVouched }) => vouched.push(checksumVouched), 8)
    }
    expect(vouched).toEqual([true, false])
  }))
