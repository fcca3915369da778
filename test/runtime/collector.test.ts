import { heapStats } from "bun:jsc"
import { afterEach, expect, jest, test } from "bun:test"
import { makeCollector } from "../../src/runtime/collector.ts"

const MEBIBYTE = 1 << 20

/** What the collector takes for used beside its own heap, after everything that can go has gone. */
const extra = (): number => {
  Bun.gc(true)
  return heapStats().extraMemorySize / MEBIBYTE
}

afterEach(() => {
  jest.useRealTimers()
})

test("a busy stack carries ballast, which takes no memory, until it ends", () => {
  const collector = makeCollector()
  const before = extra()
  const resident = process.memoryUsage.rss()
  collector.worked(5000, 0)
  expect(extra() - before).toBeGreaterThan(7)
  expect(process.memoryUsage.rss() - resident).toBeLessThan(4 * MEBIBYTE)
  collector.stop()
  expect(extra() - before).toBeLessThan(2)
})

test("a stack that has done little carries none", () => {
  const collector = makeCollector()
  const before = extra()
  collector.worked(100, 0)
  expect(extra() - before).toBeLessThan(2)
  collector.stop()
})

test("many busy stacks: the ballast of one", () => {
  const collectors = Array.from({ length: 20 }, makeCollector)
  const before = extra()
  for (const collector of collectors) collector.worked(5000, 0)
  expect(extra() - before).toBeLessThan(16)
  for (const collector of collectors.slice(1)) collector.stop()
  expect(extra() - before).toBeGreaterThan(7)
  collectors[0]?.stop()
  expect(extra() - before).toBeLessThan(2)
})

test("connections come to rest: none is carried, until many frames have come without", () => {
  const collector = makeCollector()
  const before = extra()
  collector.worked(5000, 0)
  collector.worked(5000, 1)
  expect(extra() - before).toBeLessThan(2)
  collector.worked(5000, 1)
  expect(extra() - before).toBeGreaterThan(7)
  collector.stop()
})

/** A stack that has put connections to rest and from then on gets so many frames in each twentieth of a second: full collections in a second. */
const collectionsAmong = (frames: number): number => {
  jest.useFakeTimers()
  let collections = 0
  const collector = makeCollector(() => {
    collections++
  })
  collector.worked(5000, 300)
  collector.sleeps()
  for (let step = 0; step < 20; step++) {
    jest.advanceTimersByTime(50)
    if (frames > 0) collector.worked(frames, 300)
    collector.sleeps()
  }
  collector.stop()
  return collections
}

test("connections at rest, then silence: everything is collected once", () => {
  expect(collectionsAmong(0)).toBe(1)
})

test("connections at rest, then a frame now and then: everything is collected once", () => {
  expect(collectionsAmong(3)).toBe(1)
})

test("connections at rest, then as much traffic as before: nothing is collected", () => {
  expect(collectionsAmong(1000)).toBe(0)
})

test("connections come to rest all the time: collections take a hundredth of it", () => {
  jest.useFakeTimers()
  let collections = 0
  const collector = makeCollector(() => {
    collections++
    jest.advanceTimersByTime(10)
  })
  for (let step = 1; step <= 200; step++) {
    collector.worked(10, 300 * step)
    collector.sleeps()
    jest.advanceTimersByTime(50)
  }
  collector.stop()
  expect(collections).toBeGreaterThan(5)
  expect(collections).toBeLessThan(12)
})
