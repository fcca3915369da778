import { Agenda } from "../../wire/agenda.ts"
import { type Micros, OFF } from "../../wire/time.ts"

/** Something that wants to run at a time; `wakeAt` belongs to the schedule. */
export interface Task {
  wakeAt: Micros
  readonly run: (now: Micros) => void
}

/** Tasks at one instant; more of them never let time go on: a link without rate and delay, and data without end. */
const MOST_AT_ONCE = 100_000

interface Entry {
  readonly task: Task
  readonly at: Micros
}

/**
 * Virtual time. Each task has one live entry: to move its time later costs nothing, it is asked again
 * when the entry comes up.
 */
export class Schedule {
  now: Micros = 0
  private readonly agenda = new Agenda<Entry>()

  /** Runs the task at `at` or before; OFF asks for nothing. */
  wake(task: Task, at: Micros): void {
    if (at === OFF || (task.wakeAt !== OFF && task.wakeAt <= at)) return
    task.wakeAt = at
    this.agenda.add(at, { task, at })
  }

  /** Calls once, at a time. */
  at(time: Micros, call: () => void): void {
    this.wake({ wakeAt: OFF, run: call }, Math.max(time, this.now))
  }

  /** The next time at which there is something to do, or OFF. */
  next(): Micros {
    return this.agenda.next()
  }

  /** Moves on to `now` and runs what is due. */
  runDue(now: Micros): void {
    this.now = Math.max(this.now, now)
    for (let run = 0; ; run++) {
      if (run > MOST_AT_ONCE) throw new Error(`virtual time stands still at ${this.now} us: too much happens at once`)
      const entry = this.agenda.takeDue(this.now)
      if (entry === undefined) return
      const { task, at } = entry
      if (task.wakeAt !== at) continue
      task.wakeAt = OFF
      task.run(this.now)
    }
  }
}
