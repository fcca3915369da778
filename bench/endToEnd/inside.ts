/** Runs in a network namespace of its own (see sections.ts) and prints its sections as JSON. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { bringUpLoopback } from "../../ffi/namespace.ts"
import { readArguments } from "../arguments.ts"
import { summary } from "../measure.ts"
import { progress } from "../progress.ts"
import type { Rate, Section } from "../report.ts"
import { compileClient, cpuOf, type Server, sampleOf, startServer } from "./processes.ts"
import { JOBS, type Job } from "./sample.ts"

/** One way to do the jobs. */
interface Way {
  readonly name: string
  readonly server: Server | undefined
  readonly client: (job: Job, warmUp: number, seconds: number) => ReadonlyArray<string>
}

const BUN = process.execPath
const script = (name: string): string => join(import.meta.dir, name)
const KERNEL_ON_VETH = "198.18.1.2"
const leftOut: Array<string> = []

/** The kernel's own stack, in a second namespace behind a veth pair: what every rate is a ratio of. */
const kernelOverVeth = async (load: string): Promise<Way | undefined> => {
  if (Bun.which("ip") === null || Bun.which("nsenter") === null) {
    leftOut.push("the kernel over veth: `ip` (iproute2) and `nsenter` (util-linux) are not both there")
    return undefined
  }
  const server = await startServer(["unshare", "-n", "--", load, "serve", "0.0.0.0"])
  const there = ["nsenter", "-t", String(server.pid), "-n", "ip"]
  const commands = [
    ["ip", "link", "add", "bench-near", "type", "veth", "peer", "name", "bench-far", "netns", String(server.pid)],
    ["ip", "addr", "add", "198.18.1.1/24", "dev", "bench-near"],
    ["ip", "link", "set", "bench-near", "up"],
    [...there, "addr", "add", `${KERNEL_ON_VETH}/24`, "dev", "bench-far"],
    [...there, "link", "set", "bench-far", "up"],
  ]
  for (const words of commands) {
    const { success, stderr } = Bun.spawnSync(words, { stderr: "pipe" })
    if (success) continue
    leftOut.push(`the kernel over veth: ${words.join(" ")}: ${stderr.toString().trim()}`)
    await server.stop()
    return undefined
  }
  return { name: "kernel, veth", server, client: against(load, KERNEL_ON_VETH) }
}

const kernelOverLoopback = async (load: string): Promise<Way> => ({
  name: "kernel, loopback",
  server: await startServer([load, "serve", "127.0.0.1"]),
  client: against(load, "127.0.0.1"),
})

const netfoldOverTap = async (load: string, kind: "offload" | "plain", net: number): Promise<Way> => {
  const words = [BUN, script("server.ts"), `bench${net}`, `198.18.${net}.2/24`, `198.18.${net}.1`, kind]
  return {
    name: kind === "offload" ? "netfold, TAP with offload" : "netfold, TAP of 1500-byte frames",
    server: await startServer(words),
    client: against(load, `198.18.${net}.2`),
  }
}

const netfoldOverMemory = (kind: "offload" | "plain"): Way => ({
  name: kind === "offload" ? "netfold twice, memory with offload" : "netfold twice, memory, 1500-byte frames",
  server: undefined,
  client: ({ name, connections, bytes }, warmUp, seconds) =>
    [BUN, script("memory.ts"), name, warmUp, seconds, connections, bytes, kind].map(String),
})

const against =
  (load: string, address: string): Way["client"] =>
  ({ name, connections, bytes }, warmUp, seconds) =>
    [load, name, address, warmUp, seconds, connections, bytes].map(String)

interface Samples {
  readonly rates: Array<number>
  readonly client: Array<readonly [number, number]>
  readonly server: Array<readonly [number, number]>
}

const once = async (way: Way, job: Job, warmUp: number, seconds: number, into: Samples): Promise<string> => {
  const before = way.server === undefined ? undefined : cpuOf(way.server.pid)
  const start = performance.now()
  const sample = await sampleOf(way.client(job, warmUp, seconds), warmUp + seconds)
  const elapsed = (performance.now() - start) / 1000
  if (sample.error !== "") return sample.error
  into.rates.push(sample.rate)
  into.client.push([sample.user, sample.system])
  if (way.server !== undefined && before !== undefined) {
    const after = cpuOf(way.server.pid)
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
  ways: ReadonlyArray<Way>,
  quick: boolean,
  step: (way: string) => void,
): Promise<ReadonlyArray<Rate>> => {
  const [rounds, warmUp, seconds] = quick ? [2, 0.7, 0.5] : [5, 0.7, 0.8]
  const samples = ways.map((): Samples => ({ rates: [], client: [], server: [] }))
  const failed = new Map<Way, string>()
  for (let round = 0; round < rounds; round++) {
    for (const [index, way] of ways.entries()) {
      step(way.name)
      const into = samples[index]
      if (into === undefined || failed.has(way)) continue
      const error = await once(way, job, warmUp, seconds, into)
      if (error !== "") failed.set(way, error)
    }
  }
  for (const [way, error] of failed) leftOut.push(`${job.title}, ${way.name}: ${error}`)
  const base = summary(samples[0]?.rates ?? []).nanos
  return ways.flatMap((way, index): ReadonlyArray<Rate> => {
    const { rates: measured = [], client = [], server = [] } = samples[index] ?? {}
    if (failed.has(way) || measured.length === 0) return []
    const { nanos: median, low, high } = summary(measured)
    return [
      {
        job: job.title,
        by: way.name,
        unit: job.unit,
        median,
        low,
        high,
        samples: measured.length,
        ratio: index === 0 ? undefined : median / base,
        cpu: { client: middle(client), server: way.server === undefined ? undefined : middle(server) },
      },
    ]
  })
}

const main = async (): Promise<void> => {
  const { quick, only } = readArguments(process.argv.slice(2))
  bringUpLoopback()
  // The client closes first: without these, thousands of connections a second run out of ports.
  writeFileSync("/proc/sys/net/ipv4/ip_local_port_range", "1024 65535")
  writeFileSync("/proc/sys/net/ipv4/tcp_tw_reuse", "1")
  const compiled = compileClient()
  const ways: Array<Way> = []
  try {
    if (typeof compiled === "string") leftOut.push(`the kernel, and netfold over TAP: ${compiled}`)
    else {
      const { program } = compiled
      const veth = await kernelOverVeth(program)
      if (veth !== undefined) ways.push(veth)
      ways.push(await kernelOverLoopback(program))
      ways.push(await netfoldOverTap(program, "offload", 2), await netfoldOverTap(program, "plain", 3))
    }
    ways.push(netfoldOverMemory("offload"), netfoldOverMemory("plain"))
    const jobs = JOBS.filter(({ title }) => title.includes(only))
    const steps = jobs.length * ways.length * (quick ? 2 : 5)
    let done = 0
    const all: Array<Rate> = []
    for (const job of jobs) {
      all.push(...(await rates(job, ways, quick, (way) => progress(done++, steps, `${job.title}: ${way}`))))
    }
    const section: Section = {
      title: "End to end",
      method: `bench/client/load.c on the kernel's stack against each server, or two netfold stacks in one thread; ratio to ${ways[0]?.name}; the ways take turns; cpu: user+system, per cent of one core, of the server over its whole run.`,
      rates: all,
      leftOut,
    }
    console.log(JSON.stringify([section]))
  } finally {
    for (const { server } of ways) await server?.stop()
    if (typeof compiled !== "string") compiled.remove()
  }
}

await main()
