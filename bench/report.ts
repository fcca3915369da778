import type { Machine } from "./machine.ts"
import type { Measured } from "./measure.ts"
import { figure, spread, table } from "./table.ts"

/** What one group of measurements has to say. */
export interface Section {
  readonly title: string
  /** How it was measured, in a sentence or two. */
  readonly method: string
  /** Costs: nanoseconds per operation. */
  readonly costs?: ReadonlyArray<Measured>
  /** Rates: a higher number is better. */
  readonly rates?: ReadonlyArray<Rate>
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
  /** Of the base's median; undefined for the base itself, and where there is none. */
  readonly ratio: number | undefined
  /** Per cent of one core that the client and the server process used; user and system apart. */
  readonly cpu?: { readonly client: readonly [number, number]; readonly server: readonly [number, number] | undefined }
}

export interface Report {
  readonly at: string
  readonly machine: Machine
  readonly sections: ReadonlyArray<Section>
}

export const print = (section: Section): string =>
  [
    `## ${section.title}`,
    section.method,
    ...(section.costs === undefined ? [] : ["", costTable(section.costs)]),
    ...(section.rates === undefined ? [] : ["", rateTable(section.rates)]),
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
    rates.map(({ job, by, unit, median, low, high, ratio, cpu }) => [
      job,
      by,
      figure(median),
      spread(median, low, high),
      unit,
      ratio === undefined ? "" : ratio.toFixed(2),
      cpu === undefined ? "" : userAndSystem(cpu.client),
      cpu?.server === undefined ? "" : userAndSystem(cpu.server),
    ]),
    2,
  )

const userAndSystem = ([user, system]: readonly [number, number]): string =>
  `${Math.round(user)}+${Math.round(system)}%`
