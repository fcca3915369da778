import { hasSyn, type Segment, SYN } from "../wire/tcpSegment.ts"
import { add } from "./seq.ts"

/** The same segment as it looks once its SYN has been counted. */
export const withoutSyn = (seg: Segment): Segment =>
  hasSyn(seg) ? { ...seg, seq: add(seg.seq, 1), flags: seg.flags & ~SYN } : seg
