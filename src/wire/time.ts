/** A point in time or a duration, microseconds. Points count from whatever zero the caller chose. */
export type Micros = number

/** A timer that is not armed. */
export const OFF: Micros = -1
