import type { CloseReason, IcmpErrno, Step } from "./effect.ts"
import { drop } from "./reset.ts"
import type { Seq } from "./seq.ts"
import { CLOSED, type Tcb, type Timers } from "./tcb.ts"
import { cancelAll, type Out } from "./timers.ts"

/**
 * An ICMP error about the segment at `seq`. It ends an attempt to connect (RFC 5461 section 4.1,
 * as Linux does); a connection is never ended by one: it could come from anybody (RFC 5927 section 5.2).
 */
export const icmpArrives = (tcb: Tcb, seq: Seq, errno: IcmpErrno): Step => {
  switch (tcb._tag) {
    case "SYN-SENT":
      return seq === tcb.iss ? refused(tcb.timers, errno) : { tcb, effects: [drop("RFC5927-4.1:sequence-number")] }
    case "SYN-RECEIVED":
      if (tcb.open !== "active") return { tcb, effects: [drop("RFC5927-5.2:soft-error")] }
      return seq === tcb.sent.iss ? refused(tcb.timers, errno) : { tcb, effects: [drop("RFC5927-4.1:sequence-number")] }
    default:
      return { tcb, effects: [drop("RFC5927-5.2:soft-error")] }
  }
}

/** Nobody listens there, as opposed to nobody can be reached there. */
export const isRefusal = (errno: IcmpErrno): boolean => errno === "ECONNREFUSED" || errno === "ENOPROTOOPT"

const refused = (timers: Timers, errno: IcmpErrno): Step => {
  const reason: CloseReason = isRefusal(errno) ? "ConnectionRefused" : "HostUnreachable"
  const out: Out = []
  cancelAll(timers, out)
  out.push(
    { _tag: "Count", counter: "AttemptFails" },
    { _tag: "Closed", reason, errno, why: "RFC5461-4.1:ICMP-error-answers-SYN" },
  )
  return { tcb: CLOSED, effects: out }
}
