import type { Mutable } from "../draft.ts"
import { type Micros, OFF } from "../time.ts"
import type { AckSample, CcState, CongestionControl } from "./control.ts"
import { cubeRoot } from "./cubeRoot.ts"
import { growth, type HyStart, hyStart, onAck as hyStartAck, hyStartDone } from "./hystart.ts"
import { atLeastTwo, decayed, INFINITE_SSTHRESH, MAX_CWND, rememberedSsthresh } from "./window.ts"

/**
 * CUBIC (RFC 9438): in congestion avoidance the window follows a cubic function of the time since the
 * last congestion, flat around the window at which that happened. RFC names: W_max, K, W_est,
 * cwnd_prior; its `t` is `elapsed`, its "epoch" a stage of congestion avoidance. Windows in octets.
 */
export interface Cubic extends CcState {
  readonly algorithm: "cubic"
  /** What CWND has grown by beyond its whole octets, in [0, 1). */
  readonly fraction: number
  /** The window at the last congestion, less what fast convergence gives away; 0: there is none. */
  readonly wMax: number
  /** The window when the last congestion reduced it. */
  readonly cwndPrior: number
  /** Congestion avoidance is going on since `elapsed`; K, W_est and `elapsed` mean nothing otherwise. */
  readonly epoch: boolean
  /** Seconds that the function takes to reach W_max. */
  readonly k: number
  /** The window that Reno would have by now. */
  readonly wEst: number
  /** How long congestion avoidance has been going on, without the time that the application left unused. */
  readonly elapsed: Micros
  /** When `elapsed` was last brought up to date; OFF: it stands still, the window is not used. */
  readonly at: Micros
  readonly hystart: HyStart
}

/** Written out, as every copy of a record that ACKs make (see draft.ts). */
const cubicDraft = (s: Cubic): Mutable<Cubic> => ({
  algorithm: s.algorithm,
  cwnd: s.cwnd,
  ssthresh: s.ssthresh,
  fraction: s.fraction,
  wMax: s.wMax,
  cwndPrior: s.cwndPrior,
  epoch: s.epoch,
  k: s.k,
  wEst: s.wEst,
  elapsed: s.elapsed,
  at: s.at,
  hystart: s.hystart,
})

/** Segments per second cubed (section 5.1). */
export const C = 0.4
/** beta_cubic is 0.7 (section 4.6): as a fraction, so that 10 segments leave 7 and not 6.99. */
const reduced = (cwnd: number): number => Math.floor((cwnd * 7) / 10)
/** (1 + beta_cubic) / 2 (section 4.7). */
const converged = (cwnd: number): number => Math.floor((cwnd * 17) / 20)
/** 3 * (1 - beta_cubic) / (1 + beta_cubic): segments per round trip, as fair as Reno's one (section 4.3). */
export const ALPHA = 9 / 17

/** Equation 2, in seconds; windows in octets. */
export const kOf = (wMax: number, cwndEpoch: number, mss: number): number =>
  wMax > cwndEpoch ? cubeRoot((wMax - cwndEpoch) / mss / C) : 0

/** Equation 1, in octets; `t` and `k` in seconds. */
export const wCubic = (t: number, k: number, wMax: number, mss: number): number => {
  const since = t - k
  return C * mss * (since * since * since) + wMax
}

const onAck = (state: Cubic, ack: AckSample, mss: number, now: Micros): Cubic => {
  // The time that recovery takes is not of congestion avoidance, whose stage begins after it.
  if (ack.recovering) return state
  if (state.cwnd < state.ssthresh) return slowStart(state, ack, mss, now)
  return avoid(state, ack, ack.delivered, mss, now)
}

const slowStart = (state: Cubic, ack: AckSample, mss: number, now: Micros): Cubic => {
  const hystart = hyStartAck(state.hystart, ack.una, ack.nxt, ack.rtt)
  if (hystart.phase === "done" && state.hystart.phase !== "done") {
    // No loss has told W_max: the function starts from here, with K 0 (section 4.10).
    return { ...state, hystart, ssthresh: state.cwnd, cwndPrior: state.cwnd, wMax: 0, epoch: false }
  }
  const credit = ack.cwndLimited ? ack.delivered : 0
  if (credit === 0 && hystart === state.hystart) return state
  const next = cubicDraft(state)
  next.hystart = hystart
  if (credit === 0) return next
  next.epoch = false
  const grown = state.cwnd + growth(hystart, credit, ack.paced, mss)
  if (grown < state.ssthresh) {
    next.cwnd = Math.min(grown, MAX_CWND)
    return next
  }
  next.cwnd = state.ssthresh
  return avoid(next, ack, grown - state.ssthresh, mss, now)
}

/** `credit`: octets acknowledged that congestion avoidance may use. */
const avoid = (state: Cubic, ack: AckSample, credit: number, mss: number, now: Micros): Cubic => {
  // Time that is not the network's to judge does not count (section 5.8).
  if (!ack.cwndLimited) return state.at === OFF ? state : standing(state)
  const begun = state.epoch ? state : begin(state, mss, now)
  const elapsed = begun.at === OFF ? begun.elapsed : begun.elapsed + (now - begun.at)
  const at = ack.flight === 0 ? OFF : now
  if (credit === 0) return elapsed === begun.elapsed && at === begun.at ? begun : { ...begun, elapsed, at }

  const { cwnd, wMax, k } = begun
  const share = Math.min(credit / cwnd, 1)
  // As fair as Reno until W_est has come back to where it was, then as fast (section 4.3).
  const alpha = begun.wEst < begun.cwndPrior ? ALPHA : 1
  const wEst = Math.min(begun.wEst + alpha * mss * share, MAX_CWND)
  const t = elapsed / SECOND
  const grown = cwnd + begun.fraction + increase(cwnd, wCubic(t + ack.srtt / SECOND, k, wMax, mss)) * share
  // The Reno-friendly region.
  const next = Math.min(wCubic(t, k, wMax, mss) < wEst ? Math.max(grown, wEst) : grown, MAX_CWND)
  const whole = Math.floor(next)
  const after = cubicDraft(begun)
  after.elapsed = elapsed
  after.at = at
  after.wEst = wEst
  after.cwnd = whole
  after.fraction = next - whole
  return after
}

const standing = (state: Cubic): Cubic => {
  const next = cubicDraft(state)
  next.at = OFF
  return next
}

const SECOND = 1_000_000

/** What a window of ACKs adds: the way to where the function is a round trip later, half of the window at most (section 4.2). */
const increase = (cwnd: number, target: number): number => Math.max(0, Math.min(target - cwnd, cwnd / 2))

/** A stage of congestion avoidance begins with this ACK. */
const begin = (state: Cubic, mss: number, now: Micros): Cubic => {
  const { cwnd } = state
  const wMax = Math.max(state.wMax, cwnd)
  return { ...state, epoch: true, wMax, k: kOf(wMax, cwnd, mss), wEst: cwnd, elapsed: 0, at: now, fraction: 0 }
}

/** Sections 4.6 and 4.7: CWND is what the window was, as Linux takes it; it only grows while it is used. */
const reduce = (state: Cubic, floor: number, mss: number): Cubic => {
  const { cwnd } = state
  const less = reduced(cwnd)
  return {
    ...state,
    cwnd: Math.max(less, floor),
    ssthresh: atLeastTwo(less, mss),
    fraction: 0,
    cwndPrior: cwnd,
    wMax: cwnd < state.wMax ? converged(cwnd) : cwnd,
    epoch: false,
    hystart: hyStartDone,
  }
}

export const cubic: CongestionControl<Cubic> = {
  name: "cubic",
  start: (initial) => ({
    algorithm: "cubic",
    cwnd: initial,
    ssthresh: INFINITE_SSTHRESH,
    fraction: 0,
    wMax: 0,
    cwndPrior: 0,
    epoch: false,
    k: 0,
    wEst: 0,
    elapsed: 0,
    at: OFF,
    hystart: hyStart,
  }),
  onAck,
  // An echo may leave one segment, a loss two (section 4.6).
  onCongestion: (state, event, _flight, mss) => reduce(state, event === "ecn" ? mss : 2 * mss, mss),
  onRecovered: (state) => state,
  // Section 4.8: Reno's, with beta_cubic; afterwards K is 0, for W_max is forgotten.
  onTimeout: (state, _flight, mss, _now, again) => {
    const less = reduce(state, mss, mss)
    return {
      ...less,
      cwnd: mss,
      ssthresh: again ? state.ssthresh : less.ssthresh,
      cwndPrior: again ? state.cwndPrior : state.cwnd,
      wMax: 0,
    }
  },
  onUndo: (state, before, now) => {
    // Found out so late that the window has come back by itself: there is nothing to undo (section 4.9).
    if (state.cwnd >= before.cwnd && state.ssthresh >= before.ssthresh) return state
    // The stage of before goes on; the time since is nobody's.
    const cwnd = Math.max(state.cwnd, before.cwnd)
    return { ...before, cwnd, ssthresh: Math.max(state.ssthresh, before.ssthresh), at: before.at === OFF ? OFF : now }
  },
  onIdle: (state, idle, rto, initial) => {
    const cwnd = decayed(state.cwnd, idle, rto, initial)
    if (cwnd === state.cwnd) return state.at === OFF ? state : standing(state)
    // Slow start follows, and then a stage that begins at the window it finds.
    return { ...state, cwnd, fraction: 0, ssthresh: rememberedSsthresh(state.ssthresh, state.cwnd), epoch: false }
  },
  pacingRate: () => 0,
  governsRecovery: false,
  buffered: 2,
}
