import { type Micros, OFF } from "../../tcp/time.ts"
import type { CallAction, ScriptEvent } from "./ast.ts"
import type { Attempt, CallContext, CallResult } from "./calls/context.ts"
import { begin } from "./calls/table.ts"
import { allowed, onTime, type Schedule, type Tolerance } from "./clock.ts"
import type { Failures } from "./failures.ts"
import type { Passage } from "./passage.ts"
import { formatSeconds } from "./report.ts"
import type { Stage } from "./stage.ts"
import { SYMBOLS } from "./symbols.ts"
import { type Definitions, isEllipsis, numberOf } from "./values.ts"

interface Pending {
  readonly event: ScriptEvent
  readonly action: CallAction
  readonly attempt: Attempt
  readonly schedule: Schedule
  readonly last: Micros
}

/** The one call that may be under way: a blocking call that the script goes on beside. */
export class CallInProgress {
  private pending: Pending | undefined

  constructor(
    private readonly stage: Stage,
    private readonly failures: Failures,
    private readonly tolerance: Tolerance,
    private readonly definitions: Definitions,
  ) {}

  /** When it has to be tried even though nothing has happened, or OFF. */
  get deadline(): Micros {
    return this.pending?.attempt.deadline ?? OFF
  }

  /** Begins a call, after the one before has returned. `last`: the script's time of the call itself. */
  begin(event: ScriptEvent, action: CallAction, last: Micros, context: CallContext, passage: Passage): void {
    this.await(passage)
    const attempt = begin(context, action)
    this.pending = { event, action, attempt, schedule: endOf(event, action, last), last }
    this.poll()
    // Without "..." the script waits for the call, however long it takes.
    if (action.until === undefined) this.await(passage)
  }

  /** Tries it again: it may return. */
  poll(): void {
    const { pending } = this
    if (pending === undefined) return
    const result = pending.attempt.poll()
    if (result === "blocks") return
    this.pending = undefined
    this.returned(pending, result)
  }

  /** Lets time pass until it has returned. */
  await(passage: Passage): void {
    for (let pending = this.pending; pending !== undefined; pending = this.pending) {
      const { schedule, event, action, last } = pending
      const limit = schedule.to + allowed(this.tolerance, schedule.to, last)
      const next = passage.next()
      if (next === OFF || next > limit) {
        const when = Number.isFinite(limit) ? ` by ${formatSeconds(schedule.to)}` : ""
        this.failures.fail(event, "call", `${action.name} has not returned${when}`, {})
      }
      passage.step(next)
    }
  }

  private returned({ event, action, schedule, last }: Pending, result: CallResult): void {
    const wanted = isEllipsis(action.result) ? undefined : numberOf(action.result, this.definitions, "a result")
    const got = result.errno === undefined ? String(result.value) : `-1 ${result.errno}`
    const problems = [...result.problems]
    if (wanted !== undefined) {
      const errnoDiffers = action.errno !== undefined && !sameErrno(action.errno, result.errno)
      if (wanted !== result.value || errnoDiffers) {
        problems.unshift(`expected ${wanted}${action.errno === undefined ? "" : ` ${action.errno}`}, got ${got}`)
      }
    }
    if (problems.length > 0) {
      this.failures.fail(event, "call", `${action.name} returned ${got}`, { differences: problems })
    }
    const { now } = this.stage.machine
    if (!onTime(schedule, now, last, this.tolerance)) {
      const message = `${action.name} was to return at ${formatSeconds(schedule.from)} and did at ${formatSeconds(now)}`
      this.failures.fail(event, "timing", message, {})
    }
  }
}

const endOf = (event: ScriptEvent, action: CallAction, last: Micros): Schedule => {
  if (action.until === undefined) return { from: last, to: Number.POSITIVE_INFINITY, any: true, open: true }
  const at = event.time._tag === "Relative" ? last - event.time.after + action.until : action.until
  return { from: at, to: at, any: false, open: false }
}

const sameErrno = (expected: string, actual: string | undefined): boolean =>
  expected === actual ||
  (actual !== undefined && SYMBOLS[expected] !== undefined && SYMBOLS[expected] === SYMBOLS[actual])
