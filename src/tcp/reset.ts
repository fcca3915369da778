import { NOT_ECT } from "../wire/ecn.ts"
import { ACK, hasAck, hasRst, NO_OPTIONS, RST, type Segment, segmentLength } from "../wire/tcpSegment.ts"
import { edgeNow } from "./announce.ts"
import type { Drop, Transmit, Why } from "./effect.ts"
import { timestamp } from "./handshake.ts"
import { add, distance, type Seq } from "./seq.ts"
import type { Synchronized } from "./tcb.ts"
import type { Micros } from "./time.ts"
import { bareSeq, windowField } from "./window.ts"

export const drop = (why: Why): Drop => ({ _tag: "Drop", why })

/** A reset that the sender of `seg` will accept (RFC 9293 section 3.10.7.1). */
export const resetFor = (seg: Segment, why: Why): Transmit =>
  hasAck(seg) ? reset(seg.ack, 0, RST, why) : reset(0, add(seg.seq, segmentLength(seg)), RST | ACK, why)

export const reset = (seq: Seq, ack: Seq, flags: number, why: Why): Transmit => ({
  _tag: "Transmit",
  seq,
  ack,
  flags,
  wnd: 0,
  up: 0,
  options: NO_OPTIONS,
  queue: undefined,
  length: 0,
  segmentSize: 0,
  ecn: NOT_ECT,
  why,
})

/** A reset of our own accord carries what the connection's segments do (RFC 7323 section 3.2: SHOULD). */
export const resetOf = (tcb: Synchronized, now: Micros, why: Why): Transmit => ({
  ...reset(bareSeq(tcb.snd, tcb.link), tcb.rcv.nxt, RST | ACK, why),
  wnd:
    tcb.link.context.settings.profile.resetWindow === "zero"
      ? 0
      : windowField(tcb.link, distance(edgeNow(tcb), tcb.rcv.nxt)),
  options: tcb.link.agreed.timestamps
    ? { ...NO_OPTIONS, tsVal: timestamp(tcb.link.context, tcb.link.tsOffset, now), tsEcr: tcb.rcv.tsRecent }
    : NO_OPTIONS,
})

/** CLOSED, and every endpoint that nobody holds (RFC 9293 section 3.10.7.1). */
export const answerNobody = (seg: Segment): Transmit | Drop =>
  hasRst(seg) ? drop("RFC9293-3.10.7.1:RST-to-nobody") : resetFor(seg, "RFC9293-3.10.7.1:no-connection")
