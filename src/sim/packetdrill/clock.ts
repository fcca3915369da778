import type { Micros } from "../../tcp/time.ts"
import type { EventTime } from "./ast.ts"

/** When an event is to happen, on the script's clock; `Any` has no limits. */
export interface Schedule {
  readonly from: Micros
  readonly to: Micros
  /** Nothing is said of when. */
  readonly any: boolean
  /** The event's own time is known only when it has happened: the next relative one counts from then. */
  readonly open: boolean
}

/** `last`: the script's time of the event before. */
export const scheduleOf = (time: EventTime, last: Micros): Schedule => {
  switch (time._tag) {
    case "Absolute":
      return { from: time.at, to: time.at, any: false, open: false }
    case "Relative":
      return { from: last + time.after, to: last + time.after, any: false, open: false }
    case "AbsoluteRange":
      return { from: time.from, to: time.to, any: false, open: true }
    case "RelativeRange":
      return { from: last + time.from, to: last + time.to, any: false, open: true }
    case "Any":
      return { from: last, to: Number.POSITIVE_INFINITY, any: true, open: true }
  }
}

export interface Tolerance {
  readonly micros: number
  readonly percent: number
}

/** The tolerance itself, or the percentage of the time since the event before where that is more. */
export const allowed = (tolerance: Tolerance, expected: Micros, last: Micros): Micros =>
  Number.isFinite(expected)
    ? Math.max(tolerance.micros, (tolerance.percent / 100) * Math.max(0, expected - last))
    : tolerance.micros

/** Whether something that happened at `at` happened when it was to. */
export const onTime = (schedule: Schedule, at: Micros, last: Micros, tolerance: Tolerance): boolean =>
  schedule.any ||
  (at >= schedule.from - allowed(tolerance, schedule.from, last) &&
    at <= schedule.to + allowed(tolerance, schedule.to, last))
