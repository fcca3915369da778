import { DEVICES, LOOP } from "./device/sections.ts"
import { describeMachine } from "./machine.ts"
import type { Point } from "./measure.ts"
import { HOST, REDUCERS } from "./micro/sections.ts"
import type { Goal, Rate, Report, Section } from "./report.ts"
import { figure, markdown } from "./table.ts"

/** What a page shows of a group of sections, and by which titles they are known. */
interface Block {
  readonly name: string
  readonly has: (section: Section) => boolean
  readonly write: (sections: ReadonlyArray<Section>) => ReadonlyArray<string>
}

const BUDGET = "Budget: "

/** A line for each job, a column for each way. */
const crossTable = (title: string, rates: ReadonlyArray<Rate>, nameOf: (rate: Rate) => string): string => {
  const ways = [...new Set(rates.map(({ by }) => by))]
  const cell = (line: ReadonlyArray<Rate>, way: string): string => {
    const rate = line.find(({ by }) => by === way)
    return rate === undefined ? "-" : figure(rate.median)
  }
  const lines = [...Map.groupBy(rates, nameOf)]
  return markdown(
    [title, ...ways],
    lines.map(([name, line]) => [name, ...ways.map((way) => cell(line, way))]),
  )
}

const budgetTable = ({ title, rates = [] }: Section): string =>
  crossTable(`${title.slice(BUDGET.length)}, ${rates[0]?.unit ?? "ns"}`, rates, ({ job }) => job)

const loopTable = ({ title, rates = [] }: Section): string =>
  crossTable(title, rates, ({ job, unit }) => `${job}, ${unit}`)

const costTable = ({ title, costs = [] }: Section): string =>
  markdown(
    [title, "ns", "of one", "million/s", "octets of garbage"],
    costs.map(({ name, nanos, per, garbage }) => [
      name,
      figure(nanos),
      per,
      figure(1000 / nanos),
      garbage === undefined ? "" : figure(garbage),
    ]),
  )

interface Reading {
  readonly point: Point
  readonly unit: string
  readonly value: number
}

const readingsOf = ({ costs = [], rates = [] }: Section): ReadonlyArray<Reading> => [
  ...costs.flatMap(({ point, nanos, per }) =>
    point === undefined ? [] : [{ point, unit: `ns/${per}`, value: nanos }],
  ),
  ...rates.flatMap(({ point, median, unit }) => (point === undefined ? [] : [{ point, unit, value: median }])),
]

/** A line for each series, a column for each number of them. */
const growthTable = (section: Section): string => {
  const readings = readingsOf(section)
  const counts = [...new Set(readings.map(({ point }) => point.at))].sort((a, b) => a - b)
  const lines = [...Map.groupBy(readings, ({ point, unit }) => `${point.line}, ${unit}`)]
  const cell = (line: ReadonlyArray<Reading>, at: number): string => {
    const reading = line.find(({ point }) => point.at === at)
    return reading === undefined ? "" : figure(reading.value)
  }
  return markdown(
    [section.title, ...counts.map((at) => at.toLocaleString("en-US"))],
    lines.map(([name, line]) => [name, ...counts.map((at) => cell(line, at))]),
  )
}

/** Nanoseconds by device, direction and size of the frame. */
const deviceTable = ({ costs = [] }: Section): string => {
  const readings = costs.flatMap(({ point, nanos }) => (point === undefined ? [] : [{ ...point, nanos }]))
  const sizes = [...new Set(readings.map(({ at }) => at))].sort((a, b) => a - b)
  const rows = [...Map.groupBy(readings, ({ line, chart }) => `${line}: ${chart}`)]
  const cell = (row: typeof readings, size: number): string => {
    const reading = row.find(({ at }) => at === size)
    return reading === undefined ? "" : figure(reading.nanos)
  }
  return markdown(
    ["ns/frame", ...sizes.map((size) => `${size.toLocaleString("en-US")} octets`)],
    rows.map(([name, row]) => [name, ...sizes.map((size) => cell(row, size))]),
  )
}

/** What costs no frame, and what a frame leaves at most. */
const deviceLines = ({ costs = [] }: Section): string => {
  const calls = costs.filter(({ per }) => per === "call").map(({ name, nanos }) => `${name}: ${figure(nanos)} ns.`)
  const garbage = Math.max(0, ...costs.map((cost) => cost.garbage ?? 0))
  return [...calls, `Garbage per frame, at most: ${figure(garbage)} octets.`].join(" ")
}

const goalLine = ({ what, goal, measured, unit }: Goal): string =>
  `Goal, ${what}: ${figure(goal)} ${unit}; measured: ${figure(measured)}.`

const BLOCKS: ReadonlyArray<Block> = [
  {
    name: "budget",
    has: ({ title }) => title.startsWith(BUDGET),
    write: (sections) => sections.map(budgetTable),
  },
  {
    name: "device",
    has: ({ title }) => title === DEVICES,
    write: (sections) => sections.flatMap((section) => [deviceTable(section), deviceLines(section)]),
  },
  {
    name: "loop",
    has: ({ title }) => title === LOOP,
    write: (sections) => sections.map(loopTable),
  },
  {
    name: "micro",
    has: ({ title }) => title === REDUCERS || title === HOST,
    write: (sections) => [...sections.map(costTable), ...sections.flatMap(({ goals = [] }) => goals.map(goalLine))],
  },
  {
    name: "growth",
    has: (section) => section.title !== DEVICES && readingsOf(section).length > 0,
    write: (sections) => sections.map(growthTable),
  },
]

const opening = (name: string): string => `<!-- bench ${name} -->`
const closing = (name: string): string => `<!-- end of bench ${name} -->`

/**
 * The page with what the report has measured in place of what stood between `<!-- bench NAME -->` and
 * `<!-- end of bench NAME -->`; the rest of it, and what the report knows nothing of, stays. Throws an Error where
 * the page has no place for any of it.
 */
export const pageWith = (page: string, { machine, stolen, sections }: Report): string => {
  const measured = BLOCKS.map(({ name, has, write }) => ({ name, write, sections: sections.filter(has) })).filter(
    (block) => block.sections.length > 0,
  )
  let written = 0
  const result = measured.reduce((text, { name, write, sections }) => {
    const [before, ...others] = text.split(opening(name))
    const [, ...after] = others.join(opening(name)).split(closing(name))
    if (before === undefined || after.length === 0) return text
    written++
    const where = `${describeMachine(machine)}; the hypervisor took ${stolen.toFixed(1)} % of the time.`
    const inside = [opening(name), where, ...write(sections), closing(name)].join("\n\n")
    return `${before}${inside}${after.join(closing(name))}`
  }, page)
  if (written === 0) throw new Error("the page has no place for what was measured")
  return result
}

export const writePage = async (path: string, report: Report): Promise<void> => {
  await Bun.write(path, pageWith(await Bun.file(path).text(), report))
}
