import type { MinFilter } from "../tcb.ts"
import { type Micros, OFF } from "../time.ts"

/**
 * The least value of a window of time, by Kathleen Nichols' algorithm: the best, and the best of
 * what came later, twice. Exact while values fall, at most a quarter of the window late when they rise.
 */
export const NO_MINIMUM: MinFilter = { value: 0, at: OFF, second: 0, secondAt: OFF, third: 0, thirdAt: OFF }

/** The least, or `Infinity` where nothing was measured. */
export const minimumOf = (filter: MinFilter): Micros => (filter.at === OFF ? Number.POSITIVE_INFINITY : filter.value)

export const withSample = (f: MinFilter, value: Micros, window: Micros, now: Micros): MinFilter => {
  if (f.at === OFF || value <= f.value || now - f.thirdAt > window) {
    return { value, at: now, second: value, secondAt: now, third: value, thirdAt: now }
  }
  if (value <= f.second)
    return aged({ ...f, second: value, secondAt: now, third: value, thirdAt: now }, value, window, now)
  if (value <= f.third) return aged({ ...f, third: value, thirdAt: now }, value, window, now)
  return aged(f, value, window, now)
}

const aged = (f: MinFilter, value: Micros, window: Micros, now: Micros): MinFilter => {
  const age = now - f.at
  if (age > window) {
    // The best has left the window: the second takes its place, and perhaps the third at once.
    const next = { value: f.second, at: f.secondAt, second: f.third, secondAt: f.thirdAt, third: value, thirdAt: now }
    return now - next.at > window
      ? { value: next.second, at: next.secondAt, second: value, secondAt: now, third: value, thirdAt: now }
      : next
  }
  if (f.secondAt === f.at && age > window / 4) return { ...f, second: value, secondAt: now, third: value, thirdAt: now }
  if (f.thirdAt === f.secondAt && age > window / 2) return { ...f, third: value, thirdAt: now }
  return f
}
