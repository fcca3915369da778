import { type Micros, OFF } from "../tcp/time.ts"

/** Something with a next deadline; `scheduledAt` belongs to the heap. */
export interface Scheduled {
  scheduledAt: Micros
}

/**
 * Deadlines in order: a binary heap with one live entry per owner. Moving a deadline later costs
 * nothing: the entry stays, and its owner is asked again when it comes up. A wheel would round
 * times to its tick, and virtual time is exact to the microsecond. Times and owners are two arrays,
 * so that an entry is no object of its own. Entries that mean nothing any more are swept out when they are the
 * most of it: connections come and go much faster than their deadlines pass.
 */
export class Deadlines<T extends Scheduled> {
  private readonly times: Array<Micros> = []
  private readonly owners: Array<T> = []
  /** Entries whose owner has gone, or has another one. */
  private stale = 0

  /** Entries, those that mean nothing any more included. */
  get length(): number {
    return this.times.length
  }

  /** `owner` wants to be asked at `at` or earlier. */
  schedule(owner: T, at: Micros): void {
    if (owner.scheduledAt !== OFF) {
      if (owner.scheduledAt <= at) return
      this.stale++
    }
    owner.scheduledAt = at
    this.push(at, owner)
  }

  forget(owner: T): void {
    if (owner.scheduledAt === OFF) return
    owner.scheduledAt = OFF
    this.stale++
    if (this.stale > FEW && this.stale > this.times.length / 2) this.sweep()
  }

  /** The first deadline, or OFF. */
  next(): Micros {
    this.discardStale()
    return this.times[0] ?? OFF
  }

  /** The first owner whose deadline has come, taken off. */
  takeDue(now: Micros): T | undefined {
    this.discardStale()
    const [at] = this.times
    const [owner] = this.owners
    if (at === undefined || owner === undefined || at > now) return undefined
    this.removeFirst()
    owner.scheduledAt = OFF
    return owner
  }

  private discardStale(): void {
    for (;;) {
      const owner = this.owners[0]
      if (owner === undefined || owner.scheduledAt === this.times[0]) return
      this.removeFirst()
      if (this.stale > 0) this.stale--
    }
  }

  private push(at: Micros, owner: T): void {
    const { times, owners } = this
    let index = times.length
    times.push(at)
    owners.push(owner)
    while (index > 0) {
      const parentIndex = (index - 1) >> 1
      const parentAt = times[parentIndex]
      const parent = owners[parentIndex]
      if (parentAt === undefined || parent === undefined || parentAt <= at) break
      times[index] = parentAt
      owners[index] = parent
      index = parentIndex
    }
    times[index] = at
    owners[index] = owner
  }

  private removeFirst(): void {
    const { times, owners } = this
    const at = times.pop()
    const last = owners.pop()
    if (at === undefined || last === undefined || times.length === 0) return
    this.sink(0, at, last)
  }

  /** An entry goes down from `index` until what is below it comes later. */
  private sink(index: number, at: Micros, owner: T): void {
    const { times, owners } = this
    let to = index
    for (;;) {
      let childIndex = 2 * to + 1
      let childAt = times[childIndex]
      if (childAt === undefined) break
      const rightAt = times[childIndex + 1]
      if (rightAt !== undefined && rightAt < childAt) {
        childAt = rightAt
        childIndex++
      }
      const child = owners[childIndex]
      if (child === undefined || childAt >= at) break
      times[to] = childAt
      owners[to] = child
      to = childIndex
    }
    times[to] = at
    owners[to] = owner
  }

  /** Only live entries stay, in heap order again. */
  private sweep(): void {
    const { times, owners } = this
    let live = 0
    for (const [index, owner] of owners.entries()) {
      const at = times[index]
      if (at === undefined || owner.scheduledAt !== at) continue
      times[live] = at
      owners[live++] = owner
    }
    times.length = live
    owners.length = live
    this.stale = 0
    for (let index = (live >> 1) - 1; index >= 0; index--) {
      const at = times[index]
      const owner = owners[index]
      if (at !== undefined && owner !== undefined) this.sink(index, at, owner)
    }
  }
}

/** Stale entries that are left where they are, however few others there be. */
const FEW = 64
