import type { Micros } from "../tcp/time.ts"

/** What iputils' ping says at its end. Times are microseconds. */
export interface PingStatistics {
  readonly transmitted: number
  /** Requests that were answered. */
  readonly received: number
  readonly duplicates: number
  /** Requests that an ICMP error came back for. */
  readonly errors: number
  /** Percent of the requests that were not answered. */
  readonly loss: number
  /** Absent without a reply. */
  readonly rtt:
    | { readonly min: Micros; readonly average: Micros; readonly max: Micros; readonly deviation: Micros }
    | undefined
}

/** Sums that statistics are made of. */
export interface PingSums {
  readonly transmitted: number
  readonly received: number
  readonly duplicates: number
  readonly errors: number
  readonly times: number
  readonly sum: number
  readonly squares: number
  readonly min: number
  readonly max: number
}

export const noSums: PingSums = {
  transmitted: 0,
  received: 0,
  duplicates: 0,
  errors: 0,
  times: 0,
  sum: 0,
  squares: 0,
  min: Number.POSITIVE_INFINITY,
  max: 0,
}

/** A reply came; of duplicates too the time counts, as with iputils. */
export const withReply = (sums: PingSums, rtt: Micros, duplicate: boolean): PingSums => ({
  ...sums,
  received: sums.received + (duplicate ? 0 : 1),
  duplicates: sums.duplicates + (duplicate ? 1 : 0),
  times: sums.times + 1,
  sum: sums.sum + rtt,
  squares: sums.squares + rtt * rtt,
  min: Math.min(sums.min, rtt),
  max: Math.max(sums.max, rtt),
})

/** The deviation is the root of the mean square less the squared mean. */
export const statisticsOf = (sums: PingSums): PingStatistics => {
  const { transmitted, received, duplicates, errors, times, sum, squares, min, max } = sums
  const average = times === 0 ? 0 : sum / times
  return {
    transmitted,
    received,
    duplicates,
    errors,
    loss: transmitted === 0 ? 0 : ((transmitted - received) / transmitted) * 100,
    rtt:
      times === 0
        ? undefined
        : { min, average, max, deviation: Math.sqrt(Math.max(0, squares / times - average * average)) },
  }
}
