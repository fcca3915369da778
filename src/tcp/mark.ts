import { add, distance } from "./seq.ts"
import { isSynchronized, type Tcb } from "./tcb.ts"

/** `toMark` of a reader that has come to it. */
export const AT_MARK = 1

/**
 * Octets up to and with the last urgent one, at which reading stops once (RFC 6093 section 3: urgent
 * data stays in line; sockets call the place its mark): at AT_MARK the next read is of that octet
 * alone. Infinity: nothing ahead is urgent.
 */
export const toMark = (tcb: Tcb): number => {
  if (!isSynchronized(tcb)) return Number.POSITIVE_INFINITY
  const { rcv } = tcb
  const next = add(rcv.nxt, -rcv.unread - (rcv.fin ? 1 : 0))
  const ahead = distance(rcv.up, next)
  if (ahead <= 0) return Number.POSITIVE_INFINITY
  return ahead === AT_MARK ? AT_MARK : ahead - AT_MARK
}
