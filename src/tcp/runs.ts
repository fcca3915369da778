import type { Seq } from "./seq.ts"

/** Contiguous octets that are held; runs neither overlap nor touch. */
export interface Run {
  readonly left: Seq
  readonly right: Seq
  readonly octets: Octets
}

/** What came, in sequence order, as a tree: two of them are joined without copying either. */
export type Octets = Uint8Array | { readonly low: Octets; readonly high: Octets }

export const joined = (low: Octets | undefined, high: Octets): Octets => (low === undefined ? high : { low, high })

/** The arrays that it is made of, in order. */
export const partsOf = (octets: Octets): ReadonlyArray<Uint8Array> => {
  const parts: Array<Uint8Array> = []
  const waiting: Array<Octets> = []
  for (let next: Octets | undefined = octets; next !== undefined; ) {
    if (next instanceof Uint8Array) {
      parts.push(next)
      next = waiting.pop()
    } else {
      waiting.push(next.high)
      next = next.low
    }
  }
  return parts
}

/** In sequence order, in chunks that are not empty: a change copies one of them and the list of all. */
export type Runs = ReadonlyArray<ReadonlyArray<Run>>

export const NO_RUNS: Runs = []

/** Most runs of a chunk. */
const SPAN = 32

/** Between two runs: how many chunks, and how many runs of the next, lie before. */
interface Gap {
  readonly chunk: number
  readonly run: number
}

/** Before the first run that passes; those behind it do too. */
export const gapBefore = (runs: Runs, passes: (run: Run) => boolean): Gap => {
  const chunk = bisect(runs, (chunk) => {
    const last = chunk.at(-1)
    return last !== undefined && passes(last)
  })
  return { chunk, run: bisect(runs[chunk] ?? [], passes) }
}

const bisect = <A>(items: ReadonlyArray<A>, passes: (item: A) => boolean): number => {
  let low = 0
  let high = items.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const item = items[middle]
    if (item !== undefined && passes(item)) high = middle
    else low = middle + 1
  }
  return low
}

export const runAfter = (runs: Runs, { chunk, run }: Gap): Run | undefined => runs[chunk]?.[run]

export const nextGap = (runs: Runs, { chunk, run }: Gap): Gap =>
  run + 1 < (runs[chunk]?.length ?? 0) ? { chunk, run: run + 1 } : { chunk: chunk + 1, run: 0 }

/** With one run in place of those between two gaps. */
export const withRun = (runs: Runs, from: Gap, to: Gap, run: Run): Runs => {
  // Behind all: into the last chunk.
  const first = Math.max(0, Math.min(from.chunk, runs.length - 1))
  const low = from.chunk === first ? runs[first]?.slice(0, from.run) : runs[first]
  const ends = to.chunk > first && to.run === 0
  const high = ends ? [] : (runs[to.chunk]?.slice(to.run) ?? [])
  const chunk = [...(low ?? []), run, ...high]
  const chunks = chunk.length > SPAN ? [chunk.slice(0, SPAN / 2), chunk.slice(SPAN / 2)] : [chunk]
  return [...runs.slice(0, first), ...chunks, ...runs.slice(ends ? to.chunk : to.chunk + 1)]
}

/** Those behind a gap. */
export const runsAfter = (runs: Runs, { chunk, run }: Gap): Runs =>
  run === 0 ? runs.slice(chunk) : [runs[chunk]?.slice(run) ?? [], ...runs.slice(chunk + 1)]
