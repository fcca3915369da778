import { type Micros, OFF } from "../../tcp/time.ts"
import type { Stage } from "./stage.ts"

/** Lets the machine's time pass, from one thing that happens by itself to the next. */
export class Passage {
  /** `deadline`: when a waiting call's time-out is over, or OFF. `happened`: calls may have what they wait for. */
  constructor(
    private readonly stage: Stage,
    private readonly deadline: () => Micros,
    private readonly happened: () => void,
  ) {}

  /** When something happens by itself: a timer of the stack or a call's time-out. */
  next(): Micros {
    const { machine } = this.stage
    const stack = machine.next()
    const deadline = this.deadline()
    if (deadline === OFF || deadline < machine.now) return stack
    return stack === OFF ? deadline : Math.min(stack, deadline)
  }

  step(at: Micros): void {
    this.stage.machine.advance(at)
    this.happened()
  }

  /** Timers fire, a blocking call may return. */
  advanceTo(at: Micros): void {
    for (let next = this.next(); next !== OFF && next <= at; next = this.next()) this.step(next)
    this.stage.machine.skipTo(at)
  }
}
