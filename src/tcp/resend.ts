import { FIN } from "../wire/tcpSegment.ts"
import { type Board, edit, finish, join, replace, split, walk } from "./board.ts"
import type { Why } from "./effect.ts"
import { sendSegment } from "./emit.ts"
import {
  EVER,
  LOST,
  lastPlace,
  nextPlace,
  type Place,
  pipe,
  RETRANS,
  recordAt,
  SACKED,
  SAMPLED,
  segmentEnd,
  segmentsOf,
  WITH_FIN,
} from "./flight.ts"
import { burstSegments, mustWait, pace } from "./pacing.ts"
import { isReducing, segmentsIn } from "./recovery/ack.ts"
import { interval } from "./rto.ts"
import { type SendQueue, toRecordEnd } from "./sendQueue.ts"
import { add, after, before, distance } from "./seq.ts"
import type { Synchronized } from "./tcb.ts"
import type { Micros } from "./time.ts"
import { arm, cancel, type Out } from "./timers.ts"

/**
 * Sends again what is lost, as the window allows, lowest first (RFC 6675 section 4, NextSeg rule 1). No segment
 * beyond `most` octets begins to leave (Linux's tcp_small_queue_check in tcp_xmit_retransmit_queue).
 */
export const resendLost = (
  start: Synchronized,
  size: number,
  now: Micros,
  out: Out,
  most = Number.POSITIVE_INFINITY,
): Synchronized => {
  let tcb = start
  while (tcb.flight.lost > tcb.flight.retrans && !mustWait(tcb)) {
    const left = Math.ceil((most - resentBetween(start, tcb)) / size)
    if (left <= 0) return tcb
    const quota = segmentsIn(tcb.cc.cwnd, tcb.snd.mss) - pipe(tcb.flight)
    if (quota <= 0) break
    const board = edit(tcb.flight)
    const place = firstDue(board)
    if (place === undefined) break
    const isFirst = place === board.first
    const again = resend(
      tcb,
      board,
      place,
      Math.min(quota, left, burstSegments(tcb, size)),
      size,
      now,
      reasonOf(tcb),
      out,
    )
    if (again === undefined) break
    tcb = again
    out.push({ _tag: "Count", counter: tcb.recovery.phase === "loss" ? "TCPSlowStartRetrans" : "TCPFastRetrans" })
    // RFC 6298 section 5.3 in spirit: the first segment is on its way again.
    if (isFirst) {
      const at = now + interval(tcb.rto, tcb.link.context.settings, tcb.options)
      tcb = { ...tcb, timers: arm(cancel(tcb.timers, "probe", out), "retransmit", at, out) }
    }
  }
  return rescue(tcb, size, now, out)
}

/** Octets that have left once more between two states of a block, each segment counted as a full one. */
export const resentBetween = (before: Synchronized, after: Synchronized): number =>
  (after.recovery.totalRetrans - before.recovery.totalRetrans) * after.snd.mss

const firstDue = (board: Board): Place | undefined => {
  let found: Place | undefined
  walk(
    board,
    board.first,
    ({ due }) => due > 0,
    (place, { marks }) => {
      if ((marks & (LOST | RETRANS | SACKED)) !== LOST) return place
      found = place
      return "stop"
    },
  )
  return found
}

const reasonOf = (tcb: Synchronized): Why => {
  if (tcb.recovery.phase === "loss") return "RFC5681-3.1:after-time-out"
  return tcb.link.agreed.sack ? "RFC6675-5:lost" : "RFC6582-3.2:retransmit"
}

/**
 * RFC 6675 section 4, NextSeg rule 4: where nothing else may be sent during recovery, the last
 * segment once more, so that the tail's loss is seen. RACK and its probes do without.
 */
const rescue = (tcb: Synchronized, size: number, now: Micros, out: Out): Synchronized => {
  const { recovery, flight, link, snd, cc } = tcb
  const { tcpRecovery } = link.context.settings
  if (recovery.phase !== "recovery" || (tcpRecovery & 1) !== 0 || !link.agreed.sack || recovery.rescued) return tcb
  if (flight.lost > flight.retrans || segmentsIn(cc.cwnd, snd.mss) <= pipe(flight)) return tcb
  const board = edit(flight)
  const record = recordAt(board, lastPlace(board))
  if (record === undefined || (record.marks & (SACKED | RETRANS)) !== 0) return tcb
  const n = segmentsOf(record)
  if (n > 1) split(board, lastPlace(board), segmentEnd(record, n - 1))
  const again = resend(tcb, board, lastPlace(board), 1, size, now, "RFC6675-4:rescue", out)
  return again === undefined ? tcb : { ...again, recovery: { ...again.recovery, rescued: true } }
}

/**
 * One record again, at most `segments` of it, cut to the segment size of now; small ones that follow
 * go along. Undefined: the peer's window has no room for it. `probe`: it is not known to be lost, so
 * the original still counts as the one that is in flight.
 */
export const resend = (
  tcb: Synchronized,
  board: Board,
  at: Place,
  segments: number,
  size: number,
  now: Micros,
  why: Why,
  out: Out,
  probe = false,
): Synchronized | undefined => {
  const { snd, link, recovery } = tcb
  const edge = add(snd.una, snd.wnd)
  let place = at
  let record = recordAt(board, place)
  if (record === undefined) return undefined
  // What the peer shrank away stays, but for the first segment, which probes.
  if (!before(record.seq, edge) && record.seq !== snd.una) return undefined
  const room = after(edge, record.seq) ? distance(edge, record.seq) : size
  const most = Math.min(segments * size, room)
  if (textOf(record) > most) place = split(board, place, add(record.seq, most))
  else if (link.context.settings.tcpRetransCollapse) collapse(board, place, Math.min(size, room), tcb.queue)
  record = recordAt(board, place)
  if (record === undefined) return undefined
  const fin = (record.marks & WITH_FIN) !== 0
  const length = textOf(record)
  const sent = sendSegment(tcb, record.seq, length, fin ? FIN : 0, size, false, now, why, out)
  const { delivered, at: deliveredAt, firstAt, appLimited } = sent.delivery
  replace(board, place, {
    ...record,
    size,
    at: now,
    marks: (record.marks & ~SAMPLED) | EVER | (probe ? 0 : RETRANS),
    delivered,
    deliveredAt,
    firstAt,
    appLimited: appLimited !== 0,
  })
  const n = Math.max(1, Math.ceil(length / size))
  for (let i = 0; i < n; i++) out.push(RETRANSMITTED)
  const { undo } = recovery
  const totalRetrans = recovery.totalRetrans + n
  sent.flight = finish(board)
  sent.snd = { ...sent.snd, at: now }
  sent.recovery = probe
    ? { ...recovery, totalRetrans }
    : {
        ...recovery,
        retransmittedAt: recovery.retransmittedAt ?? now,
        undo: undo === undefined ? undefined : { ...undo, retrans: (undo.retrans ?? 0) + n },
        totalRetrans,
        prrOut: isReducing({ rec: recovery }) ? recovery.prrOut + n : recovery.prrOut,
      }
  sent.timers = pace(sent, sent.timers, length, now, out)
  return sent
}

const RETRANSMITTED = { _tag: "Count", counter: "RetransSegs" } as const

const textOf = (record: { readonly seq: number; readonly end: number; readonly marks: number }): number =>
  distance(record.end, record.seq) - ((record.marks & WITH_FIN) !== 0 ? 1 : 0)

/** Neighbours that fit one segment together go together (Linux's tcp_retrans_try_collapse). */
const collapse = (board: Board, place: Place, size: number, queue: SendQueue): void => {
  for (;;) {
    const record = recordAt(board, place)
    const next = recordAt(board, nextPlace(board, place))
    if (record === undefined || next === undefined || textOf(record) >= size) return
    if (((record.marks | next.marks) & SACKED) !== 0 || segmentsOf(next) > 1) return
    if (textOf(record) + textOf(next) > size) return
    if (toRecordEnd(queue, record.seq) === textOf(record)) return
    join(board, place)
  }
}
