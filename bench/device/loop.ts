/** Runs in a network namespace of its own (see sections.ts) and prints its section as JSON: what the loop costs others. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { bringUpLoopback } from "../../ffi/namespace.ts"
import { readArguments } from "../arguments.ts"
import { quantile } from "../measure.ts"
import { cpuOf } from "../peers/processes.ts"
import { compileC } from "../peers/programs.ts"
import { progress } from "../progress.ts"
import type { Rate, Section } from "../report.ts"

const ADDRESS = "198.18.9.2"
const JOBS = [
  ["sink", "bulk into the stack"],
  ["source", "bulk out of the stack"],
  ["bulkecho", "bulk both ways"],
  ["echo", "echo, 64 connections"],
] as const
const HELD = 1000
const leftOut: Array<string> = []
const rates: Array<Rate> = []

const rate = (job: string, by: string, unit: string, sorted: readonly [number, number, number], samples: number) => {
  const [low, median, high] = sorted
  rates.push({ job, by, unit, median, low, high, samples, ratio: undefined })
}

interface Delays {
  readonly samples: number
  readonly median: number
  readonly p99: number
  readonly max: number
}

/** A server whose event loop is watched. */
const startServer = async () => {
  const words = [process.execPath, join(import.meta.dir, "loopServer.ts"), "loop0", `${ADDRESS}/24`, "198.18.9.1"]
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

const main = async (): Promise<void> => {
  const { quick } = readArguments(process.argv.slice(2))
  const seconds = quick ? 1 : 5
  const idleSeconds = quick ? 3 : 10
  bringUpLoopback()
  const directory = mkdtempSync(join(tmpdir(), "netfold-bench-"))
  const compiled = (name: string) => compileC(join(directory, name), join(import.meta.dir, `../client/${name}.c`))
  const [load, latency] = [compiled("load"), compiled("latency")]
  const server = await startServer()
  try {
    if (typeof load !== "string" || typeof latency !== "string") {
      for (const program of [load, latency]) if (typeof program !== "string") leftOut.push(`all of it: ${program.why}`)
      return
    }
    for (const [index, [job, title]] of JOBS.entries()) {
      progress(index, JOBS.length + 2, title)
      const words = [load, job, ADDRESS, "0", String(seconds), "64", "64"]
      server.watch()
      await new Response(Bun.spawn(words, { stdout: "pipe", stderr: "inherit" }).stdout).text()
      const { samples, median, p99, max } = await server.delays()
      for (const [by, delay] of Object.entries({ median, p99, most: max })) {
        rate(`the timer is late: ${title}`, by, "ms", [delay, delay, delay], samples)
      }
    }
    progress(JOBS.length, JOBS.length + 2, "first frame after silence")
    for (const [by, address] of [
      ["netfold, TAP", ADDRESS],
      ["kernel, loopback", "127.0.0.1"],
    ] as const) {
      const kernel = address === ADDRESS ? undefined : Bun.spawn([load, "serve", address], { stdout: "pipe" })
      if (kernel !== undefined) await kernel.stdout.getReader().read()
      const asked = Bun.spawn([latency, "first", address, quick ? "50" : "300", "20"], { stdout: "pipe" })
      const micros = (await asked.stdout.text()).trim().split("\n").map(Number)
      kernel?.kill("SIGTERM")
      micros.sort((x, y) => x - y)
      const quantiles = [quantile(micros, 0.1), quantile(micros, 0.5), quantile(micros, 0.9)] as const
      rate("echo of 1 octet after 20 ms of silence", by, "us", quantiles, micros.length)
    }
    progress(JOBS.length + 1, JOBS.length + 2, "idle")
    const held = Bun.spawn([latency, "hold", ADDRESS, String(HELD)], { stdout: "pipe" })
    await held.stdout.getReader().read()
    await Bun.sleep(1500)
    const sum = () => cpuOf(server.pid).reduce((x, y) => x + y)
    const before = sum()
    await Bun.sleep(idleSeconds * 1000)
    const share = (100 * (sum() - before)) / idleSeconds
    held.kill("SIGTERM")
    rate(`idle for ${idleSeconds} s, ${HELD} connections open`, "netfold, TAP", "% of a core", [share, share, share], 1)
  } finally {
    await server.stop()
    rmSync(directory, { recursive: true, force: true })
    const section: Section = {
      title: "The loop",
      method:
        "A stack on a TAP with offload, and an application's own timer of 2 ms in the same event loop: how late it fires while a client of the kernel's keeps the stack as busy as it can. Everything is wall-clock time.",
      rates,
      leftOut,
    }
    console.log(JSON.stringify([section]))
  }
}

await main()
