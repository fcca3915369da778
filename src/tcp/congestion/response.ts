import { ALPHA, C } from "./cubic.ts"

/**
 * What theory expects of a flow that is alone on a path which loses segments at a rate `loss`: the mean
 * window in segments, and the rate in octets per second. `rtt` in seconds.
 *
 * The functions suppose one loss in every 1/loss segments. Where losses are independent of each other
 * a sender fares a little better at the same mean, for two of them often fall into one round trip.
 */

const BETA = 0.7

/** Additive increase by `alpha` segments a round trip, decrease to `beta` (RFC 9438 section 4.3). */
const aimdWindow = (alpha: number, beta: number, loss: number): number =>
  Math.sqrt((alpha * (1 + beta)) / (2 * (1 - beta) * loss))

/** RFC 5681's: the square root of 3/2 over that of the loss (Mathis et al.). */
export const renoWindow = (loss: number): number => aimdWindow(1, 1 / 2, loss)

/** The cubic function alone (RFC 9438 section 5.1). */
export const cubicFunctionWindow = (loss: number, rtt: number): number =>
  ((C * (3 + BETA)) / (4 * (1 - BETA))) ** 0.25 * (rtt / loss) ** 0.75

/** CUBIC's: the larger of its function's and that of the Reno-friendly region. */
export const cubicWindow = (loss: number, rtt: number): number =>
  Math.max(cubicFunctionWindow(loss, rtt), aimdWindow(ALPHA, BETA, loss))

/** A mean window as a rate: octets of `mss` a segment, no more than the path takes. */
export const rateOf = (window: number, rtt: number, mss: number, capacity = Number.POSITIVE_INFINITY): number =>
  Math.min((window * mss) / rtt, capacity)

/**
 * Reno's rate where losses are so many that time-outs count (RFC 5348 section 3.1, after Padhye et al.;
 * `rto` in seconds): a lower bound for a sender that detects most losses without one.
 */
export const renoRateWithTimeouts = (loss: number, rtt: number, rto: number, mss: number): number => {
  const trip = rtt * Math.sqrt((2 * loss) / 3)
  const timeouts = rto * 3 * Math.sqrt((3 * loss) / 8) * loss * (1 + 32 * loss * loss)
  return mss / (trip + timeouts)
}
