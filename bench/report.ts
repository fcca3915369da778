import type { Machine } from "./machine.ts"
import type { Measured, Point } from "./measure.ts"
import { figure, spread, table } from "./table.ts"

/** What one group of measurements has to say. */
export interface Section {
  readonly title: string
  /** How it was measured, in a sentence or two. */
  readonly method: string
  /** Costs: nanoseconds per operation. */
  readonly costs?: ReadonlyArray<Measured>
  /** Rates, of which a higher number is better, and sizes, of which a lower one is. */
  readonly rates?: ReadonlyArray<Rate>
  readonly goals?: ReadonlyArray<Goal>
  /** Rows that could not be measured, each with its reason. */
  readonly leftOut?: ReadonlyArray<string>
}

/** A rate of one way to do a job; the base is another way to do the same job in the same run. */
export interface Rate {
  readonly job: string
  readonly by: string
  readonly unit: string
  readonly median: number
  readonly low: number
  readonly high: number
  readonly samples: number
  /** To the base's, and its 10th and 90th percentile where each sample has a ratio of its own; undefined for the base itself, and where there is none. */
  readonly ratio: number | undefined
  readonly ratioSpread?: readonly [number, number]
  /** Per cent of one core that the client and the server process used; user and system apart. */
  readonly point?: Point
  readonly cpu?: { readonly client: readonly [number, number]; readonly server: readonly [number, number] | undefined }
}

/** What a number must reach, and what it was. */
export interface Goal {
  readonly what: string
  readonly unit: string
  readonly goal: number
  /** Further, where there is more to wish for. */
  readonly aim?: number
  readonly measured: number
  readonly better: "more" | "less"
}

export interface Report {
  readonly at: string
  readonly machine: Machine
  /** Per cent of the machine's time, while it measured, that other guests of the hypervisor had. */
  readonly stolen: number
  readonly sections: ReadonlyArray<Section>
}

export const print = (section: Section): string =>
  [
    `## ${section.title}`,
    section.method,
    ...(section.costs === undefined ? [] : ["", costTable(section.costs)]),
    ...(section.rates === undefined ? [] : ["", rateTable(section.rates)]),
    ...(section.goals ?? []).map(goalLine),
    ...(section.leftOut ?? []).map((line) => `left out: ${line}`),
    "",
  ].join("\n")

const costTable = (costs: ReadonlyArray<Measured>): string =>
  table(
    ["", "ns", "spread", "per", "million/s", "Gbit/s", "heap octets"],
    costs.map(({ name, per, nanos, low, high, octets, garbage }) => [
      name,
      figure(nanos),
      spread(nanos, low, high),
      per,
      figure(1000 / nanos),
      octets === undefined || octets === 0 ? "" : figure((octets * 8) / nanos),
      garbage === undefined ? "" : figure(garbage),
    ]),
  )

const rateTable = (rates: ReadonlyArray<Rate>): string =>
  table(
    ["", "by", "median", "spread", "unit", "of base", "client cpu", "server cpu"],
    rates.map(({ job, by, unit, median, low, high, ratio, ratioSpread, cpu }) => [
      job,
      by,
      figure(median),
      spread(median, low, high),
      unit,
      ratio === undefined ? "" : ratioText(ratio, ratioSpread),
      cpu === undefined ? "" : userAndSystem(cpu.client),
      cpu?.server === undefined ? "" : userAndSystem(cpu.server),
    ]),
    2,
  )

const ratioText = (ratio: number, around: Rate["ratioSpread"]): string => {
  const middle = ratio.toFixed(2)
  return around === undefined ? middle : `${middle} (${around.map((end) => end.toFixed(2)).join(" to ")})`
}

const goalLine = ({ what, unit, goal, aim, measured, better }: Goal): string => {
  const reaches = (to: number): boolean => (better === "more" ? measured >= to : measured <= to)
  const verdict = aim !== undefined && reaches(aim) ? "aim reached" : reaches(goal) ? "reached" : "missed"
  const further = aim === undefined ? "" : `, aim ${figure(aim)}`
  return `goal: ${what}: ${figure(goal)} ${unit}${further}: ${figure(measured)}, ${verdict}`
}

const userAndSystem = ([user, system]: readonly [number, number]): string =>
  `${Math.round(user)}+${Math.round(system)}%`
