import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Sample } from "./sample.ts"

/** The client program, compiled for this run, or why there is none. */
export const compileClient = (): { readonly program: string; readonly remove: () => void } | string => {
  const compiler = ["cc", "gcc", "clang"].find((name) => Bun.which(name) !== null)
  if (compiler === undefined) return "no C compiler (cc, gcc or clang) to compile bench/client/load.c with"
  const directory = mkdtempSync(join(tmpdir(), "netfold-bench-"))
  const remove = (): void => rmSync(directory, { recursive: true, force: true })
  const program = join(directory, "load")
  const built = Bun.spawnSync([compiler, "-O2", "-o", program, join(import.meta.dir, "../client/load.c")], {
    stderr: "pipe",
  })
  if (built.success) return { program, remove }
  remove()
  return `${compiler} cannot compile bench/client/load.c: ${built.stderr.toString().trim().split("\n")[0] ?? ""}`
}

/** A server under measurement. */
export interface Server {
  readonly pid: number
  readonly stop: () => Promise<void>
}

const READY_MILLIS = 10_000

/** Starts a server that prints "ready" when it is. */
export const startServer = async (words: ReadonlyArray<string>): Promise<Server> => {
  const child = Bun.spawn([...words], { stdin: "ignore", stdout: "pipe", stderr: "inherit" })
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM")
    const forced = setTimeout(() => child.kill("SIGKILL"), 2000)
    await child.exited
    clearTimeout(forced)
  }
  const late = setTimeout(() => child.kill("SIGKILL"), READY_MILLIS)
  const { value } = await child.stdout.getReader().read()
  clearTimeout(late)
  if (value === undefined || !new TextDecoder().decode(value).startsWith("ready")) {
    await stop()
    throw new Error(`not ready: ${words.join(" ")}`)
  }
  return { pid: child.pid, stop }
}

/** User and system time of a process so far, seconds. */
export const cpuOf = (pid: number): readonly [number, number] => {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return [Number(fields[11]) / TICKS, Number(fields[12]) / TICKS]
}

/** USER_HZ, the same on every Linux that Bun runs on. */
const TICKS = 100

/** One run of a client, which prints a Sample as JSON. */
export const sampleOf = async (words: ReadonlyArray<string>, seconds: number): Promise<Sample> => {
  const child = Bun.spawn([...words], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
    timeout: (seconds + 15) * 1000,
    killSignal: "SIGKILL",
  })
  const printed = await child.stdout.text()
  await child.exited
  if (printed.trim() === "") return { rate: 0, user: 0, system: 0, error: "the client printed nothing" }
  const sample: Sample = JSON.parse(printed)
  return sample
}
