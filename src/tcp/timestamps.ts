import type { Segment } from "../wire/tcpSegment.ts"
import { atOrBefore, before, type Seq } from "./seq.ts"
import type { Micros } from "./time.ts"

/** After so long without a segment the stored timestamp may have wrapped (RFC 7323 section 5.5). */
const IDLE_LIMIT: Micros = 24 * 24 * 3600 * 1_000_000

/** PAWS: the segment's timestamp is older than the latest in order (RFC 7323 section 5.3, R1). */
export const pawsRejects = (seg: Segment, tsRecent: number, tsRecentAt: Micros, now: Micros): boolean =>
  seg.options.tsVal !== undefined && before(seg.options.tsVal, tsRecent) && now - tsRecentAt <= IDLE_LIMIT

/** Whether TS.Recent moves on: the segment spans Last.ACK.sent (RFC 7323 section 4.3, step 2). */
export const isRecent = (seg: Segment, lastAck: Seq, tsRecent: number): boolean =>
  seg.options.tsVal !== undefined && !before(seg.options.tsVal, tsRecent) && atOrBefore(seg.seq, lastAck)
