/** Runs in a network namespace of its own (see sections.ts) and prints its section as JSON: what the loop costs others. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { bringUpLoopback } from "../../ffi/namespace.ts"
import { readArguments } from "../arguments.ts"
import type { Delays } from "../delays.ts"
import { quantile } from "../measure.ts"
import { cpuOf } from "../peers/processes.ts"
import { compileC } from "../peers/programs.ts"
import { progress } from "../progress.ts"
import type { Goal, Rate, Section } from "../report.ts"

const WAYS = [
  { kind: "offload", name: "loop0", kernel: "198.18.9.1", address: "198.18.9.2" },
  { kind: "plain", name: "loop1", kernel: "198.18.10.1", address: "198.18.10.2" },
] as const
type Way = (typeof WAYS)[number]
const JOBS = [
  ["sink", "bulk into the stack"],
  ["source", "bulk out of the stack"],
  ["bulkecho", "bulk both ways"],
  ["echo", "echo, 64 connections"],
] as const
const HELD = 1000
const SILENCE_MILLIS = 20
/** After so long a stack has nothing to do any more: delayed ACKs, the collector. Milliseconds. */
const SETTLE_MILLIS = 1500

interface Plan {
  readonly seconds: number
  readonly idleSeconds: number
  readonly firsts: number
}
const THOROUGH: Plan = { seconds: 5, idleSeconds: 10, firsts: 300 }
const BRIEF: Plan = { seconds: 1, idleSeconds: 3, firsts: 50 }

const rates: Array<Rate> = []
const goals: Array<Goal> = []

const rate = (job: string, by: string, unit: string, [low, median, high]: Spread, samples: number): void => {
  rates.push({ job, by, unit, median, low, high, samples, ratio: undefined })
}
type Spread = readonly [low: number, median: number, high: number]

/** A server whose event loop is watched. */
const startServer = async ({ kind, name, address, kernel }: Way, ...flags: ReadonlyArray<string>) => {
  const script = join(import.meta.dir, "../peers/server.ts")
  const words = [process.execPath, script, name, `${address}/24`, kernel, kind, "watched", ...flags]
  const child = Bun.spawn(words, { stdin: "pipe", stdout: "pipe", stderr: "inherit" })
  const decoder = new TextDecoder()
  const reader = child.stdout.getReader()
  const line = async (): Promise<string> => decoder.decode((await reader.read()).value).trim()
  if ((await line()) !== "ready") throw new Error("the watched server did not start")
  return {
    pid: child.pid,
    watch: () => void child.stdin.write("watch\n"),
    delays: async (): Promise<Delays> => {
      child.stdin.write("tell\n")
      return JSON.parse(await line())
    },
    stop: async () => {
      child.kill("SIGTERM")
      await child.exited
    },
  }
}
type Server = Awaited<ReturnType<typeof startServer>>

interface Clients {
  readonly load: string
  readonly latency: string
}

/** How late the application's timer is while the stack has as much to do as it can. */
const underLoad = async (server: Server, way: Way, { load }: Clients, { seconds }: Plan): Promise<void> => {
  for (const [job, title] of JOBS) {
    const by = `TAP, ${way.kind}`
    step(`${title}, ${by}`)
    server.watch()
    const client = Bun.spawn([load, job, way.address, "0", String(seconds), "64", "64"], {
      stdout: "pipe",
      stderr: "inherit",
    })
    await client.stdout.text()
    const { samples, median, p99, most } = await server.delays()
    for (const [which, delay] of Object.entries({ median, p99, most })) {
      rate(`the timer is late, ${which}: ${title}`, by, "ms", [delay, delay, delay], samples)
    }
    goals.push({ what: `event-loop delay, p99, ${title}, ${by}`, unit: "ms", goal: 5, measured: p99, better: "less" })
  }
}

const afterSilence = async (by: string, address: string, { latency }: Clients, { firsts }: Plan): Promise<number> => {
  step(`first frame after silence, ${by}`)
  const asked = Bun.spawn([latency, "first", address, String(firsts), String(SILENCE_MILLIS)], { stdout: "pipe" })
  const micros = (await asked.stdout.text()).trim().split("\n").map(Number)
  micros.sort((x, y) => x - y)
  const spread: Spread = [quantile(micros, 0.1), quantile(micros, 0.5), quantile(micros, 0.9)]
  rate(`echo of 1 octet after ${SILENCE_MILLIS} ms of silence`, by, "us", spread, micros.length)
  return spread[1]
}

const kernelAfterSilence = async (clients: Clients, plan: Plan): Promise<void> => {
  const server = Bun.spawn([clients.load, "serve", "127.0.0.1"], { stdout: "pipe" })
  try {
    await server.stdout.getReader().read()
    await afterSilence("kernel, loopback", "127.0.0.1", clients, plan)
  } finally {
    server.kill("SIGTERM")
    await server.exited
  }
}

/** Per cent of a core that a server takes with many connections on which nobody speaks. */
const atRest = async ({ pid }: Server, address: string, { latency }: Clients, { idleSeconds }: Plan): Promise<void> => {
  step("idle")
  const held = Bun.spawn([latency, "hold", address, String(HELD)], { stdout: "pipe" })
  try {
    await held.stdout.getReader().read()
    await Bun.sleep(SETTLE_MILLIS)
    const sum = (): number => cpuOf(pid).reduce((x, y) => x + y)
    const before = sum()
    await Bun.sleep(idleSeconds * 1000)
    const share = (100 * (sum() - before)) / idleSeconds
    const what = `idle for ${idleSeconds} s, ${HELD} connections open`
    rate(what, "TAP, offload", "% of a core", [share, share, share], 1)
    goals.push({ what, unit: "% of a core", goal: 1, measured: share, better: "less" })
  } finally {
    held.kill("SIGTERM")
    await held.exited
  }
}

let steps = 0
const step = (title: string): void => progress(steps++, WAYS.length * (JOBS.length + 1) + 3, title)

const measureAll = async (clients: Clients, plan: Plan): Promise<void> => {
  for (const way of WAYS) {
    const server = await startServer(way)
    try {
      await underLoad(server, way, clients, plan)
      const median = await afterSilence(`TAP, ${way.kind}`, way.address, clients, plan)
      const what = `first frame after ${SILENCE_MILLIS} ms of silence, median, TAP, ${way.kind}`
      goals.push({ what, unit: "us", goal: 200, measured: median, better: "less" })
      if (way.kind === "offload") await atRest(server, way.address, clients, plan)
    } finally {
      await server.stop()
    }
  }
  await busyAfterSilence(clients, plan)
  await kernelAfterSilence(clients, plan)
}

/** Of a stack that does not sleep for so short a time; see `busyPoll` of the stack's options. */
const busyAfterSilence = async (clients: Clients, plan: Plan): Promise<void> => {
  const [way] = WAYS
  const server = await startServer(way, "busy")
  try {
    await afterSilence(`TAP, ${way.kind}, busyPoll`, way.address, clients, plan)
  } finally {
    await server.stop()
  }
}

const main = async (): Promise<void> => {
  const { quick } = readArguments(process.argv.slice(2))
  bringUpLoopback()
  const directory = mkdtempSync(join(tmpdir(), "netfold-bench-"))
  const leftOut: Array<string> = []
  try {
    const compiled = (name: string) => compileC(join(directory, name), join(import.meta.dir, `../client/${name}.c`))
    const [load, latency] = [compiled("load"), compiled("latency")]
    if (typeof load === "string" && typeof latency === "string") {
      await measureAll({ load, latency }, quick ? BRIEF : THOROUGH)
    } else {
      for (const program of [load, latency]) if (typeof program !== "string") leftOut.push(`all of it: ${program.why}`)
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
  const section: Section = {
    title: "The loop",
    method:
      "A stack on a TAP, and an application's own timer of 2 ms in the same event loop: how late it fires while a client of the kernel's keeps the stack as busy as it can. Everything is wall-clock time.",
    rates,
    goals,
    leftOut,
  }
  console.log(JSON.stringify([section]))
}

await main()
