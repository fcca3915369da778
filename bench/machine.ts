import { readFileSync } from "node:fs"
import { cpus, loadavg, release, totalmem } from "node:os"

/** What a number is worth nothing without. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly kernel: string
  readonly bun: string
  readonly load: number
  readonly commit: string
}

export const machine = (): Machine => ({
  cpu: cpus()[0]?.model.trim() ?? "unknown",
  cores: cpus().length,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  kernel: release(),
  bun: Bun.version,
  load: loadavg()[0] ?? 0,
  commit: commit(),
})

export const describeMachine = ({ cpu, cores, memoryGiB, kernel, bun, load, commit }: Machine): string =>
  `${cores} x ${cpu}, ${memoryGiB} GiB, Linux ${kernel}, Bun ${bun}, netfold ${commit}, load ${load.toFixed(2)} at the start`

const commit = (): string => {
  const git = Bun.spawnSync(["git", "rev-parse", "--short", "HEAD"], {
    cwd: import.meta.dir,
    stderr: "ignore",
  })
  return git.success ? git.stdout.toString().trim() : "unpacked"
}

/** Share of time, in the whole machine, that another guest had (see `steal` in proc(5)); ticks. */
export const stolenTicks = (): { readonly stolen: number; readonly total: number } => {
  const line = readFileSync("/proc/stat", "latin1").split("\n")[0] ?? ""
  const ticks = line.split(/\s+/).slice(1, 9).map(Number)
  return { stolen: ticks[7] ?? 0, total: ticks.reduce((sum, n) => sum + n, 0) }
}
