import { chart, type Mark, type Panel } from "../../src/cli/plot/chart.ts"
import type { Point } from "../measure.ts"
import type { Picture } from "../pictures.ts"
import type { Section } from "../report.ts"
import { FILLED, UNIT } from "./reassembly.ts"
import { IN_FLIGHT } from "./scoreboard.ts"
import { WIRED } from "./wire.ts"

/** A number of a plot, with its spread. */
interface Reading {
  readonly point: Point
  readonly median: number
  readonly low: number
  readonly high: number
  readonly unit: string
}

/** One picture of what grows with their number, one of the out-of-order queue, one of the scoreboard; of what was measured. */
export const drawGrowth = (sections: ReadonlyArray<Section>): ReadonlyArray<Picture> => {
  const readings = sections.flatMap(readingsOf)
  const held = readings.filter(({ point }) => point.chart === UNIT)
  const out = readings.filter(({ point }) => point.chart === IN_FLIGHT)
  const many = readings.filter(({ point }) => point.chart !== UNIT && point.chart !== IN_FLIGHT)
  return [
    ...draw("growth", "Time and memory as numbers grow", "how many there are", many, [
      panel(
        "Time of one",
        "ns",
        many.filter((reading) => isTime(reading) && !isWired(reading)),
      ),
      panel(
        "Time of one over a memory wire, two whole stacks",
        "ns",
        many.filter((reading) => isTime(reading) && isWired(reading)),
      ),
      panel(
        "Memory of each",
        "octets of heap",
        many.filter((reading) => isSize(reading) && !isWired(reading)),
      ),
      panel(
        "Memory of one end over a memory wire",
        "octets of heap",
        many.filter((reading) => isSize(reading) && isWired(reading)),
      ),
      panel("One collection of the heap, all threads", "ms", ofUnit(many, "ms"), nameByWhat),
    ]),
    ...draw("growth-reassembly", "Segments out of order", "segments held already", held, [
      panel("Time of one more", "ns", held.filter(isHeld)),
      panel(
        "Time of one that becomes in order",
        "ns",
        held.filter((reading) => !isHeld(reading)),
      ),
    ]),
    ...draw("growth-scoreboard", "Segments in flight", "segments in flight, one in eight of a half missing", out, [
      panel("Time of an ACK with a SACK block", "ns", out),
    ]),
  ]
}

const readingsOf = ({ costs = [], rates = [] }: Section): ReadonlyArray<Reading> => [
  ...costs.flatMap(({ point, nanos, low, high, per }) =>
    point === undefined ? [] : [{ point, median: nanos, low, high, unit: `ns/${per}` }],
  ),
  ...rates.flatMap(({ point, median, low, high, unit }) =>
    point === undefined ? [] : [{ point, median, low, high, unit }],
  ),
]

const isHeld = ({ point }: Reading): boolean => point.line !== FILLED
const isTime = ({ unit }: Reading): boolean => unit.startsWith("ns/")
/** What one alone takes is its host. */
const isSize = ({ unit, point }: Reading): boolean => unit === "octets each" && point.at > 1
const isWired = ({ point }: Reading): boolean => point.chart === WIRED
const ofUnit = (readings: ReadonlyArray<Reading>, wanted: string): ReadonlyArray<Reading> =>
  readings.filter(({ unit }) => unit === wanted)

const nameBySeries = ({ point }: Reading): string => point.line
const nameByWhat = ({ point }: Reading): string => point.chart

const panel = (title: string, y: string, readings: ReadonlyArray<Reading>, nameOf = nameBySeries): Panel => ({
  title,
  y,
  marks: [...Map.groupBy(readings, nameOf)].flatMap(([name, all], colour) => marksOf(name, colour, all)),
})

/** A line with a dot at each measurement, and a stroke as long as its spread. */
const marksOf = (name: string, colour: number, readings: ReadonlyArray<Reading>): ReadonlyArray<Mark> => {
  const sorted = readings.toSorted((a, b) => a.point.at - b.point.at)
  const points = sorted.map(({ point, median }) => [point.at, median] as const)
  const spread = sorted
    .filter(({ low, high }) => low !== high)
    .map(({ point, low, high }) => [point.at, low, high] as const)
  return [
    { kind: "line", name, colour, points },
    { kind: "dots", name: "", colour, points },
    { kind: "bars", name: "", colour, points: spread },
  ]
}

const draw = (
  name: string,
  title: string,
  x: string,
  readings: ReadonlyArray<Reading>,
  panels: ReadonlyArray<Panel>,
): ReadonlyArray<Picture> => {
  if (readings.length === 0) return []
  const subtitle = "median of the samples, with their 10th and 90th percentile; flat is the target"
  const drawn = panels.filter(({ marks }) => marks.length > 0)
  return [{ name, svg: chart({ title, subtitle, x, xScale: "log", panels: drawn }) }]
}
