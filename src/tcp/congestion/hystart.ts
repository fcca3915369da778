import { atOrAfter, type Seq } from "../seq.ts"
import { type Micros, OFF } from "../time.ts"

/**
 * HyStart++ (RFC 9406): slow start that ends when the round trip grows, before the queue overflows.
 * A round is a window's way: it ends when what was SND.NXT at its start is acknowledged. The first
 * round in which the round trip is longer starts Conservative Slow Start (CSS), a quarter as fast;
 * if the round trip falls back, the rise was noise, and slow start goes on.
 */
export interface HyStart {
  /** "done": slow start has ended once; later ones know where to end, and do without (section 4.3). */
  readonly phase: "standard" | "conservative" | "done"
  /** A round is going on, until `end` is acknowledged. */
  readonly round: boolean
  readonly end: Seq
  /** The shortest round trips of the last round and of this one; OFF: none. */
  readonly lastMin: Micros
  readonly currentMin: Micros
  /** Samples taken in this round. */
  readonly samples: number
  /** The shortest round trip of the round that started CSS. */
  readonly baseline: Micros
  /** Rounds of CSS that have ended. */
  readonly rounds: number
}

/** Section 4.3. */
export const MIN_RTT_THRESH: Micros = 4000
export const MAX_RTT_THRESH: Micros = 16_000
export const MIN_RTT_DIVISOR = 8
export const N_RTT_SAMPLE = 8
export const CSS_GROWTH_DIVISOR = 4
export const CSS_ROUNDS = 5
/** L: segments that one ACK may add where the sender does not pace; one that does has no limit. */
export const L = 8

export const hyStart: HyStart = {
  phase: "standard",
  round: false,
  end: 0,
  lastMin: OFF,
  currentMin: OFF,
  samples: 0,
  baseline: OFF,
  rounds: 0,
}

/** Slow start has ended: by CSS, or by loss or ECN (section 4.2, last paragraph). */
export const hyStartDone: HyStart = { ...hyStart, phase: "done" }

/** How much longer than before a round trip has to be to mean a queue. */
export const thresholdOf = (lastMin: Micros): Micros =>
  Math.max(MIN_RTT_THRESH, Math.min(lastMin / MIN_RTT_DIVISOR, MAX_RTT_THRESH))

/** An ACK in slow start. `rtt`: its sample, if it brought one. */
export const onAck = (state: HyStart, una: Seq, nxt: Seq, rtt: Micros | undefined): HyStart => {
  if (state.phase === "done") return state
  const sampled = rtt === undefined ? state : judged(sampledBy(state, rtt))
  if (!sampled.round) return { ...sampled, round: true, end: nxt }
  return atOrAfter(una, sampled.end) ? nextRound(sampled, nxt) : sampled
}

const sampledBy = (
  { phase, round, end, lastMin, currentMin, samples, baseline, rounds }: HyStart,
  rtt: Micros,
): HyStart => ({
  phase,
  round,
  end,
  lastMin,
  currentMin: currentMin === OFF ? rtt : Math.min(currentMin, rtt),
  samples: samples + 1,
  baseline,
  rounds,
})

const judged = (state: HyStart): HyStart => {
  const { phase, currentMin, lastMin, baseline } = state
  if (state.samples < N_RTT_SAMPLE) return state
  if (phase === "standard") {
    return lastMin !== OFF && currentMin >= lastMin + thresholdOf(lastMin)
      ? { ...state, phase: "conservative", baseline: currentMin, rounds: 0 }
      : state
  }
  return currentMin < baseline ? { ...state, phase: "standard", baseline: OFF } : state
}

/** The round in whose middle CSS began counts as its first. */
const nextRound = (state: HyStart, nxt: Seq): HyStart => {
  const conservative = state.phase === "conservative"
  if (conservative && state.rounds + 1 >= CSS_ROUNDS) return hyStartDone
  return {
    phase: state.phase,
    round: state.round,
    end: nxt,
    lastMin: state.currentMin,
    currentMin: OFF,
    samples: 0,
    baseline: state.baseline,
    rounds: conservative ? state.rounds + 1 : 0,
  }
}

/** Octets by which an ACK of `credit` octets lets the window grow. */
export const growth = (state: HyStart, credit: number, paced: boolean, mss: number): number => {
  switch (state.phase) {
    case "standard":
      return paced ? credit : Math.min(credit, L * mss)
    case "conservative":
      return Math.floor((paced ? credit : Math.min(credit, L * mss)) / CSS_GROWTH_DIVISOR)
    case "done":
      // Slow start as RFC 5681 has it (section 3.1, equation 2).
      return paced ? credit : Math.min(credit, mss)
  }
}
