import { scaleLinear, scaleLog } from "d3-scale"
import { document, px, text } from "../../src/cli/plot/style.ts"
import { describeMachine } from "../machine.ts"
import type { Picture } from "../pictures.ts"
import type { Rate, Report } from "../report.ts"
import { figure } from "../table.ts"
import { TARGETS } from "./goals.ts"
import { PEERS } from "./sections.ts"

/** Bars of all stacks, a panel for each job. */

const COLUMNS = 2
const PANEL = { width: 456, gapX: 24, gapY: 40, left: 24, top: 108 }
const ROW = 22
const BAR = 14
/** Of a panel: where the names end, and how wide the longest bar is. */
const NAMES = 194
const LONGEST = 160
const WIDTH = 2 * PANEL.left + COLUMNS * PANEL.width + PANEL.gapX

/** The order of the rows; whoever else there is comes last. */
const KERNEL = "kernel, veth"
const ORDER = [
  KERNEL,
  "netfold, offload",
  "kernel, veth, plain",
  "netfold, plain",
  "lwIP, plain",
  "gVisor, GSO",
  "gVisor, plain",
]
const MEMORY = "netfold twice, memory"

const rank = ({ by }: Rate): number => {
  const at = ORDER.indexOf(by)
  return at === -1 ? ORDER.length : at
}

export const drawPeers = ({ machine, sections }: Report): ReadonlyArray<Picture> => {
  const rates = sections.filter(({ title }) => title === PEERS).flatMap(({ rates = [] }) => rates)
  if (rates.length === 0) return []
  // Rates first, then memory.
  const panels = [...Map.groupBy(rates, ({ job }) => job).values()]
    .map((all) => all.toSorted((a, b) => rank(a) - rank(b)))
    .toSorted((a, b) => Number(isMemory(a)) - Number(isMemory(b)))
  return [{ name: "peers", svg: picture(panels, describeMachine(machine)) }]
}

const isMemory = (rates: ReadonlyArray<Rate>): boolean => rates[0]?.unit === "octets"

const picture = (panels: ReadonlyArray<ReadonlyArray<Rate>>, about: string): string => {
  const parts = [
    text(PANEL.left, 28, "netfold beside other stacks", "head ink"),
    text(
      PANEL.left,
      50,
      "Behind each bar: the ratio to the kernel's own stack right before and after, and the rate itself. Of memory less is better.",
      "dim",
    ),
    text(PANEL.left, 68, about, "dim"),
    legend(),
  ]
  let top = PANEL.top
  for (let from = 0; from < panels.length; from += COLUMNS) {
    const row = panels.slice(from, from + COLUMNS)
    for (const [column, rates] of row.entries()) {
      parts.push(drawPanel(rates, PANEL.left + column * (PANEL.width + PANEL.gapX), top))
    }
    top += Math.max(...row.map(({ length }) => length)) * ROW + PANEL.gapY
  }
  return document(WIDTH, top - 8, "netfold beside the kernel's own stack, lwIP and gVisor", parts)
}

const legend = (): string => {
  const right = WIDTH - PANEL.left
  return [
    goalMark(right - 128, 38, "must"),
    text(right - 118, 50, "must", "dim"),
    goalMark(right - 64, 38, "aim"),
    text(right - 54, 50, "aim", "dim"),
  ].join("")
}

const drawPanel = (rates: ReadonlyArray<Rate>, left: number, top: number): string => {
  const [first] = rates
  if (first === undefined) return ""
  const { job, unit } = first
  const memory = isMemory(rates)
  const kernel = rates.find(({ by }) => by === KERNEL)?.median
  const goals = TARGETS.filter((target) => target.job === job && rates.some(({ by }) => by === target.by)).flatMap(
    ({ by, must, aim, unit: of }) => {
      const one = of === "octets" ? 1 : kernel
      return one === undefined ? [] : [{ by, must: must * one, aim: aim * one }]
    },
  )
  const most = Math.max(...rates.map(({ high }) => high), ...goals.flatMap(({ must, aim }) => [must, aim]))
  const from = left + NAMES
  const range = [from, from + LONGEST]
  // Of octets fewer are better, and they differ by powers of ten.
  const x = memory ? scaleLog().domain([100, most]).range(range).clamp(true) : scaleLinear([0, most], range)
  const ground = x.range()[0] ?? from
  const bars = rates.map((rate, n) => {
    const y = top + 10 + n * ROW
    const end = x(rate.median)
    const marked = goals.filter(({ by }) => by === rate.by).flatMap(({ must, aim }) => [x(must), x(aim)])
    const after = Math.max(end, x(rate.high), ...marked) + 8
    return [
      text(from - 8, y + 11, rate.by, look(rate), "end"),
      `<rect x="${px(ground)}" y="${px(y)}" width="${px(Math.max(0.5, end - ground))}" height="${BAR}" rx="2" ${fill(rate)}/>`,
      spreadOf(x(rate.low), x(rate.high), y + BAR / 2),
      ...goals
        .filter(({ by }) => by === rate.by)
        .map((goal) => goalMark(x(goal.must), y - 3, "must") + goalMark(x(goal.aim), y - 3, "aim")),
      numbers(rate, after, y + 11),
    ].join("")
  })
  const scale = memory ? ", log scale" : ""
  return [
    text(left, top - 4, job, "panel ink"),
    text(left + PANEL.width, top - 4, unit + scale, "dim", "end"),
    ...bars,
  ].join("\n")
}

const isOurs = ({ by }: Rate): boolean => by.startsWith("netfold")
const look = (rate: Rate): string => (isOurs(rate) ? "ink" : "dim")
const fill = (rate: Rate): string =>
  isOurs(rate)
    ? `class="f0" fill-opacity="${rate.by.startsWith(MEMORY) ? 0.4 : 0.75}"`
    : `class="f5" fill-opacity="0.4"`

const spreadOf = (low: number, high: number, y: number): string =>
  high - low < 1 ? "" : `<path d="M${px(low)} ${px(y)}H${px(high)}" class="axis thin"/>`

/** The ratio, and the number itself, where nothing else of the row is. */
const numbers = (rate: Rate, x: number, y: number): string => {
  const ratio = rate.by === KERNEL ? 1 : rate.ratio
  const value = figure(rate.median)
  return ratio === undefined
    ? text(x, y, value, "dim")
    : text(x, y, ratio.toFixed(2), "ink") + text(x + 34, y, value, "dim")
}

/** An upright stroke over a bar. */
const goalMark = (x: number, y: number, kind: "must" | "aim"): string =>
  `<path d="M${px(x)} ${px(y)}v${BAR + 6}" class="${kind === "must" ? "l1" : "l2"}" style="stroke-width:2.5"/>`
