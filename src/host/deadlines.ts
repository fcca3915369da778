import { type Micros, OFF } from "../tcp/time.ts"

/** Something with a next deadline; `scheduledAt` belongs to the heap. */
export interface Scheduled {
  scheduledAt: Micros
}

interface Entry<T> {
  readonly at: Micros
  readonly owner: T
}

/**
 * Deadlines in order: a binary heap with one live entry per owner. Moving a deadline later costs
 * nothing: the entry stays, and its owner is asked again when it comes up. A wheel would round
 * times to its tick, and virtual time is exact to the microsecond.
 */
export class Deadlines<T extends Scheduled> {
  private readonly entries: Array<Entry<T>> = []

  /** `owner` wants to be asked at `at` or earlier. */
  schedule(owner: T, at: Micros): void {
    if (owner.scheduledAt !== OFF && owner.scheduledAt <= at) return
    owner.scheduledAt = at
    this.push({ at, owner })
  }

  forget(owner: T): void {
    owner.scheduledAt = OFF
  }

  /** The first deadline, or OFF. */
  next(): Micros {
    this.discardStale()
    return this.entries[0]?.at ?? OFF
  }

  /** The first owner whose deadline has come, taken off. */
  takeDue(now: Micros): T | undefined {
    this.discardStale()
    const first = this.entries[0]
    if (first === undefined || first.at > now) return undefined
    this.removeFirst()
    first.owner.scheduledAt = OFF
    return first.owner
  }

  private discardStale(): void {
    for (;;) {
      const first = this.entries[0]
      if (first === undefined || first.owner.scheduledAt === first.at) return
      this.removeFirst()
    }
  }

  private push(entry: Entry<T>): void {
    const { entries } = this
    let index = entries.length
    entries.push(entry)
    while (index > 0) {
      const parentIndex = (index - 1) >> 1
      const parent = entries[parentIndex]
      if (parent === undefined || parent.at <= entry.at) break
      entries[index] = parent
      index = parentIndex
    }
    entries[index] = entry
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
      if (right !== undefined && right.at < child.at) {
        child = right
        childIndex++
      }
      if (child.at >= last.at) break
      entries[index] = child
      index = childIndex
    }
    entries[index] = last
  }
}
