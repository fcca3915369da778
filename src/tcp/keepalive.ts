import type { Step, Why } from "./effect.ts"
import { sendOldSequence } from "./emit.ts"
import { endOfPatience } from "./patience.ts"
import { resetOf } from "./reset.ts"
import { sendEnd } from "./sendEnd.ts"
import { CLOSED, type Synchronized } from "./tcb.ts"
import { type Micros, OFF } from "./time.ts"
import { arm, cancel, cancelAll, type Out } from "./timers.ts"

/**
 * Keep-alive (RFC 9293 section 3.8.4), as Linux's tcp_keepalive_timer does it: after a silence a
 * segment that the peer must answer, again at intervals, and a RST when several got no answer.
 * The timer does not move with every segment: it asks, when it ends, how long the silence was.
 */

/** Silence before the first probe. */
const idleTime = ({ options, link }: Synchronized): Micros =>
  options.keepIdle > 0 ? options.keepIdle : link.context.settings.tcpKeepaliveTime

const probeInterval = ({ options, link }: Synchronized): Micros =>
  options.keepInterval > 0 ? options.keepInterval : link.context.settings.tcpKeepaliveIntvl

const mostProbes = ({ options, link }: Synchronized): number =>
  options.keepCount > 0 ? options.keepCount : link.context.settings.tcpKeepaliveProbes

/** Where the socket asks for it: the handshake is complete, or the option has been set. */
export const startKeepalive = (tcb: Synchronized, now: Micros, out: Out): Synchronized =>
  tcb.options.keepAlive
    ? {
        ...tcb,
        rcv: { ...tcb.rcv, heardAt: now },
        timers: arm(tcb.timers, "keepalive", now + idleTime(tcb), out),
      }
    : tcb

export const stopKeepalive = (tcb: Synchronized, out: Out): Synchronized => ({
  ...tcb,
  timers: cancel(tcb.timers, "keepalive", out),
})

/** TCP_KEEPIDLE has changed while the timer runs: what of it has passed already counts. */
export const rescheduleKeepalive = (tcb: Synchronized, now: Micros, out: Out): Synchronized =>
  tcb.timers.keepalive === OFF || tcb.rto.probes > 0
    ? tcb
    : { ...tcb, timers: arm(tcb.timers, "keepalive", Math.max(now, tcb.rcv.heardAt + idleTime(tcb)), out) }

/** An acceptable segment has come. */
export const heard = (tcb: Synchronized, now: Micros): Synchronized =>
  tcb.timers.keepalive === OFF || tcb.rcv.heardAt === now ? tcb : { ...tcb, rcv: { ...tcb.rcv, heardAt: now } }

/** `tcb`: with the timer off already. */
export const keepaliveTimeout = (tcb: Synchronized, now: Micros): Step => {
  const { snd, rto, rcv, options } = tcb
  const out: Out = []
  const again = (at: Micros, next: Synchronized = tcb): Step => ({
    tcb: { ...next, timers: arm(next.timers, "keepalive", at, out) },
    effects: out,
  })
  // With data on its way, or held back by a closed window, other timers find out (MUST-26: only where nothing is sent).
  if (snd.una !== snd.nxt || snd.nxt !== sendEnd(tcb)) return again(now + idleTime(tcb))
  const silence = now - rcv.heardAt
  if (silence < idleTime(tcb)) return again(rcv.heardAt + idleTime(tcb))
  const unanswered =
    options.userTimeout > 0 ? rto.probes > 0 && silence >= options.userTimeout : rto.probes >= mostProbes(tcb)
  if (unanswered) return unreachable(tcb, now)
  out.push({ _tag: "Count", counter: "TCPKeepAlive" })
  sendOldSequence(tcb, now, "RFC9293-3.8.4:keep-alive", out)
  return again(now + probeInterval(tcb), { ...tcb, rto: { ...rto, probes: rto.probes + 1 } })
}

const unreachable = (tcb: Synchronized, now: Micros): Step => {
  const why: Why = "RFC9293-3.8.4:no-answer-to-keep-alive"
  const out: Out = [resetOf(tcb, now, why)]
  cancelAll(tcb.timers, out)
  out.push({ _tag: "Count", counter: "TCPAbortOnTimeout" }, endOfPatience(why, tcb.rto.softError))
  return { tcb: CLOSED, effects: out }
}
