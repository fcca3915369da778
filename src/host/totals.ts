import type { Transmit } from "../tcp/effect.ts"
import { after, distance, type Seq } from "../tcp/seq.ts"
import type { Synchronized } from "../tcp/tcb.ts"
import type { Micros } from "../tcp/time.ts"
import { RST, type Segment, SYN } from "../wire/tcpSegment.ts"

/** What keeps a connection from sending (Linux's tcp_chrono). */
type Holdup = "idle" | "busy" | "window" | "buffer"

/** All that `Totals` knows, as a value. */
export interface TotalsRecord {
  /** By the names that they have there. */
  readonly counts: Readonly<Record<Count, number>>
  readonly lastIn: Micros
  readonly since: Micros
  readonly highest: Seq
  readonly holdup: Holdup
}

const COUNTS = [
  "segsIn",
  "segsOut",
  "dataSegsIn",
  "dataSegsOut",
  "bytesSent",
  "bytesRetrans",
  "bytesAcked",
  "bytesReceived",
  "retransmissions",
  "outOfOrder",
  "busy",
  "rwndLimited",
  "sndbufLimited",
] as const
type Count = (typeof COUNTS)[number]

/**
 * What a connection has done over its life, as TCP_INFO tells it: counted where segments pass, in one
 * mutable record for each connection that an application holds, so that a step copies nothing for it.
 */
export class Totals {
  /** Segments, and those among them with text. Of what a device joins or cuts, each piece that leaves counts. */
  segsIn = 0
  segsOut = 0
  dataSegsIn = 0
  dataSegsOut = 0
  /** Octets of text, and those among them that had been sent before. */
  bytesSent = 0
  bytesRetrans = 0
  /** Sequence numbers of ours that the peer has acknowledged, and of its that we have taken (RFC 4898). */
  bytesAcked = 0
  bytesReceived = 0
  retransmissions = 0
  /** Segments that arrived ahead of a gap. */
  outOfOrder = 0
  lastIn: Micros
  /** Microseconds with something to send: all of it, and what the peer's window or our buffer held up. */
  busy = 0
  rwndLimited = 0
  sndbufLimited = 0
  private holdup: Holdup = "idle"
  private since: Micros
  private highest: Seq

  /** `first`: the first sequence number that is sent from here on. */
  constructor(first: Seq, now: Micros) {
    this.highest = first
    this.since = now
    this.lastIn = now
  }

  static of({ counts, lastIn, since, highest, holdup }: TotalsRecord): Totals {
    const totals = new Totals(highest, since)
    for (const count of COUNTS) totals[count] = counts[count]
    totals.lastIn = lastIn
    totals.holdup = holdup
    return totals
  }

  get record(): TotalsRecord {
    const { segsIn, segsOut, dataSegsIn, dataSegsOut, bytesSent, bytesRetrans, bytesAcked, bytesReceived } = this
    const { retransmissions, outOfOrder, busy, rwndLimited, sndbufLimited, lastIn, since, highest, holdup } = this
    const segments = { segsIn, segsOut, dataSegsIn, dataSegsOut, retransmissions, outOfOrder }
    const octets = { bytesSent, bytesRetrans, bytesAcked, bytesReceived }
    return { counts: { ...segments, ...octets, busy, rwndLimited, sndbufLimited }, lastIn, since, highest, holdup }
  }

  arrived(segment: Segment, now: Micros): void {
    this.segsIn++
    if (segment.payload.length > 0) this.dataSegsIn++
    this.lastIn = now
  }

  left({ seq, length, segmentSize, flags }: Transmit): void {
    const count = segmentSize > 0 ? Math.max(1, Math.ceil(length / segmentSize)) : 1
    this.segsOut += count
    if (length === 0) {
      if ((flags & SYN) !== 0 && this.segsOut > 1) this.retransmissions++
      return
    }
    this.dataSegsOut += count
    this.bytesSent += length
    const end = (seq + length) >>> 0
    if (after(end, this.highest)) {
      this.bytesRetrans += Math.max(0, distance(this.highest, seq))
      this.highest = end
    } else if ((flags & RST) === 0) {
      this.bytesRetrans += length
      this.retransmissions += count
    }
  }

  /** After each step: since when is it held up by what? `waiting`: an application waits for room. */
  settle(tcb: Synchronized, waiting: boolean, now: Micros): void {
    const next = holdupOf(tcb, waiting)
    if (next === this.holdup) return
    this.account(now)
    this.holdup = next
  }

  /** Brings the times up to date. */
  account(now: Micros): void {
    const passed = now - this.since
    this.since = now
    if (this.holdup === "idle") return
    this.busy += passed
    if (this.holdup === "window") this.rwndLimited += passed
    if (this.holdup === "buffer") this.sndbufLimited += passed
  }
}

const holdupOf = ({ snd, queue, cc }: Synchronized, waiting: boolean): Holdup => {
  if (queue.length === 0) return "idle"
  const flight = distance(snd.nxt, snd.una)
  const unsent = queue.length - distance(snd.nxt, queue.start)
  if (unsent <= 0) return waiting ? "buffer" : "busy"
  // The peer's window is what does not let the next segment go, not congestion.
  return snd.wnd - flight < Math.min(snd.mss, unsent) && snd.wnd <= cc.cwnd ? "window" : "busy"
}
