import { type Micros, OFF } from "../tcp/time.ts"

/** Something with a next deadline; `scheduledAt` belongs to the heap. */
export interface Scheduled {
  scheduledAt: Micros
}

/**
 * Deadlines in order: a binary heap with one live entry per owner. Moving a deadline later costs
 * nothing: the entry stays, and its owner is asked again when it comes up. A wheel would round
 * times to its tick, and virtual time is exact to the microsecond. Times and owners are two arrays,
 * so that an entry is no object of its own: a flood of half-open requests makes very many.
 */
export class Deadlines<T extends Scheduled> {
  private readonly times: Array<Micros> = []
  private readonly owners: Array<T> = []

  /** `owner` wants to be asked at `at` or earlier. */
  schedule(owner: T, at: Micros): void {
    if (owner.scheduledAt !== OFF && owner.scheduledAt <= at) return
    owner.scheduledAt = at
    this.push(at, owner)
  }

  forget(owner: T): void {
    owner.scheduledAt = OFF
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
    let index = 0
    for (;;) {
      let childIndex = 2 * index + 1
      let childAt = times[childIndex]
      if (childAt === undefined) break
      const rightAt = times[childIndex + 1]
      if (rightAt !== undefined && rightAt < childAt) {
        childAt = rightAt
        childIndex++
      }
      const child = owners[childIndex]
      if (child === undefined || childAt >= at) break
      times[index] = childAt
      owners[index] = child
      index = childIndex
    }
    times[index] = at
    owners[index] = last
  }
}
