import { deliveryDraft, sndDraft } from "./draft.ts"
import type { Step } from "./effect.ts"
import { sendSegment } from "./emit.ts"
import { appendSent, headOf, recordOf } from "./flight.ts"
import { isPaced } from "./pacing.ts"
import { segmentsIn } from "./recovery/ack.ts"
import { probeDeadline } from "./recovery/probe.ts"
import { interval } from "./rto.ts"
import { mayBeShort, segmentSize } from "./segmentSize.ts"
import { end } from "./sendQueue.ts"
import { distance } from "./seq.ts"
import type { Synchronized } from "./tcb.ts"
import { type Micros, OFF } from "./time.ts"
import { armBoth, type Out } from "./timers.ts"
import { noteUse } from "./usage.ts"

/** Nothing is lost, held back, paced, probed or about to close: what is queued can only leave. */
const isQuiet = ({ snd, timers, recovery, flight, mtu, drs, queue }: Synchronized): boolean =>
  !snd.fin &&
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
 * `output` of what a request or an answer mostly is, all that waits in one segment, in one copy of each
 * record that changes. The outcome is that of all checks to the last field, which a property test
 * holds; undefined: it takes them.
 */
export const plainSend = (tcb: Synchronized, now: Micros): Step<Synchronized> | undefined => {
  const { snd, flight, cc, link, rto, options } = tcb
  const text = distance(end(tcb.queue), snd.nxt)
  const size = segmentSize(tcb)
  if (text <= 0 || text > size || !isQuiet(tcb) || isPaced(tcb)) return undefined
  const outstanding = flight.out + 1
  const window = segmentsIn(cc.cwnd, snd.mss)
  if (outstanding > window || text > snd.wnd - distance(snd.nxt, snd.una)) return undefined
  if (text < size && !mayBeShort(tcb, text)) return undefined
  const { settings } = link.context
  const timeout = interval(rto, settings, options)
  const alone = flight.out === 0
  // The window may have to begin anew.
  if (alone && snd.at !== OFF && settings.tcpSlowStartAfterIdle && now - snd.at > timeout) return undefined

  const out: Out = []
  const next = sendSegment(tcb, snd.nxt, text, 0, size, true, now, "RFC9293-3.10.2:send", out)
  const delivery = deliveryDraft(next.delivery)
  if (alone) {
    delivery.at = now
    delivery.firstAt = now
  }
  const left = sndDraft(snd)
  left.nxt = end(tcb.queue)
  if (text < size) left.small = left.nxt
  left.at = now
  next.snd = left
  next.flight = appendSent(flight, recordOf(snd.nxt, left.nxt, size, 0, delivery, now))
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
