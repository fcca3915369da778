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

/** All ways of a job by turns, so that a slow moment of the machine falls on all of them. */
const rates = async (
  job: Job,
  ways: ReadonlyArray<Running>,
  quick: boolean,
  step: (way: string) => void,
): Promise<ReadonlyArray<Rate>> => {
  const [rounds, warmUp, seconds] = quick ? [2, 0.7, 0.5] : [5, 0.7, 0.8]
  const samples = ways.map((): Samples => ({ rates: [], client: [], server: [] }))
  const failed = new Map<Running, string>()
  for (let round = 0; round < rounds; round++) {
    for (const [index, running] of ways.entries()) {
      step(running.way.name)
      const into = samples[index]
      if (into === undefined || failed.has(running)) continue
      const error = await once(running, job, warmUp, seconds, into)
      if (error !== "") failed.set(running, error)
    }
  }
  for (const [{ way }, error] of failed) leftOut.push(`${job.title}, ${way.name}: ${error}`)
  const base = summary(samples[0]?.rates ?? []).nanos
  return ways.flatMap((running, index): ReadonlyArray<Rate> => {
    const { rates: measured = [], client = [], server = [] } = samples[index] ?? {}
    if (failed.has(running) || measured.length === 0) return []
    const cpu = { client: middle(client), server: running.server === undefined ? undefined : middle(server) }
    return [{ ...rateOf(job, running.way, measured), ratio: index === 0 ? undefined : median(measured) / base, cpu }]
  })
}

const median = (measured: ReadonlyArray<number>): number => summary(measured).nanos

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
    const steps = jobs.length * ways.length * (quick ? 2 : 5) + (idles ? ways.length * (quick ? 1 : 3) : 0)
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
      method: `bench/client/load.c on the kernel's stack against each server, MTU 1500, or two netfold stacks in one thread; ratio to ${ways[0]?.name}; the ways take turns; cpu: user+system, per cent of one core, of the server over its whole run; memory: growth of the server's resident memory, netfold not warmed up for it.`,
      rates: all,
      leftOut,
    }
    console.log(JSON.stringify([section]))
  } finally {
    remove()
  }
}

await main()
