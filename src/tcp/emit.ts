import { ECT0, NOT_ECT } from "../wire/ecn.ts"
import { OPTION_SPACE } from "../wire/tcpOptionKind.ts"
import { ACK, CWR, ECE, NO_OPTIONS, PSH, type SackBlock, type TcpOptions, URG } from "../wire/tcpSegment.ts"
import { edgeNow } from "./announce.ts"
import { type Draft, draftOf, rcvDraft } from "./draft.ts"
import type { Why } from "./effect.ts"
import { TIMESTAMP_LENGTH, timestamp } from "./handshake.ts"
import { blocksOf } from "./reassembly.ts"
import { noteAnnounced } from "./receiveMemory/window.ts"
import { isWriteEnd } from "./sendQueue.ts"
import { add, distance, type Seq } from "./seq.ts"
import type { Negotiated, Rcv, Synchronized } from "./tcb.ts"
import { type Micros, OFF } from "./time.ts"
import { cancel, type Out } from "./timers.ts"
import { bareSeq, windowField } from "./window.ts"

/** Blocks that fit beside timestamps, and without (RFC 2018 section 3); a signature takes from both. */
const mostBlocks = ({ timestamps, signature }: Negotiated): number =>
  signature === 0
    ? timestamps
      ? 3
      : 4
    : Math.floor((OPTION_SPACE - signature - (timestamps ? TIMESTAMP_LENGTH : 0) - 4) / 8)

/** Options of a segment after the handshake: timestamps where agreed, and what arrived out of order. */
const optionsNow = (tcb: Synchronized, now: Micros): TcpOptions => {
  const { link, rcv } = tcb
  const sack = link.agreed.sack ? blocks(rcv, link.agreed) : NO_BLOCKS
  if (!link.agreed.timestamps) return sack === NO_BLOCKS ? NO_OPTIONS : { ...NO_OPTIONS, sack }
  return {
    mss: undefined,
    windowScale: undefined,
    sackPermitted: false,
    sack,
    tsVal: timestamp(link.context, link.tsOffset, now),
    tsEcr: rcv.tsRecent,
    fastOpen: undefined,
    md5: undefined,
    ao: undefined,
    unknown: NO_OPTIONS.unknown,
  }
}

const NO_BLOCKS: ReadonlyArray<SackBlock> = NO_OPTIONS.sack

const blocks = (rcv: Rcv, agreed: Negotiated): ReadonlyArray<SackBlock> => {
  const { dsack, queue } = rcv
  if (dsack === undefined && queue.blocks.length === 0) return NO_BLOCKS
  const most = mostBlocks(agreed)
  // A duplicate is reported in the first block (RFC 2883 section 4).
  const held = blocksOf(queue)
  return dsack === undefined ? held.slice(0, most) : [dsack, ...held.slice(0, most - 1)]
}

/** Octets that the blocks of the next segment will take from its payload. */
export const sackLength = (tcb: Synchronized): number => {
  if (!tcb.link.agreed.sack) return 0
  const { dsack, queue } = tcb.rcv
  if (dsack === undefined && queue.blocks.length === 0) return 0
  const count = Math.min(queue.blocks.length + (dsack === undefined ? 0 : 1), mostBlocks(tcb.link.agreed))
  return 4 + 8 * count
}

/**
 * Every segment acknowledges everything and announces the window: after one nothing is owed.
 * `quick` is how many ACKs are still to leave at once, `pingpong` whether they wait all the same.
 */
const acknowledged = (tcb: Synchronized, edge: Seq, quick: number, pingpong: boolean, out: Out): Draft => {
  const { rcv, drs } = tcb
  const next = draftOf(tcb)
  let left = quick
  if (drs.memory !== undefined) {
    const { memory, scarce } = noteAnnounced(tcb, drs.memory, edge, quick, out)
    next.drs = { ...drs, memory }
    if (scarce) left = 0
  }
  const settled =
    rcv.due === "none" &&
    rcv.edge === edge &&
    rcv.lastAck === rcv.nxt &&
    rcv.dsack === undefined &&
    rcv.quick === left &&
    rcv.pingpong === pingpong
  if (tcb.timers.delayedAck !== OFF) next.timers = cancel(tcb.timers, "delayedAck", out)
  if (settled) return next
  const told = rcvDraft(rcv)
  told.edge = edge
  told.lastAck = rcv.nxt
  told.due = "none"
  told.dsack = undefined
  told.quick = left
  told.pingpong = pingpong
  next.rcv = told
  return next
}

/** <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>. */
export const sendAck = (tcb: Synchronized, now: Micros, why: Why, out: Out): Synchronized => {
  const edge = edgeNow(tcb)
  out.push({
    _tag: "Transmit",
    seq: bareSeq(tcb.snd, tcb.link),
    ack: tcb.rcv.nxt,
    flags: tcb.ecn.echo ? ACK | ECE : ACK,
    wnd: windowField(tcb.link, (edge - tcb.rcv.nxt) >>> 0),
    up: 0,
    options: optionsNow(tcb, now),
    queue: undefined,
    length: 0,
    segmentSize: 0,
    ecn: NOT_ECT,
    why,
  })
  return acknowledged(
    tcb,
    edge,
    tcb.rcv.due === "none" ? tcb.rcv.quick : Math.max(0, tcb.rcv.quick - 1),
    tcb.rcv.pingpong,
    out,
  )
}

/** Payload and flags from `seq` on, `fresh` when for the first time; the ends of the application's writes decide PSH. */
export const sendSegment = (
  tcb: Synchronized,
  seq: Seq,
  length: number,
  flags: number,
  segmentSize: number,
  fresh: boolean,
  now: Micros,
  why: Why,
  out: Out,
): Draft => {
  const edge = edgeNow(tcb)
  const { queue, ecn, link } = tcb
  // New data may be marked on its way, and says that the window was reduced (RFC 3168 sections 6.1.2, 6.1.5).
  const capable = fresh && length > 0 && link.agreed.ecn
  const cwr = capable && ecn.cwr
  // The end of what the application wrote at once is pushed (RFC 9293 section 3.9.1.2, SHLD-28); so is that of a burst,
  // which tells a receiver that joins segments to wait for no more of them (Linux's __tcp_transmit_skb).
  const pushed = length > segmentSize || (length > 0 && isWriteEnd(queue, add(seq, length))) ? PSH : 0
  const urgent = distance(tcb.snd.up, seq)
  out.push({
    _tag: "Transmit",
    seq,
    ack: tcb.rcv.nxt,
    flags: ACK | flags | pushed | (urgent > 0 ? URG : 0) | (cwr ? CWR : 0) | (ecn.echo ? ECE : 0),
    wnd: windowField(tcb.link, (edge - tcb.rcv.nxt) >>> 0),
    // The octet after the urgent data, as far as the field reaches (RFC 9293 section 3.8.5).
    up: urgent > 0 ? Math.min(urgent, 0xffff) : 0,
    options: optionsNow(tcb, now),
    queue: length > 0 ? queue : undefined,
    length,
    segmentSize,
    ecn: capable ? ECT0 : NOT_ECT,
    why,
  })
  // Data soon after data shows a dialogue: from now on ACKs wait for replies (Linux's pingpong mode).
  const answers = length > 0 && tcb.rcv.at !== OFF && now - tcb.rcv.at < tcb.link.context.settings.profile.delayedAck
  const quick = tcb.rcv.due === "none" ? tcb.rcv.quick : Math.max(0, tcb.rcv.quick - 1)
  const next = acknowledged(tcb, edge, quick, answers || tcb.rcv.pingpong, out)
  if (cwr) next.ecn = { ...ecn, cwr: false }
  return next
}

/** A zero-length segment at an old sequence number: whatever the peer's window, it must answer (RFC 9293 section 3.10.7.4, first check). */
export const sendOldSequence = (tcb: Synchronized, now: Micros, why: Why, out: Out): void => {
  out.push({
    _tag: "Transmit",
    seq: add(tcb.snd.una, -1),
    ack: tcb.rcv.nxt,
    flags: tcb.ecn.echo ? ACK | ECE : ACK,
    wnd: windowField(tcb.link, Math.max(0, (tcb.rcv.edge - tcb.rcv.nxt) | 0)),
    up: 0,
    options: optionsNow(tcb, now),
    queue: undefined,
    length: 0,
    segmentSize: 0,
    ecn: NOT_ECT,
    why,
  })
}
