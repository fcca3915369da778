import { type Micros, OFF } from "./time.ts"

/** Entries taken before the line is moved up. */
const WORTH_MOVING = 1024

interface Entry<T> {
  readonly at: Micros
  readonly order: number
  readonly what: T
}

/**
 * What is to happen: by time, and at the same time in the order in which it was entered. What comes in
 * order of time, as nearly all does, waits in line; the rest in a binary heap.
 */
export class Agenda<T> {
  private line: Array<Entry<T> | undefined> = []
  /** The first of the line that has not been taken. */
  private head = 0
  private readonly entries: Array<Entry<T>> = []
  private entered = 0

  get length(): number {
    return this.line.length - this.head + this.entries.length
  }

  add(at: Micros, what: T): void {
    const entry = { at, order: this.entered++, what }
    const last = this.line.length > this.head ? this.line[this.line.length - 1] : undefined
    if (last === undefined || last.at <= at) this.line.push(entry)
    else this.intoHeap(entry)
  }

  /** When the first is due, or OFF. */
  next(): Micros {
    return this.first()?.at ?? OFF
  }

  /** The first, if it is due. */
  takeDue(now: Micros): T | undefined {
    const first = this.first()
    if (first === undefined || first.at > now) return undefined
    if (first === this.line[this.head]) this.advance()
    else this.removeFirst()
    return first.what
  }

  private first(): Entry<T> | undefined {
    const inLine = this.line[this.head]
    const inHeap = this.entries[0]
    if (inLine === undefined || inHeap === undefined) return inLine ?? inHeap
    return isBefore(inLine, inHeap) ? inLine : inHeap
  }

  private advance(): void {
    this.line[this.head++] = undefined
    if (this.head === this.line.length) {
      this.line.length = 0
      this.head = 0
    } else if (this.head >= WORTH_MOVING && this.head * 2 > this.line.length) {
      this.line = this.line.slice(this.head)
      this.head = 0
    }
  }

  private intoHeap(entry: Entry<T>): void {
    const { entries } = this
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
