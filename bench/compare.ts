import { describeMachine } from "./machine.ts"
import type { Report } from "./report.ts"
import { figure, spread, table } from "./table.ts"

/** One number of a report, by whatever name both reports know it. */
interface Reading {
  readonly section: string
  readonly name: string
  readonly unit: string
  readonly median: number
  readonly low: number
  readonly high: number
  readonly samples: number
}

export interface Change {
  readonly section: string
  readonly name: string
  readonly unit: string
  readonly before: Reading
  readonly after: Reading
  /** After to before. */
  readonly ratio: number
  /** The spreads do not touch, or the number has none because it is the same in every run. */
  readonly apart: boolean
}

/** What both reports have measured, in the order of the first. */
export const changesOf = (before: Report, after: Report): ReadonlyArray<Change> => {
  const readings = new Map(readingsOf(after).map((reading) => [keyOf(reading), reading]))
  return readingsOf(before).flatMap((old): ReadonlyArray<Change> => {
    const now = readings.get(keyOf(old))
    if (now === undefined) return []
    const { section, name, unit } = old
    const apart = old.high < now.low || now.high < old.low
    return [{ section, name, unit, before: old, after: now, ratio: now.median / old.median, apart }]
  })
}

const keyOf = ({ section, name, unit }: Reading): string => [section, name, unit].join("\n")

const readingsOf = ({ sections }: Report): ReadonlyArray<Reading> =>
  sections.flatMap(({ title: section, costs = [], rates = [] }) => [
    ...costs.map(
      ({ name, per, nanos, low, high, samples }): Reading => ({
        section,
        name,
        unit: `ns/${per}`,
        median: nanos,
        low,
        high,
        samples,
      }),
    ),
    ...costs.flatMap(({ name, per, garbage }): ReadonlyArray<Reading> => {
      if (garbage === undefined) return []
      const unit = `heap octets/${per}`
      return [{ section, name, unit, median: garbage, low: garbage, high: garbage, samples: 1 }]
    }),
    ...rates.map(
      ({ job, by, unit, median, low, high, samples }): Reading => ({
        section,
        name: `${job}: ${by}`,
        unit,
        median,
        low,
        high,
        samples,
      }),
    ),
  ])

/** A table of both, with what a reader has to know of the machines first. */
export const compare = (before: Report, after: Report, only: string): string => {
  const changes = changesOf(before, after).filter(({ name }) => name.includes(only))
  const machines = [
    `A: ${before.at}, ${describeMachine(before.machine)}`,
    `B: ${after.at}, ${describeMachine(after.machine)}`,
  ]
  const other = differences(before, after)
  const sections = [...Map.groupBy(changes, ({ section }) => section)].map(
    ([section, rows]) => `## ${section}\n${table(HEAD, rows.map(row))}\n`,
  )
  return [
    ...machines,
    ...(other.length === 0 ? [] : [`Not the same: ${other.join(", ")}. The ratios say more of that than of netfold.`]),
    "Ratio: median of B to that of A; in brackets where the spreads (10th to 90th percentile) overlap: that may be chance.",
    "",
    ...(sections.length === 0 ? ["Nothing was measured in both."] : sections),
  ].join("\n")
}

const differences = (before: Report, after: Report): ReadonlyArray<string> =>
  (["cpu", "cores", "kernel", "bun"] as const).filter((what) => before.machine[what] !== after.machine[what])

const HEAD = ["", "A", "spread", "B", "spread", "unit", "B/A"]

const row = ({ name, unit, before, after, ratio, apart }: Change): ReadonlyArray<string> => [
  name,
  figure(before.median),
  spreadOf(before),
  figure(after.median),
  spreadOf(after),
  unit,
  !Number.isFinite(ratio) ? "-" : apart || ratio === 1 ? ratio.toFixed(2) : `(${ratio.toFixed(2)})`,
]

/** One sample has none. */
const spreadOf = ({ median, low, high, samples }: Reading): string =>
  samples === 1 ? "one sample" : spread(median, low, high)
