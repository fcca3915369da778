import type { Mutable } from "../draft.ts"
import { add, after, before, distance, latest, type Seq } from "../seq.ts"
import type { Out } from "../timers.ts"
import { type Buffer, type Buffers, type Memory, windowFrom } from "./memory.ts"
import { COPIED_AT_ONCE, copiedFootprint } from "./truesize.ts"

/**
 * Copies what lies sparsely into full buffers (Linux's tcp_collapse): from the first one on that wastes memory, starts
 * before `start` or does not end where the next begins, up to a FIN. `start`: what lies before it has been read.
 */
export const collapse = (m: Mutable<Memory>, buffers: Buffers, start: Seq, end: Seq, out: Out): Buffers => {
  const first = firstToCollapse(m, buffers, start, out)
  if (first === undefined) return buffers.filter(({ end }) => after(end, start))
  const kept = buffers.slice(0, first.index).filter(({ end }) => after(end, start))
  const copies: Array<Buffer> = []
  let from = first.start
  let index = first.index
  while (before(from, end) && index < buffers.length && buffers[index]?.fin !== true) {
    const copyEnd = add(from, Math.min(COPIED_AT_ONCE, distance(end, from)))
    const copied = copiedFootprint(distance(copyEnd, from))
    let to = from
    // What the copy takes up to its end; those that have nothing more are released.
    for (
      let source = buffers[index];
      source !== undefined && !source.fin && before(to, copyEnd);
      source = buffers[index]
    ) {
      if (after(source.seq, to)) break
      to = after(source.end, copyEnd) ? copyEnd : latest(to, source.end)
      if (after(source.end, to)) break
      released(m, source, out)
      index++
    }
    m.alloc += copied.truesize
    copies.push({
      seq: from,
      end: to,
      truesize: copied.truesize,
      room: copied.room + distance(copyEnd, to),
      fin: false,
    })
    if (to === from) break
    from = to
  }
  return [...kept, ...copies, ...buffers.slice(index)]
}

const firstToCollapse = (
  m: Mutable<Memory>,
  buffers: Buffers,
  from: Seq,
  out: Out,
): { readonly index: number; readonly start: Seq } | undefined => {
  let start = from
  for (const [index, { seq, end, truesize, fin, ...buffer }] of buffers.entries()) {
    if (!before(start, end)) {
      released(m, { seq, end, truesize, fin, ...buffer }, out)
      continue
    }
    const sparse = windowFrom(m, truesize) > distance(end, seq) || before(seq, start)
    const next = buffers[index + 1]
    if ((!fin && sparse) || (next !== undefined && next.seq !== end))
      return fin ? undefined : { index, start: latest(start, seq) }
    start = end
  }
  return undefined
}

const released = (m: Mutable<Memory>, { truesize }: Buffer, out: Out): void => {
  m.alloc -= truesize
  out.push({ _tag: "Count", counter: "TCPRcvCollapsed" })
}

/** The same range by range of what is contiguous ahead of RCV.NXT, tiny ones left alone (tcp_collapse_ofo_queue). */
export const collapseAhead = (m: Mutable<Memory>, out: Out): void => {
  const done: Array<Buffer> = []
  let tiny = 0
  let index = 0
  while (index < m.ahead.length) {
    const head = m.ahead[index]
    if (head === undefined) break
    let { end } = head
    let next = index + 1
    for (let buffer = m.ahead[next]; buffer !== undefined && !after(buffer.seq, end); buffer = m.ahead[++next]) {
      if (after(buffer.end, end)) end = buffer.end
    }
    const range = m.ahead.slice(index, next)
    index = next
    if (range.length > 1 || distance(end, head.seq) >= COPIED_AT_ONCE) {
      done.push(...collapse(m, range, head.seq, end, out))
      continue
    }
    done.push(head)
    tiny += head.truesize
    if (tiny > m.rcvbuf >> 3) break
  }
  m.ahead = [...done, ...m.ahead.slice(index)]
}
