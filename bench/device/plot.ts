import type { Measured } from "../measure.ts"

/** Octets to Gbit/s and millions of frames a second: one row of charts for each unit. */
const UNITS = [
  { title: "Gbit/s", value: (nanos: number, octets: number) => (octets * 8) / nanos },
  { title: "million frames/s", value: (nanos: number) => 1000 / nanos },
] as const
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
/** From one name to the next. */
const LEGEND = 190
const CHART = { width: 300, height: 210, left: 62, top: 74, gapX: 78, gapY: 78 }

interface Point {
  readonly x: number
  readonly y: number
}
interface Line {
  readonly name: string
  readonly points: ReadonlyArray<Point>
}

/**
 * Rates over frame sizes, both logarithmic: a chart for each thing done (write, read, ...) and unit, a line for each
 * device. An SVG document with no parts from elsewhere.
 */
export const plot = (costs: ReadonlyArray<Measured>, about: string): string => {
  const points = costs.filter(({ point }) => point !== undefined)
  const charts = distinct(points.map(({ point }) => point?.chart ?? ""))
  const names = distinct(points.map(({ point }) => point?.line ?? ""))
  const sizes = distinct(points.map(({ point }) => point?.at ?? 0)).sort((x, y) => x - y)
  const { width, height, left, top, gapX, gapY } = CHART
  const parts: Array<string> = []
  for (const [row, unit] of UNITS.entries()) {
    const lines = (chart: string): ReadonlyArray<Line> =>
      names.map((name) => ({
        name,
        points: points.flatMap(({ point, nanos }) =>
          point?.chart === chart && point.line === name ? [{ x: point.at, y: unit.value(nanos, point.at) }] : [],
        ),
      }))
    const all = charts.flatMap((chart) => lines(chart).flatMap((line) => line.points.map(({ y }) => y)))
    const range = decades(all)
    for (const [column, chart] of charts.entries()) {
      const at = { x: left + column * (width + gapX), y: top + row * (height + gapY) }
      parts.push(axes(at, `${chart}, ${unit.title}`, sizes, range), ...drawn(at, lines(chart), names, sizes, range))
    }
  }
  const whole = {
    // Wide enough for what stands above the charts, too.
    width: Math.max(left + charts.length * (width + gapX) - gapX + 24, left + names.length * LEGEND, 820),
    height: top + UNITS.length * (height + gapY) - gapY + 48,
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${whole.width} ${whole.height}" role="img" aria-label="frames and octets per second of each device, by frame and batch size" font-family="sans-serif" font-size="12">`,
    `<rect width="${whole.width}" height="${whole.height}" fill="#fff"/>`,
    text(left, 20, about, 'font-size="11" fill="#555"'),
    ...names.map((name, index) => legend(left + index * LEGEND, 42, name, colourOf(index))),
    ...parts,
    "</svg>",
    "",
  ].join("\n")
}

const distinct = <A>(values: ReadonlyArray<A>): Array<A> => [...new Set(values)]
const colourOf = (index: number): string => COLOURS[index % COLOURS.length] ?? "#000"

/** The powers of ten around some values. */
const decades = (values: ReadonlyArray<number>): readonly [number, number] => {
  const logs = values.filter((value) => value > 0).map(Math.log10)
  if (logs.length === 0) return [0, 1]
  const low = Math.floor(Math.min(...logs))
  return [low, Math.max(low + 1, Math.ceil(Math.max(...logs)))]
}

const across = (size: number, sizes: ReadonlyArray<number>): number => {
  const first = Math.log2(sizes[0] ?? 1)
  const last = Math.log2(sizes.at(-1) ?? 2)
  return ((Math.log2(size) - first) / Math.max(1, last - first)) * CHART.width
}

const up = (value: number, [low, high]: readonly [number, number]): number =>
  CHART.height - ((Math.log10(value) - low) / (high - low)) * CHART.height

const axes = (at: Point, title: string, sizes: ReadonlyArray<number>, range: readonly [number, number]): string => {
  const { width, height } = CHART
  const parts = [text(at.x, at.y - 8, title, 'font-weight="bold"')]
  for (let power = range[0]; power <= range[1]; power++) {
    const y = at.y + up(10 ** power, range)
    parts.push(
      `<line x1="${at.x}" y1="${round(y)}" x2="${at.x + width}" y2="${round(y)}" stroke="#ddd"/>`,
      text(at.x - 8, y + 4, String(Number((10 ** power).toPrecision(1))), 'text-anchor="end" fill="#555"'),
    )
  }
  for (const size of sizes) {
    const x = at.x + across(size, sizes)
    parts.push(
      `<line x1="${round(x)}" y1="${at.y}" x2="${round(x)}" y2="${at.y + height}" stroke="#eee"/>`,
      text(x, at.y + height + 18, String(size), 'text-anchor="middle" fill="#555"'),
    )
  }
  parts.push(text(at.x + width / 2, at.y + height + 36, "octets of a frame", 'text-anchor="middle" fill="#555"'))
  return parts.join("\n")
}

const drawn = (
  at: Point,
  lines: ReadonlyArray<Line>,
  names: ReadonlyArray<string>,
  sizes: ReadonlyArray<number>,
  range: readonly [number, number],
): ReadonlyArray<string> =>
  lines.flatMap(({ name, points }) => {
    const colour = colourOf(names.indexOf(name))
    const places = points.map(({ x, y }) => [round(at.x + across(x, sizes)), round(at.y + up(y, range))] as const)
    if (places.length === 0) return []
    return [
      `<polyline points="${places.map((place) => place.join(",")).join(" ")}" fill="none" stroke="${colour}" stroke-width="2"/>`,
      ...places.map(([x, y]) => `<circle cx="${x}" cy="${y}" r="3" fill="${colour}"/>`),
    ]
  })

const legend = (x: number, y: number, name: string, colour: string): string =>
  `<line x1="${x}" y1="${y - 4}" x2="${x + 22}" y2="${y - 4}" stroke="${colour}" stroke-width="3"/>${text(x + 28, y, name, "")}`

const text = (x: number, y: number, words: string, attributes: string): string =>
  `<text x="${round(x)}" y="${round(y)}" ${attributes}>${words.replace(/&/g, "&amp;").replace(/</g, "&lt;")}</text>`

const round = (n: number): number => Math.round(n * 10) / 10
