import { sackLength } from "./emit.ts"
import { after, before } from "./seq.ts"
import type { Synchronized } from "./tcb.ts"

/**
 * Payload of a full segment now: Eff.snd.MSS less the SACK blocks that go along, and no more than
 * half of the largest window that the peer ever offered, so that two fit it (RFC 9293 section
 * 3.8.6.2.1, case 3; Linux's tcp_bound_to_half_wnd).
 */
export const segmentSize = (tcb: Synchronized): number => {
  const { mss, maxWnd } = tcb.snd
  const half = maxWnd > SMALL_WINDOW ? maxWnd >> 1 : maxWnd
  return Math.max(1, Math.min(mss - sackLength(tcb), half > 0 ? Math.max(half, SMALLEST_SEGMENT) : mss))
}

/** A window no larger than this is not halved. */
const SMALL_WINDOW = 536
const SMALLEST_SEGMENT = 28

/** Nagle's algorithm with Minshall's change: one short segment unacknowledged at a time. */
export const mayBeShort = (tcb: Synchronized, tail: number): boolean =>
  tail === 0 ||
  tcb.snd.fin ||
  before(tcb.snd.nxt, tcb.snd.push) ||
  (!isCorked(tcb) && (tcb.options.noDelay || !after(tcb.snd.small, tcb.snd.una)))

/** TCP_CORK, or MSG_MORE of the last write: a short segment waits for what fills it, or for the persist timer. */
export const isCorked = ({ options, snd }: Synchronized): boolean => options.cork || snd.more
