import { ACK, FIN, hasFin, PSH, type Segment, SYN, URG } from "../../wire/tcpSegment.ts"
import type { Mutable } from "../draft.ts"
import { TIMESTAMP_LENGTH } from "../handshake.ts"
import { keptBefore } from "../reassembly.ts"
import { add, after, atOrBefore, before, distance, latest, type Seq } from "../seq.ts"
import type { Drs, Synchronized } from "../tcb.ts"
import { type Micros, OFF } from "../time.ts"
import type { Out } from "../timers.ts"
import { announced } from "../window.ts"
import { admits, fits, type Place } from "./admit.ts"
import { growBuffer } from "./limit.ts"
import { advertisedMss, type Buffer, type Buffers, clampedTo, freeWindow, type Memory, windowFrom } from "./memory.ts"
import { byEcho, byWindow, type Trip } from "./trip.ts"
import { footprint, packetLength } from "./truesize.ts"

/** What the account makes of a segment with text or a FIN. */
export type Admission =
  | { readonly _tag: "Taken"; readonly tcb: Synchronized }
  /** Not kept. `answer`: an ACK is owed, which closes the window. */
  | { readonly _tag: "Refused"; readonly tcb: Synchronized; readonly answer: boolean }

/** A draft of the account and what goes along with it. */
interface Work {
  readonly m: Mutable<Memory>
  mss: number
  quick: number
  space: number
  trip: Trip
  /** What lay ahead of RCV.NXT was given up from here on; undefined: none of it. */
  cut: Seq | undefined
}

const workOn = (tcb: Synchronized, memory: Memory, seg: Segment, now: Micros): Work => ({
  m: { ...memory },
  mss: tcb.rcv.mss,
  quick: tcb.rcv.quick,
  space: tcb.drs.space,
  trip: byEcho(tcb, seg, now),
  cut: undefined,
})

const settled = (tcb: Synchronized, { m, mss, quick, space, trip, cut }: Work): Synchronized => {
  const { rcv } = tcb
  const { rtt, echo, windowAt, windowEnd } = trip
  const drs: Drs = { ...tcb.drs, space, rtt, echo, windowAt, windowEnd, memory: m }
  const queue = cut === undefined ? rcv.queue : keptBefore(rcv.queue, cut)
  return { ...tcb, rcv: { ...rcv, mss, quick, queue, buf: windowFrom(m, m.rcvbuf) }, drs }
}

/** The end of what lies ahead of RCV.NXT. */
const heldUntil = ({ ahead }: Memory, nxt: Seq): Seq => ahead.reduce((end, buffer) => latest(end, buffer.end), nxt)

const bufferOf = (seg: Segment, family: 4 | 6): Buffer => ({
  seq: seg.seq,
  end: add(seg.seq, seg.payload.length),
  fin: hasFin(seg),
  ...footprint(packetLength(seg, family)),
})

const placeOf = ({ link, rcv, options }: Synchronized): Place => ({
  link,
  read: add(rcv.nxt, -rcv.unread),
  nxt: rcv.nxt,
  fixed: options.receiveBuffer > 0,
})

/**
 * Text that begins at RCV.NXT or before it (Linux's tcp_data_queue): it is taken even above the limit where nothing
 * waits to be read, for its sender would otherwise never be heard.
 */
export const admitInOrder = (tcb: Synchronized, memory: Memory, seg: Segment, now: Micros, out: Out): Admission => {
  const work = workOn(tcb, memory, seg, now)
  const { m } = work
  const buffer = bufferOf(seg, tcb.link.local.address.family)
  if (!isPredicted(tcb, memory, seg, buffer) && !schedule(work, seg, placeOf(tcb), out)) {
    m.full = true
    if (m.queue.length > 0 && seg.payload.length > 0) {
      out.push({ _tag: "Count", counter: "TCPRcvQDrop" })
      return { _tag: "Refused", tcb: settled(tcb, work), answer: true }
    }
  }
  m.queue = queued(m, m.queue, buffer, out)
  if (seg.payload.length > 0) noteData(tcb, work, seg, buffer, now)
  takeFromAhead(m, latest(tcb.rcv.nxt, buffer.end), out)
  if (m.ahead.length === 0 && m.wnd > 0 && m.alloc < m.rcvbuf) m.predicts = true
  return { _tag: "Taken", tcb: settled(tcb, work) }
}

/** Text ahead of RCV.NXT (tcp_data_queue_ofo): where there is no room it is dropped without a word. */
export const admitAhead = (tcb: Synchronized, memory: Memory, seg: Segment, now: Micros, out: Out): Admission => {
  const work = workOn(tcb, memory, seg, now)
  const { m } = work
  const buffer = bufferOf(seg, tcb.link.local.address.family)
  if (!schedule(work, seg, placeOf(tcb), out)) {
    out.push({ _tag: "Count", counter: "TCPOFODrop" })
    return { _tag: "Refused", tcb: settled(tcb, work), answer: false }
  }
  measureSize(tcb, work, seg, buffer)
  m.predicts = false
  const charge = keepAhead(m, buffer, out)
  // Without SACK every duplicate ACK must look like the one before it (RFC 5681 section 2).
  if (charge !== undefined && tcb.link.agreed.sack) growWindow(tcb, work, seg, buffer)
  m.alloc += charge ?? 0
  if (m.held) growBuffer(tcb, m, work.space, work.space)
  return { _tag: "Taken", tcb: settled(tcb, work) }
}

/** Room is made where there is none; false: there is none. */
const schedule = (work: Work, seg: Segment, place: Place, out: Out): boolean => {
  if (fits(work.m)) return true
  work.quick = 0
  const outcome = admits(work.m, seg.seq, place, out)
  if (outcome.pruned) work.cut = heldUntil(work.m, place.nxt)
  return outcome.admitted
}

/**
 * Header prediction (tcp_rcv_established) takes what the account has already reserved: memory is reserved in whole
 * pages, and what of the last is not used yet covers a small segment.
 */
const isPredicted = ({ rcv }: Synchronized, m: Memory, seg: Segment, { end, truesize }: Buffer): boolean =>
  m.predicts &&
  (seg.flags & ~PSH) === ACK &&
  seg.seq === rcv.nxt &&
  seg.options.sack.length === 0 &&
  !after(end, add(rcv.nxt, announced(rcv))) &&
  truesize <= (PAGE - (m.alloc % PAGE)) % PAGE

const PAGE = 4096

/** Behind all, where it fits in the room that the last buffer has left (tcp_try_coalesce). */
const queued = (m: Mutable<Memory>, buffers: Buffers, buffer: Buffer, out: Out): Buffers => {
  const last = buffers.at(-1)
  const grown = last === undefined ? undefined : coalesced(last, buffer, out)
  if (grown !== undefined) return buffers.with(-1, grown)
  m.alloc += buffer.truesize
  return [...buffers, buffer]
}

const coalesced = (to: Buffer, from: Buffer, out: Out): Buffer | undefined => {
  const length = distance(from.end, from.seq)
  if (from.seq !== to.end || length > to.room) return undefined
  out.push({ _tag: "Count", counter: "TCPRcvCoalesce" })
  return { ...to, end: from.end, room: to.room - length, fin: to.fin || from.fin }
}

/** What has become in order moves to the receive queue (tcp_ofo_queue). */
const takeFromAhead = (m: Mutable<Memory>, from: Seq, out: Out): void => {
  let nxt = from
  let taken = 0
  for (let next = m.ahead[0]; next !== undefined && !after(next.seq, nxt); next = m.ahead[taken]) {
    taken++
    m.alloc -= next.truesize
    if (!after(next.end, nxt)) continue
    m.queue = queued(m, m.queue, next, out)
    nxt = next.end
  }
  if (taken > 0) m.ahead = m.ahead.slice(taken)
}

/** Among those ahead of RCV.NXT. The memory that it takes, which is not accounted yet; undefined: all of it was there. */
const keepAhead = (m: Mutable<Memory>, buffer: Buffer, out: Out): number | undefined => {
  const { seq, end } = buffer
  // The last one that does not begin behind it.
  let at = m.ahead.length
  while (at > 0 && before(seq, m.ahead[at - 1]?.seq ?? seq)) at--
  const low = m.ahead[at - 1]
  if (low !== undefined) {
    if (!after(end, low.end) && before(seq, low.end)) {
      out.push({ _tag: "Count", counter: "TCPOFOMerge" })
      return undefined
    }
    if (low.seq === seq) at--
    else {
      const grown = coalesced(low, buffer, out)
      if (grown !== undefined) {
        m.ahead = m.ahead.with(at - 1, grown)
        return 0
      }
    }
  }
  // Those that it covers are released.
  let to = at
  for (let next = m.ahead[to]; next !== undefined && atOrBefore(next.end, end); next = m.ahead[++to]) {
    m.alloc -= next.truesize
    out.push({ _tag: "Count", counter: "TCPOFOMerge" })
  }
  m.ahead = [...m.ahead.slice(0, at), buffer, ...m.ahead.slice(to)]
  return buffer.truesize
}

/** tcp_event_data_recv. */
const noteData = (tcb: Synchronized, work: Work, seg: Segment, buffer: Buffer, now: Micros): void => {
  const { rcv, rto } = tcb
  measureSize(tcb, work, seg, buffer)
  work.trip = byWindow(work.trip, latest(rcv.nxt, buffer.end), work.m.wnd, now)
  const last = rcv.at === OFF ? tcb.link.establishedAt : rcv.at
  if (!work.m.begun || now - last > rto.rto) {
    // The start, or a sender that was silent for long: it may be slow, and each ACK lets it go on.
    work.quick = Math.max(work.quick, quickAcks(work.m, work.mss))
  }
  work.m.begun = true
  if (seg.payload.length >= LEAST_TO_GROW) growWindow(tcb, work, seg, buffer)
}

/** Half a window of full segments (tcp_incr_quickack). */
const quickAcks = ({ wnd }: Memory, mss: number): number => Math.min(Math.floor(wnd / (2 * mss)) || 2, MOST_QUICK_ACKS)

/** What was there already, or lies outside the window, says that the sender has lost its way: it is told soon (tcp_enter_quickack_mode). */
export const hurried = (tcb: Synchronized): Synchronized => {
  const { rcv, drs } = tcb
  if (drs.memory === undefined) return tcb
  return { ...tcb, rcv: { ...rcv, quick: Math.max(rcv.quick, quickAcks(drs.memory, rcv.mss)), pingpong: false } }
}

/** TCP_MAX_QUICKACKS. */
const MOST_QUICK_ACKS = 16
const LEAST_TO_GROW = 128
/** RFC 9293 section 3.7.1, and Linux's TCP_MIN_MSS. */
const DEFAULT_MSS = 536
const LEAST_MSS = 88

/** tcp_measure_rcv_mss: how large the peer's segments are, and how much of their memory is payload. */
const measureSize = (tcb: Synchronized, work: Work, seg: Segment, { truesize }: Buffer): void => {
  const { m } = work
  const { length } = seg.payload
  const joined = tcb.link.context.settings.tcpGroSegment
  const size = joined > 0 ? Math.min(length, joined) : length
  const before = m.small
  m.small = 0
  if (size >= work.mss) {
    if (size !== work.mss) rescale(work, Math.max(1, Math.floor((length * 256) / truesize)))
    work.mss = Math.min(size, advertisedMss(tcb.link))
    if ((seg.flags & PSH) !== 0 && m.pushed === 0) m.pushed = 1
    return
  }
  const whole = size + (tcb.link.agreed.timestamps ? TIMESTAMP_LENGTH : 0)
  if (whole >= DEFAULT_MSS || (whole >= LEAST_MSS && (seg.flags & (FIN | URG | SYN | PSH)) === 0)) {
    m.small = size
    if (size === before) {
      work.mss = size
      return
    }
  }
  m.pushed = m.pushed === 0 ? 1 : 2
}

/** Another share of payload means another largest window. */
const rescale = (work: Work, ratio: number): void => {
  const { m } = work
  if (ratio === m.ratio) return
  m.ratio = ratio
  Object.assign(m, clampedTo(m, windowFrom(m, m.rcvbuf)))
  work.space = Math.min(work.space, m.clamp)
}

/** tcp_grow_window: segments that use their memory well open the window by twice their size, others by less and not as far. */
const growWindow = (tcb: Synchronized, work: Work, seg: Segment, { truesize }: Buffer): void => {
  const { m } = work
  const room = Math.min(m.clamp, freeWindow(m)) - m.ssthresh
  if (room <= 0) return
  const { length } = seg.payload
  const full = windowFrom(m, truesize) <= length
  const increase = full ? 2 * advertisedMss(tcb.link) : slowIncrease(tcb, work, truesize, length)
  if (increase === 0) return
  m.ssthresh += Math.min(room, Math.max(increase, 2 * length))
  work.quick |= 1
}

/** __tcp_grow_window: the sparser a segment, the smaller the window up to which it counts. */
const slowIncrease = ({ link }: Synchronized, { m, mss }: Work, truesize: number, length: number): number => {
  let size = windowFrom(m, truesize) >> 1
  let window = windowFrom(m, link.context.settings.tcpRmem[2]) >> 1
  while (m.ssthresh <= window) {
    if (size <= length) return 2 * mss
    size >>= 1
    window >>= 1
  }
  return 0
}
