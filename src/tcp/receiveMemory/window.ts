import type { Mutable } from "../draft.ts"
import { add, distance, type Seq } from "../seq.ts"
import type { Synchronized } from "../tcb.ts"
import type { Out } from "../timers.ts"
import { announced } from "../window.ts"
import { freeWindow, type Memory, windowFrom } from "./memory.ts"

/** The window that Linux would announce now, and whether it sees so little room that ACKs are better delayed. */
export interface Selection {
  readonly window: number
  readonly scarce: boolean
}

/** __tcp_select_window. */
export const selectWindow = ({ rcv, link }: Synchronized, memory: Memory): Selection => {
  const { agreed, context } = link
  const allowed = windowFrom(memory, memory.rcvbuf)
  const full = Math.min(memory.clamp, allowed)
  const mss = Math.min(rcv.mss, full)
  if (mss <= 0) return { window: 0, scarce: false }
  const unit = 2 ** agreed.rcvScale
  const shrinks = context.settings.tcpShrinkWindow && agreed.rcvScale > 0
  let free = freeWindow(memory)
  if (shrinks) free = down(free, unit)
  const scarce = free < full >> 1
  if (scarce) {
    free = down(free, unit)
    if (free < allowed >> 4 || free < mss || (shrinks && free < unit)) return { window: 0, scarce }
  }
  if (shrinks) return { window: free > memory.ssthresh ? up(memory.ssthresh, unit) : free, scarce }
  free = Math.min(free, memory.ssthresh)
  if (agreed.rcvScale > 0) return { window: up(free, unit), scarce }
  return { window: unscaled(memory.wnd, free, mss, full), scarce }
}

/** A window without a scale keeps its width while it is within a segment of what is free, and else counts in segments. */
const unscaled = (wnd: number, free: number, mss: number, full: number): number => {
  if (wnd <= free - mss || wnd > free) return down(free, mss)
  return mss === full && free > wnd + (full >> 1) ? free : wnd
}

const down = (octets: number, unit: number): number => Math.floor(octets / unit) * unit
const up = (octets: number, unit: number): number => Math.ceil(octets / unit) * unit

/**
 * tcp_select_window: the right edge to announce. It moves left only where a segment has just been refused for want of
 * memory, and where `tcpShrinkWindow` lets it.
 */
export const selectedEdge = (tcb: Synchronized, memory: Memory): Seq => {
  const { rcv, link } = tcb
  if (memory.full) return rcv.nxt
  const { window } = selectWindow(tcb, memory)
  const before = announced(rcv)
  const scale = link.agreed.rcvScale
  const shrinks = link.context.settings.tcpShrinkWindow && scale > 0
  return add(rcv.nxt, window < before && !shrinks ? up(before, 2 ** scale) : window)
}

/** The account once a segment has announced the window up to `edge` and left so many ACKs to leave at once; none where `scarce`. */
export const noteAnnounced = (
  tcb: Synchronized,
  memory: Memory,
  edge: Seq,
  quick: number,
  out: Out,
): { readonly memory: Memory; readonly scarce: boolean } => {
  const { rcv, link } = tcb
  const wnd = distance(edge, rcv.nxt)
  const next: Mutable<Memory> = { ...memory, wnd, full: false, pushed: 0 }
  if (memory.full) {
    next.predicts = false
    return { memory: next, scarce: false }
  }
  const { window, scarce } = selectWindow(tcb, memory)
  const told = wnd >>> link.agreed.rcvScale
  if (window === 0 && wnd > 0) out.push({ _tag: "Count", counter: "TCPWantZeroWindowAdv" })
  if (told === 0 && memory.wnd > 0) out.push({ _tag: "Count", counter: "TCPToZeroWindowAdv" })
  if (told > 0 && memory.wnd === 0) out.push({ _tag: "Count", counter: "TCPFromZeroWindowAdv" })
  if (told === 0) next.predicts = false
  if (rcv.quick > 0 && quick === 0 && !scarce) next.begun = true
  return { memory: next, scarce }
}

/**
 * Whether text that has come is acknowledged at once: a second full segment is, unless the window would get narrower
 * (__tcp_ack_snd_check): the ACK then waits for the reader. `scarce` as in `Selection`.
 */
export const secondSegment = (
  tcb: Synchronized,
  memory: Memory,
): { readonly due: boolean; readonly scarce: boolean } => {
  const { rcv } = tcb
  if (distance(rcv.nxt, rcv.lastAck) <= rcv.mss) return { due: false, scarce: false }
  if (rcv.unread < tcb.options.receiveLowWater) return { due: true, scarce: false }
  const { window, scarce } = selectWindow(tcb, memory)
  return { due: window >= memory.wnd, scarce }
}
