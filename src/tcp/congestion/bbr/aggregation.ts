import type { Micros } from "../../time.ts"

/**
 * How much more than the bandwidth accounts for ACKs bring at once: a link or a host that holds ACKs
 * back for a while needs so much more in flight, or the sender stands still in between. The largest
 * excess of the last five to ten round trips (as Linux 6.1 counts it). Octets.
 */
export interface Aggregation {
  readonly epochAt: Micros
  /** Delivered since. */
  readonly acked: number
  /** The largest excess of the last rounds, in two slots of five rounds; `slot`: the one being filled. */
  readonly even: number
  readonly odd: number
  readonly slot: 0 | 1
  readonly rounds: number
}

export const SLOT_ROUNDS = 5
/** The excess is worth no more than this time at the bandwidth. */
const LONGEST: Micros = 100_000
/** An epoch ends when so many segments were delivered in it. */
const EPOCH_SEGMENTS = 2 ** 20
const SECOND = 1_000_000

export const aggregationAt = (now: Micros): Aggregation => ({
  epochAt: now,
  acked: 0,
  even: 0,
  odd: 0,
  slot: 0,
  rounds: 0,
})

/** Sending begins again: what was expected meanwhile does not count. */
export const restarted = (state: Aggregation, now: Micros): Aggregation => ({ ...state, epochAt: now, acked: 0 })

/** `bw`: octets per second; `delivered` by this ACK. */
export const withAck = (
  state: Aggregation,
  delivered: number,
  roundStart: boolean,
  bw: number,
  cwnd: number,
  mss: number,
  now: Micros,
): Aggregation => {
  const turned = roundStart ? nextRound(state) : state
  const expected = (bw * (now - turned.epochAt)) / SECOND
  const over = turned.acked <= expected || turned.acked + delivered >= EPOCH_SEGMENTS * mss
  const epochAt = over ? now : turned.epochAt
  const acked = (over ? 0 : turned.acked) + delivered
  const extra = Math.min(Math.floor(over ? acked : acked - expected), cwnd)
  const { slot, rounds } = turned
  const even = slot === 0 ? Math.max(turned.even, extra) : turned.even
  const odd = slot === 1 ? Math.max(turned.odd, extra) : turned.odd
  return { epochAt, acked, even, odd, slot, rounds }
}

const nextRound = (state: Aggregation): Aggregation => {
  if (state.rounds + 1 < SLOT_ROUNDS) return { ...state, rounds: state.rounds + 1 }
  return state.slot === 0 ? { ...state, rounds: 0, slot: 1, odd: 0 } : { ...state, rounds: 0, slot: 0, even: 0 }
}

/** What to add to the window. */
export const allowance = (state: Aggregation, bw: number): number =>
  Math.min(Math.max(state.even, state.odd), Math.floor((bw * LONGEST) / SECOND))
