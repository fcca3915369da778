import { type Micros, OFF } from "./time.ts"

interface Entry<T> {
  readonly at: Micros
  readonly order: number
  readonly what: T
}

/** What is to happen: by time, and at the same time in the order in which it was entered. A binary heap. */
export class Agenda<T> {
  private readonly entries: Array<Entry<T>> = []
  private entered = 0

  get length(): number {
    return this.entries.length
  }

  add(at: Micros, what: T): void {
    const { entries } = this
    const entry = { at, order: this.entered++, what }
    let index = entries.length
    entries.push(entry)
    while (index > 0) {
      const parentIndex = (index - 1) >> 1
      const parent = entries[parentIndex]
      if (parent === undefined || isBefore(parent, entry)) break
      entries[index] = parent
      index = parentIndex
    }
    entries[index] = entry
  }

  /** When the first is due, or OFF. */
  next(): Micros {
    return this.entries[0]?.at ?? OFF
  }

  /** The first, if it is due. */
  takeDue(now: Micros): T | undefined {
    const first = this.entries[0]
    if (first === undefined || first.at > now) return undefined
    this.removeFirst()
    return first.what
  }

  private removeFirst(): void {
    const { entries } = this
    const last = entries.pop()
    if (last === undefined || entries.length === 0) return
    let index = 0
    for (;;) {
      let childIndex = 2 * index + 1
      let child = entries[childIndex]
      if (child === undefined) break
      const right = entries[childIndex + 1]
      if (right !== undefined && isBefore(right, child)) {
        child = right
        childIndex++
      }
      if (!isBefore(child, last)) break
      entries[index] = child
      index = childIndex
    }
    entries[index] = last
  }
}

const isBefore = (x: Entry<unknown>, y: Entry<unknown>): boolean => x.at < y.at || (x.at === y.at && x.order < y.order)

/** The earlier of two times, of which either may be OFF. */
export const earlier = (x: Micros, y: Micros): Micros => (x === OFF ? y : y === OFF ? x : Math.min(x, y))
