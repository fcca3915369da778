import { NOT_ECT } from "../wire/ecn.ts"
import { ACK, NO_OPTIONS } from "../wire/tcpSegment.ts"
import type { Transmit, Why } from "./effect.ts"
import { timestamp } from "./handshake.ts"
import type { Seq } from "./seq.ts"
import type { TcpContext } from "./tcb.ts"
import type { Micros } from "./time.ts"

interface Speaker {
  readonly context: TcpContext
  readonly seq: Seq
  readonly ack: Seq
  /** As it goes into the header. */
  readonly wnd: number
  readonly timestamps: boolean
  readonly tsOffset: number
  readonly tsRecent: number
}

/** <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK> from a state that keeps no more than this. */
export const ackFrom = (speaker: Speaker, now: Micros, why: Why): Transmit => ({
  _tag: "Transmit",
  seq: speaker.seq,
  ack: speaker.ack,
  flags: ACK,
  wnd: speaker.wnd,
  up: 0,
  options: speaker.timestamps
    ? { ...NO_OPTIONS, tsVal: timestamp(speaker.context, speaker.tsOffset, now), tsEcr: speaker.tsRecent }
    : NO_OPTIONS,
  queue: undefined,
  length: 0,
  segmentSize: 0,
  ecn: NOT_ECT,
  why,
})
