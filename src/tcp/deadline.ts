import type { FastOpened, Request, SynReceived, Tcb } from "./tcb.ts"
import { type Micros, OFF } from "./time.ts"
import { earliestDeadline } from "./timers.ts"

/** When the first of a block's timers ends, or OFF. */
export const deadlineOf = (tcb: Tcb): Micros => {
  switch (tcb._tag) {
    case "CLOSED":
    case "LISTEN":
      return OFF
    case "TIME-WAIT":
      return tcb.deadline
    case "SYN-RECEIVED":
      return handshakeDeadline(tcb)
    default:
      return earliestDeadline(tcb.timers)
  }
}

const handshakeDeadline = (tcb: Request | SynReceived | FastOpened): Micros => {
  switch (tcb.open) {
    case "passive":
      return tcb.deadline
    case "active":
      return earliestDeadline(tcb.timers)
    case "fast":
      return earliestDeadline({ ...tcb.tcb.timers, retransmit: tcb.request.deadline })
  }
}
