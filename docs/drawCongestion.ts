import type { CcName } from "../src/tcp/congestion/control.ts"
import { type Flow, type Path, randomLoss, run } from "../test/tcp/congestion/model.ts"

/** Draws docs/congestion.svg: `bun docs/drawCongestion.ts`. The same picture in every run; a test compares it with the file. */

const SECOND = 1_000_000
const SECONDS = 30
const MSS = 1000
/** 10 Mbit/s, 40 ms: 50 segments; the queue holds as many. */
const RATE = 1_250_000
const RTT = 40_000
const BDP = (RATE * RTT) / SECOND / MSS
const QUEUE = BDP

const PATHS: ReadonlyArray<{ readonly title: string; readonly loses: () => Path["loses"] }> = [
  { title: "No loss but at the queue", loses: () => () => false },
  { title: "1 % of all segments lost at random", loses: () => randomLoss(0.01, 11) },
]

const ALGORITHMS: ReadonlyArray<readonly [name: CcName, title: string]> = [
  ["reno", "Reno"],
  ["cubic", "CUBIC"],
  ["bbr", "BBR"],
]

/** The window in segments, at even distances in time. */
interface Course {
  readonly windows: ReadonlyArray<number>
  readonly flow: Flow
}

const STEP = SECOND / 12

const courseOf = (algorithm: CcName, loses: Path["loses"]): Course => {
  const windows: Array<number> = []
  const path: Path = { rate: RATE, queue: QUEUE * MSS, loses, mss: MSS }
  const look = ({ cc }: Flow, now: number): void => {
    while (windows.length * STEP <= now) windows.push(cc.cwnd / MSS)
  }
  const [flow] = run(path, [{ algorithm, rtt: RTT, startsAt: 0, iss: 2 }], SECONDS * SECOND, look)
  if (flow === undefined) throw new Error("no flow")
  return { windows, flow }
}

const WIDTH = 1080
const PANEL = { width: 456, height: 132, left: 64, top: 96, gapX: 64, gapY: 64 }
const HEIGHT = PANEL.top + 3 * PANEL.height + 2 * PANEL.gapY + 76
/** Segments at the top of a panel. */
const MOST = 200

const COLOURS = {
  light: { paper: "#ffffff", ink: "#1f2328", dim: "#59636e", line: "#d1d9e0", queue: "#ddf4ff", cwnd: "#0969da" },
  dark: { paper: "#0d1117", ink: "#e6edf3", dim: "#9198a1", line: "#3d444d", queue: "#0c2d4f", cwnd: "#4493f8" },
} as const

const rules = (c: (typeof COLOURS)["light" | "dark"]): string =>
  [
    `.paper{fill:${c.paper};stroke:${c.line}}.ink{fill:${c.ink}}.dim{fill:${c.dim}}.line{stroke:${c.line}}`,
    `.queue{fill:${c.queue}}.cwnd{fill:none;stroke:${c.cwnd};stroke-width:1.6;stroke-linejoin:round}`,
  ].join("")

const STYLE = [
  "text{font:13px -apple-system,'Segoe UI','Helvetica Neue',Helvetica,Arial,sans-serif}",
  "text.head{font-weight:600;font-size:16px}text.word{font-weight:600;font-size:14px}",
  rules(COLOURS.light),
  `@media (prefers-color-scheme:dark){${rules(COLOURS.dark)}}`,
].join("")

const text = (x: number, y: number, words: string, look: string, anchor = "start"): string =>
  `<text x="${x}" y="${y}" class="${look}" text-anchor="${anchor}">${words}</text>`

const line = (x1: number, y1: number, x2: number, y2: number): string =>
  `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" class="line"/>`

const rounded = (value: number): number => Math.round(value * 10) / 10

const panel = (column: number, row: number, title: string, { windows, flow }: Course): string => {
  const { width, height } = PANEL
  const left = PANEL.left + column * (width + PANEL.gapX)
  const top = PANEL.top + row * (height + PANEL.gapY)
  const y = (segments: number): number => rounded(top + height * (1 - Math.min(segments, MOST) / MOST))
  const x = (at: number): number => rounded(left + (width * at * STEP) / (SECONDS * SECOND))
  const way = windows.map((cwnd, n) => `${n === 0 ? "M" : "L"}${x(n)} ${y(cwnd)}`).join("")
  const filled = Math.round((100 * flow.acked * MSS) / SECONDS / RATE)
  const trip = Math.round(flow.rttSum / flow.acked / 1000)
  return [
    text(left, top - 12, title, "word ink"),
    text(left + width, top - 12, `fills ${filled} % · mean round trip ${trip} ms · ${flow.lost} lost`, "dim", "end"),
    `<rect x="${left}" y="${y(BDP + QUEUE)}" width="${width}" height="${rounded(y(BDP) - y(BDP + QUEUE))}" class="queue"/>`,
    line(left, top + height, left + width, top + height),
    ...[0, 50, 100, 150, 200].flatMap((segments) => [
      line(left - 5, y(segments), left, y(segments)),
      text(left - 9, y(segments) + 4, `${segments}`, "dim", "end"),
    ]),
    ...[0, 10, 20, 30].flatMap((second) => {
      const at = rounded(left + (width * second) / SECONDS)
      return [line(at, top + height, at, top + height + 5), text(at, top + height + 19, `${second} s`, "dim", "middle")]
    }),
    `<path d="${way}" class="cwnd"/>`,
  ].join("\n")
}

export const drawCongestion = (): string =>
  [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-label="The congestion window of Reno, CUBIC and BBR over thirty seconds, without random loss and with one per cent of it">`,
    `<style>${STYLE}</style>`,
    `<rect x="0.75" y="0.75" width="${WIDTH - 1.5}" height="${HEIGHT - 1.5}" rx="10" class="paper"/>`,
    ...PATHS.map(({ title }, column) => text(PANEL.left + column * (PANEL.width + PANEL.gapX), 42, title, "head ink")),
    ...PATHS.flatMap(({ loses }, column) =>
      ALGORITHMS.map(([name, title], row) => panel(column, row, title, courseOf(name, loses()))),
    ),
    text(
      PANEL.left,
      HEIGHT - 24,
      "The congestion window in segments, 10 Mbit/s, 40 ms. In the band the queue fills, above it overflows; BBR's window only bounds what its pace sends.",
      "dim",
    ),
    "</svg>",
    "",
  ].join("\n")

if (import.meta.main) await Bun.write(`${import.meta.dir}/congestion.svg`, drawCongestion())
