import { scaleLinear, scaleLog } from "d3-scale"
import { curveLinear, curveStepAfter, line } from "d3-shape"
import { document, escaped, px, text } from "./style.ts"

export type Point = readonly [x: number, y: number]

/** What is drawn of one thing; `colour` is its place in the palette. */
export type Mark =
  | {
      readonly kind: "line" | "steps"
      readonly name: string
      readonly colour: number
      readonly dashed?: boolean
      readonly points: ReadonlyArray<Point>
    }
  | { readonly kind: "dots"; readonly name: string; readonly colour: number; readonly points: ReadonlyArray<Point> }
  /** Upright strokes. */
  | {
      readonly kind: "bars"
      readonly name: string
      readonly colour: number
      readonly points: ReadonlyArray<readonly [x: number, low: number, high: number]>
    }

export interface Panel {
  readonly title: string
  /** What the upright axis counts, with its unit. */
  readonly y: string
  readonly marks: ReadonlyArray<Mark>
  readonly height?: number
}

/** Panels one below the other, over the same x. */
export interface Chart {
  readonly title: string
  readonly subtitle: string
  readonly x: string
  readonly xScale?: "linear" | "log"
  readonly panels: ReadonlyArray<Panel>
}

const WIDTH = 960
const LEFT = 76
const RIGHT = 24
const TOP = 62
const BOTTOM = 44
const GAP = 52
const PANEL = 240

export const chart = ({ title, subtitle, x, xScale = "linear", panels }: Chart): string => {
  const xs = panels.flatMap(({ marks }) => marks.flatMap(({ points }) => points.map(([at]) => at)))
  const positive = xs.filter((value) => value > 0)
  const from = xScale === "log" ? least(positive, 1) : Math.min(0, least(xs, 0))
  const to = Math.max(most(xs), from + 1e-9)
  const scale = (xScale === "log" ? scaleLog() : scaleLinear()).domain([from, to]).range([LEFT, WIDTH - RIGHT])
  const parts: Array<string> = [text(LEFT, 26, title, "head ink"), text(LEFT, 46, subtitle, "dim")]
  let top = TOP + 22
  for (const panel of panels) {
    const height = panel.height ?? PANEL
    parts.push(draw(panel, scale, top, height))
    top += height + GAP
  }
  const bottom = top - GAP
  parts.push(text((LEFT + WIDTH - RIGHT) / 2, bottom + 36, x, "dim", "middle"))
  return document(WIDTH, bottom + BOTTOM, `${title}: ${subtitle}`, parts)
}

type Scale = ReturnType<typeof scaleLinear<number, number>>

const draw = (
  panel: Panel,
  x: Scale | ReturnType<typeof scaleLog<number, number>>,
  top: number,
  height: number,
): string => {
  const bottom = top + height
  const highest = most(panel.marks.flatMap((mark) => mark.points.map((point) => point.at(-1) ?? 0)))
  const y = scaleLinear()
    .domain([0, highest > 0 ? highest : 1])
    .nice()
    .range([bottom, top])
  const rows = y
    .ticks(5)
    .map(
      (value) =>
        `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${px(y(value))}" y2="${px(y(value))}" class="grid"/>${text(LEFT - 8, y(value) + 4, y.tickFormat(5)(value), "dim", "end")}`,
    )
  const columns = x
    .ticks(8)
    .map(
      (value) =>
        `<line x1="${px(x(value))}" x2="${px(x(value))}" y1="${bottom}" y2="${bottom + 4}" class="axis thin"/>${text(x(value), bottom + 17, x.tickFormat(8)(value), "dim", "middle")}`,
    )
  return [
    text(LEFT, top - 10, panel.title, "panel ink"),
    legend(panel.marks, top - 10),
    ...rows,
    `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${bottom}" y2="${bottom}" class="axis thin"/>`,
    ...columns,
    `<text transform="translate(16 ${px((top + bottom) / 2)}) rotate(-90)" class="dim" text-anchor="middle">${escaped(panel.y)}</text>`,
    ...panel.marks.map((mark) => drawMark(mark, x, y)),
  ].join("\n")
}

/** From the right, the last mark's name last; a mark without a name belongs to another. */
const legend = (marks: ReadonlyArray<Mark>, y: number): string => {
  const parts: Array<string> = []
  let x = WIDTH - RIGHT
  for (const mark of marks.filter(({ name }) => name !== "").reverse()) {
    const { name, colour } = mark
    x -= 6.6 * name.length
    parts.push(text(x, y, name, "dim"))
    x -= 20
    parts.push(
      mark.kind === "dots"
        ? `<circle cx="${px(x + 8)}" cy="${y - 4}" r="3" class="f${colour}"/>`
        : `<line x1="${px(x)}" x2="${px(x + 14)}" y1="${y - 4}" y2="${y - 4}" class="l${colour}${isDashed(mark) ? " dashed" : ""}"/>`,
    )
    x -= 14
  }
  return parts.join("")
}

const isDashed = (mark: Mark): boolean => "dashed" in mark && mark.dashed === true

const drawMark = (mark: Mark, x: (value: number) => number, y: (value: number) => number): string => {
  switch (mark.kind) {
    case "line":
    case "steps": {
      const way = line<Point>(
        ([at]) => x(at),
        ([, value]) => y(value),
      )
        .curve(mark.kind === "steps" ? curveStepAfter : curveLinear)
        .digits(1)
      return `<path d="${way([...mark.points]) ?? ""}" class="l${mark.colour}${isDashed(mark) ? " dashed" : ""}"/>`
    }
    case "dots":
      return `<g class="f${mark.colour}">${mark.points
        .map(([at, value]) => `<circle cx="${px(x(at))}" cy="${px(y(value))}" r="2"/>`)
        .join("")}</g>`
    case "bars":
      return `<path d="${mark.points
        .map(([at, low, high]) => `M${px(x(at))} ${px(y(low))}V${px(Math.min(y(high), y(low) - 1))}`)
        .join("")}" class="l${mark.colour}"/>`
  }
}

/** Not by spreading: there may be more points than a call takes arguments. */
const most = (values: ReadonlyArray<number>): number => values.reduce((high, value) => Math.max(high, value), 0)
const least = (values: ReadonlyArray<number>, fallback: number): number =>
  values.reduce((low, value) => Math.min(low, value), values[0] ?? fallback)
