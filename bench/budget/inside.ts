/** Runs in a network namespace of its own (see sections.ts) and prints its sections as JSON. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { bringUpLoopback } from "../../ffi/namespace.ts"
import { readArguments } from "../arguments.ts"
import { summary } from "../measure.ts"
import { sparePorts } from "../peers/ports.ts"
import { cpuOf, sampleOf, startServer } from "../peers/processes.ts"
import { compileC } from "../peers/programs.ts"
import { JOBS, type Job } from "../peers/sample.ts"
import { progress } from "../progress.ts"
import type { Rate, Section } from "../report.ts"
import { PARTS, type Part, type Profile, sharesOf } from "./profile.ts"

const KINDS = ["offload", "plain"] as const
type Kind = (typeof KINDS)[number]

/** Octets of payload in a segment on a link of 1500 octets: Ethernet, IPv4, TCP with timestamps. */
const PAYLOAD = 1448

/** Nanoseconds of the server for each segment, request or connection, by parts. */
type Budget = ReadonlyMap<Part, number>

const unitOf = ({ name }: Job): string =>
  name === "echo" ? "request" : name === "connect" ? "connection" : "segment of 1448"

/** Segments, requests or connections a second. */
const perSecond = ({ unit }: Job, rate: number): number => (unit === "Gbit/s" ? (rate * 1e9) / 8 / PAYLOAD : rate)

interface Given {
  readonly load: string
  readonly warmUp: number
  readonly seconds: number
}

/** One run of a job against a server of its own, which writes its profile when it ends. Undefined: the job failed. */
const once = async (job: Job, kind: Kind, net: number, { load, warmUp, seconds }: Given): Promise<Budget | string> => {
  const directory = mkdtempSync(join(tmpdir(), "netfold-budget-"))
  const address = `198.18.${net}.2`
  try {
    const server = await startServer([
      process.execPath,
      "--cpu-prof",
      `--cpu-prof-dir=${directory}`,
      join(import.meta.dir, "../peers/server.ts"),
      `budget${net}`,
      `${address}/24`,
      `198.18.${net}.1`,
      kind,
    ])
    const words = [load, job.name, address]
    const counts = [job.connections, job.bytes]
    // First until everything is compiled, then for the record.
    const warm = await sampleOf([...words, 0, warmUp, ...counts].map(String), warmUp)
    const before = cpuOf(server.pid)
    const from = Date.now() * 1000
    const sample = await sampleOf([...words, 0, seconds, ...counts].map(String), seconds)
    const to = Date.now() * 1000
    const after = cpuOf(server.pid)
    await server.stop()
    const error = warm.error === "" ? sample.error : warm.error
    if (error !== "") return error
    const nanos = 1e9 / (perSecond(job, sample.rate) * seconds)
    const shares = sharesOf(readProfile(directory), from, to)
    return shared(shares, (after[0] - before[0]) * nanos, (after[1] - before[1]) * nanos)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** The kernel knows best what it has spent itself: the profiler's signals wait for the end of a system call. */
const shared = (shares: ReadonlyMap<Part, number>, user: number, system: number): Budget => {
  const ours = 1 - (shares.get("system call") ?? 0)
  return new Map(
    [...shares].map(([part, share]) => [part, part === "system call" ? system : ours > 0 ? (share / ours) * user : 0]),
  )
}

const readProfile = (directory: string): Profile => {
  const name = readdirSync(directory).find((each) => each.endsWith(".cpuprofile"))
  if (name === undefined) throw new Error("the server left no profile")
  return JSON.parse(readFileSync(join(directory, name), "utf8"))
}

const ratesOf = (job: Job, kind: Kind, budgets: ReadonlyArray<Budget>): ReadonlyArray<Rate> => {
  const row = (what: string, values: ReadonlyArray<number>): Rate => {
    const { nanos, low, high, samples } = summary(values)
    const by = `netfold, ${kind}`
    return { job: what, by, unit: `ns/${unitOf(job)}`, median: nanos, low, high, samples, ratio: undefined }
  }
  const total = budgets.map((budget) => [...budget.values()].reduce((sum, value) => sum + value, 0))
  return [
    ...PARTS.map((part) =>
      row(
        part,
        budgets.map((budget) => budget.get(part) ?? 0),
      ),
    ),
    row("together", total),
  ]
}

const main = async (): Promise<void> => {
  const { quick, only } = readArguments(process.argv.slice(2))
  bringUpLoopback()
  sparePorts()
  const directory = mkdtempSync(join(tmpdir(), "netfold-bench-"))
  try {
    const load = compileC(join(directory, "load"), join(import.meta.dir, "../client/load.c"))
    const jobs = JOBS.filter(({ name, title }) => name !== "bulkecho" && `${name} ${title}`.includes(only))
    const rounds = quick ? 1 : 3
    const steps = jobs.length * KINDS.length * rounds
    let done = 0
    const sections: Array<Section> = []
    for (const job of jobs) {
      const leftOut: Array<string> = []
      const budgets: Record<Kind, Array<Budget>> = { offload: [], plain: [] }
      for (let round = 0; round < rounds; round++) {
        for (const [index, kind] of KINDS.entries()) {
          progress(done++, steps, `${job.name}: ${kind}`)
          const budget =
            typeof load === "string"
              ? await once(job, kind, 20 + index, { load, warmUp: quick ? 0.7 : 1, seconds: quick ? 1 : 2 })
              : load.why
          if (typeof budget === "string") leftOut.push(`${kind}: ${budget}`)
          else budgets[kind].push(budget)
        }
      }
      sections.push({
        title: `Budget: ${job.title}`,
        method: `Processor time of the server, all its threads and what the kernel does in its system calls, for each ${unitOf(job)}; what the kernel counts as its own stands for the system calls, the rest is shared out by the samples of bun --cpu-prof; bench/client/load.c on the kernel's stack, MTU 1500.`,
        rates: KINDS.flatMap((kind) => (budgets[kind].length > 0 ? ratesOf(job, kind, budgets[kind]) : [])),
        leftOut,
      })
    }
    console.log(JSON.stringify(sections))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

await main()
