import { type Micros, OFF } from "../tcp/time.ts"
import type { Deadlines, Scheduled } from "./deadlines.ts"
import type { Flow } from "./flow.ts"
import { RestingPlace } from "./resting.ts"
import { Task } from "./task.ts"

/** Connections that are left as they are, however long nothing happens to them. */
const FEW = 256
/** How often those are looked for that nothing has happened to, and for how long that must be. Microseconds. */
const ROUND: Micros = 100_000
const STILL: Micros = 25_000

/**
 * Puts connections to rest that nothing happens to, where there are many. Waking one costs some
 * microseconds: those that are in use again and again never sleep.
 */
export class Rest {
  /** Connections put to rest so far. */
  count = 0
  private readonly place = new RestingPlace()
  private readonly round = new Task((now) => this.rounds(now))
  private awake: Array<Flow> = []

  constructor(private readonly deadlines: Deadlines<Scheduled>) {}

  /** Something happens to a connection. */
  stirs(flow: Flow, now: Micros): void {
    if (flow.stirredAt === OFF) {
      this.awake.push(flow)
      if (this.awake.length > FEW && this.round.scheduledAt === OFF) this.deadlines.schedule(this.round, now + ROUND)
    }
    flow.stirredAt = now
  }

  /** A round is over. */
  private rounds(now: Micros): void {
    const { awake } = this
    this.awake = []
    for (const flow of awake) {
      if (now - flow.stirredAt < STILL) this.awake.push(flow)
      else this.putToRest(flow)
    }
    if (this.awake.length > FEW) this.deadlines.schedule(this.round, now + ROUND)
  }

  /** One that cannot rest now is looked at again when something happens to it. */
  private putToRest(flow: Flow): void {
    flow.stirredAt = OFF
    if (!flow.dirty && flow.train === undefined && flow.rest(this.place)) {
      this.count++
      // None of its timers is armed: what the heap still has of them would only wake it.
      this.deadlines.forget(flow)
    }
  }
}
