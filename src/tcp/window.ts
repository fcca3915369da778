import { add, distance, type Seq } from "./seq.ts"
import type { Link, Rcv, Snd } from "./tcb.ts"

/** RCV.WND as last announced. */
export const announced = (rcv: Rcv): number => Math.max(0, distance(rcv.edge, rcv.nxt))

/**
 * The right edge to announce now, of a receiver that counts octets. It never moves left (RFC 9293 section 3.8.6), and moves right
 * only in steps worth a segment (silly-window avoidance of a receiver, section 3.8.6.2.2).
 */
export const nextEdge = (rcv: Rcv, link: Link): Seq => {
  const now = announced(rcv)
  const room = Math.max(0, rcv.buf - rcv.unread)
  const free = Math.min(room, maxWindow(link), rcv.clamp)
  if (link.context.settings.profile.windowStep === "sliding" && room >= rcv.buf >> 1 && free >= link.path.mss) {
    return add(rcv.nxt, Math.max(now, sliding(rcv, link, free)))
  }
  const gain = free - now
  return gain > 0 && gain >= leastGain(rcv, link, free) ? add(rcv.nxt, free) : add(rcv.nxt, now)
}

/**
 * While half of the buffer is free, and that is a segment, there is no silly window to avoid, and the edge moves with every ACK; a
 * window without a scale keeps its width as long as that is possible (Linux's __tcp_select_window).
 */
const sliding = (rcv: Rcv, link: Link, free: number): number => {
  if (link.agreed.rcvScale > 0) return free
  const width = distance(rcv.edge, rcv.lastAck)
  const most = Math.min(rcv.buf, rcv.clamp)
  const mss = Math.min(rcv.mss, most)
  if (width > free || width <= free - mss) return free - (free % mss)
  // A buffer of less than two segments would never be opened by one (RFC 9293 section 3.8.6.2.2 counts half of it too).
  return free - width >= Math.max(1, most >> 1) ? free : width
}

/** FreeBSD's tcp_output keeps to the clause only while the window is small. */
const leastGain = (rcv: Rcv, link: Link, free: number): number => {
  const { mss } = link.path
  const any = link.context.settings.profile.windowStep === "any" && free >= Math.min(rcv.buf >> 2, mss)
  return any ? 0 : Math.min(rcv.buf >> 1, mss)
}

/**
 * Where a segment without text stands: SND.NXT, or the right edge of the peer's window where that
 * was drawn in behind it or a probe went beyond it, for the peer takes nothing from outside (Linux's
 * tcp_acceptable_seq). The shift's rounding alone does not count.
 */
export const bareSeq = (snd: Snd, link: Link): Seq => {
  const beyond = distance(snd.nxt, snd.una) - snd.wnd
  return beyond <= 0 || beyond < (1 << link.agreed.sndScale) - 1 ? snd.nxt : add(snd.una, snd.wnd)
}

/** What 16 bits and the agreed shift, 14 at most (RFC 7323 section 2.3), can say: fewer than 2^30 octets. */
export const maxWindow = (link: Link): number => 65535 << link.agreed.rcvScale

/**
 * The window field for a window: rounded down, so that nothing is promised that the edge does not
 * cover. The edge itself stays, for what the peer was told before (RFC 7323 section 2.4).
 */
export const windowField = (link: Link, window: number): number => Math.min(window >>> link.agreed.rcvScale, 65535)
