import type { Segment } from "../wire/tcpSegment.ts"
import { largestReceiveBuffer, timestamp } from "./handshake.ts"
import type { Memory } from "./receiveMemory/memory.ts"
import { add, before, distance, type Seq } from "./seq.ts"
import type { Drs, Rcv, Synchronized } from "./tcb.ts"
import { type Micros, OFF } from "./time.ts"
import { announced } from "./window.ts"

/**
 * Dynamic right-sizing of the receive buffer (Linux's tcp_rcv_space_adjust): it should hold twice
 * what the application takes in a round trip, so that a sender whose window doubles each trip is
 * never held back by us. A receiver that sends nothing measures the trip by the timestamps that
 * come back, or by how long a window of data takes.
 */

/** `space`: what the peer may send at first, an initial window at most. */
export const initialDrs = (first: Seq, space: number, memory: Memory | undefined, now: Micros): Drs => ({
  at: now,
  copied: 0,
  space,
  rtt: 0,
  echo: 0,
  windowAt: OFF,
  windowEnd: first,
  memory,
})

/** Text has come: how long is the round trip? `rcv` is as it was before. */
export const measureTrip = (tcb: Synchronized, seg: Segment, now: Micros): Drs => {
  const { drs, link, rcv } = tcb
  const { timestamps } = link.agreed
  return timestamps ? byTimestamp(tcb, seg, now) : byWindow(drs, rcv, now)
}

/** An echo is measured once, of a full segment: a short one may have waited for its sender's application. */
const byTimestamp = (tcb: Synchronized, seg: Segment, now: Micros): Drs => {
  const { drs, link, rcv } = tcb
  const echo = seg.options.tsEcr
  if (echo === undefined || echo === drs.echo || seg.payload.length < rcv.mss) return drs
  const ticks = distance(timestamp(link.context, link.tsOffset, now), echo)
  if (ticks < 0 || ticks > MAX_ECHO_TICKS) return { ...drs, echo }
  const sample = Math.max(1, (ticks * 1_000_000) / link.context.settings.profile.timestampRate)
  const rtt = drs.rtt === 0 ? sample : drs.rtt + (sample - drs.rtt) / 8
  return { ...drs, echo, rtt }
}

/** An echo that is older than this is nonsense, not a measurement. */
const MAX_ECHO_TICKS = 1_000_000

/** From RCV.NXT to the right edge of that moment takes a round trip at least: the least that is seen counts. */
const byWindow = (drs: Drs, rcv: Rcv, now: Micros): Drs => {
  if (drs.windowAt !== OFF && before(rcv.nxt, drs.windowEnd)) return drs
  const fresh = { ...drs, windowAt: now, windowEnd: add(rcv.nxt, announced(rcv)) }
  if (drs.windowAt === OFF) return fresh
  const sample = Math.max(1, now - drs.windowAt)
  return { ...fresh, rtt: drs.rtt === 0 ? sample : Math.min(drs.rtt, sample) }
}

/** The application has taken `n` octets: a trip may be over, and the buffer grow. */
export const sizeBuffer = (tcb: Synchronized, n: number, now: Micros): { drs: Drs; buf: number } => {
  const { drs, rcv, link, options } = tcb
  const { settings } = link.context
  const copied = drs.copied + n
  // Before the first measurement the sender's own, from the handshake, must do.
  const trip = drs.rtt === 0 ? tcb.rto.srtt : drs.rtt
  const { at, rtt, echo, windowAt, windowEnd, memory } = drs
  if (trip === 0 || now - at < trip) {
    return { drs: { at, copied, space: drs.space, rtt, echo, windowAt, windowEnd, memory }, buf: rcv.buf }
  }
  const next: Drs = { at: now, copied: 0, space: Math.max(drs.space, copied), rtt, echo, windowAt, windowEnd, memory }
  if (copied <= drs.space || !settings.tcpModerateRcvbuf || options.receiveBuffer > 0)
    return { drs: next, buf: rcv.buf }
  return {
    drs: next,
    buf: Math.max(rcv.buf, Math.min(wanted(copied, drs.space, link.path.mss), largestReceiveBuffer(settings, options))),
  }
}

/** Twice what was taken, and more where that grew fast: in slow start it will double again before we look. */
const wanted = (copied: number, space: number, mss: number): number => {
  const twice = 2 * copied + 16 * mss
  return space === 0 ? twice : twice + 2 * Math.floor((twice * (copied - space)) / space)
}
