import type { Mutable } from "../draft.ts"
import { add, distance } from "../seq.ts"
import type { Drs, Synchronized } from "../tcb.ts"
import type { Micros } from "../time.ts"
import { announced } from "../window.ts"
import { growBuffer } from "./limit.ts"
import { type Memory, windowFrom } from "./memory.ts"
import { selectWindow } from "./window.ts"

/** What reading has freed, and whether the peer is to hear of it now. */
export interface Reading {
  readonly tcb: Synchronized
  readonly answer: boolean
}

/** The application has taken `n` octets: buffers that are read to their end are free, and the limit may rise. */
export const read = (tcb: Synchronized, memory: Memory, n: number, now: Micros): Reading => {
  const { rcv } = tcb
  const m: Mutable<Memory> = { ...memory }
  const unread = Math.max(0, rcv.unread - n)
  let { drs } = tcb
  let taken = 0
  let left = n
  let at = add(rcv.nxt, -rcv.unread)
  for (let buffer = m.queue[0]; buffer !== undefined && left > 0; buffer = m.queue[taken]) {
    const used = Math.min(left, distance(buffer.end, at))
    left -= used
    at = add(at, used)
    drs = adjusted(tcb, m, drs, used, unread + left, now)
    if (distance(buffer.end, at) > 0) break
    m.alloc -= buffer.truesize
    taken++
  }
  m.queue = m.queue.slice(taken)
  const next: Synchronized = {
    ...tcb,
    rcv: { ...rcv, unread, buf: windowFrom(m, m.rcvbuf) },
    drs: { ...drs, memory: m },
  }
  return { tcb: next, answer: answers(next, m) }
}

/**
 * tcp_cleanup_rbuf: an ACK that waits leaves where two segments have come, or the queue is empty after the end of a
 * write; and what was read is told where it at least doubles the window.
 */
const answers = (tcb: Synchronized, m: Memory): boolean => {
  const { rcv } = tcb
  if (rcv.due !== "none") {
    if (distance(rcv.nxt, rcv.lastAck) > rcv.mss) return true
    if ((m.pushed === 2 || (m.pushed === 1 && !rcv.pingpong)) && m.alloc === 0) return true
  }
  if (rcv.fin || rcv.deaf) return false
  const before = announced(rcv)
  if (2 * before > m.clamp) return false
  const { window } = selectWindow(tcb, m)
  return window > 0 && window >= 2 * before
}

/** tcp_rcv_space_adjust: after a round trip, the limit follows what was read in it and is not still waiting. */
const adjusted = (tcb: Synchronized, m: Mutable<Memory>, drs: Drs, used: number, unread: number, now: Micros): Drs => {
  const copied = drs.copied + used
  if (drs.rtt === 0 || now - drs.at < drs.rtt) return { ...drs, copied }
  const fresh = copied - unread
  if (fresh <= drs.space) return { ...drs, at: now, copied: 0 }
  growBuffer(tcb, m, fresh, drs.space)
  return { ...drs, at: now, copied: 0, space: fresh }
}
