import type { Segment } from "../../wire/tcpSegment.ts"
import { type Board, edit, replace } from "../board.ts"
import type { Cc } from "../congestion/registry.ts"
import type { Counter } from "../counters.ts"
import { deliveryDraft, type Mutable, recoveryDraft } from "../draft.ts"
import { LOST, type Place, pipe, RETRANS, recordAt, SACKED, segmentsOf } from "../flight.ts"
import type { Seq } from "../seq.ts"
import type { TcpSettings } from "../settings.ts"
import type { Delivery, Recovery, Synchronized, Timers } from "../tcb.ts"
import { type Micros, OFF } from "../time.ts"
import type { Out } from "../timers.ts"

/** One ACK (or time-out) on its way through loss detection and recovery: what it changes, and what it told. Local to one reducer call. */
export interface Ack {
  readonly tcb: Synchronized
  readonly seg: Segment | undefined
  readonly now: Micros
  readonly out: Out
  readonly settings: TcpSettings
  /** SACK was agreed; without it duplicate ACKs are counted (RFC 6582). */
  readonly sack: boolean
  readonly mss: number
  readonly board: Board
  readonly rec: Mutable<Recovery>
  readonly del: Mutable<Delivery>
  cc: Cc
  timers: Timers
  /** SND.UNA before. */
  readonly priorUna: Seq
  /** SND.UNA as this ACK makes it; the scoreboard follows later. */
  una: Seq
  /** End of what SACK had reported before this ACK. */
  readonly priorHighest: Seq
  readonly priorFlight: number
  readonly priorDelivered: number
  readonly priorLost: number
  readonly prior: Sample
  advanced: boolean
  /** It carries something beside its ACK field: data, or another window. */
  notDuplicate: boolean
  dataAcked: boolean
  dataSacked: boolean
  dsack: boolean
  /** The duplicate is the tail loss probe's. */
  dsackOfProbe: boolean
  ece: boolean
  /** Something sent once, before the phase began, has arrived. */
  originalAcked: boolean
  retransmissionLost: boolean
  reneging: boolean
  /** A retransmission timer of either kind starts again. */
  rearm: boolean
  /** RACK has seen something newer delivered. */
  rackAdvanced: boolean
  firstSacked: Micros
  lastSacked: Micros
  /** The window is reduced, the peer is to hear of it; the reduction was wrong, it is not. */
  cwrQueued: boolean
  cwrWithdrawn: boolean
  /** The time-outs so far were spurious. */
  forgetTimeouts: boolean
  /** What became of a probe for a larger MTU. */
  mtuProbe: "none" | "passed" | "failed"
}

/** The rate sample in the making (draft-cheng-iccrg-delivery-rate-estimation section 3.3). */
export interface Sample {
  delivered: number
  at: Micros
  interval: Micros
  end: Seq
  appLimited: boolean
  again: boolean
}

export const noSample = (): Sample => ({ delivered: 0, at: OFF, interval: 0, end: 0, appLimited: false, again: false })

export const begin = (tcb: Synchronized, seg: Segment | undefined, now: Micros, out: Out): Ack => ({
  tcb,
  seg,
  now,
  out,
  settings: tcb.link.context.settings,
  sack: tcb.link.agreed.sack,
  mss: tcb.snd.mss,
  board: edit(tcb.flight),
  rec: recoveryDraft(tcb.recovery),
  del: deliveryDraft(tcb.delivery),
  cc: tcb.cc,
  timers: tcb.timers,
  priorUna: tcb.snd.una,
  una: tcb.snd.una,
  priorHighest: tcb.flight.sacked === 0 || !tcb.link.agreed.sack ? tcb.snd.una : tcb.recovery.highSacked,
  priorFlight: pipe(tcb.flight),
  priorDelivered: tcb.delivery.delivered,
  priorLost: tcb.recovery.totalLost,
  prior: noSample(),
  advanced: false,
  notDuplicate: false,
  dataAcked: false,
  dataSacked: false,
  dsack: false,
  dsackOfProbe: false,
  ece: false,
  originalAcked: false,
  retransmissionLost: false,
  reneging: false,
  rearm: false,
  rackAdvanced: false,
  firstSacked: OFF,
  lastSacked: OFF,
  cwrQueued: false,
  cwrWithdrawn: false,
  forgetTimeouts: false,
  mtuProbe: "none",
})

export const inFlight = (a: Ack): number => pipe(a.board)

/** The congestion window in segments. */
export const windowOf = (a: Ack): number => segmentsIn(a.cc.cwnd, a.mss)

export const segmentsIn = (octets: number, mss: number): number => Math.max(1, Math.floor(octets / mss))

export const setWindow = (a: Ack, segments: number): void => {
  a.cc = { ...a.cc, cwnd: Math.max(1, segments) * a.mss }
}

export const count = (a: Ack, counter: Counter): void => {
  a.out.push({ _tag: "Count", counter })
}

export const delivered = (a: Ack, segments: number): void => {
  a.del.delivered += segments * a.mss
  if (a.ece) a.del.ce += segments * a.mss
}

/** Judged lost: once more where its retransmission is. */
export const markLost = (a: Ack, place: Place): void => {
  const record = recordAt(a.board, place)
  if (record === undefined || (record.marks & SACKED) !== 0) return
  if ((record.marks & LOST) === 0) {
    a.rec.totalLost += segmentsOf(record)
    replace(a.board, place, { ...record, marks: record.marks | LOST })
  } else if ((record.marks & RETRANS) !== 0) {
    a.rec.totalLost += segmentsOf(record)
    a.retransmissionLost = true
    replace(a.board, place, { ...record, marks: record.marks & ~RETRANS })
  }
}

/** End of the highest data that SACK has reported; SND.UNA when there is none. */
export const highestSacked = (a: Ack): Seq => {
  if (a.board.sacked === 0) return a.una
  return a.sack ? a.rec.highSacked : a.tcb.snd.nxt
}

/** Phases in which PRR governs the window. */
export const isReducing = (a: { readonly rec: { readonly phase: Recovery["phase"] } }): boolean =>
  a.rec.phase === "recovery" || a.rec.phase === "cwr"
