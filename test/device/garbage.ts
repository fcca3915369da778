import { heapStats } from "bun:jsc"

/** Octets: pages of the heap, which it grows by. */
const GRAIN = 16_384
const RUNS = 40

/**
 * Whether `run` leaves garbage behind, once it is compiled: octets of JavaScript heap for each of its `operations`,
 * as the heap's growth over 2n runs less that over n (what fits into holes does not show, and is the same in both).
 */
export const garbageOf = (operations: number, run: () => void): number => {
  for (let n = 0; n < 3 * RUNS; n++) run()
  const growth = (runs: number): number => {
    Bun.gc(true)
    const before = heapStats().heapCapacity
    for (let n = 0; n < runs; n++) run()
    return heapStats().heapCapacity - before
  }
  const once = growth(RUNS)
  const twice = growth(2 * RUNS)
  return Math.max(0, twice - once) / (RUNS * operations)
}

/** What one page more or less looks like: too little to be an object for each operation. */
export const noise = (operations: number): number => (2 * GRAIN) / (RUNS * operations)
