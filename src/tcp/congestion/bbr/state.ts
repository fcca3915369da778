import type { Seq } from "../../seq.ts"
import { type Micros, OFF } from "../../time.ts"
import type { CcState } from "../control.ts"
import { INFINITE_SSTHRESH } from "../window.ts"
import { type Aggregation, aggregationAt } from "./aggregation.ts"
import { filterOf, type MaxFilter } from "./maxFilter.ts"
import { startPace } from "./path.ts"
import { type Policer, policer } from "./policer.ts"

/** What BBR knows of the path, and where in its course it is. Rates in octets per second. */
export interface Bbr extends CcState {
  readonly algorithm: "bbr"
  readonly mode: Mode
  readonly pacingRate: number
  /** `pacingRate` comes from a round trip that was measured, and not from a guess. */
  readonly paceKnown: boolean

  /** The largest delivery rate, by round. */
  readonly bw: MaxFilter
  /** The shortest round trip, and when it was seen; OFF: none. */
  readonly minRtt: Micros
  readonly minRttAt: Micros

  /** Round trips so far; one ends when what is sent after `roundEnd` octets were delivered is delivered. */
  readonly round: number
  readonly roundEnd: number
  /** Delivered and lost over the connection, octets. */
  readonly delivered: number
  readonly lost: number

  /** Startup: the bandwidth that has to be exceeded by a quarter, and for how many rounds it was not. */
  readonly fullBw: number
  readonly fullBwRounds: number
  readonly pipeFilled: boolean

  /** Place in the cycle of gains, and since when. */
  readonly cycle: number
  readonly cycleAt: Micros

  /** The dip: until when, OFF while the flight is still too large; and whether a round has passed in it. */
  readonly dipUntil: Micros
  readonly dipRound: boolean
  /** What was sent when this much had been delivered says nothing about the bandwidth: the last dip. */
  readonly quietFrom: number
  readonly quietTo: number

  /** Loss recovery, or a time-out's slow start, at the last ACK. */
  readonly losing: Losing
  /** A time-out's slow start goes on until `timeoutEnd` is acknowledged, which the next ACK tells. */
  readonly timedOut: "no" | "fresh" | "yes"
  readonly timeoutEnd: Seq
  /** The first round of recovery: what leaves is what arrived. */
  readonly conserving: boolean
  /** The window to go back to after recovery or a dip. */
  readonly priorCwnd: number
  /** Sending has begun again after silence, and nothing of it is acknowledged. */
  readonly afterIdle: boolean
  /** Where the cycles begin: from the first acknowledgment number, so of the keyed ISS; 0: not known. */
  readonly seed: number

  readonly policer: Policer
  readonly aggregation: Aggregation
}

export type Mode = "startup" | "drain" | "probeBw" | "probeRtt"
export type Losing = "no" | "recovery" | "timeout"

/** The pace before a round trip was measured takes this one. */
const FIRST_RTT: Micros = 1000

export const bbrOf = (initial: number, now: Micros): Bbr => ({
  algorithm: "bbr",
  cwnd: initial,
  ssthresh: INFINITE_SSTHRESH,
  mode: "startup",
  pacingRate: startPace(initial, FIRST_RTT),
  paceKnown: false,
  bw: filterOf(0, 0),
  minRtt: OFF,
  minRttAt: now,
  round: 0,
  roundEnd: 0,
  delivered: 0,
  lost: 0,
  fullBw: 0,
  fullBwRounds: 0,
  pipeFilled: false,
  cycle: 0,
  cycleAt: now,
  dipUntil: OFF,
  dipRound: false,
  quietFrom: 0,
  quietTo: OFF,
  losing: "no",
  timedOut: "no",
  timeoutEnd: 0,
  conserving: false,
  priorCwnd: 0,
  afterIdle: false,
  seed: 0,
  policer,
  aggregation: aggregationAt(now),
})
