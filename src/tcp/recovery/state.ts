import type { Seq } from "../seq.ts"
import type { TcpSettings } from "../settings.ts"
import type { Delivery, Recovery, Usage } from "../tcb.ts"
import { type Micros, OFF } from "../time.ts"
import { NO_MINIMUM } from "./minFilter.ts"

/** Of a connection whose SYN has just been acknowledged. */
export const initialRecovery = (una: Seq, settings: TcpSettings): Recovery => ({
  phase: "open",
  point: una,
  undo: undefined,
  retransmittedAt: undefined,
  reordering: settings.tcpReordering,
  reorderings: 0,
  highSacked: una,
  prior: 0,
  prrDelivered: 0,
  prrOut: 0,
  frto: false,
  newFirst: false,
  reneged: false,
  rescued: false,
  probe: undefined,
  steps: 1,
  persist: 0,
  dsackRound: 0,
  dsackSeen: false,
  totalRetrans: 0,
  dsackDups: 0,
  totalLost: 0,
})

/** `first`: the SYN has been delivered, and counts as a segment. */
export const initialDelivery = (una: Seq, first: number, now: Micros): Delivery => ({
  delivered: first,
  at: now,
  firstAt: now,
  appLimited: 0,
  rate: 0,
  rateAppLimited: false,
  rackAt: OFF,
  rackEnd: una,
  rackRtt: 0,
  minRtt: NO_MINIMUM,
  ce: 0,
})

export const initialUsage = (una: Seq, now: Micros): Usage => ({ limited: false, most: 0, end: una, used: 0, at: now })
