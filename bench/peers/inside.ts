/** Runs in a network namespace of its own (see sections.ts) and prints its sections as JSON. */
import { bringUpLoopback } from "../../ffi/namespace.ts"
import { readArguments } from "../arguments.ts"
import { summary } from "../measure.ts"
import { progress } from "../progress.ts"
import type { Rate, Section } from "../report.ts"
import { sparePorts } from "./ports.ts"
import { cpuOf, idleOf, type Server, sampleOf } from "./processes.ts"
import { IDLE_CONNECTIONS, IDLE_JOBS, JOBS, type Job } from "./sample.ts"
import { findWays, type Way } from "./ways.ts"

interface Samples {
  readonly rates: Array<number>
  /** Of each rate to what the base did right before and right after. */
  readonly ratios: Array<number>
  readonly client: Array<readonly [number, number]>
  readonly server: Array<readonly [number, number]>
}

/** A way with its server running. */
interface Running {
  readonly way: Way
  readonly server: Server | undefined
}

const leftOut: Array<string> = []

const once = async (
  { way, server }: Running,
  job: Job,
  warmUp: number,
  seconds: number,
  into: Samples,
): Promise<string> => {
  const before = server === undefined ? undefined : cpuOf(server.pid)
  const start = performance.now()
  const sample = await sampleOf(way.client(job, warmUp, seconds), warmUp + seconds)
  const elapsed = (performance.now() - start) / 1000
  if (sample.error !== "") return sample.error
  into.rates.push(sample.rate)
  into.client.push([sample.user, sample.system])
  if (server !== undefined && before !== undefined) {
    const after = cpuOf(server.pid)
    into.server.push([(100 * (after[0] - before[0])) / elapsed, (100 * (after[1] - before[1])) / elapsed])
  }
  return ""
}

const middle = (pairs: ReadonlyArray<readonly [number, number]>): readonly [number, number] => [
  summary(pairs.map(([user]) => user)).nanos,
  summary(pairs.map(([, system]) => system)).nanos,
]

/** How often a job is measured, and how long: of a way, and of the base beside it. */
const TIMES = { rounds: 5, warmUp: 0.7, seconds: 0.8, base: { warmUp: 0.4, seconds: 0.6 } } as const
const QUICK = { rounds: 2, warmUp: 0.7, seconds: 0.5, base: { warmUp: 0.4, seconds: 0.4 } } as const

/**
 * All ways of a job by turns, and before and after each of them the base, the first of them: a virtual machine's host
 * may have its slow minutes, and a ratio of one in such a minute to the other in a better one says nothing.
 */
const rates = async (
  job: Job,
  ways: ReadonlyArray<Running>,
  quick: boolean,
  step: (way: string) => void,
): Promise<ReadonlyArray<Rate>> => {
  const { rounds, warmUp, seconds, base: beside } = quick ? QUICK : TIMES
  const samples = new Map(
    ways.map((way): [Running, Samples] => [way, { rates: [], ratios: [], client: [], server: [] }]),
  )
  const failed = new Map<Running, string>()
  const [base, ...others] = ways
  const measure = async (running: Running, [warm, timed]: readonly [number, number]): Promise<number | undefined> => {
    const into = samples.get(running)
    if (into === undefined || failed.has(running)) return undefined
    const error = await once(running, job, warm, timed, into)
    if (error === "") return into.rates.at(-1)
    failed.set(running, error)
    return undefined
  }
  const measureBase = async () =>
    base === undefined ? undefined : await measure(base, [beside.warmUp, beside.seconds])
  let before = await measureBase()
  for (let round = 0; round < rounds; round++) {
    for (const running of others) {
      step(running.way.name)
      const rate = await measure(running, [warmUp, seconds])
      const after = await measureBase()
      if (rate !== undefined && before !== undefined && after !== undefined) {
        samples.get(running)?.ratios.push((2 * rate) / (before + after))
      }
      before = after
    }
  }
  for (const [{ way }, error] of failed) leftOut.push(`${job.title}, ${way.name}: ${error}`)
  return [...samples].flatMap(([running, { rates: measured, ratios, client, server }]): ReadonlyArray<Rate> => {
    if (failed.has(running) || measured.length === 0) return []
    const cpu = { client: middle(client), server: running.server === undefined ? undefined : middle(server) }
    return [{ ...rateOf(job, running.way, measured), ...ratioOf(ratios), cpu }]
  })
}

const ratioOf = (ratios: ReadonlyArray<number>): Pick<Rate, "ratio" | "ratioSpread"> => {
  if (ratios.length === 0) return { ratio: undefined }
  const { nanos, low, high } = summary(ratios)
  return { ratio: nanos, ratioSpread: [low, high] }
}

const rateOf = (
  { title, unit }: { readonly title: string; readonly unit: string },
  way: Way,
  measured: ReadonlyArray<number>,
): Rate => {
  const { nanos, low, high, samples } = summary(measured)
  return { job: title, by: way.name, unit, median: nanos, low, high, samples, ratio: undefined }
}

/** Memory of idle connections: each time of a server that has done nothing else. */
const idle = async (
  ways: ReadonlyArray<Way>,
  quick: boolean,
  step: (way: string) => void,
): Promise<ReadonlyArray<Rate>> => {
  const rounds = quick ? 1 : 3
  const all = new Map<Way, Array<readonly [number, number]>>()
  for (let round = 0; round < rounds; round++) {
    for (const way of ways) {
      step(way.name)
      if (way.start === undefined || way.idle === undefined) continue
      const server = await way.start(true)
      const sample = await idleOf(way.idle(server, 1, IDLE_CONNECTIONS))
      await server.stop()
      if (sample.error === "") all.set(way, [...(all.get(way) ?? []), [sample.open, sample.echoed]])
      else leftOut.push(`idle connections, ${way.name}: ${sample.error}`)
    }
  }
  return IDLE_JOBS.flatMap((job, index) =>
    [...all].map(([way, pairs]) =>
      rateOf(
        job,
        way,
        pairs.map((pair) => pair[index] ?? Number.NaN),
      ),
    ),
  )
}

const start = async (ways: ReadonlyArray<Way>): Promise<ReadonlyArray<Running>> => {
  const running: Array<Running> = []
  for (const way of ways) {
    try {
      running.push({ way, server: await way.start?.() })
    } catch (cause) {
      leftOut.push(`${way.name}: ${cause instanceof Error ? cause.message : String(cause)}`)
    }
  }
  return running
}

const main = async (): Promise<void> => {
  const { quick, only } = readArguments(process.argv.slice(2))
  bringUpLoopback()
  sparePorts()
  const { ways, leftOut: missing, remove } = findWays()
  leftOut.push(...missing)
  try {
    const jobs = JOBS.filter(({ title }) => title.includes(only))
    const idles = IDLE_JOBS.some(({ title }) => title.includes(only))
    const steps =
      jobs.length * (ways.length - 1) * (quick ? QUICK : TIMES).rounds + (idles ? ways.length * (quick ? 1 : 3) : 0)
    let done = 0
    const all: Array<Rate> = []
    if (idles) all.push(...(await idle(ways, quick, (way) => progress(done++, steps, `idle connections: ${way}`))))
    const running = await start(ways)
    try {
      for (const job of jobs) {
        all.push(...(await rates(job, running, quick, (way) => progress(done++, steps, `${job.title}: ${way}`))))
      }
    } finally {
      for (const { server } of running) await server?.stop()
    }
    const section: Section = {
      title: "Peers",
      method: `bench/client/load.c on the kernel's stack against each server, MTU 1500, or two netfold stacks in one thread; the ways take turns, and before and after each of them comes ${ways[0]?.name}: the ratio is the median of those to the mean of its two neighbours, with their 10th and 90th percentile; cpu: user+system, per cent of one core, of the server over its whole run; memory: growth of the server's resident memory, netfold not warmed up for it.`,
      rates: all,
      leftOut,
    }
    console.log(JSON.stringify([section]))
  } finally {
    remove()
  }
}

await main()
