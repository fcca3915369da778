import { heapStats } from "bun:jsc"

/** One thing to be measured. */
export interface Case {
  readonly name: string
  /** What one operation is: "segment", "frame", "handshake". */
  readonly per: string
  /** Payload octets of one operation, where a rate in octets means something. */
  readonly octets?: number
  /** Untimed, before every `run`: puts the scene back to its start. */
  readonly prepare?: () => void
  /** Timed; returns how many operations it did. Some hundred microseconds long is best. */
  readonly run: () => number
  /** Octets of JavaScript heap per operation are measured too. Default true; a number: over so many runs, whatever they show. */
  readonly garbage?: boolean | number
  /** Where the result stands in a plot: which line, and where on it. */
  readonly point?: Point
}

export interface Point {
  /** What is done, or what there is more and more of: "write", "connections". */
  readonly chart: string
  /** By what, or doing what: "TAP", "request, answer". */
  readonly line: string
  /** Octets of a frame, or how many. */
  readonly at: number
}

export interface Measured {
  readonly name: string
  readonly per: string
  /** Nanoseconds of the thread per operation: the median of the samples, and their 10th and 90th percentile. */
  readonly nanos: number
  readonly low: number
  readonly high: number
  readonly samples: number
  readonly octets: number | undefined
  /** Octets of JavaScript heap allocated per operation; payload copies larger than 1000 octets live outside it. */
  readonly garbage: number | undefined
  readonly point: Point | undefined
}

export interface Effort {
  readonly samples: number
  /** How long one sample of a case lasts at least. */
  readonly sampleMillis: number
  readonly warmUpMillis: number
}

export const FULL: Effort = { samples: 15, sampleMillis: 20, warmUpMillis: 300 }
export const QUICK: Effort = { samples: 5, sampleMillis: 8, warmUpMillis: 150 }

/** Processor time of this thread, nanoseconds: what other processes take meanwhile does not count. */
export const threadNanos = (): number => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) * 1000
}

/** Runs until `millis` of timed work are done; nanoseconds per operation. */
export const sample = ({ prepare, run }: Case, millis: number): number => {
  let spent = 0
  let operations = 0
  while (spent < millis * 1e6) {
    prepare?.()
    const start = threadNanos()
    operations += run()
    spent += threadNanos() - start
  }
  return spent / operations
}

/**
 * Measures the cases side by side: A B C, A B C, ... so that a slow moment of the machine falls on
 * all of them, and none has the compiler for itself.
 */
export const measure = (
  cases: ReadonlyArray<Case>,
  effort: Effort,
  progress: (done: number, of: number, what: string) => void,
): ReadonlyArray<Measured> => {
  const steps = cases.length * (effort.samples + 1)
  let done = 0
  const each = (round: (c: Case, index: number) => void): void => {
    for (const [index, c] of cases.entries()) {
      progress(done++, steps, c.name)
      round(c, index)
    }
  }
  const samples: ReadonlyArray<Array<number>> = cases.map(() => [])
  each((c) => sample(c, effort.warmUpMillis))
  for (let n = 0; n < effort.samples; n++) {
    Bun.gc(true)
    each((c, index) => samples[index]?.push(sample(c, effort.sampleMillis)))
  }
  return cases.map((c, index) => ({
    name: c.name,
    per: c.per,
    ...summary(samples[index] ?? []),
    octets: c.octets,
    garbage: c.garbage === false ? undefined : garbage(c),
    point: c.point,
  }))
}

/** Median and spread of samples, in their own unit. */
export const summary = (
  samples: ReadonlyArray<number>,
): { readonly nanos: number; readonly low: number; readonly high: number; readonly samples: number } => {
  const sorted = [...samples].sort((a, b) => a - b)
  return {
    nanos: quantile(sorted, 0.5),
    low: quantile(sorted, 0.1),
    high: quantile(sorted, 0.9),
    samples: sorted.length,
  }
}

/** Between neighbours in proportion. */
export const quantile = (sorted: ReadonlyArray<number>, q: number): number => {
  const at = (sorted.length - 1) * q
  const below = sorted[Math.floor(at)] ?? Number.NaN
  const above = sorted[Math.ceil(at)] ?? below
  return below + (above - below) * (at - Math.floor(at))
}

/** Growth of the heap that shows, and that no collection has yet cut short. */
const ENOUGH = 1 << 20
const MOST_RUNS = 4096

/**
 * Octets allocated per operation: the heap's growth after a full collection, of 2n runs less that
 * of n (what fits into holes of the heap does not show as growth, and is the same in both).
 */
const garbage = (c: Case): number | undefined => {
  const most = typeof c.garbage === "number" ? c.garbage : MOST_RUNS
  for (let runs = typeof c.garbage === "number" ? most : 1; runs <= most; runs *= 2) {
    const once = grown(c, runs)
    const twice = grown(c, 2 * runs)
    if (twice.octets - once.octets >= ENOUGH || runs * 2 > most) {
      return Math.max(0, twice.octets - once.octets) / (twice.operations - once.operations)
    }
  }
  return undefined
}

const grown = (c: Case, runs: number): { readonly octets: number; readonly operations: number } =>
  typeof c.garbage === "number" ? grownThroughout(c, runs) : grownInRuns(c, runs)

/** Preparations and all: looking at the heap between them leaves more than a case that leaves nothing. */
const grownThroughout = ({ prepare, run }: Case, runs: number) => {
  Bun.gc(true)
  const before = heapStats().heapCapacity
  let operations = 0
  for (let n = 0; n < runs; n++) {
    prepare?.()
    operations += run()
  }
  return { octets: heapStats().heapCapacity - before, operations }
}

const grownInRuns = (
  { prepare, run }: Case,
  runs: number,
): { readonly octets: number; readonly operations: number } => {
  let octets = 0
  let operations = 0
  for (let n = 0; n < runs; n++) {
    prepare?.()
    if (n === 0) Bun.gc(true)
    const before = heapStats().heapCapacity
    operations += run()
    octets += heapStats().heapCapacity - before
  }
  return { octets, operations }
}
