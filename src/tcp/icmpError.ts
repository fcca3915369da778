import type { CloseReason, IcmpErrno, Step } from "./effect.ts"
import { drop } from "./reset.ts"
import { after, before, type Seq } from "./seq.ts"
import { CLOSED, isSynchronized, type Synchronized, type Tcb, type Timers } from "./tcb.ts"
import { cancelAll, type Out } from "./timers.ts"

/**
 * An ICMP error about the segment at `seq`. It ends an attempt to connect (RFC 5461 section 4.1,
 * as Linux does); a connection is never ended by one: it could come from anybody (RFC 5927 section 5.2).
 * It is remembered: should the peer stay silent, it is the reason that is given (Linux's sk_err_soft).
 */
export const icmpArrives = (tcb: Tcb, seq: Seq, errno: IcmpErrno): Step => {
  switch (tcb._tag) {
    case "SYN-SENT":
      return seq === tcb.iss ? refused(tcb.timers, errno) : { tcb, effects: [drop("RFC5927-4.1:sequence-number")] }
    case "SYN-RECEIVED":
      if (tcb.open !== "active") return { tcb, effects: [drop("RFC5927-5.2:soft-error")] }
      return seq === tcb.sent.iss ? refused(tcb.timers, errno) : { tcb, effects: [drop("RFC5927-4.1:sequence-number")] }
    default:
      return { tcb: isSynchronized(tcb) ? remembered(tcb, seq, errno) : tcb, effects: [drop("RFC5927-5.2:soft-error")] }
  }
}

/** Where it is about something that is in flight (RFC 5927 section 4.1). */
const remembered = (tcb: Synchronized, seq: Seq, errno: IcmpErrno): Synchronized =>
  before(seq, tcb.snd.una) || after(seq, tcb.snd.nxt) ? tcb : { ...tcb, rto: { ...tcb.rto, softError: errno } }

export const reasonOf = (errno: IcmpErrno): CloseReason => (isRefusal(errno) ? "ConnectionRefused" : "HostUnreachable")

/** Nobody listens there, as opposed to nobody can be reached there. */
export const isRefusal = (errno: IcmpErrno): boolean => errno === "ECONNREFUSED" || errno === "ENOPROTOOPT"

const refused = (timers: Timers, errno: IcmpErrno): Step => {
  const out: Out = []
  cancelAll(timers, out)
  out.push(
    { _tag: "Count", counter: "AttemptFails" },
    { _tag: "Closed", reason: reasonOf(errno), errno, why: "RFC5461-4.1:ICMP-error-answers-SYN" },
  )
  return { tcb: CLOSED, effects: out }
}
