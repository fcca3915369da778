import { describe, expect, test } from "bun:test"
import { Effect, TestClock, TestContext } from "effect"
import { type Timekeeper, timekeeper } from "../../src/device/clock.ts"
import { OFF } from "../../src/tcp/time.ts"

/** A timekeeper on the test clock, and the times at which it called. */
const made = Effect.gen(function* () {
  const clock = yield* Effect.clock
  const runtime = yield* Effect.runtime<never>()
  const calls: Array<number> = []
  const keeper: Timekeeper = timekeeper(clock, runtime, () => void calls.push(keeper.now()))
  return { keeper, calls }
})

const run = <A>(effect: Effect.Effect<A>): Promise<A> =>
  Effect.runPromise(Effect.provide(effect, TestContext.TestContext))

describe("the one timer", () => {
  test("armed calls at its deadline, to the microsecond", () =>
    run(
      Effect.gen(function* () {
        const { keeper, calls } = yield* made
        keeper.arm(1_000_037)
        // Milliseconds are how the test clock counts.
        yield* TestClock.setTime(1000.036)
        expect(calls).toEqual([])
        yield* TestClock.setTime(1000.037)
        expect(calls).toEqual([1_000_037])
        yield* TestClock.adjust("1 hour")
        expect(calls).toEqual([1_000_037])
      }),
    ))

  test("armed again for earlier calls earlier, and once", () =>
    run(
      Effect.gen(function* () {
        const { keeper, calls } = yield* made
        keeper.arm(500_000)
        keeper.arm(200_000)
        yield* TestClock.adjust("1 second")
        expect(calls).toEqual([200_000])
      }),
    ))

  test("armed again for later keeps its deadline: the owner finds nothing due and arms anew", () =>
    run(
      Effect.gen(function* () {
        const { keeper, calls } = yield* made
        keeper.arm(200_000)
        keeper.arm(500_000)
        keeper.arm(OFF)
        expect((yield* TestClock.sleeps()).length).toBe(1)
        yield* TestClock.adjust("1 second")
        expect(calls).toEqual([200_000])
      }),
    ))

  test("armed for the past calls soon, not during the call", () =>
    run(
      Effect.gen(function* () {
        const { keeper, calls } = yield* made
        yield* TestClock.adjust("1 second")
        keeper.arm(10)
        expect(calls).toEqual([])
        yield* TestClock.adjust(0)
        expect(calls).toEqual([1_000_000])
      }),
    ))

  test("cancelled does not call", () =>
    run(
      Effect.gen(function* () {
        const { keeper, calls } = yield* made
        keeper.arm(10)
        keeper.cancel()
        yield* TestClock.adjust("1 second")
        expect(calls).toEqual([])
        expect(Array.from(yield* TestClock.sleeps())).toEqual([])
      }),
    ))
})
