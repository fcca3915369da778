import { join } from "node:path"
import { enterCommand, whyForbidden } from "../ffi/namespace.ts"
import type { Arguments } from "./arguments.ts"
import type { Section } from "./report.ts"

/** Longer than the longest group of measurements takes. */
const MILLIS = 900_000

/** Runs `script`, which prints sections as JSON, in a network namespace of its own; its progress goes to our terminal. */
export const measureInside = async (
  script: string,
  title: string,
  { quick, only }: Arguments,
): Promise<ReadonlyArray<Section>> => {
  const forbidden = whyForbidden()
  if (forbidden !== undefined) return [{ title, method: "", leftOut: [`all of it: ${forbidden}`] }]
  const words = [process.execPath, join(import.meta.dir, script), ...(quick ? ["--quick"] : []), `--only=${only}`]
  const child = Bun.spawn(enterCommand(words), {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
    timeout: MILLIS,
    killSignal: "SIGTERM",
  })
  const [printed, status] = await Promise.all([child.stdout.text(), child.exited])
  if (status !== 0)
    return [{ title, method: "", leftOut: [`all of it: the measuring process ended with status ${status}`] }]
  const sections: ReadonlyArray<Section> = JSON.parse(printed)
  return sections
}
