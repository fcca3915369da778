import type { TcpSettings } from "./settings.ts"
import type { Rto, SocketOptions } from "./tcb.ts"
import { type Micros, OFF } from "./time.ts"

/** RFC 6298: the retransmission timer's interval, from measurements of the round trip. */
export const initialRto = (settings: TcpSettings): Rto => ({
  srtt: 0,
  rttvar: 0,
  rto: settings.profile.initialRto,
  backoff: 0,
  retransmits: 0,
  since: OFF,
  probes: 0,
  softError: undefined,
})

/** A socket's own bounds of the interval, where it has some, else the stack's. */
type Bounds = Pick<SocketOptions, "minRto" | "maxRto">

export const leastRto = ({ profile }: TcpSettings, { minRto }: Bounds): Micros => (minRto > 0 ? minRto : profile.minRto)
export const longestRto = ({ profile }: TcpSettings, { maxRto }: Bounds): Micros =>
  maxRto > 0 ? maxRto : profile.maxRto

/** Sections 2.2 and 2.3, with alpha 1/8 and beta 1/4. */
export const measured = (rto: Rto, sample: Micros, settings: TcpSettings, bounds: Bounds): Rto => {
  const r = Math.max(sample, 1)
  const first = rto.srtt === 0
  const rttvar = first ? r / 2 : rto.rttvar + (Math.abs(rto.srtt - r) - rto.rttvar) / 4
  const srtt = first ? r : rto.srtt + (r - rto.srtt) / 8
  const { rttvarFloor, rtoSlop } = settings.profile
  const least = leastRto(settings, bounds)
  // A floor of the variation is the least RTO, in Linux (its tcp_rto_min).
  const floor = rttvarFloor > 0 && bounds.minRto > 0 ? least : rttvarFloor
  const interval = Math.round(srtt + Math.max(floor, 4 * rttvar)) + rtoSlop
  const bounded = Math.min(Math.max(interval, least), longestRto(settings, bounds))
  const { retransmits, since, probes } = rto
  return { srtt, rttvar, rto: bounded, backoff: 0, retransmits, since, probes, softError: undefined }
}

/** The interval of a SYN or SYN-ACK that has been sent again so often: nothing is measured yet. */
export const handshakeInterval = ({ profile }: TcpSettings, retransmits: number, longest = profile.maxRto): Micros =>
  Math.min(profile.initialRto * 2 ** retransmits, longest)

/** The interval now, doubled for every time-out in a row (section 5.5). */
export const interval = (rto: Rto, settings: TcpSettings, bounds: Bounds): Micros => {
  const longest = longestRto(settings, bounds)
  return Math.min(rto.backoff === 0 ? rto.rto : rto.rto * 2 ** Math.min(rto.backoff, 30), longest)
}
