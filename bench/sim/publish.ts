/**
 * Writes docs/throughput.md and its pictures: `bun bench/sim/publish.ts [--quick]`. All numbers are of
 * virtual time and the same in every run, except how fast that time went.
 */
import { parseArgs } from "node:util"
import { chart, type Mark } from "../../src/cli/plot/chart.ts"
import { heatMap } from "../../src/cli/plot/heatMap.ts"
import { progressDone } from "../progress.ts"
import { type Cell, FULL_GRID, LINK, QUICK_GRID } from "./grid.ts"
import { runSim, type SimResults } from "./sections.ts"
import { LOSS, quantile } from "./tail.ts"

const MEGA = 1_000_000
const DOCS = new URL("../../docs/", import.meta.url).pathname

const percent = (share: number): string => `${Number((100 * share).toPrecision(2))} %`
const mega = (rate: number | undefined): string =>
  rate === undefined ? "-" : Number((rate / MEGA).toPrecision(3)).toString()

const unique = <T>(values: ReadonlyArray<T>): ReadonlyArray<T> => [...new Set(values)]

const drawGrid = (cells: ReadonlyArray<Cell>): string => {
  const losses = unique(cells.map(({ loss }) => loss))
  const rtts = unique(cells.map(({ rtt }) => rtt))
  const groups = unique(cells.map(({ cc, bdp }) => `${cc}, buffer of ${bdp} BDP`))
  return heatMap({
    title: "Goodput at 100 Mbit/s",
    subtitle: "one flow; Mbit/s, darker is more",
    x: "random loss of data frames",
    y: "round trip",
    columns: losses.map(percent),
    groups: groups.map((title) => ({
      title,
      rows: rtts.map((rtt) => `${rtt / 1000} ms`),
      cells: rtts.map((rtt) =>
        losses.map((loss) => {
          const cell = cells.find(
            (one) => one.rtt === rtt && one.loss === loss && `${one.cc}, buffer of ${one.bdp} BDP` === title,
          )
          return { share: (cell?.goodput ?? 0) / LINK, words: mega(cell?.goodput) }
        }),
      ),
    })),
  })
}

const drawFairness = ({ fairness }: SimResults): string =>
  chart({
    title: "Two flows at one bottleneck",
    subtitle: "20 Mbit/s, RTT 40 ms, buffer of one BDP; the second begins a second later",
    x: "virtual time, s",
    panels: fairness.map(({ cc, index, rates }) => ({
      title: `${cc}: Jain's index ${index.toFixed(3)}`,
      y: "Mbit/s",
      height: 180,
      marks: [0, 1].map(
        (flow): Mark => ({
          kind: "line",
          name: flow === 0 ? "first" : "second",
          colour: flow,
          points: rates.map((both, second) => [second + 1.5, (both[flow] ?? 0) / MEGA]),
        }),
      ),
    })),
  })

const drawTail = ({ tail }: SimResults): string =>
  chart({
    title: "Short transfers that lose frames",
    subtitle: `20 segments, 20 Mbit/s, RTT 40 ms, ${percent(LOSS)} of data frames lost; ${tail[0]?.times.length ?? 0} seeds, the same for each`,
    x: "done within, ms",
    xScale: "log",
    panels: [
      {
        title: "Completion times",
        y: "per cent of the transfers",
        height: 300,
        marks: tail.map(
          ({ recovery, times }, n): Mark => ({
            kind: "steps",
            name: recovery,
            colour: n,
            points: times.map((time, index) => [time, (100 * (index + 1)) / times.length]),
          }),
        ),
      },
    ],
  })

const gridTable = (cells: ReadonlyArray<Cell>): string =>
  [
    "| control | loss | RTT, ms | buffer, BDP | Mbit/s | expected | retransmits | RTO |",
    "|---|--:|--:|--:|--:|--:|--:|--:|",
    ...cells.map(
      ({ cc, loss, rtt, bdp, goodput, expected, retransmits, timeouts }) =>
        `| ${[cc, percent(loss), rtt / 1000, bdp, mega(goodput), mega(expected), retransmits, timeouts].join(" | ")} |`,
    ),
  ].join("\n")

const page = (results: SimResults): string => {
  const { quick, cells, fairness, tail, idle } = results
  const { duration } = quick ? QUICK_GRID : FULL_GRID
  return `# Throughput on a simulated network

Written by \`bun bench/sim/publish.ts${quick ? " --quick" : ""}\`; \`bun run bench sim\` prints the same. Virtual time and seeds make every number but the speed the same on every machine.

## Loss, round trip and buffer

One flow for ${duration / MEGA} s at 100 Mbit/s, drop-tail. "expected" is the response function of RFC 9438 section 5.1: for Reno a window of sqrt(1.5 / p) segments, for CUBIC the larger of that and its cubic region's 1.05 (RTT / p)^0.75, never above the link. It knows no slow start and no delay in the queue, so short runs and short round trips may be above it, long ones that begin slowly below.

![Goodput by loss and round trip](throughput.svg)

${gridTable(cells)}

## Two flows share a bottleneck

${fairness.map(({ cc, seconds, index }) => `- ${cc}: Jain's index ${index.toFixed(4)} over ${seconds} s`).join("\n")}

![The rates of both flows](fairness.svg)

## Short transfers that lose frames

Each transfer is 20 segments; where the last of them is lost, no duplicate ACK can tell.

${tail.map(({ recovery, times }) => `- ${recovery}: half within ${Math.round(quantile(times, 0.5))} ms, 90 % within ${Math.round(quantile(times, 0.9))} ms, 99 % within ${Math.round(quantile(times, 0.99))} ms`).join("\n")}

![How long short transfers take](tailLoss.svg)

## Speed

On the machine that wrote this page: a bulk transfer ran between ${Number(Math.min(...cells.map(({ speed }) => speed)).toPrecision(2))} and ${Math.round(Math.max(...cells.map(({ speed }) => speed))).toLocaleString("en-US")} times as fast as real time, a day of ${idle.hosts} hosts that say a word a minute ${Math.round(idle.speed).toLocaleString("en-US")} times.
`
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { quick: { type: "boolean", default: false } } })
  const results = runSim(values.quick)
  progressDone()
  await Bun.write(`${DOCS}throughput.svg`, drawGrid(results.cells))
  await Bun.write(`${DOCS}fairness.svg`, drawFairness(results))
  await Bun.write(`${DOCS}tailLoss.svg`, drawTail(results))
  await Bun.write(`${DOCS}throughput.md`, page(results))
  Bun.spawnSync([process.execPath, "x", "biome", "format", "--write", `${DOCS}throughput.md`], { stderr: "inherit" })
}
