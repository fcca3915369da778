const FEWEST_SLOTS = 16

/**
 * What Map is for keys that are numbers below 2^53, for tables in which entries come and go by the ten thousand a
 * second. A Map makes new memory whenever many have gone, and the old, which knows of the new, keeps what it held
 * from the collector of young garbage: of connections that are long over, everything. Here slots are searched one
 * after the other from where a key belongs, and what goes leaves none behind: those after it move up.
 */
export class NumberTable<V> {
  private keys = new Float64Array(FEWEST_SLOTS)
  /** Undefined: the slot is free. */
  private values: Array<V | undefined> = freeSlots(FEWEST_SLOTS)
  private count = 0

  get size(): number {
    return this.count
  }

  /** What it holds memory for. */
  get slots(): number {
    return this.keys.length
  }

  get(key: number): V | undefined {
    const { keys, values } = this
    const mask = keys.length - 1
    for (let slot = placeOf(key) & mask; ; slot = (slot + 1) & mask) {
      const value = values[slot]
      if (value === undefined || keys[slot] === key) return value
    }
  }

  has(key: number): boolean {
    return this.get(key) !== undefined
  }

  set(key: number, value: V): void {
    // At most half of the slots are taken.
    if (this.count * 2 >= this.keys.length) this.resize(this.keys.length * 2)
    if (this.put(key, value)) this.count++
  }

  /** True when there was one. */
  delete(key: number): boolean {
    const { keys, values } = this
    const mask = keys.length - 1
    let free = placeOf(key) & mask
    while (values[free] !== undefined && keys[free] !== key) free = (free + 1) & mask
    if (values[free] === undefined) return false
    for (let slot = (free + 1) & mask; values[slot] !== undefined; slot = (slot + 1) & mask) {
      const moved = keys[slot] ?? 0
      // It may fill the gap unless it belongs behind it.
      if (((slot - placeOf(moved)) & mask) < ((slot - free) & mask)) continue
      keys[free] = moved
      values[free] = values[slot]
      free = slot
    }
    values[free] = undefined
    this.count--
    if (this.count * 16 < keys.length && keys.length > FEWEST_SLOTS) this.resize(keys.length / 4)
    return true
  }

  clear(): void {
    this.keys = new Float64Array(FEWEST_SLOTS)
    this.values = freeSlots(FEWEST_SLOTS)
    this.count = 0
  }

  /** In no order that means anything; the table must not change meanwhile. */
  *entries(): Generator<readonly [number, V]> {
    const { keys, values } = this
    for (const [slot, value] of values.entries()) if (value !== undefined) yield [keys[slot] ?? 0, value]
  }

  /** True when it was not there. */
  private put(key: number, value: V): boolean {
    const { keys, values } = this
    const mask = keys.length - 1
    let slot = placeOf(key) & mask
    while (values[slot] !== undefined && keys[slot] !== key) slot = (slot + 1) & mask
    const fresh = values[slot] === undefined
    keys[slot] = key
    values[slot] = value
    return fresh
  }

  private resize(slots: number): void {
    const { keys, values } = this
    this.keys = new Float64Array(slots)
    this.values = freeSlots(slots)
    for (const [slot, value] of values.entries()) if (value !== undefined) this.put(keys[slot] ?? 0, value)
  }
}

/** Grown, not made as long as it is to be: of a length beyond some the engine takes an array for a sparse one. */
const freeSlots = <V>(count: number): Array<V | undefined> => {
  const slots: Array<V | undefined> = []
  while (slots.length < count) slots.push(undefined)
  return slots
}

/** Keys that follow each other, or differ in few bits, must not lie in one heap. */
const placeOf = (key: number): number => {
  const h = Math.imul(key, 0x9e3779b1)
  return h ^ (h >>> 15)
}
