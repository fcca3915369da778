import type { Segment } from "../../wire/tcpSegment.ts"
import { timestamp } from "../handshake.ts"
import { add, before, distance, type Seq } from "../seq.ts"
import type { Drs, Synchronized } from "../tcb.ts"
import { type Micros, OFF } from "../time.ts"

/** What the receiver knows of the round trip; the fields of `Drs`. */
export type Trip = Pick<Drs, "rtt" | "echo" | "windowAt" | "windowEnd">

/** An echoed timestamp, once, of a full segment, and after the first time only while nothing waits to be read (tcp_rcv_rtt_measure_ts). */
export const byEcho = ({ link, rcv, drs }: Synchronized, seg: Segment, now: Micros): Trip => {
  const echo = seg.options.tsEcr
  if (!link.agreed.timestamps || echo === undefined || echo === drs.echo) return drs
  const heard: Trip = { ...drs, echo }
  if (seg.payload.length < rcv.mss) return heard
  const ticks = distance(timestamp(link.context, link.tsOffset, now), echo)
  if (ticks <= 0 || ticks > MAX_ECHO_TICKS) return heard
  const sample = (ticks * 1_000_000) / link.context.settings.profile.timestampRate
  if (drs.rtt === 0 || sample < drs.rtt) return { ...heard, rtt: sample }
  return rcv.unread > 0 ? heard : { ...heard, rtt: smoothed(drs.rtt, sample) }
}

/** An echo that is older than this is nonsense, not a measurement. */
const MAX_ECHO_TICKS = 2_147_483

/** Linux keeps eighths of microseconds. */
const smoothed = (rtt: Micros, sample: Micros): Micros => {
  const eighths = Math.floor(rtt * 8)
  return (eighths - (eighths >> 3) + sample) / 8
}

/** A window of data takes a round trip at least: the least that is seen counts (tcp_rcv_rtt_measure). */
export const byWindow = (trip: Trip, nxt: Seq, wnd: number, now: Micros): Trip => {
  if (trip.windowAt !== OFF && before(nxt, trip.windowEnd)) return trip
  const fresh: Trip = { ...trip, windowAt: now, windowEnd: add(nxt, wnd) }
  if (trip.windowAt === OFF) return fresh
  const sample = Math.max(1, now - trip.windowAt)
  return { ...fresh, rtt: trip.rtt === 0 ? sample : Math.min(trip.rtt, sample) }
}
