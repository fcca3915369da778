import { CE, NOT_ECT } from "../wire/ecn.ts"
import { AE, CWR, ECE, type Segment } from "../wire/tcpSegment.ts"
import type { TcpSettings } from "./settings.ts"
import type { Synchronized } from "./tcb.ts"
import { owe } from "./text.ts"

/** Explicit congestion notification (RFC 3168 section 6.1). */

const BOTH = ECE | CWR

/** Whether a SYN asks for ECN. */
export const ecnInSyn = (seg: Segment): boolean => (seg.flags & BOTH) === BOTH

/** Whether a SYN-ACK agrees: ECE alone; both flags are the echo of something that does not understand. */
export const ecnInSynAck = (seg: Segment): boolean => (seg.flags & BOTH) === ECE

/** A listener agrees, unless the SYN itself was marked, which no sender of RFC 3168 does (section 6.1.1). */
export const ecnAccepted = (seg: Segment, settings: TcpSettings): boolean =>
  settings.tcpEcn !== 0 && ecnInSyn(seg) && ((seg.ecn ?? NOT_ECT) === NOT_ECT || (seg.flags & AE) !== 0)

/** ACKs that leave at once when a mark comes: the sender's window may be small. */
const QUICK_AFTER_CE = 2

/** CWR ends the echo of a mark, CE begins it (section 6.1.3). For segments that are acceptable. */
export const noteMarks = (tcb: Synchronized, seg: Segment): Synchronized => {
  if (!tcb.link.agreed.ecn) return tcb
  const answered = (seg.flags & CWR) !== 0 ? withCwr(tcb, seg) : tcb
  if (seg.payload.length === 0) return answered
  const { ecn, rcv } = answered
  const codepoint = seg.ecn ?? NOT_ECT
  if (codepoint === CE) {
    if (ecn.echo) return answered
    const quick = Math.max(rcv.quick, QUICK_AFTER_CE)
    return { ...answered, ecn: { ...ecn, echo: true, seen: true }, rcv: { ...rcv, quick } }
  }
  if (codepoint !== NOT_ECT) return ecn.seen ? answered : { ...answered, ecn: { ...ecn, seen: true } }
  // Not marked though others were: probably a retransmission, whose sender waits for news.
  return ecn.seen && rcv.quick < QUICK_AFTER_CE ? { ...answered, rcv: { ...rcv, quick: QUICK_AFTER_CE } } : answered
}

const withCwr = (tcb: Synchronized, seg: Segment): Synchronized => {
  const quiet = tcb.ecn.echo ? { ...tcb, ecn: { ...tcb.ecn, echo: false } } : tcb
  return seg.payload.length > 0 ? owe(quiet, "now", "RFC3168-6.1.3:CWR") : quiet
}
