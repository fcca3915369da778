import { hasRst, type Segment, segmentLength } from "../wire/tcpSegment.ts"
import { add, atOrAfter, before, type Seq } from "./seq.ts"

/** RFC 9293 section 3.10.7.4, table 6: does a segment of `length` at `seq` touch the receive window? */
export const acceptable = (seq: Seq, length: number, nxt: Seq, wnd: number): boolean => {
  if (wnd === 0) return length === 0 && seq === nxt
  const edge = add(nxt, wnd)
  if (atOrAfter(seq, nxt) && before(seq, edge)) return true
  if (length === 0) return false
  const last = add(seq, length - 1)
  return atOrAfter(last, nxt) && before(last, edge)
}

/**
 * A bare ACK at the right edge of an open window, from a peer that has filled it: what it has sent may be lost and what
 * it says still be heard (appendix A.2; Linux's tcp_sequence and tcp_in_window).
 */
export const acknowledgesAtEdge = (seg: Segment, nxt: Seq, wnd: number): boolean =>
  wnd > 0 && seg.seq === add(nxt, wnd) && segmentLength(seg) === 0 && !hasRst(seg)
