import { FIN } from "../wire/tcpSegment.ts"
import { deliveryDraft, sndDraft } from "./draft.ts"
import type { Step } from "./effect.ts"
import { sendSegment } from "./emit.ts"
import { appendSent, headOf, recordOf, WITH_FIN } from "./flight.ts"
import { isPaced } from "./pacing.ts"
import { segmentsIn } from "./recovery/ack.ts"
import { probeDeadline } from "./recovery/probe.ts"
import { interval } from "./rto.ts"
import { mayBeShort, segmentSize } from "./segmentSize.ts"
import { sendEnd } from "./sendEnd.ts"
import { end } from "./sendQueue.ts"
import { distance } from "./seq.ts"
import type { Synchronized } from "./tcb.ts"
import { type Micros, OFF } from "./time.ts"
import { armBoth, type Out } from "./timers.ts"
import { noteUse } from "./usage.ts"

/** Nothing is lost, held back, paced or probed: what is queued can only leave. */
const isQuiet = ({ timers, recovery, flight, mtu, drs, queue }: Synchronized): boolean =>
  timers.pacing === OFF &&
  timers.persist === OFF &&
  recovery.phase === "open" &&
  flight.sacked === 0 &&
  flight.lost === 0 &&
  flight.retrans === 0 &&
  !mtu.probing &&
  drs.memory === undefined &&
  !queue.records

/**
 * `output` of what a request or an answer mostly is, all that waits in one segment, or a FIN alone, in one copy
 * of each record that changes. The outcome is that of all checks to the last field, which a property test
 * holds; undefined: it takes them.
 */
export const plainSend = (tcb: Synchronized, now: Micros): Step<Synchronized> | undefined => {
  const { snd, flight, cc, link, rto, options } = tcb
  const text = distance(end(tcb.queue), snd.nxt)
  const size = segmentSize(tcb)
  // What has left already lies before SND.NXT, the FIN too.
  if (text < (snd.fin ? 0 : 1) || text > size || !isQuiet(tcb) || isPaced(tcb)) return undefined
  const to = sendEnd(tcb)
  const outstanding = flight.out + 1
  const window = segmentsIn(cc.cwnd, snd.mss)
  if (outstanding > window || distance(to, snd.una) > snd.wnd) return undefined
  if (text < size && !mayBeShort(tcb, text)) return undefined
  const { settings } = link.context
  const timeout = interval(rto, settings, options)
  const alone = flight.out === 0
  // The window may have to begin anew.
  if (alone && snd.at !== OFF && settings.tcpSlowStartAfterIdle && now - snd.at > timeout) return undefined

  const out: Out = []
  const why = text === 0 ? "RFC9293-3.10.4:CLOSE" : "RFC9293-3.10.2:send"
  const next = sendSegment(tcb, snd.nxt, text, snd.fin ? FIN : 0, size, true, now, why, out)
  const delivery = deliveryDraft(next.delivery)
  if (alone) {
    delivery.at = now
    delivery.firstAt = now
  }
  const left = sndDraft(snd)
  left.nxt = to
  if (text % size !== 0) left.small = to
  left.at = now
  next.snd = left
  next.flight = appendSent(flight, recordOf(snd.nxt, to, size, snd.fin ? WITH_FIN : 0, delivery, now))
  noteUse(next, outstanding >= window, now)
  // Nothing waits: what is delivered now says nothing of the path's rate.
  if (outstanding < segmentsIn(next.cc.cwnd, snd.mss)) {
    delivery.appLimited = delivery.delivered + outstanding * snd.mss
  }
  next.delivery = delivery
  const head = alone ? now : (headOf(next.flight)?.at ?? now)
  const retransmit = next.timers.retransmit === OFF ? now + timeout : next.timers.retransmit
  next.timers = armBoth(next.timers, probeDeadline(next, head + timeout, now), retransmit, out)
  return { tcb: next, effects: out }
}
