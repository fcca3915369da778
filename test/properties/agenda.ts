/** Virtual time: what is to happen, by time, then in the order in which it was entered. */
export class Agenda<T> {
  private readonly entries: Array<{ readonly at: number; readonly order: number; readonly what: T }> = []
  private entered = 0

  get length(): number {
    return this.entries.length
  }

  add(at: number, what: T): void {
    const entry = { at, order: this.entered++, what }
    let low = 0
    let high = this.entries.length
    // Latest first, so that the next one is at the array's end.
    while (low < high) {
      const middle = (low + high) >>> 1
      const other = this.entries[middle]
      if (other !== undefined && other.at > at) low = middle + 1
      else high = middle
    }
    this.entries.splice(low, 0, entry)
  }

  /** When the next one is due, or undefined. */
  next(): number | undefined {
    return this.entries.at(-1)?.at
  }

  take(): T | undefined {
    return this.entries.pop()?.what
  }

  clear(): void {
    this.entries.length = 0
  }
}
