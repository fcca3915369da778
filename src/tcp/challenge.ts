import { hasSyn, type Segment, segmentLength } from "../wire/tcpSegment.ts"
import type { Counter } from "./counters.ts"
import type { Why } from "./effect.ts"
import { sendAck } from "./emit.ts"
import type { Synchronized } from "./tcb.ts"
import { type Micros, OFF } from "./time.ts"
import type { Out } from "./timers.ts"

/** Whether another ACK of something unacceptable may be sent yet (RFC 5961 section 7). */
export const rateAllows = (last: Micros, now: Micros, limit: Micros): boolean => last === OFF || now - last >= limit

/** A challenge ACK (RFC 5961), unless one was sent just now. */
export const challenge = (tcb: Synchronized, now: Micros, why: Why, out: Out): Synchronized => {
  if (!rateAllows(tcb.rcv.oowAt, now, tcb.link.context.settings.tcpInvalidRatelimit)) {
    out.push({ _tag: "Drop", why }, count("TCPACKSkippedChallenge"))
    return tcb
  }
  // Right before the ACK: the host, which knows of all connections, may withhold both.
  out.push(count("TCPChallengeACK"))
  const sent = sendAck(tcb, now, why, out)
  return { ...sent, rcv: { ...sent.rcv, oowAt: now } }
}

/**
 * The ACK of an unacceptable segment. Those without data could be one half of a loop of ACKs, so
 * they are limited as challenge ACKs are; a retransmission of data must always be answered.
 */
export const answerUnacceptable = (
  tcb: Synchronized,
  seg: Segment,
  now: Micros,
  why: Why,
  skipped: Counter,
  out: Out,
): Synchronized => {
  const limited = segmentLength(seg) === 0 || hasSyn(seg)
  if (limited && !rateAllows(tcb.rcv.oowAt, now, tcb.link.context.settings.tcpInvalidRatelimit)) {
    out.push({ _tag: "Drop", why }, count(skipped))
    return tcb
  }
  const sent = sendAck(tcb, now, why, out)
  return limited ? { ...sent, rcv: { ...sent.rcv, oowAt: now } } : sent
}

const count = (counter: Counter) => ({ _tag: "Count", counter }) as const
