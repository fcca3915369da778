import { heapStats } from "bun:jsc"
import { synCases } from "../../bench/flood/syns.ts"
import { connections } from "../../bench/growth/scenes.ts"
import type { Case } from "../../bench/measure.ts"
import { bulkSender, echo, sink } from "../../bench/micro/host.ts"

/** Fixed work whose allocation is budgeted; each runs in a process of its own. */

export const SCENARIOS = [
  "data in",
  "bulk out",
  "echo",
  "SYN to request",
  "idle connection",
  "connection at rest",
] as const
export type ScenarioName = (typeof SCENARIOS)[number]

/** Passes of a bench's case that are not counted, in which hot code is compiled, and those that are. */
const WARM_UP = 6
const PASSES = 6

/**
 * Without a collector every octet that is allocated makes the heap larger, and stays; and code that
 * is compiled at once, not by another thread, is the same after the same work.
 */
const EXACT = { BUN_JSC_useGC: "0", BUN_JSC_useConcurrentJIT: "0" }

/** What a scenario's process needs in its environment. */
export const environmentOf = (name: ScenarioName): Readonly<Record<string, string>> => (isKept(name) ? {} : EXACT)

/** What is measured is not what is allocated, but what of it stays. */
const isKept = (name: ScenarioName): boolean => name === "idle connection" || name === "connection at rest"

/** Octets of one operation, or of one connection. */
export const octetsOf = (name: ScenarioName): number => {
  switch (name) {
    case "data in":
      return allocatedBy(sink(false))
    case "bulk out":
      return allocatedBy(bulkSender())
    case "echo":
      return allocatedBy(echo())
    case "SYN to request":
      return allocatedBy(first(synCases()))
    case "idle connection":
    case "connection at rest":
      return connections(4000).sizes[name] ?? Number.NaN
  }
}

const first = (cases: ReadonlyArray<Case>): Case => {
  const [one] = cases
  if (one === undefined) throw new Error("no case")
  return one
}

const allocatedBy = ({ prepare, run }: Case): number => {
  let octets = 0
  let operations = 0
  for (let pass = 0; pass < WARM_UP + PASSES; pass++) {
    prepare?.()
    const before = heapStats().heapCapacity
    const done = run()
    if (pass < WARM_UP) continue
    octets += heapStats().heapCapacity - before
    operations += done
  }
  return octets / operations
}
