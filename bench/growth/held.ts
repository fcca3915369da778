import { heapStats } from "bun:jsc"

/** Octets that the heap holds, when all that nobody needs is gone. */
export const held = (): number => {
  Bun.gc(true)
  Bun.gc(true)
  const { heapSize, extraMemorySize } = heapStats()
  return heapSize + extraMemorySize
}

/** Numbers from 0 to `count` - 1, the same sequence in every run. */
export const randomBelow = (count: number): (() => number) => {
  let x = 1
  return () => {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    return (x >>> 0) % count
  }
}
