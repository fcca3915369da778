import { heapStats } from "bun:jsc"
import { expect, test } from "bun:test"
import { makeCollector } from "../../src/runtime/collector.ts"

const MEBIBYTE = 1 << 20

/** What the collector takes for used beside its own heap, after everything that can go has gone. */
const extra = (): number => {
  Bun.gc(true)
  return heapStats().extraMemorySize / MEBIBYTE
}

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
