import { timersDraft } from "./draft.ts"
import type { CancelTimer, TcpEffect } from "./effect.ts"
import type { TimerName, Timers } from "./tcb.ts"
import { type Micros, OFF } from "./time.ts"

/** Effects in the making, in order. Local to one reducer call. */
export type Out = Array<TcpEffect>

export const NO_TIMERS: Timers = {
  probe: OFF,
  reorder: OFF,
  retransmit: OFF,
  persist: OFF,
  delayedAck: OFF,
  linger: OFF,
  user: OFF,
  keepalive: OFF,
  pacing: OFF,
}

/** Whole microseconds: a share of a round trip may have more digits, and sums of those are not exact. */
export const arm = (timers: Timers, timer: TimerName, end: Micros, out: Out): Timers => {
  const at = Math.ceil(end)
  if (timers[timer] === at) return timers
  out.push({ _tag: "ArmTimer", timer, at })
  const next = timersDraft(timers)
  next[timer] = at
  return next
}

export const cancel = (timers: Timers, timer: TimerName, out: Out): Timers => {
  if (timers[timer] === OFF) return timers
  out.push(CANCEL[timer])
  const next = timersDraft(timers)
  next[timer] = OFF
  return next
}

const cancelling = (timer: TimerName): CancelTimer => ({ _tag: "CancelTimer", timer })

const CANCEL: Readonly<Record<TimerName, CancelTimer>> = {
  probe: cancelling("probe"),
  reorder: cancelling("reorder"),
  retransmit: cancelling("retransmit"),
  persist: cancelling("persist"),
  delayedAck: cancelling("delayedAck"),
  linger: cancelling("linger"),
  user: cancelling("user"),
  keepalive: cancelling("keepalive"),
  pacing: cancelling("pacing"),
}

/** Probe and retransmission timer, which mostly move together; OFF cancels. */
export const armBoth = (timers: Timers, probeEnd: Micros, retransmitEnd: Micros, out: Out): Timers => {
  const probe = Math.ceil(probeEnd)
  const retransmit = Math.ceil(retransmitEnd)
  if (timers.probe === probe && timers.retransmit === retransmit) return timers
  if (timers.retransmit !== retransmit) {
    out.push(retransmit === OFF ? CANCEL.retransmit : { _tag: "ArmTimer", timer: "retransmit", at: retransmit })
  }
  if (timers.probe !== probe) out.push(probe === OFF ? CANCEL.probe : { _tag: "ArmTimer", timer: "probe", at: probe })
  const next = timersDraft(timers)
  next.probe = probe
  next.retransmit = retransmit
  return next
}

export const cancelAll = (timers: Timers, out: Out): void => {
  for (const timer of TIMER_NAMES) cancel(timers, timer, out)
}

export const TIMER_NAMES: ReadonlyArray<TimerName> = [
  // A probe that is due with the time-out goes first, and puts it off.
  "probe",
  "reorder",
  "retransmit",
  "persist",
  "delayedAck",
  "linger",
  "user",
  "keepalive",
  "pacing",
]

/** When the first of the timers ends, or OFF. */
export const earliestDeadline = (t: Timers): Micros => {
  let at = t.retransmit
  if (t.persist !== OFF && (at === OFF || t.persist < at)) at = t.persist
  if (t.delayedAck !== OFF && (at === OFF || t.delayedAck < at)) at = t.delayedAck
  if (t.linger !== OFF && (at === OFF || t.linger < at)) at = t.linger
  if (t.user !== OFF && (at === OFF || t.user < at)) at = t.user
  if (t.keepalive !== OFF && (at === OFF || t.keepalive < at)) at = t.keepalive
  if (t.probe !== OFF && (at === OFF || t.probe < at)) at = t.probe
  if (t.reorder !== OFF && (at === OFF || t.reorder < at)) at = t.reorder
  if (t.pacing !== OFF && (at === OFF || t.pacing < at)) at = t.pacing
  return at
}
