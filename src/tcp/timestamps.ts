import type { Segment } from "../wire/tcpSegment.ts"
import { atOrBefore, before, type Seq } from "./seq.ts"
import type { Micros } from "./time.ts"

/** After so long without a segment the stored timestamp may have wrapped (RFC 7323 section 5.5). */
const IDLE_LIMIT: Micros = 24 * 24 * 3600 * 1_000_000

/** PAWS: the segment's timestamp is older than the latest in order (RFC 7323 section 5.3, R1), by more than `tolerance` ticks. */
export const pawsRejects = (seg: Segment, tsRecent: number, tsRecentAt: Micros, now: Micros, tolerance = 0): boolean =>
  seg.options.tsVal !== undefined &&
  before(seg.options.tsVal, (tsRecent - tolerance) >>> 0) &&
  now - tsRecentAt <= IDLE_LIMIT

/** When TS.Recent was last taken: to the second, which 24 days do not notice, while it stays the same. */
export const recentAt = (
  before: { readonly tsRecent: number; readonly tsRecentAt: Micros },
  tsRecent: number,
  now: Micros,
): Micros => (tsRecent === before.tsRecent && now - before.tsRecentAt < 1_000_000 ? before.tsRecentAt : now)

/** Whether TS.Recent moves on: the segment spans Last.ACK.sent (RFC 7323 section 4.3, step 2). */
export const isRecent = (seg: Segment, lastAck: Seq, tsRecent: number): boolean =>
  seg.options.tsVal !== undefined && !before(seg.options.tsVal, tsRecent) && atOrBefore(seg.seq, lastAck)
