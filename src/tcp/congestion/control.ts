import type { Seq } from "../seq.ts"
import type { Micros } from "../time.ts"

/** What every algorithm keeps, beside what is its own. Octets. */
export interface CcState {
  readonly algorithm: CcName
  readonly cwnd: number
  readonly ssthresh: number
}

export type CcName = "reno" | "cubic" | "bbr"

/** What one ACK told. Octets and microseconds. */
export interface AckSample {
  /** Acknowledged now for the first time, cumulatively or by SACK (RFC 6937's DeliveredData). */
  readonly delivered: number
  /** How far SND.UNA moved. */
  readonly acked: number
  /** Judged lost by this ACK. */
  readonly lost: number
  /** In flight (RFC 6675's pipe) before the ACK, and after it. */
  readonly priorFlight: number
  readonly flight: number
  /** Round trip of the newest segment acknowledged that was sent once only. */
  readonly rtt: Micros | undefined
  readonly srtt: Micros
  readonly minRtt: Micros
  /** The congestion window, not the peer or the application, held the sender back (RFC 7661). */
  readonly cwndLimited: boolean
  /** Loss recovery (not a time-out's slow start) is going on. */
  readonly recovering: boolean
  readonly una: Seq
  readonly nxt: Seq
  /** Delivery rate of the newest segment acknowledged, octets per second; 0: no sample. */
  readonly deliveryRate: number
  /** The sample was taken while the application had nothing more to send. */
  readonly appLimited: boolean
  /** What leaves is spread over the round trip, so that an ACK of much lets no burst out (RFC 9406 section 4.3). */
  readonly paced: boolean
  /** Octets delivered over the connection: now, and when the newest segment acknowledged was sent. */
  readonly totalDelivered: number
  readonly deliveredAtSend: number
}

/**
 * A congestion control algorithm: pure, in octets, knowing nothing of segments or timers. Recovery
 * itself (which segment goes again, and how fast: PRR) is the caller's; `cwnd` is what may be in
 * flight once it is over.
 */
export interface CongestionControl<S extends CcState> {
  readonly name: S["algorithm"]
  /** `initial`: the first window. */
  readonly start: (initial: number, mss: number, now: Micros) => S
  /**
   * An ACK that made progress. Windows grow by `delivered`, so what SACK reported earlier counts once;
   * whether SACKed data alone is progress (it is where the path reorders) the caller decides.
   */
  readonly onAck: (state: S, ack: AckSample, mss: number, now: Micros) => S
  /**
   * A loss, or an ECN echo, begins an episode: `ssthresh` (and what else) answers to it, once per window of data.
   * `flight`: RFC 5681's FlightSize, all that is not acknowledged cumulatively.
   */
  readonly onCongestion: (state: S, event: "loss" | "ecn", flight: number, mss: number, now: Micros) => S
  /** The episode is over: all that was in flight at its start is acknowledged. */
  readonly onRecovered: (state: S, flight: number, mss: number, now: Micros) => S
  /** RFC 5681 section 3.1. `again`: the same data timed out before, `ssthresh` stays. */
  readonly onTimeout: (state: S, flight: number, mss: number, now: Micros, again: boolean) => S
  /** The congestion was none (D-SACK, F-RTO, Eifel): as if it had not happened. `before`: the state then. */
  readonly onUndo: (state: S, before: S, now: Micros) => S
  /** Sending begins again after `idle` without anything in flight, longer than `rto` (RFC 2861). */
  readonly onIdle: (state: S, idle: Micros, rto: Micros, initial: number, now: Micros) => S
  /** Octets per second at which to send; 0: the caller derives it from `cwnd` and SRTT. */
  readonly pacingRate: (state: S) => number
  /** It governs the window during recovery too, so PRR stays out (BBR). */
  readonly governsRecovery: boolean
  /** How many windows a send buffer holds: one in flight, one to be filled, and more where the window grows during recovery. */
  readonly buffered: number
}
