import type { Mutable } from "../draft.ts"
import { after, type Seq } from "../seq.ts"
import type { Link } from "../tcb.ts"
import type { Out } from "../timers.ts"
import { collapse, collapseAhead } from "./collapse.ts"
import { advertisedMss, type Memory, NONE } from "./memory.ts"

/** What pruning needs to know of the connection. */
export interface Place {
  readonly link: Link
  /** What the application has read up to, and RCV.NXT. */
  readonly read: Seq
  readonly nxt: Seq
  /** SO_RCVBUF fixes the limit. */
  readonly fixed: boolean
}

/** tcp_can_ingest: a segment is taken while the queues are not above the limit, whatever it takes itself. */
export const fits = (m: Memory): boolean => m.alloc <= m.rcvbuf

/**
 * Whether a segment at `seq` may be queued though it does not fit (tcp_prune_queue): the queues are packed more
 * densely, then what lies ahead of RCV.NXT is given up from the end.
 */
export const admits = (m: Mutable<Memory>, seq: Seq, place: Place, out: Out): Outcome => {
  out.push({ _tag: "Count", counter: "PruneCalled" })
  clampWindow(m, place)
  if (fits(m)) return ADMITTED
  collapseAhead(m, out)
  if (m.queue.length > 0) m.queue = collapse(m, m.queue, place.read, place.nxt, out)
  if (fits(m)) return ADMITTED
  const pruned = pruneAhead(m, seq, out)
  if (fits(m)) return { admitted: true, pruned }
  out.push({ _tag: "Count", counter: "RcvPruned" })
  m.predicts = false
  return { admitted: false, pruned }
}

/** `pruned`: of what lay ahead of RCV.NXT the end was given up. */
interface Outcome {
  readonly admitted: boolean
  readonly pruned: boolean
}

const ADMITTED: Outcome = { admitted: true, pruned: false }

/** tcp_clamp_window: a limit that nobody has fixed follows what is held; the window shrinks to two segments. */
const clampWindow = (m: Mutable<Memory>, { link, fixed }: Place): void => {
  const most = link.context.settings.tcpRmem[2]
  if (m.rcvbuf < most && !fixed) m.rcvbuf = Math.min(m.alloc, most)
  if (m.alloc > m.rcvbuf) m.ssthresh = Math.min(m.clamp, 2 * advertisedMss(link))
}

/** tcp_prune_ofo_queue: an eighth of the limit at a time, but nothing that the newcomer would follow. */
const pruneAhead = (m: Mutable<Memory>, seq: Seq, out: Out): boolean => {
  let left = m.ahead.length
  let goal = m.rcvbuf >> 3
  for (let last = m.ahead[left - 1]; last !== undefined && !after(seq, last.seq); last = m.ahead[left - 1]) {
    left--
    m.alloc -= last.truesize
    goal -= last.truesize
    if (left > 0 && goal > 0) continue
    if (fits(m)) break
    goal = m.rcvbuf >> 3
  }
  if (left === m.ahead.length) return false
  m.ahead = left === 0 ? NONE : m.ahead.slice(0, left)
  out.push({ _tag: "Count", counter: "OfoPruned" })
  return true
}
