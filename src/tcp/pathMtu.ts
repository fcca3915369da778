import { everyRecord, finish } from "./board.ts"
import type { Step } from "./effect.ts"
import { mtuOf, withMtu } from "./mtu.ts"
import { begin, isReducing, markLost } from "./recovery/ack.ts"
import { limitDuplicates } from "./recovery/newReno.ts"
import { drop } from "./reset.ts"
import { before, distance, type Seq } from "./seq.ts"
import { isSynchronized, type Synchronized, type Tcb } from "./tcb.ts"
import type { Micros } from "./time.ts"
import type { Out } from "./timers.ts"

/** Path MTU discovery by ICMP (RFC 1191, RFC 8201), believed only with RFC 5927's checks. */

/** What a router may not ask us to go below (RFC 8200 section 5; Linux's min_pmtu for IPv4). */
const LEAST_MTU = { 4: 552, 6: 1280 } as const

/** Plateaus for routers that say no size (RFC 1191 section 7.1). */
const PLATEAUS = [32000, 17914, 8166, 4352, 2002, 1492, 1006, 508] as const

/** "Packet too big" about the segment at `seq`: the path takes no more than `mtu` octets; 0: the router does not say. */
export const pathMtuArrives = (tcb: Tcb, seq: Seq, mtu: number, now: Micros): Step => {
  if (!isSynchronized(tcb)) return { tcb, effects: [drop("RFC5927-7.1:no-data-in-flight")] }
  // RFC 5927 section 7.1: it must be about something that is in flight.
  if (before(seq, tcb.snd.una) || !before(seq, tcb.snd.nxt)) {
    return { tcb, effects: [drop("RFC5927-4.1:sequence-number")] }
  }
  const { link } = tcb
  const now_ = mtuOf(link, tcb.snd.mss)
  const said = mtu === 0 ? (PLATEAUS.find((plateau) => plateau < now_) ?? 0) : mtu
  const limit = Math.max(said, LEAST_MTU[link.remote.address.family])
  // It cannot ask for more than is in use (RFC 1191 section 3).
  if (limit >= now_) return { tcb, effects: [drop("RFC1191-3:no-smaller-MTU")] }
  const out: Out = []
  const smaller = withMtu(tcb, { ...tcb.mtu, path: limit, high: Math.min(tcb.mtu.high, limit), size: 0 })
  return { tcb: simpleRetransmit(smaller, now, out), effects: out }
}

/**
 * What is too large for the path goes again in smaller segments, without a word to congestion
 * control (RFC 1191 section 6.4; Linux's tcp_simple_retransmit).
 */
export const simpleRetransmit = (tcb: Synchronized, now: Micros, out: Out): Synchronized => {
  const a = begin(tcb, undefined, now, out)
  everyRecord(a.board, (place, record) => {
    if (Math.min(record.size, distance(record.end, record.seq)) > tcb.snd.mss) markLost(a, place)
  })
  if (a.board.lost === 0) return tcb
  if (!a.sack) limitDuplicates(a)
  if (a.rec.phase !== "loss") {
    // Its end marks when the retransmissions are all acknowledged; nothing is to be undone.
    if (!isReducing(a)) a.cc = { ...a.cc, ssthresh: Math.max(a.cc.ssthresh, Math.floor((a.cc.cwnd * 3) / 4)) }
    a.rec.phase = "loss"
    a.rec.point = tcb.snd.nxt
    a.rec.undo = undefined
    a.rec.frto = false
  }
  return { ...tcb, flight: finish(a.board), recovery: a.rec, cc: a.cc }
}
