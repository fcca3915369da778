import { governsRecovery, onCongestion, onRecovered } from "../congestion/registry.ts"
import { INFINITE_SSTHRESH } from "../congestion/window.ts"
import { type Ack, inFlight, segmentsIn, setWindow, windowOf } from "./ack.ts"

/** FlightSize (RFC 5681 section 2). */
export const flightSize = (a: Ack): number => a.board.out * a.mss

/** An episode of congestion begins: the threshold falls at once, the window over a round trip (RFC 6937bis section 6.1). */
export const beginReduction = (a: Ack, event: "loss" | "ecn"): void => {
  const { rec } = a
  const { cwnd } = a.cc
  rec.point = a.tcb.snd.nxt
  rec.probe = undefined
  rec.prior = windowOf(a)
  rec.prrDelivered = 0
  rec.prrOut = 0
  rec.rescued = false
  a.cc = onCongestion(a.cc, event, flightSize(a), a.mss, a.now)
  if (!governsRecovery(a.cc)) a.cc = { ...a.cc, cwnd }
  a.cwrQueued = true
}

/** Proportional rate reduction (RFC 6937bis section 6.2). `fresh`: segments that this ACK delivered. */
export const reduce = (a: Ack, fresh: number, lost: number): void => {
  const { rec } = a
  if (fresh <= 0 || rec.prior === 0) return
  const pipe = inFlight(a)
  const threshold = segmentsIn(a.cc.ssthresh, a.mss)
  rec.prrDelivered += fresh
  let quota: number
  if (pipe > threshold) {
    quota = Math.ceil((threshold * rec.prrDelivered) / rec.prior) - rec.prrOut
  } else {
    // PRR-SSRB while recovery goes well, PRR-CRB while losses go on.
    quota = Math.max(rec.prrDelivered - rec.prrOut, fresh)
    if (a.advanced && lost === 0) quota++
    quota = Math.min(threshold - pipe, quota)
  }
  // A fast retransmit goes out whatever the numbers say.
  setWindow(a, pipe + Math.max(quota, rec.prrOut === 0 ? 1 : 0))
}

/** The episode is over. */
export const endReduction = (a: Ack): void => {
  if (a.rec.phase !== "cwr" && a.rec.undo === undefined) return
  const { ssthresh } = a.cc
  if (ssthresh < INFINITE_SSTHRESH && !governsRecovery(a.cc)) a.cc = { ...a.cc, cwnd: Math.max(ssthresh, a.mss) }
  a.cc = onRecovered(a.cc, a.board.out * a.mss, a.mss, a.now)
}
