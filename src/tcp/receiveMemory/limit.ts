import type { Mutable } from "../draft.ts"
import { distance } from "../seq.ts"
import type { SocketOptions, Synchronized } from "../tcb.ts"
import { clampedTo, limitFor, type Memory, spaceFrom, windowFrom } from "./memory.ts"

/** What raises the limit, and what an application says of it. */

/** tcp_rcvbuf_grow: twice what was read in a round trip, more where that grew, and what lies ahead of RCV.NXT. */
export const growBuffer = (tcb: Synchronized, m: Mutable<Memory>, fresh: number, space: number): void => {
  const { settings } = tcb.link.context
  if (!settings.tcpModerateRcvbuf || tcb.options.receiveBuffer > 0) return
  const twice = 2 * fresh
  const growth = space === 0 ? 0 : 2 * Math.floor((twice * (fresh - space)) / space)
  const last = m.ahead.at(-1)
  const ahead = last === undefined ? 0 : distance(last.end, tcb.rcv.nxt)
  const rcvbuf = Math.min(spaceFrom(m, twice + growth + ahead), settings.tcpRmem[2])
  if (rcvbuf <= m.rcvbuf) return
  m.rcvbuf = rcvbuf
  m.clamp = windowFrom(m, rcvbuf)
}

/** SO_RCVBUF, TCP_WINDOW_CLAMP and SO_RCVLOWAT of a connection. */
export const resized = (
  tcb: Synchronized,
  memory: Memory,
  changed: Partial<Pick<SocketOptions, "receiveBuffer" | "windowClamp" | "receiveLowWater">>,
): Memory => {
  const { receiveBuffer, windowClamp, receiveLowWater } = changed
  let m = memory
  const { settings } = tcb.link.context
  if (receiveBuffer !== undefined && receiveBuffer > 0) m = { ...m, rcvbuf: limitFor(settings, { receiveBuffer }) }
  if (windowClamp !== undefined && windowClamp > 0) m = clampedTo(m, windowClamp)
  if (receiveLowWater === undefined || tcb.options.receiveBuffer > 0) return m
  const wanted = Math.min(receiveLowWater, settings.tcpRmem[2] >> 1)
  const space = spaceFrom(m, wanted)
  if (space <= m.rcvbuf) return m
  const grown = { ...m, rcvbuf: space }
  return m.clamp < wanted ? clampedTo(grown, wanted) : grown
}

/** accept(2). */
export const heldByApplication = (tcb: Synchronized): Synchronized => {
  const { memory } = tcb.drs
  return memory === undefined ? tcb : { ...tcb, drs: { ...tcb.drs, memory: { ...memory, held: true } } }
}
