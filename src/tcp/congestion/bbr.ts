import { atOrAfter } from "../seq.ts"
import { type Micros, OFF } from "../time.ts"
import { allowance, restarted, withAck as withAggregation } from "./bbr/aggregation.ts"
import { withSample } from "./bbr/maxFilter.ts"
import {
  bandwidth,
  bdp,
  budgeted,
  burstSegments,
  CYCLE,
  cwndGain,
  FIRST_SEGMENTS,
  inflight,
  paceOf,
  pacingGain,
  startPace,
} from "./bbr/path.ts"
import { reset, withSample as withPolicerSample } from "./bbr/policer.ts"
import { type Bbr, bbrOf, type Losing } from "./bbr/state.ts"
import type { AckSample, CongestionControl } from "./control.ts"
import { MAX_CWND } from "./window.ts"

/** One copy is made of a state for each ACK; the steps write into it. */
type Draft = { -readonly [K in keyof Bbr]: Bbr[K] }

const SECOND = 1_000_000
/** A cycle begins in any of its phases but the draining one. */
const CYCLE_STARTS = 7
const BW_ROUNDS = CYCLE.length + 2
const MIN_RTT_WINDOW: Micros = 10 * SECOND
const DIP_TIME: Micros = 200_000
const MIN_SEGMENTS = 4
const FULL_BW_GROWTH = 5 / 4
const FULL_BW_ROUNDS = 3

const onAck = (state: Bbr, ack: AckSample, mss: number, now: Micros): Bbr => {
  const s: Draft = { ...state }
  if (s.seed === 0) s.seed = ack.una | 1
  s.delivered = ack.totalDelivered
  s.lost += ack.lost
  const losing = losingNow(s, ack)

  const roundStart = ack.delivered > 0 && ack.deliveredAtSend >= s.roundEnd
  if (roundStart) {
    s.roundEnd = ack.totalDelivered
    s.round++
    s.conserving = false
  }
  const limited = ack.appLimited || (ack.deliveredAtSend >= s.quietFrom && ack.deliveredAtSend <= s.quietTo)
  if (ack.delivered > 0) {
    samplePolicer(s, roundStart, ack.lost > 0, limited, now)
    sampleBandwidth(s, ack.deliveryRate, limited)
    s.aggregation = withAggregation(s.aggregation, ack.delivered, roundStart, bandwidth(s), s.cwnd, mss, now)
  }
  if (s.mode === "probeBw" && cycleEnds(s, ack, mss, now)) advanceCycle(s, now)
  if (roundStart && !limited) judgePipe(s)
  leaveStartup(s, ack.flight, mss, now)
  sampleRoundTrip(s, ack, roundStart, mss, now)
  setPace(s, ack.srtt)
  setWindow(s, ack, losing, mss)
  return s
}

/** What kind of loss is being repaired as of this ACK. */
const losingNow = (s: Draft, ack: AckSample): Losing => {
  if (s.timedOut === "fresh") {
    s.timedOut = "yes"
    s.timeoutEnd = ack.nxt
  }
  if (s.timedOut === "yes" && atOrAfter(ack.una, s.timeoutEnd)) s.timedOut = "no"
  if (ack.recovering) return "recovery"
  return s.timedOut === "no" ? "no" : "timeout"
}

const samplePolicer = (s: Draft, roundStart: boolean, lossy: boolean, appLimited: boolean, now: Micros): void => {
  const { using } = s.policer
  const { delivered, lost } = s
  const cruising = s.mode === "probeBw"
  s.policer = withPolicerSample(s.policer, { roundStart, lossy, appLimited, cruising, delivered, lost }, now)
  if (using && !s.policer.using) beginCycle(s, now)
}

/** A sample that the application limited counts if it is better than what is known. */
const sampleBandwidth = (s: Draft, rate: number, limited: boolean): void => {
  if (rate > 0 && (!limited || rate >= s.bw.best)) s.bw = withSample(s.bw, Math.floor(rate), s.round, BW_ROUNDS)
}

/** Phases last a round trip; probing until the flight is as large as it asks for, draining until it is small. */
const cycleEnds = (s: Draft, ack: AckSample, mss: number, now: Micros): boolean => {
  const whole = now - s.cycleAt > s.minRtt
  const gain = pacingGain(s)
  if (gain === 1) return whole
  if (gain > 1) {
    const reached = ack.priorFlight + burstSegments(s, mss) * mss >= inflight(s, s.bw.best, gain, mss)
    return whole && (ack.lost > 0 || reached)
  }
  return whole || ack.priorFlight <= inflight(s, s.bw.best, 1, mss)
}

const advanceCycle = (s: Draft, now: Micros): void => {
  s.cycle = (s.cycle + 1) % CYCLE.length
  s.cycleAt = now
}

/** Flows that share a queue ought not to probe together. */
const beginCycle = (s: Draft, now: Micros): void => {
  s.mode = "probeBw"
  s.cycle = CYCLE.length - 1 - (mixed(s.seed + s.round) % CYCLE_STARTS)
  advanceCycle(s, now)
}

/** A 32-bit finalizer (MurmurHash3's). */
const mixed = (n: number): number => {
  let h = n | 0
  h = Math.imul(h ^ (h >>> 16), 0x85eb_ca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** Startup has filled the pipe when three rounds brought less than a quarter more. */
const judgePipe = (s: Draft): void => {
  if (s.pipeFilled) return
  if (s.bw.best >= s.fullBw * FULL_BW_GROWTH) {
    s.fullBw = s.bw.best
    s.fullBwRounds = 0
    return
  }
  s.fullBwRounds++
  s.pipeFilled = s.fullBwRounds >= FULL_BW_ROUNDS
}

const leaveStartup = (s: Draft, flight: number, mss: number, now: Micros): void => {
  if (s.mode === "startup" && s.pipeFilled) {
    s.mode = "drain"
    s.ssthresh = inflight(s, s.bw.best, 1, mss)
  }
  if (s.mode === "drain" && flight <= inflight(s, s.bw.best, 1, mss)) beginCycle(s, now)
}

const sampleRoundTrip = (s: Draft, ack: AckSample, roundStart: boolean, mss: number, now: Micros): void => {
  if (s.minRtt === OFF && ack.minRtt > 0) {
    s.minRtt = ack.minRtt
    s.minRttAt = now
  }
  const expired = now > s.minRttAt + MIN_RTT_WINDOW
  if (ack.rtt !== undefined && (s.minRtt === OFF || ack.rtt < s.minRtt || expired)) {
    s.minRtt = Math.max(ack.rtt, 1)
    s.minRttAt = now
  }
  if (expired && !s.afterIdle && s.mode !== "probeRtt") {
    saveWindow(s)
    s.mode = "probeRtt"
    s.dipUntil = OFF
    s.quietFrom = s.delivered
  }
  if (s.mode === "probeRtt") dip(s, ack.flight, roundStart, mss, now)
  if (ack.delivered > 0) s.afterIdle = false
}

/** Four segments in flight for 200 ms and a round trip. */
const dip = (s: Draft, flight: number, roundStart: boolean, mss: number, now: Micros): void => {
  s.quietTo = s.delivered + flight
  if (s.dipUntil === OFF) {
    if (flight > MIN_SEGMENTS * mss) return
    s.dipUntil = now + DIP_TIME
    s.dipRound = false
    s.roundEnd = s.delivered
    return
  }
  if (roundStart) s.dipRound = true
  if (s.dipRound) endDip(s, now)
}

const endDip = (s: Draft, now: Micros): void => {
  if (s.dipUntil === OFF || now <= s.dipUntil) return
  s.minRttAt = now
  s.cwnd = Math.max(s.cwnd, s.priorCwnd)
  if (s.pipeFilled) beginCycle(s, now)
  else s.mode = "startup"
}

/** The window before recovery or a dip cut it. */
const saveWindow = (s: Draft): void => {
  s.priorCwnd = s.losing === "no" && s.mode !== "probeRtt" ? s.cwnd : Math.max(s.priorCwnd, s.cwnd)
}

const setPace = (s: Draft, srtt: Micros): void => {
  if (!s.paceKnown && srtt > 0) {
    s.paceKnown = true
    s.pacingRate = startPace(s.cwnd, srtt)
  }
  const rate = paceOf(bandwidth(s), pacingGain(s))
  // Until the pipe is known to be full the pace only rises.
  if (s.pipeFilled || rate > s.pacingRate) s.pacingRate = rate
}

const setWindow = (s: Draft, ack: AckSample, losing: Losing, mss: number): void => {
  if (ack.delivered > 0) s.cwnd = windowAfter(s, ack, losing, mss)
  if (s.mode === "probeRtt") s.cwnd = Math.min(s.cwnd, MIN_SEGMENTS * mss)
}

const windowAfter = (s: Draft, ack: AckSample, losing: Losing, mss: number): number => {
  const was = s.losing
  s.losing = losing
  // An ACK lets out twice what it delivered at most, what it tells lost taken off first.
  let cwnd = Math.max(s.cwnd - ack.lost, mss)
  if (losing === "recovery" && was !== "recovery") {
    s.conserving = true
    s.roundEnd = s.delivered
    cwnd = ack.flight + ack.delivered
  } else if (losing === "no" && was !== "no") {
    s.conserving = false
    cwnd = Math.max(cwnd, s.priorCwnd)
  }
  if (s.conserving) return Math.min(Math.max(cwnd, ack.flight + ack.delivered, mss), MAX_CWND)

  const bw = bandwidth(s)
  const extra = s.pipeFilled ? allowance(s.aggregation, bw) : 0
  const target = budgeted(s, bdp(s, bw, cwndGain(s), mss) + extra, mss)
  if (s.pipeFilled) cwnd = Math.min(cwnd + ack.delivered, target)
  else if (cwnd < target || s.delivered < FIRST_SEGMENTS * mss) cwnd += ack.delivered
  return Math.min(Math.max(cwnd, MIN_SEGMENTS * mss), MAX_CWND)
}

const onTimeout = (state: Bbr, flight: number, mss: number, now: Micros): Bbr => {
  const s: Draft = { ...state }
  saveWindow(s)
  s.losing = "timeout"
  s.timedOut = "fresh"
  s.cwnd = mss
  s.lost += flight
  s.fullBw = 0
  samplePolicer(s, true, true, false, now)
  return s
}

const onIdle = (state: Bbr, now: Micros): Bbr => {
  const s: Draft = { ...state, afterIdle: true, aggregation: restarted(state.aggregation, now) }
  // No faster than the path is: there is no queue to fill after silence.
  if (s.mode === "probeBw") s.pacingRate = paceOf(bandwidth(s), 1)
  else if (s.mode === "probeRtt") endDip(s, now)
  return s
}

/**
 * BBR, version 1, as Linux 6.1 has it: the window and the pace follow a model of the path (the largest
 * delivery rate of ten round trips, the shortest round trip of ten seconds) and not losses. Startup
 * fills the pipe, drain empties the queue that made, then the pace goes in cycles of eight round trips
 * around the bandwidth; every ten seconds a dip to four segments looks at the round trip again.
 */
export const bbr: CongestionControl<Bbr> = {
  name: "bbr",
  start: (initial, _mss, now) => bbrOf(initial, now),
  onAck,
  // The window is kept for afterwards; what a loss does to it, the ACKs of recovery tell. An echo does nothing.
  onCongestion: (state) => {
    const s: Draft = { ...state }
    saveWindow(s)
    return s
  },
  onRecovered: (state) => (state.timedOut === "no" ? state : { ...state, timedOut: "no" }),
  onTimeout,
  onUndo: (state, _before, now) => ({
    ...state,
    timedOut: "no",
    fullBw: 0,
    fullBwRounds: 0,
    policer: reset(state.policer, state.delivered, state.lost, now),
  }),
  onIdle: (state, _idle, _rto, _initial, now) => onIdle(state, now),
  pacingRate: (state) => state.pacingRate,
  governsRecovery: true,
  // Linux's bbr_sndbuf_expand: startup doubles the window whatever is lost, and holes hold up the rest.
  buffered: 3,
}
