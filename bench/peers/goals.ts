import type { Goal, Rate } from "../report.ts"
import { IDLE_JOBS, JOBS, type Job } from "./sample.ts"

/** What netfold must reach beside the kernel's own stack, and what it aims at. */
export interface Target {
  readonly job: string
  readonly by: string
  readonly must: number
  readonly aim: number
  /** Of the kernel's rate in the same run, or octets, of which fewer are better. */
  readonly unit: "of the kernel's" | "octets"
}

const OFFLOAD = "netfold, offload"
const PLAIN = "netfold, plain"

/** Frames of 1500 octets both ways, where the kernel itself does 0.38. */
const PLAIN_BULK = { must: 0.2, aim: 0.36 } as const

const RATIOS: Readonly<Record<Job["name"], { readonly must: number; readonly aim: number }>> = {
  sink: { must: 0.6, aim: 0.8 },
  source: { must: 0.65, aim: 0.85 },
  bulkecho: { must: 0.5, aim: 0.7 },
  echo: { must: 0.85, aim: 1.4 },
  connect: { must: 0.85, aim: 1.64 },
}

const isBulk = ({ name }: Job): boolean => name === "sink" || name === "source" || name === "bulkecho"

export const TARGETS: ReadonlyArray<Target> = [
  ...JOBS.flatMap((job): ReadonlyArray<Target> => {
    const offload: Target = { job: job.title, by: OFFLOAD, ...RATIOS[job.name], unit: "of the kernel's" }
    return isBulk(job) ? [offload, { ...offload, by: PLAIN, ...PLAIN_BULK }] : [offload]
  }),
  ...IDLE_JOBS.map(({ title }): Target => ({ job: title, by: OFFLOAD, must: 4096, aim: 1536, unit: "octets" })),
]

/** A goal for each of these rates that has a target. */
export const goalsOf = (rates: ReadonlyArray<Rate>): ReadonlyArray<Goal> =>
  TARGETS.flatMap(({ job, by, must, aim, unit }): ReadonlyArray<Goal> => {
    const rate = rates.find((one) => one.job === job && one.by === by)
    const measured = unit === "octets" ? rate?.median : rate?.ratio
    if (measured === undefined) return []
    const what = `${job}, ${by}`
    const better = unit === "octets" ? "less" : "more"
    return [{ what, unit, goal: must, aim, measured, better }]
  })
