import { describe, expect, test } from "bun:test"
import { Duration, Effect, type Scope, TestClock, TestContext } from "effect"
import { type Device, NO_OFFLOAD } from "../../src/device/device.ts"
import { impaired } from "../../src/device/impair.ts"
import { memoryPair } from "../../src/device/memory.ts"
import { type Impairment, PERFECT } from "../../src/wire/impairment/spec.ts"

const underTestClock = <A, E>(program: Effect.Effect<A, E, Scope.Scope>): Promise<A> =>
  Effect.runPromise(Effect.provide(Effect.scoped(program), TestContext.TestContext))

const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

const send = (device: Device, ...octets: ReadonlyArray<number>): void => {
  for (const octet of octets) {
    device.reserve(60)?.fill(octet, 0, 60)
    device.commit(60, NO_OFFLOAD)
  }
  device.flush()
}

const received = (device: Device): ReadonlyArray<number> => {
  const octets: Array<number> = []
  device.receive(({ bytes, offset }) => octets.push(bytes[offset + 20] ?? -1), 1000)
  return octets
}

/** A memory wire whose one end is impaired. */
const scene = (outgoing: Partial<Impairment>, incoming: Partial<Impairment> = {}) =>
  Effect.gen(function* () {
    const [near, far] = memoryPair({ checksumOffload: true, segmentationOffload: true })
    const options = { outgoing: { ...PERFECT, ...outgoing }, incoming: { ...PERFECT, ...incoming }, seed: 3 }
    return { device: yield* impaired(near, options), far }
  })

describe("an impaired device", () => {
  test("delays what it sends: the frame leaves though nobody polls", () =>
    underTestClock(
      Effect.gen(function* () {
        const { device, far } = yield* scene({ delay: 5000 })
        send(device, 1)
        yield* TestClock.adjust("4 millis")
        yield* turn
        expect(received(far)).toEqual([])
        yield* TestClock.adjust("1 millis")
        yield* turn
        expect(received(far)).toEqual([1])
      }),
    ))

  test("delays what arrives, from its arrival on, and wakes its stack then", () =>
    underTestClock(
      Effect.gen(function* () {
        const { device, far } = yield* scene({}, { delay: 5000 })
        let woken = 0
        device.wake(() => woken++)
        send(far, 1)
        yield* turn
        yield* TestClock.adjust("4 millis")
        yield* turn
        expect({ woken, got: received(device) }).toEqual({ woken: 0, got: [] })
        yield* TestClock.adjust("1 millis")
        yield* turn
        expect({ woken, got: received(device) }).toEqual({ woken: 1, got: [1] })
      }),
    ))

  test("loses the seed's frames and counts them; each way has its own faults", () =>
    underTestClock(
      Effect.gen(function* () {
        const { device, far } = yield* scene({ loss: 0.3 }, { duplicate: 1 })
        send(device, ...Array.from({ length: 200 }, (_, i) => i))
        const got = received(far)
        expect(got.length).toBe(200 - device.impairments.outgoing.lost)
        expect(Math.abs(got.length - 140)).toBeLessThan(30)
        send(far, 7)
        expect(received(device)).toEqual([7, 7])
      }),
    ))

  test("offers no offload, and takes nothing above its MTU", () =>
    underTestClock(
      Effect.gen(function* () {
        const { device } = yield* scene({})
        expect(device.capabilities).toMatchObject({ checksumOffload: false, segmentationOffload: 0, mtu: 1500 })
        expect(device.reserve(1519)).toBeUndefined()
        expect(device.counters.txDropped).toBe(1)
      }),
    ))

  test("a corrupted frame is vouched for no more", () =>
    underTestClock(
      Effect.gen(function* () {
        const { device, far } = yield* scene({}, { corrupt: 0.5 })
        const vouching = { checksumStart: 34, checksumOffset: 16, segmentSize: 0, headerLength: 54, family: 4 } as const
        for (let i = 0; i < 50; i++) {
          far.reserve(60)?.fill(0, 0, 60)
          far.commit(60, vouching)
        }
        far.flush()
        const seen: Array<readonly [vouched: boolean, intact: boolean]> = []
        device.receive(({ bytes, checksumVouched }) => seen.push([checksumVouched, bytes.every((o) => o === 0)]), 100)
        expect(seen).toHaveLength(50)
        for (const [vouched, intact] of seen) expect(vouched).toBe(intact)
        expect(new Set(seen.map(([vouched]) => vouched)).size).toBe(2)
      }),
    ))

  test("closed: what was under way is lost, and no call does anything", () =>
    underTestClock(
      Effect.gen(function* () {
        const { device, far } = yield* scene({ delay: 1000 })
        send(device, 1)
        device.close()
        yield* TestClock.adjust(Duration.seconds(1))
        yield* turn
        expect(received(far)).toEqual([])
        expect(device.reserve(60)).toBeUndefined()
        expect(received(device)).toEqual([])
      }),
    ))
})
