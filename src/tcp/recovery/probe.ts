import { draftOf } from "../draft.ts"
import { headOf } from "../flight.ts"
import { interval, leastRto } from "../rto.ts"
import { after, before } from "../seq.ts"
import type { Synchronized } from "../tcb.ts"
import { type Micros, OFF } from "../time.ts"
import { arm, cancel, type Out } from "../timers.ts"
import { type Ack, count } from "./ack.ts"
import { keepOpen } from "./alert.ts"
import { LEAST_TIMEOUT } from "./rack.ts"
import { beginReduction, endReduction } from "./reduction.ts"

/** Tail loss probes (RFC 8985 section 7). */

/** When the first segment outstanding would time out, had its timer run since it left. */
export const headDeadline = (tcb: Synchronized): Micros => {
  const head = headOf(tcb.flight)
  return head === undefined ? OFF : head.at + interval(tcb.rto, tcb.link.context.settings, tcb.options)
}

/**
 * Section 7.2: the probe goes out after two round trips, later where a delayed ACK may be waiting
 * for a second segment, and never after the time-out. `at`: when that is.
 */
export const probeDeadline = (tcb: Synchronized, timeout: Micros, now: Micros): Micros => {
  const { recovery, rto, flight, link, options } = tcb
  const { settings } = link.context
  const wanted = settings.tcpEarlyRetrans === 3 || settings.tcpEarlyRetrans === 4
  if (!wanted || flight.out === 0 || !link.agreed.sack) return OFF
  if (recovery.phase !== "open" && recovery.phase !== "cwr") return OFF
  const late = flight.out === 1 ? leastRto(settings, options) : LEAST_TIMEOUT
  const wait = rto.srtt === 0 ? settings.profile.initialRto : 2 * rto.srtt + late
  const at = now + Math.round(wait)
  return timeout > now ? Math.min(at, timeout) : at
}

/** Arms the probe's timer, or stops it where no probe may be sent. */
export const scheduleProbe = (tcb: Synchronized, timeout: Micros, now: Micros, out: Out): Synchronized => {
  const at = probeDeadline(tcb, timeout, now)
  const timers = at === OFF ? cancel(tcb.timers, "probe", out) : arm(tcb.timers, "probe", at, out)
  if (timers === tcb.timers) return tcb
  const next = draftOf(tcb)
  next.timers = timers
  return next
}

/** Section 7.4: an ACK of the probe tells whether it repaired a loss, which must not go unanswered. */
export const takeProbeAck = (a: Ack): void => {
  const { rec, board } = a
  const { probe } = rec
  const ack = a.seg?.ack
  if (probe === undefined || ack === undefined || before(ack, probe.end)) return
  if (!probe.again || a.dsackOfProbe) {
    rec.probe = undefined
  } else if (after(board.una, probe.end)) {
    beginReduction(a, "loss")
    rec.phase = "cwr"
    endReduction(a)
    keepOpen(a)
    count(a, "TCPLossProbeRecovery")
  } else if (!a.advanced && !a.notDuplicate && !a.dataSacked) {
    // A pure duplicate: original and probe both arrived.
    rec.probe = undefined
  }
}
