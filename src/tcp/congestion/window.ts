import type { Micros } from "../time.ts"

/** What the algorithms share about windows. Octets. */

/** "Arbitrarily high" (RFC 5681 section 3.1): no congestion has been seen yet. */
export const INFINITE_SSTHRESH = 0x7fffffff

/** The largest window that a peer can offer (RFC 7323 section 2.3): a larger one would never be used. */
export const MAX_CWND = 65_535 * 2 ** 14

/** The floor of SSTHRESH (RFC 5681 section 3.1, equation 4). */
export const atLeastTwo = (octets: number, mss: number): number => Math.max(octets, 2 * mss)

/** RFC 2861 section 3.1: half the window for each RTO without sending, no less than the restart window. */
export const decayed = (cwnd: number, idle: Micros, rto: Micros, initial: number): number => {
  const floor = Math.min(cwnd, initial)
  let next = cwnd
  for (let left = idle - rto; left > 0 && next > floor; left -= rto) next = Math.floor(next / 2)
  return Math.max(next, floor)
}

/** RFC 2861 section 3.1: the window of before is remembered, as the place where slow start ends. */
export const rememberedSsthresh = (ssthresh: number, cwnd: number): number =>
  Math.max(ssthresh, Math.floor((cwnd * 3) / 4))
