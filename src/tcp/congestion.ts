import { after, type Seq } from "./seq.ts"
import type { Cc } from "./tcb.ts"

/** NewReno: RFC 5681 with RFC 6582's recovery. All sizes in octets, "segments" are full-sized ones. */

/** IW10 (RFC 6928 section 2). */
export const initialCc = (mss: number, segments: number, iss: Seq): Cc => ({
  cwnd: Math.min(segments * mss, Math.max(2 * mss, segments * 1460)),
  ssthresh: 0x7fffffff,
  dupAcks: 0,
  recovering: false,
  recover: iss,
  acked: 0,
})

/** After a lost SYN or SYN-ACK the first window is one segment (RFC 5681 section 3.1). */
export const afterLostSyn = (cc: Cc, mss: number): Cc => ({ ...cc, cwnd: mss })

/** New data was acknowledged outside of recovery. */
export const grow = (cc: Cc, acked: number, mss: number, limited: boolean): Cc => {
  const reset = cc.dupAcks === 0 ? cc : { ...cc, dupAcks: 0 }
  // A window that was not used says nothing about the path (RFC 7661 section 1).
  if (!limited) return reset
  if (cc.cwnd < cc.ssthresh) {
    return { ...reset, cwnd: Math.min(cc.cwnd + acked, Math.max(cc.ssthresh, cc.cwnd + mss)) }
  }
  // One segment per window of acknowledged octets (RFC 5681 section 3.1, RFC 3465 section 2.1).
  const total = cc.acked + acked
  return total >= cc.cwnd ? { ...reset, cwnd: cc.cwnd + mss, acked: total - cc.cwnd } : { ...reset, acked: total }
}

/** A third duplicate ACK may start recovery, unless it is about losses already dealt with (RFC 6582 section 3.2, step 2). */
export const mayRecover = (cc: Cc, una: Seq): boolean => after(una, cc.recover)

export const enterRecovery = (flight: number, mss: number, nxt: Seq): Cc => {
  const ssthresh = Math.max(Math.floor(flight / 2), 2 * mss)
  return { cwnd: ssthresh + 3 * mss, ssthresh, dupAcks: 3, recovering: true, recover: nxt, acked: 0 }
}

/** Each further duplicate means that a segment has left the network. */
export const inflate = (cc: Cc, mss: number): Cc => ({ ...cc, dupAcks: cc.dupAcks + 1, cwnd: cc.cwnd + mss })

/** A partial ACK: deflate by what it acknowledged, add one segment back (RFC 6582 section 3.2, step 3). */
export const partialAck = (cc: Cc, acked: number, mss: number): Cc => ({
  ...cc,
  cwnd: Math.max(cc.cwnd - acked + (acked >= mss ? mss : 0), mss),
})

/** A full ACK ends recovery, without a burst. */
export const leaveRecovery = (cc: Cc, flight: number, mss: number): Cc => ({
  ...cc,
  cwnd: Math.min(cc.ssthresh, Math.max(flight, mss) + mss),
  dupAcks: 0,
  recovering: false,
  acked: 0,
})

/** A retransmission time-out: start again from one segment (RFC 5681 section 3.1, equation 4). */
export const timedOut = (cc: Cc, flight: number, mss: number, nxt: Seq, again: boolean): Cc => ({
  cwnd: mss,
  ssthresh: again ? cc.ssthresh : Math.max(Math.floor(flight / 2), 2 * mss),
  dupAcks: 0,
  recovering: false,
  recover: nxt,
  acked: 0,
})

/** Idle for longer than an RTO: no more than the initial window at once (RFC 5681 section 4.1). */
export const restart = (cc: Cc, initial: number): Cc => (cc.cwnd > initial ? { ...cc, cwnd: initial } : cc)
