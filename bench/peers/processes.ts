import { readFileSync } from "node:fs"
import type { IdleSample, Sample } from "./sample.ts"

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
  const printed = await outputOf(words, seconds + 15)
  if (printed === "") return { rate: 0, user: 0, system: 0, error: "the client printed nothing" }
  const sample: Sample = JSON.parse(printed)
  return sample
}

export const idleOf = async (words: ReadonlyArray<string>): Promise<IdleSample> => {
  const printed = await outputOf(words, IDLE_SECONDS)
  if (printed === "") return { open: 0, echoed: 0, error: "the client printed nothing" }
  const sample: IdleSample = JSON.parse(printed)
  return sample
}

/** The client gives up after a minute of its own. */
const IDLE_SECONDS = 90

const outputOf = async (words: ReadonlyArray<string>, seconds: number): Promise<string> => {
  const child = Bun.spawn([...words], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
    timeout: seconds * 1000,
    killSignal: "SIGKILL",
  })
  const printed = await child.stdout.text()
  await child.exited
  return printed.trim()
}
