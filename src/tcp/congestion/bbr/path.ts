import { OFF } from "../../time.ts"
import type { Bbr } from "./state.ts"

/** What the model says of the path: gains, paces in octets per second, and flights in octets. */

const SECOND = 1_000_000
/** 2/ln 2: the smallest gain that doubles the rate in each round trip. */
export const HIGH_GAIN = 739 / 256
export const DRAIN_GAIN = 88 / 256
const CWND_GAIN = 2
export const CYCLE = [5 / 4, 3 / 4, 1, 1, 1, 1, 1, 1] as const
/** The pace stays a hundredth below the bandwidth, so that queues empty. */
const PACING_MARGIN = 99 / 100
/** The flight before a round trip was measured, segments. */
export const FIRST_SEGMENTS = 10
/** What leaves at once: a millisecond's worth, 64 KiB with its headers at most. */
const BURSTS_PER_SECOND = 1024
const BURST_MAX = 65_535 - 320
const BURST_SEGMENTS_MAX = 127
/** Below 1.2 Mbit/s single segments leave. */
const SINGLE_RATE = 1_200_000 / 8

export const bandwidth = (s: Bbr): number => (s.policer.using ? s.policer.rate : s.bw.best)

export const paceOf = (bw: number, gain: number): number => Math.floor(bw * gain * PACING_MARGIN)

/** The pace that doubles a window in each round trip. */
export const startPace = (cwnd: number, rtt: number): number => paceOf((cwnd * SECOND) / rtt, HIGH_GAIN)

/** The gains of pace and window. */
export const pacingGain = (s: Bbr): number => {
  switch (s.mode) {
    case "startup":
      return HIGH_GAIN
    case "drain":
      return DRAIN_GAIN
    case "probeBw":
      return s.policer.using ? 1 : (CYCLE[s.cycle] ?? 1)
    case "probeRtt":
      return 1
  }
}

export const cwndGain = (s: Bbr): number => {
  switch (s.mode) {
    case "startup":
    case "drain":
      return HIGH_GAIN
    case "probeBw":
      return CWND_GAIN
    case "probeRtt":
      return 1
  }
}

export const burstSegments = (s: Bbr, mss: number): number => {
  const octets = Math.min(Math.floor(s.pacingRate / BURSTS_PER_SECOND), BURST_MAX)
  return Math.min(Math.max(Math.floor(octets / mss), s.pacingRate < SINGLE_RATE ? 1 : 2), BURST_SEGMENTS_MAX)
}

/** What fills the path at `bw`, octets, in whole segments, rounded up lest the estimate feeds on itself. */
export const bdp = (s: Bbr, bw: number, gain: number, mss: number): number => {
  if (s.minRtt === OFF) return FIRST_SEGMENTS * mss
  return Math.ceil((bw * s.minRtt * gain) / SECOND / mss) * mss
}

/** Room for what waits at both ends, an even number of segments because of delayed ACKs. */
export const budgeted = (s: Bbr, octets: number, mss: number): number => {
  const even = Math.ceil((octets + 3 * burstSegments(s, mss) * mss) / (2 * mss)) * 2 * mss
  return s.mode === "probeBw" && s.cycle === 0 ? even + 2 * mss : even
}

export const inflight = (s: Bbr, bw: number, gain: number, mss: number): number =>
  budgeted(s, bdp(s, bw, gain, mss), mss)
