import { PSH } from "../wire/tcpSegment.ts"
import type { IcmpErrno, Step, Why } from "./effect.ts"
import { sendAck, sendOldSequence } from "./emit.ts"
import * as fastOpen from "./fastOpen.ts"
import { keepaliveTimeout } from "./keepalive.ts"
import { suspectBlackHole } from "./mtuProbe.ts"
import { syn } from "./open.ts"
import { sendFrom } from "./output.ts"
import {
  endOfPatience,
  endOfProbes,
  endOfRetransmissions,
  hopDoubtful,
  startUserTimeout,
  synAckRetries,
  synRetries,
} from "./patience.ts"
import { probeTimeout, reorderTimeout, timeOut } from "./recovery/timeouts.ts"
import * as request from "./request.ts"
import { handshakeInterval, interval, longestRto } from "./rto.ts"
import { segmentSize } from "./segmentSize.ts"
import { sendEnd } from "./sendEnd.ts"
import { distance } from "./seq.ts"
import { synAckOf } from "./synSent.ts"
import {
  CLOSED,
  type FastOpened,
  type Synchronized,
  type SynReceived,
  type SynSent,
  type Tcb,
  type TimerName,
  type Timers,
} from "./tcb.ts"
import { type Micros, OFF } from "./time.ts"
import { arm, cancelAll, type Out } from "./timers.ts"
import * as timeWait from "./timeWait.ts"

/** A named timer has ended (RFC 9293 section 3.10.8, RFC 6298 section 5). One that is not armed, as a late shell may bring it, does nothing. */
export const timeout = (tcb: Tcb, timer: TimerName, now: Micros): Step => {
  if (!isArmed(tcb, timer)) return { tcb, effects: [] }
  switch (tcb._tag) {
    case "CLOSED":
    case "LISTEN":
      return { tcb, effects: [] }
    case "TIME-WAIT":
      return timeWait.timeout(tcb)
    case "SYN-SENT":
      return timer === "user" ? giveUp(tcb.timers, USER_TIMEOUT) : synAgain(tcb, now)
    case "SYN-RECEIVED":
      if (tcb.open === "fast") return ofFastOpen(tcb, timer, now)
      if (tcb.open === "passive") return request.timeout(tcb, synAckRetries(tcb), now)
      return timer === "user" ? giveUp(tcb.timers, USER_TIMEOUT) : crossedAgain(tcb, now)
    default:
      return ofConnection({ ...tcb, timers: { ...tcb.timers, [timer]: OFF } }, timer, now)
  }
}

const isArmed = (tcb: Tcb, timer: TimerName): boolean => {
  switch (tcb._tag) {
    case "CLOSED":
    case "LISTEN":
      return false
    case "TIME-WAIT":
      return timer === "linger"
    case "SYN-RECEIVED":
      if (tcb.open === "active") return tcb.timers[timer] !== OFF
      return timer === "retransmit" || (tcb.open === "fast" && tcb.tcb.timers[timer] !== OFF)
    default:
      return tcb.timers[timer] !== OFF
  }
}

const USER_TIMEOUT: Why = "RFC9293-3.10.8:USER-TIMEOUT"

const ofFastOpen = (fast: FastOpened, timer: TimerName, now: Micros): Step => {
  if (timer === "retransmit") return fastOpen.synAckTimeout(fast, now)
  const step = fastOpen.within(fast, (tcb) => timeout(tcb, timer, now))
  return "_tag" in step ? { tcb: fast, effects: [] } : step
}

const ofConnection = (tcb: Synchronized, timer: TimerName, now: Micros): Step => {
  switch (timer) {
    case "retransmit":
      return retransmit(tcb, now)
    case "persist":
      return probe(tcb, now)
    case "delayedAck": {
      const out: Out = [{ _tag: "Count", counter: "DelayedACKs" }]
      if (tcb.rcv.due === "none") return { tcb, effects: out }
      const sent = sendAck(tcb, now, "RFC9293-3.8.6.3:delayed-ACK", out)
      // No reply came: this is no dialogue any more (Linux's tcp_delack_timer_handler).
      return { tcb: { ...sent, rcv: { ...sent.rcv, pingpong: false } }, effects: out }
    }
    case "linger": {
      const out: Out = []
      cancelAll(tcb.timers, out)
      out.push({ _tag: "Closed", reason: "done", why: "Linux:tcp_fin_timeout" })
      return { tcb: CLOSED, effects: out }
    }
    case "user":
      return giveUp(tcb.timers, USER_TIMEOUT, tcb.rto.softError)
    case "keepalive":
      return keepaliveTimeout(tcb, now)
    case "probe":
      return probeTimeout(tcb, now)
    case "reorder":
      return reorderTimeout(tcb, now)
    case "pacing":
      return { tcb, effects: [] } // Output goes on.
  }
}

/** RFC 6298 section 5.4 to 5.6, until R2 (RFC 9293 section 3.8.3). */
const retransmit = (tcb: Synchronized, now: Micros): Step => {
  const hopeless = endOfRetransmissions(tcb, now)
  if (hopeless !== undefined) return giveUp(tcb.timers, hopeless, tcb.rto.softError)
  const out: Out = [{ _tag: "Count", counter: "TCPTimeouts" }]
  if (!hopDoubtful(tcb, now)) return { tcb: timeOut(tcb, now, out), effects: out }
  out.push({ _tag: "Doubt", why: "RFC9293-3.8.3:R1" })
  return { tcb: timeOut(suspectBlackHole(tcb, now), now, out), effects: out }
}

/** Is the window still closed? (RFC 9293 section 3.8.6.1). The interval doubles, the connection stays as long as the peer answers. */
const probe = (tcb: Synchronized, now: Micros): Step => {
  const { snd, rto, link } = tcb
  const { settings } = link.context
  const waiting = distance(sendEnd(tcb), snd.nxt)
  if (waiting <= 0) return { tcb, effects: [] }
  const hopeless = endOfProbes(tcb)
  if (hopeless !== undefined) return giveUp(tcb.timers, hopeless, tcb.rto.softError)
  const out: Out = [{ _tag: "Count", counter: "TCPWinProbe" }]
  if (snd.wnd > 0) {
    // The window is open but small: the override that ends silly-window avoidance (RFC 9293 section 3.8.6.2.1, case 4).
    const n = Math.min(waiting, snd.wnd, snd.mss)
    // It is a probe to Linux, whose probes with data are pushed (tcp_write_wakeup).
    const pushed = settings.profile.windowProbe === "old-sequence" ? PSH : 0
    const why = "RFC9293-3.8.6.2.1:override"
    return { tcb: sendFrom(tcb, n, now, why, out, segmentSize(tcb), pushed), effects: out }
  }
  const backed: Synchronized = {
    ...tcb,
    timers: startUserTimeout(tcb, now, out),
    // It doubles as often as the limit of retransmissions says (Linux's tcp_send_probe0).
    rto: { ...rto, backoff: rto.backoff + Number(rto.backoff < settings.tcpRetries2), probes: rto.probes + 1 },
  }
  const why = "RFC9293-3.8.6.1:zero-window-probe"
  if (settings.profile.windowProbe === "next-octet") {
    const sent = sendFrom(backed, 1, now, why, out)
    return { tcb: sent, effects: out }
  }
  sendOldSequence(backed, now, why, out)
  const timers = arm(backed.timers, "persist", now + interval(backed.rto, settings, backed.options), out)
  return { tcb: { ...backed, timers }, effects: out }
}

const synAgain = (tcb: SynSent, now: Micros): Step => {
  if (tcb.retransmits >= synRetries(tcb)) return giveUp(tcb.timers, "RFC9293-3.8.3:R2-of-SYN")
  // What a SYN with data met may dislike the data: the next one is plain (RFC 7413 section 4.1.3.1).
  const next: SynSent = { ...tcb, retransmits: tcb.retransmits + 1, fastOpen: undefined, synData: 0 }
  const out: Out = [syn(next, now, "RFC6298-5.4:retransmit"), ...SYN_COUNTS]
  const timers = arm(tcb.timers, "retransmit", now + synInterval(next), out)
  return { tcb: { ...next, timers }, effects: out }
}

const crossedAgain = (tcb: SynReceived, now: Micros): Step => {
  const { sent } = tcb
  if (sent.retransmits >= sent.context.settings.tcpSynackRetries)
    return giveUp(tcb.timers, "RFC9293-3.8.3:R2-of-SYN-ACK")
  const again: SynSent = { ...sent, retransmits: sent.retransmits + 1 }
  const next: SynReceived = { ...tcb, sent: again }
  const out: Out = [synAckOf(next, now, "RFC6298-5.4:retransmit"), ...SYN_COUNTS]
  const timers = arm(tcb.timers, "retransmit", now + synInterval(again), out)
  return { tcb: { ...next, timers }, effects: out }
}

const SYN_COUNTS = [
  { _tag: "Count", counter: "RetransSegs" },
  { _tag: "Count", counter: "TCPSynRetrans" },
  { _tag: "Count", counter: "TCPTimeouts" },
] as const

/** Of Linux's first time-outs some do not double it (tcp_syn_linear_timeouts). */
const synInterval = ({ context: { settings }, options, retransmits }: SynSent): Micros =>
  handshakeInterval(settings, Math.max(0, retransmits - settings.tcpSynLinearTimeouts), longestRto(settings, options))

/** All queues are flushed, the application is told (RFC 9293 section 3.10.8). */
const giveUp = (timers: Timers, why: Why, softError?: IcmpErrno): Step => {
  const out: Out = []
  cancelAll(timers, out)
  out.push({ _tag: "Count", counter: "TCPAbortOnTimeout" }, endOfPatience(why, softError))
  return { tcb: CLOSED, effects: out }
}
