import { Clock, Duration, Effect, Scheduler } from "effect"
import { Schedule } from "../sim/network/schedule.ts"
import { type Micros, OFF } from "../wire/time.ts"

/** Turns of the event loop in a row in which nothing happened, before time moves on. */
const QUIET_TURNS = 4

/**
 * Time that passes only when all that could be done at an instant has been done. It is quiet when the
 * fibers wait, no device has frames, and the event loop has turned a few times without news. Fibers run
 * in microtasks only, so a turn of the loop leaves none behind. What waits for the world outside (a file,
 * a real socket) is not waited for.
 */
export class VirtualTime {
  readonly schedule = new Schedule()
  readonly scheduler: Scheduler.Scheduler = new Scheduler.MixedScheduler(Number.MAX_SAFE_INTEGER)
  readonly clock: Clock.Clock
  private quiet = 0
  private turning = false
  private stopped = false

  /** `busy`: somebody has still something to do at this instant. */
  constructor(private readonly busy: () => boolean) {
    this.clock = this.makeClock()
  }

  /** Something happens: the instant is not over. */
  touch(): void {
    this.quiet = 0
    this.turn()
  }

  stop(): void {
    this.stopped = true
  }

  /** The effect, and all fibers that it starts, on this time. */
  readonly inside = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.withScheduler(Effect.withClock(effect, this.clock), this.scheduler)

  private turn(): void {
    if (this.turning || this.stopped) return
    this.turning = true
    setImmediate(() => {
      this.turning = false
      if (this.stopped) return
      if (this.busy()) this.quiet = 0
      if (++this.quiet > QUIET_TURNS) {
        const next = this.schedule.next()
        // Nothing is to come: whoever calls next begins anew.
        if (next === OFF) return
        this.quiet = 0
        this.schedule.runDue(next)
      }
      this.turn()
    })
  }

  private makeClock(): Clock.Clock {
    const { schedule } = this
    const millis = (): number => schedule.now / 1000
    const nanos = (): bigint => BigInt(schedule.now) * 1000n
    return {
      [Clock.ClockTypeId]: Clock.ClockTypeId,
      unsafeCurrentTimeMillis: millis,
      unsafeCurrentTimeNanos: nanos,
      currentTimeMillis: Effect.sync(millis),
      currentTimeNanos: Effect.sync(nanos),
      sleep: (duration) => this.sleep(duration),
    }
  }

  private sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      const wait: Micros = Math.ceil(Duration.toMillis(duration) * 1000)
      if (wait === Number.POSITIVE_INFINITY) return
      let waiting = true
      this.schedule.at(this.schedule.now + wait, () => {
        if (waiting) resume(Effect.void)
      })
      this.touch()
      return Effect.sync(() => {
        waiting = false
      })
    })
  }
}
