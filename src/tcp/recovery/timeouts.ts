import { edit, finish, split } from "../board.ts"
import { governsRecovery } from "../congestion/registry.ts"
import type { Step } from "../effect.ts"
import { lastPlace, pipe, recordAt, segmentEnd, segmentsOf } from "../flight.ts"
import { sendFrom } from "../output.ts"
import { startUserTimeout } from "../patience.ts"
import { resend, resendLost } from "../resend.ts"
import { interval } from "../rto.ts"
import { segmentSize } from "../segmentSize.ts"
import { sendEnd } from "../sendEnd.ts"
import { toRecordEnd } from "../sendQueue.ts"
import { add, distance } from "../seq.ts"
import type { Synchronized } from "../tcb.ts"
import type { Micros } from "../time.ts"
import { arm, cancel, type Out } from "../timers.ts"
import { begin, inFlight } from "./ack.ts"
import { enterRecovery } from "./alert.ts"
import { enterLoss } from "./loss.ts"
import { headDeadline } from "./probe.ts"
import { detectLate } from "./rack.ts"
import { reduce } from "./reduction.ts"

/** The retransmission timer (RFC 6298 section 5.4 to 5.6): the first segment again, twice the interval. */
export const timeOut = (tcb: Synchronized, now: Micros, out: Out): Synchronized => {
  const a = begin(tcb, undefined, now, out)
  enterLoss(a)
  const { rto, snd, flight, link } = tcb
  const marked: Synchronized = {
    ...tcb,
    cc: a.cc,
    recovery: a.rec,
    delivery: a.del,
    flight: finish(a.board),
    ecn: link.agreed.ecn ? { ...tcb.ecn, cwr: true } : tcb.ecn,
    usage: { ...tcb.usage, at: now },
    timers: cancel(cancel(startUserTimeout(tcb, now, out), "probe", out), "reorder", out),
    rto: {
      ...rto,
      backoff: staysLinear(tcb) ? 0 : rto.backoff + 1,
      retransmits: rto.retransmits + 1,
      since: rto.retransmits > 0 ? rto.since : now,
      probes: rto.probes + 1,
    },
  }
  if (flight.out === 0) return marked
  const board = edit(marked.flight)
  const sent = resend(marked, board, board.first, 1, segmentSize(marked), now, "RFC6298-5.4:retransmit", out) ?? marked
  const timers = arm(sent.timers, "retransmit", now + interval(sent.rto, a.settings, sent.options), out)
  return { ...sent, timers, snd: { ...sent.snd, small: snd.small } }
}

/**
 * Linux's thin streams: too few segments are in flight for duplicate ACKs to tell of a loss, so the first time-outs
 * come at a constant pace; after six the path may be a black hole (TCP_THIN_LINEAR_RETRIES).
 */
const staysLinear = ({ _tag, options, link, flight, rto }: Synchronized): boolean =>
  _tag === "ESTABLISHED" &&
  (options.thinLinearTimeouts || link.context.settings.tcpThinLinearTimeouts) &&
  flight.out < THIN &&
  rto.retransmits < THIN_TIMEOUTS

const THIN = 4
const THIN_TIMEOUTS = 6

/** The reordering timer (RFC 8985 section 6.2 step 5): what has not come by now is lost. */
export const reorderTimeout = (tcb: Synchronized, now: Micros): Step => {
  const out: Out = []
  const a = begin(tcb, undefined, now, out)
  detectLate(a)
  if (inFlight(a) !== pipe(tcb.flight) && a.rec.phase !== "recovery") {
    enterRecovery(a)
    if (!governsRecovery(a.cc)) reduce(a, 1, a.rec.totalLost - a.priorLost)
  }
  const ecn = a.cwrQueued && tcb.link.agreed.ecn ? { ...tcb.ecn, cwr: true } : tcb.ecn
  const next = { ...tcb, cc: a.cc, recovery: a.rec, delivery: a.del, flight: finish(a.board), ecn, timers: a.timers }
  return { tcb: afterTimer(resendLost(next, segmentSize(next), now, out), now, out), effects: out }
}

/** The tail loss probe (RFC 8985 section 7.3): new data where there is some, else the last segment again. */
export const probeTimeout = (tcb: Synchronized, now: Micros): Step => {
  const out: Out = []
  if (tcb.recovery.probe !== undefined || tcb.flight.out === 0) return { tcb: afterTimer(tcb, now, out), effects: out }
  const sent = probeNew(tcb, now, out) ?? probeOld(tcb, now, out)
  if (sent === undefined) return { tcb: afterTimer(tcb, now, out), effects: out }
  out.push({ _tag: "Count", counter: "TCPLossProbes" })
  const timers = arm(sent.timers, "retransmit", now + interval(sent.rto, sent.link.context.settings, sent.options), out)
  return { tcb: { ...sent, timers }, effects: out }
}

/** One segment beyond the congestion window, if the peer's takes it. */
const probeNew = (tcb: Synchronized, now: Micros, out: Out): Synchronized | undefined => {
  const { snd } = tcb
  const n = Math.min(distance(sendEnd(tcb), snd.nxt), segmentSize(tcb), toRecordEnd(tcb.queue, snd.nxt))
  if (n <= 0 || distance(add(snd.una, snd.wnd), snd.nxt) < n) return undefined
  const sent = sendFrom(tcb, n, now, "RFC8985-7.3:probe-of-new-data", out)
  return { ...sent, recovery: { ...sent.recovery, probe: { end: sent.snd.nxt, again: false } } }
}

const probeOld = (tcb: Synchronized, now: Micros, out: Out): Synchronized | undefined => {
  const board = edit(tcb.flight)
  const record = recordAt(board, lastPlace(board))
  if (record === undefined) return undefined
  const n = segmentsOf(record)
  if (n > 1) split(board, lastPlace(board), segmentEnd(record, n - 1))
  const sent = resend(tcb, board, lastPlace(board), 1, segmentSize(tcb), now, "RFC8985-7.3:probe", out, true)
  return sent === undefined
    ? undefined
    : { ...sent, recovery: { ...sent.recovery, probe: { end: sent.snd.nxt, again: true } } }
}

/** From here on the time-out counts, from when the first segment left. */
const afterTimer = (tcb: Synchronized, now: Micros, out: Out): Synchronized => {
  if (tcb.flight.out === 0) return tcb
  const at = Math.max(headDeadline(tcb), now + 1)
  return { ...tcb, timers: arm(tcb.timers, "retransmit", at, out) }
}
