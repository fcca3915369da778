import type { AckSample, CcState, CongestionControl } from "./control.ts"
import { atLeastTwo, decayed, INFINITE_SSTHRESH, MAX_CWND, rememberedSsthresh } from "./window.ts"

/** RFC 5681 with octets counted (RFC 3465), and what RFC 6582 says of windows. */
export interface Reno extends CcState {
  readonly algorithm: "reno"
  /** Acknowledged since CWND last grew in congestion avoidance (RFC 3465 section 2.1: bytes_acked). */
  readonly acked: number
  /** Slow start after a time-out is going on (RFC 3465 section 2.3). */
  readonly afterTimeout: boolean
}

/**
 * RFC 3465's L, segments that one ACK may add in slow start: it is there to bound bursts, so a sender
 * that paces has none (as Linux, which has none at all).
 */
const limitOf = (state: Reno, paced: boolean, mss: number): number => {
  if (paced) return MAX_CWND
  return state.afterTimeout ? mss : 2 * mss
}

const onAck = (state: Reno, ack: AckSample, mss: number): Reno => {
  if (ack.recovering || !ack.cwndLimited) return state
  const credit = ack.delivered
  if (credit === 0) return state
  if (state.cwnd >= state.ssthresh) return avoid(state, state.cwnd, credit, mss)
  const grown = state.cwnd + Math.min(credit, limitOf(state, ack.paced, mss))
  if (grown < state.ssthresh) return { ...state, cwnd: Math.min(grown, MAX_CWND) }
  // What is left over counts in congestion avoidance already.
  return avoid({ ...state, afterTimeout: false }, state.ssthresh, grown - state.ssthresh, mss)
}

/** One segment per window of acknowledged octets (RFC 5681 section 3.1, RFC 3465 section 2.1). */
const avoid = (state: Reno, cwnd: number, credit: number, mss: number): Reno => {
  const acked = state.acked + credit
  return acked >= cwnd
    ? { ...state, cwnd: Math.min(cwnd + mss, MAX_CWND), acked: acked - cwnd }
    : { ...state, cwnd, acked }
}

/** Half of what is in flight (equation 4), limited transmit's segments beyond CWND not counted. */
const half = (state: Reno, flight: number): number => Math.floor(Math.min(flight, state.cwnd) / 2)

export const reno: CongestionControl<Reno> = {
  name: "reno",
  start: (initial) => ({
    algorithm: "reno",
    cwnd: initial,
    ssthresh: INFINITE_SSTHRESH,
    acked: 0,
    afterTimeout: false,
  }),
  onAck,
  onCongestion: (state, event, flight, mss) => {
    const reduced = half(state, flight)
    const ssthresh = atLeastTwo(reduced, mss)
    // An echo may leave one segment (RFC 3168 section 6.1.2).
    const cwnd = event === "ecn" ? Math.max(reduced, mss) : ssthresh
    return { ...state, cwnd, ssthresh, acked: 0, afterTimeout: false }
  },
  // CWND is SSTHRESH already: RFC 6582 section 3.2, step 3, its second choice. PRR and pacing take the burst out.
  onRecovered: (state) => state,
  onTimeout: (state, flight, mss, _now, again) => ({
    ...state,
    cwnd: mss,
    ssthresh: again ? state.ssthresh : atLeastTwo(half(state, flight), mss),
    acked: 0,
    afterTimeout: true,
  }),
  onUndo: (state, before) => ({
    ...before,
    cwnd: Math.max(state.cwnd, before.cwnd),
    ssthresh: Math.max(state.ssthresh, before.ssthresh),
  }),
  onIdle: (state, idle, rto, initial) => {
    const cwnd = decayed(state.cwnd, idle, rto, initial)
    if (cwnd === state.cwnd) return state
    return { ...state, cwnd, ssthresh: rememberedSsthresh(state.ssthresh, state.cwnd), acked: 0 }
  },
  pacingRate: () => 0,
  governsRecovery: false,
  buffered: 2,
}
