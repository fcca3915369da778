import type { ConnectionClosed, IcmpErrno, Why } from "./effect.ts"
import { reasonOf } from "./icmpError.ts"
import { interval, longestRto } from "./rto.ts"
import type { Listen, Synchronized, SynSent, Timers } from "./tcb.ts"
import { type Micros, OFF } from "./time.ts"
import { arm, type Out } from "./timers.ts"

/**
 * How long a connection waits for a peer that does not answer: R1 and R2 of RFC 9293 section 3.8.3,
 * the user timeout of RFC 5482, as Linux's tcp_write_timeout and tcp_probe_timer read them.
 */

/** What a retry count stands for: retransmissions of doubling interval from this on, whatever the path's RTO. */
const MODEL_RTO: Micros = 200_000

/** The time that `retries` retransmissions and the wait after them take, from the first of them on (Linux's tcp_model_timeout). */
export const modelTimeout = (retries: number, maxRto: Micros): Micros => {
  const doublings = Math.floor(Math.log2(maxRto / MODEL_RTO))
  return retries <= doublings
    ? (2 ** (retries + 1) - 1) * MODEL_RTO
    : (2 ** (doublings + 1) - 1) * MODEL_RTO + (retries - doublings) * maxRto
}

/** Retransmissions that a connection gets: fewer once its application has gone. */
const retriesOf = (tcb: Synchronized): number => {
  const { settings } = tcb.link.context
  if (!tcb.rcv.shut) return settings.tcpRetries2
  const alive = interval(tcb.rto, settings, tcb.options) < longestRto(settings, tcb.options)
  return settings.tcpOrphanRetries === 0 && alive ? ORPHAN_RETRIES : settings.tcpOrphanRetries
}

/** Some 100 seconds (RFC 1122 section 4.2.3.5 (d)). */
const ORPHAN_RETRIES = 8

/** The retransmission timer has ended: so many retransmissions have been silent for so long. */
const silentFor = (tcb: Synchronized, retries: number, now: Micros): boolean => {
  const { rto, link, options } = tcb
  return rto.retransmits > 0 && now - rto.since >= modelTimeout(retries, longestRto(link.context.settings, options))
}

/** Why no further retransmission is worth it; undefined: one is. */
export const endOfRetransmissions = (tcb: Synchronized, now: Micros): Why | undefined => {
  const { snd, rto, options } = tcb
  const retries = retriesOf(tcb)
  // A peer that has closed its window and answers is alive, however long it takes (RFC 9293 section 3.8.6.1).
  if (snd.wnd === 0) return rto.probes >= retries ? "RFC9293-3.8.3:R2" : undefined
  // The user timeout takes R2's place, and has a timer of its own.
  return options.userTimeout === 0 && silentFor(tcb, retries, now) ? "RFC9293-3.8.3:R2" : undefined
}

/** R1: the next hop may be what is dead. */
export const hopDoubtful = (tcb: Synchronized, now: Micros): boolean =>
  silentFor(tcb, tcb.link.context.settings.tcpRetries1, now)

/** Why no further window probe is worth it. Each answer grants as many again. */
export const endOfProbes = (tcb: Synchronized): Why | undefined =>
  tcb.rto.probes >= retriesOf(tcb) ? "RFC9293-3.8.6.1:no-answer-to-probes" : undefined

/** The connection is given up: for silence, or for what ICMP said meanwhile (RFC 9293 section 3.9.2.2). */
export const endOfPatience = (why: Why, softError: IcmpErrno | undefined): ConnectionClosed =>
  softError === undefined
    ? { _tag: "Closed", reason: "ConnectionTimedOut", why }
    : { _tag: "Closed", reason: reasonOf(softError), errno: softError, why }

/** The user timeout runs from the first retransmission or probe on (Linux: icsk_user_timeout). */
export const startUserTimeout = ({ timers, options }: Synchronized, now: Micros, out: Out): Timers =>
  options.userTimeout > 0 && timers.user === OFF ? arm(timers, "user", now + options.userTimeout, out) : timers

/** Retransmissions of a SYN. */
export const synRetries = ({ options, context }: SynSent): number =>
  options.synCount > 0 ? options.synCount : context.settings.tcpSynRetries

/** Retransmissions of a SYN-ACK; a request counts them in an octet, as Linux does. */
export const synAckRetries = ({ options, context }: Pick<Listen, "options" | "context">): number =>
  options.synCount > 0 ? options.synCount : Math.min(context.settings.tcpSynackRetries, MOST_SYN_ACKS)

const MOST_SYN_ACKS = 255

/** How long FIN-WAIT-2 waits for the FIN of a peer whose connection nobody holds here (Linux's tcp_fin_time); negative: not at all. */
export const finTimeout = (tcb: Synchronized): Micros => {
  const { linger2 } = tcb.options
  const { settings } = tcb.link.context
  // Time at least for the FIN to be sent again.
  const wanted = linger2 === 0 ? settings.tcpFinTimeout : Math.min(linger2, LONGEST_LINGER2)
  return wanted < 0 ? wanted : Math.max(wanted, Math.min(tcb.rto.rto * 3.5, longestRto(settings, tcb.options)))
}

/** Linux's TCP_FIN_TIMEOUT_MAX. */
const LONGEST_LINGER2: Micros = 120_000_000
