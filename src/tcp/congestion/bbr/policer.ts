import type { Micros } from "../../time.ts"

/**
 * BBR's long-term bandwidth: a token-bucket policer lets a burst through and then drops what exceeds
 * its rate, so the largest delivery rate seen says nothing about what may be sent. Two intervals in a
 * row that lost a fifth and delivered at about the same rate tell of one; their mean rate is used for
 * a while (as Linux 6.1 does).
 */
export interface Policer {
  /** Octets per second: of the last lossy interval, or, once `using`, the mean of two; 0: none. */
  readonly rate: number
  readonly using: boolean
  /** An interval is going on. */
  readonly sampling: boolean
  /** Round trips of the interval, or since `rate` is used. */
  readonly rounds: number
  /** Where the interval began: when, and what had been delivered and lost by then. */
  readonly at: Micros
  readonly delivered: number
  readonly lost: number
}

/** What an ACK, or a time-out, tells it. */
export interface PolicerSample {
  readonly roundStart: boolean
  /** Something was lost. */
  readonly lossy: boolean
  readonly appLimited: boolean
  /** Steady state: the only one in which `rate` is given up again. */
  readonly cruising: boolean
  /** Octets, over the connection. */
  readonly delivered: number
  readonly lost: number
}

/** Round trips: the fewest and the most of an interval, and for how long its rate is used. */
export const INTERVAL_MIN_ROUNDS = 4
export const INTERVAL_MAX_ROUNDS = 16
export const USE_ROUNDS = 48
/** Lost to delivered, from which on an interval is lossy: 50/256. */
export const LOSSY = 50 / 256
/** Rates are alike that differ by an eighth, or by 4 kbit/s. */
const ALIKE = 1 / 8
const ALIKE_OCTETS = 4000 / 8
const SHORTEST: Micros = 1000

const policerAt = (delivered: number, lost: number, at: Micros): Policer => ({
  rate: 0,
  using: false,
  sampling: false,
  rounds: 0,
  at,
  delivered,
  lost,
})

export const policer: Policer = policerAt(0, 0, 0)

/** Starts over: no rate is known. */
export const reset = (state: Policer, delivered: number, lost: number, now: Micros): Policer =>
  state.rate === 0 && !state.sampling ? state : policerAt(delivered, lost, now)

const interval = (state: Policer, sample: PolicerSample, now: Micros): Policer => ({
  ...state,
  sampling: true,
  rounds: 0,
  at: now,
  delivered: sample.delivered,
  lost: sample.lost,
})

export const withSample = (state: Policer, sample: PolicerSample, now: Micros): Policer => {
  if (state.using) {
    if (!sample.cruising || !sample.roundStart) return state
    return state.rounds + 1 >= USE_ROUNDS
      ? policerAt(sample.delivered, sample.lost, now)
      : { ...state, rounds: state.rounds + 1 }
  }
  if (!state.sampling && !sample.lossy) return state
  // The first loss: the bucket is empty, what follows is the policer's rate.
  const begun = state.sampling ? state : interval(state, sample, now)
  if (sample.appLimited) return policerAt(sample.delivered, sample.lost, now)
  const rounds = begun.rounds + (sample.roundStart ? 1 : 0)
  const counted = rounds === begun.rounds ? begun : { ...begun, rounds }
  if (rounds < INTERVAL_MIN_ROUNDS) return counted
  if (rounds > INTERVAL_MAX_ROUNDS) return policerAt(sample.delivered, sample.lost, now)
  // It ends with a loss, when the bucket is empty again.
  return sample.lossy ? ended(counted, sample, now) : counted
}

const ended = (state: Policer, sample: PolicerSample, now: Micros): Policer => {
  const delivered = sample.delivered - state.delivered
  const lost = sample.lost - state.lost
  const time = now - state.at
  if (delivered <= 0 || lost < LOSSY * delivered || time < SHORTEST) return state
  const rate = Math.floor((delivered * 1_000_000) / time)
  const difference = Math.abs(rate - state.rate)
  if (state.rate > 0 && (difference <= state.rate * ALIKE || difference <= ALIKE_OCTETS)) {
    return { ...state, rate: Math.floor((rate + state.rate) / 2), using: true, rounds: 0 }
  }
  return { ...interval(state, sample, now), rate }
}
