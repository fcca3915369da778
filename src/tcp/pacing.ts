import { pacingRate as ownRate } from "./congestion/registry.ts"
import { minimumOf } from "./recovery/minFilter.ts"
import type { Synchronized, Timers } from "./tcb.ts"
import { type Micros, OFF } from "./time.ts"
import { arm, type Out } from "./timers.ts"

/** Octets per second at which to send: the algorithm's own, or a multiple of the window per round trip (Linux's tcp_update_pacing_rate). */
export const pacingRate = (tcb: Synchronized): number => {
  const { cc, rto, flight, snd, link, options } = tcb
  const own = ownRate(cc)
  const rate = own > 0 ? own : derived(cc.cwnd, cc.ssthresh, flight.out * snd.mss, rto.srtt, link.context.settings)
  return options.maxPacingRate > 0 ? Math.min(rate, options.maxPacingRate) : rate
}

const derived = (
  cwnd: number,
  ssthresh: number,
  out: number,
  srtt: Micros,
  { tcpPacingSsRatio, tcpPacingCaRatio }: { readonly tcpPacingSsRatio: number; readonly tcpPacingCaRatio: number },
): number => {
  if (srtt === 0) return Number.POSITIVE_INFINITY
  const percent = cwnd < ssthresh / 2 ? tcpPacingSsRatio : tcpPacingCaRatio
  return (Math.max(cwnd, out) * percent * 10_000) / srtt
}

/** Whether segments wait for their turn: where the algorithm or the application asks for it. */
export const isPaced = (tcb: Synchronized): boolean => tcb.options.maxPacingRate > 0 || ownRate(tcb.cc) > 0

/**
 * Segments of one burst: a millisecond's worth at the pacing rate, more where the path is short, so
 * that no burst stands out on the wire (Linux's tcp_tso_autosize).
 */
export const burstSegments = (tcb: Synchronized, segmentSize: number): number => {
  const { path, context, agreed } = tcb.link
  // Each segment is signed by itself: no device cuts them (Linux's NETIF_F_GSO_MASK taken from sk_route_caps).
  if (path.burst <= segmentSize || agreed.signature > 0) return 1
  const { tcpMinTsoSegs, tcpTsoRttLog } = context.settings
  const shift = Math.floor(minimumOf(tcb.delivery.minRtt) / 2 ** tcpTsoRttLog)
  const near = shift < 32 ? Math.floor(path.burst / 2 ** shift) : 0
  const octets = Math.min(pacingRate(tcb) / 1024 + near, path.burst)
  const most = Math.max(1, Math.floor(path.burst / segmentSize))
  return Math.min(most, Math.max(Math.floor(octets / segmentSize), tcpMinTsoSegs))
}

/** After `octets` have left nothing more does until their time is over. */
export const pace = (tcb: Synchronized, timers: Timers, octets: number, now: Micros, out: Out): Timers => {
  if (!isPaced(tcb)) return timers
  const rate = pacingRate(tcb)
  if (!Number.isFinite(rate) || rate <= 0) return timers
  const wait = Math.ceil((octets * 1_000_000) / rate)
  return arm(timers, "pacing", now + wait, out)
}

/** Not yet. */
export const mustWait = (tcb: Synchronized): boolean => tcb.timers.pacing !== OFF
