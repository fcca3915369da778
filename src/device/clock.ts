import { Clock, Duration, Effect, type Fiber, FiberId, Runtime } from "effect"
import { type Micros, OFF } from "../wire/time.ts"

/** What the interpreter knows of time: to read it, and to be called when some of it has passed. */
export interface Timekeeper {
  /** Microseconds, never going back. */
  readonly now: () => Micros
  /**
   * Sees to it that `onDue` is called at `deadline` or before; OFF asks for nothing. Called early,
   * the owner finds nothing due and arms again.
   */
  readonly arm: (deadline: Micros) => void
  readonly cancel: () => void
}

const NANOS_PER_MICRO = 1000n
/** Effect's clocks take longer sleeps for endless ones (setTimeout's limit of 2^31 ms). */
const LONGEST_SLEEP: Micros = 2 ** 31 * 1000 - 1000

/** Effect's own, which goes as the machine's does. */
const isLive = (clock: Clock.Clock): boolean => Object.getPrototypeOf(clock) === Object.getPrototypeOf(LIVE)
const LIVE = Clock.make()
const microsOf = (clock: Clock.Clock): Micros =>
  Number((clock.unsafeCurrentTimeNanos() + NANOS_PER_MICRO / 2n) / NANOS_PER_MICRO)
const ORIGIN = microsOf(LIVE) - Math.round(performance.now() * 1000)
/** The live clock's time without its big integers: it is read several times in each turn. */
const liveMicros = (): Micros => ORIGIN + Math.round(performance.now() * 1000)

/**
 * Time by Effect's Clock, so that TestClock drives it. One fiber sleeps at most, until the earliest
 * deadline known: one that moves later, as most do with every ACK, costs nothing.
 */
export const timekeeper = (clock: Clock.Clock, runtime: Runtime.Runtime<never>, onDue: () => void): Timekeeper => {
  let sleeping: Fiber.RuntimeFiber<void> | undefined
  let armedFor: Micros = OFF

  const now = isLive(clock) ? liveMicros : (): Micros => microsOf(clock)

  const cancel = (): void => {
    sleeping?.unsafeInterruptAsFork(FiberId.none)
    sleeping = undefined
    armedFor = OFF
  }

  const arm = (deadline: Micros): void => {
    if (deadline === OFF || (armedFor !== OFF && armedFor <= deadline)) return
    cancel()
    armedFor = deadline
    const wait = Math.min(Math.max(0, deadline - now()), LONGEST_SLEEP)
    const due = Effect.sync(() => {
      sleeping = undefined
      armedFor = OFF
      onDue()
    })
    // Never at once: a clock that finds the deadline passed would call back inside `arm`.
    const sleep = wait === 0 ? Effect.yieldNow() : clock.sleep(Duration.micros(BigInt(Math.ceil(wait))))
    sleeping = Runtime.runFork(runtime)(Effect.zipRight(sleep, due))
  }

  return { now, arm, cancel }
}
