import type { Endpoint } from "../wire/address.ts"
import type { Segment } from "../wire/tcpSegment.ts"
import * as calls from "./calls.ts"
import { NO_EFFECTS, type Refused, type Step } from "./effect.ts"
import * as fastOpen from "./fastOpen.ts"
import * as listen from "./listen.ts"
import { activeOpen, backlogOf, passiveOpen } from "./open.ts"
import { output } from "./output.ts"
import * as request from "./request.ts"
import { answerNobody } from "./reset.ts"
import * as synchronized from "./synchronized.ts"
import * as synReceived from "./synReceived.ts"
import * as synSent from "./synSent.ts"
import {
  type FastOpened,
  isSynchronized,
  type PathLimits,
  type Request,
  type SocketOptions,
  type SynReceived,
  type Tcb,
  type TcpContext,
  type TimerName,
} from "./tcb.ts"
import type { Micros } from "./time.ts"
import { timeout } from "./timeouts.ts"
import * as timeWait from "./timeWait.ts"

/** Everything that can happen to a block (RFC 9293 section 3.10). */
export type TcpEvent =
  | ActiveOpen
  | PassiveOpen
  | { readonly _tag: "Send"; readonly bytes: Uint8Array; readonly urgent?: boolean }
  | { readonly _tag: "Receive"; readonly count: number }
  | { readonly _tag: "Close" }
  | { readonly _tag: "Release" }
  | { readonly _tag: "Abort" }
  | { readonly _tag: "Status" }
  | SegmentArrives
  | { readonly _tag: "Timeout"; readonly timer: TimerName }

export interface ActiveOpen {
  readonly _tag: "ActiveOpen"
  readonly context: TcpContext
  readonly options: SocketOptions
  readonly path: PathLimits
  readonly local: Endpoint
  readonly remote: Endpoint
}

export interface PassiveOpen {
  readonly _tag: "PassiveOpen"
  readonly context: TcpContext
  readonly options: SocketOptions
  readonly path: PathLimits
  readonly backlog: number
}

export interface SegmentArrives {
  readonly _tag: "SegmentArrives"
  readonly segment: Segment
  /** To whom and from whom; a block in LISTEN learns them here. */
  readonly local: Endpoint
  readonly remote: Endpoint
  /** Whether the accept queue has room for one more; only a half-open request asks. */
  readonly room: boolean
  /** Whether the peer has completed a handshake before; only a listener asks. */
  readonly proven: boolean
}

/**
 * The whole state machine as one function: an event, then whatever output has become due. A host
 * calls the pieces itself, so that output runs once per batch.
 */
export const reduce = (tcb: Tcb, event: TcpEvent, now: Micros): Step | Refused => {
  const step = happen(tcb, event, now)
  if ("_tag" in step) return step
  const after = outputOf(step.tcb, now)
  if (after.effects.length === 0) return { tcb: after.tcb, effects: step.effects }
  return { tcb: after.tcb, effects: step.effects.length === 0 ? after.effects : [...step.effects, ...after.effects] }
}

/** What a block owes by now, up to `most` octets of data (see `output`); most states owe nothing. */
export const outputOf = (tcb: Tcb, now: Micros, most?: number): Step => {
  if (isSynchronized(tcb)) return output(tcb, now, most)
  return tcb._tag === "SYN-RECEIVED" && tcb.open === "fast"
    ? fastOpen.outputWithin(tcb, now)
    : { tcb, effects: NO_EFFECTS }
}

const happen = (tcb: Tcb, event: TcpEvent, now: Micros): Step | Refused => {
  switch (event._tag) {
    case "ActiveOpen":
    case "PassiveOpen":
      return open(tcb, event, now)
    case "Send":
      return calls.send(tcb, event.bytes, event.urgent)
    case "Receive":
      return calls.receive(tcb, event.count, now)
    case "Close":
      return calls.close(tcb)
    case "Release":
      return calls.release(tcb, now)
    case "Abort":
      return calls.abort(tcb, now)
    case "Status":
      return tcb._tag === "CLOSED"
        ? { _tag: "Refused", errno: "ENOTCONN", why: "RFC9293-3.10.6:no-connection" }
        : { tcb, effects: [] }
    case "SegmentArrives":
      return segmentArrives(tcb, event, now)
    case "Timeout":
      return timeout(tcb, event.timer, now)
  }
}

/** OPEN is for CLOSED; a listener may become an active open, everything else exists already (section 3.10.1). */
const open = (tcb: Tcb, event: ActiveOpen | PassiveOpen, now: Micros): Step | Refused => {
  switch (tcb._tag) {
    case "CLOSED":
      return event._tag === "ActiveOpen"
        ? activeOpen(event.context, event.options, event.path, event.local, event.remote, now)
        : { tcb: passiveOpen(event.context, event.options, event.path, event.backlog), effects: [] }
    case "LISTEN":
      return event._tag === "ActiveOpen"
        ? activeOpen(event.context, event.options, event.path, event.local, event.remote, now)
        : {
            tcb: { ...tcb, backlog: backlogOf(event.context, event.backlog) },
            effects: [],
          }
    default:
      return { _tag: "Refused", errno: "EISCONN", why: "RFC9293-3.10.1:connection-exists" }
  }
}

/** Which reducer of which state (section 3.10.7). */
const segmentArrives = (tcb: Tcb, event: SegmentArrives, now: Micros): Step => {
  const { segment, local, remote } = event
  switch (tcb._tag) {
    case "CLOSED":
      return { tcb, effects: [answerNobody(segment)] }
    case "LISTEN":
      return listen.segmentArrives(tcb, segment, local, remote, event.proven, now)
    case "SYN-SENT":
      return synSent.segmentArrives(tcb, segment, now)
    case "SYN-RECEIVED":
      return synReceivedArrives(tcb, segment, event.room, now)
    case "TIME-WAIT":
      return timeWait.segmentArrives(tcb, segment, now)
    default:
      return synchronized.segmentArrives(tcb, segment, now)
  }
}

/** The three ways to be in SYN-RECEIVED. */
export const synReceivedArrives = (
  tcb: Request | SynReceived | FastOpened,
  segment: Segment,
  room: boolean,
  now: Micros,
): Step => {
  switch (tcb.open) {
    case "passive":
      return request.segmentArrives(tcb, segment, room, now)
    case "active":
      return synReceived.segmentArrives(tcb, segment, now)
    case "fast":
      return fastOpen.segmentArrives(tcb, segment, now)
  }
}
