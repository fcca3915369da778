/**
 * Writes docs/throughput.md and its pictures: `bun bench/sim/publish.ts [--quick] [--seconds N] [--keep FILE]`,
 * N virtual seconds for each run of the grid. All numbers are of virtual time and the same in every run,
 * except how fast that time went. What is in FILE already, of a run that was interrupted, is taken from there.
 * What Linux does is taken from the kept report of `bun run bench wire`.
 */
import { parseArgs } from "node:util"
import { chart, type Mark } from "../../src/cli/plot/chart.ts"
import { heatMap } from "../../src/cli/plot/heatMap.ts"
import { progressDone } from "../progress.ts"
import type { Report } from "../report.ts"
import { isKept, loadReport } from "../results.ts"
import { TITLE } from "../wire/sections.ts"
import { type Cell, LINK } from "./grid.ts"
import { keptIn } from "./kept.ts"
import { runSim, type SimResults } from "./sections.ts"
import { LOSS, quantile } from "./tail.ts"

const MEGA = 1_000_000
const WIRE_REPORT = "0.1.0-wire"
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

/** The queue of the picture; the page's table has the others. */
const DRAWN_BDP = 1

const drawFairness = ({ fairness }: SimResults): string =>
  chart({
    title: "Two flows at one bottleneck",
    subtitle: "20 Mbit/s, RTT 40 ms, buffer of one BDP; the second begins a second later",
    x: "virtual time, s",
    panels: fairness
      .filter(({ bdp }) => bdp === DRAWN_BDP)
      .map(({ cc, index, rates }) => ({
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

const fairnessTable = (fairness: SimResults["fairness"]): string =>
  [
    "| control | buffer, BDP | Jain's index | both, Mbit/s |",
    "|---|--:|--:|--:|",
    ...fairness.map(({ cc, bdp, index, goodput }) => `| ${[cc, bdp, index.toFixed(4), mega(goodput)].join(" | ")} |`),
  ].join("\n")

const responseTable = (response: SimResults["response"]): string =>
  [
    "| control | seeds | mean, Mbit/s | lowest and highest seed | expected | mean / expected |",
    "|---|--:|--:|--:|--:|--:|",
    ...response.map(
      ({ cc, seeds, mean, low, high, expected }) =>
        `| ${[cc, seeds, mega(mean), `${mega(low)} to ${mega(high)}`, mega(expected), expected === undefined ? "-" : (mean / expected).toFixed(2)].join(" | ")} |`,
    ),
  ].join("\n")

/** What `bun run bench wire --save` kept: real time, so that it is not measured anew for the page. */
const wireText = (report: Report | undefined): string => {
  const section = report?.sections.find(({ title }) => title === TITLE)
  const rates = section?.rates ?? []
  const late = rates.find(({ unit }) => unit === "us")
  if (report === undefined || section === undefined || late === undefined) return ""
  const rows = rates.filter(({ unit }) => unit !== "us")
  return `## Beside Linux

Linux ${report.machine.kernel}'s own sender and ours over one wire, in real time (\`bun run bench wire\`). ${section.method} Here the wire handed frames over ${Math.round(late.median)} us late in the mean, which both see as a longer round trip, and what it takes from their rates virtual time does not have.

| sender | seeds | median, Mbit/s | 10th to 90th percentile | median / expected |
|---|--:|--:|--:|--:|
${rows
  .map(
    ({ by, samples, median, low, high, ratio }) =>
      `| ${[by, samples, figure(median), `${figure(low)} to ${figure(high)}`, ratio?.toFixed(2) ?? "-"].join(" | ")} |`,
  )
  .join("\n")}

`
}

const figure = (value: number): string => Number(value.toPrecision(3)).toString()

const page = (results: SimResults, wire: Report | undefined, command: string): string => {
  const { grid, response, cells, fairness, tail, gigabit, idle, took } = results
  const { duration } = grid
  return `# Throughput on a simulated network

Senders and receivers here are the whole stack, the network between them is simulated, and time is virtual. Seeds decide all chance: every number on this page, but for those on speed, comes out the same on every machine.

    ${command}   # writes this page and its pictures
    bun run bench sim                # prints the numbers, with 60 s for each run of the grid
    bun run bench sim --quick        # some of them, in a minute or two

One run of the grid by itself, with its graphs:

    netfold simulate --rate 100mbit --delay 10ms --loss 0.1% --cc cubic --duration 60s --svg run.svg

## What theory expects, and what comes out

A window-based flow that loses segments at a rate p has a mean window that theory gives (RFC 9438 sections 4.3 and 5.1; \`src/tcp/congestion/response.ts\`): Reno sqrt(1.5 / p) segments, CUBIC the larger of 1.05 (RTT / p)^0.75 and what its Reno-friendly region gives. Linux's CUBIC follows the same function. At 100 Mbit/s, a round trip of 20 ms and 0.1 % of random loss, one flow for ${response[0]?.seconds ?? 0} s:

${responseTable(response)}

The functions suppose losses at even distances. Independent ones often fall into one round trip, which then counts as one, so that a flow gets a fifth more or so. The first seconds of slow start, which nothing has stopped yet, are in the mean too. BBR does not answer to single losses, and has no such function.

${wireText(wire)}## Loss, round trip and buffer

One flow for ${duration / MEGA} s at 100 Mbit/s, drop-tail; buffers in bandwidth-delay products, of 16 frames at least. "expected" is the response function, never above the link. It knows neither slow start nor the queue's delay nor time-outs: at 300 ms a run of ${duration / MEGA} s is ${Math.round(duration / 300_000)} round trips, of which slow start takes the first and best; at 10 % of loss windows are so small that some losses of retransmissions cost a time-out, 200 ms at least.

![Goodput by loss and round trip](throughput.svg)

${gridTable(cells)}

## Two flows share a bottleneck

20 Mbit/s and a round trip of 40 ms without the queue, drop-tail; the second flow begins a second after the first. Jain's index is of what both got in the ${fairness[0]?.seconds ?? 0} s after that: 1 is even, 0.5 is all for one.

${fairnessTable(fairness)}

![The rates of both flows](fairness.svg)

## Short transfers that lose frames

Each transfer is 20 segments; where the last of them is lost, no duplicate ACK can tell. "RTO only" has neither SACK nor fast retransmit: whatever is lost waits for the timer.

${tail.map(({ recovery, times, timeouts }) => `- ${recovery}: ${timeouts} time-outs in ${times.length} transfers; half within ${Math.round(quantile(times, 0.5))} ms, 90 % within ${Math.round(quantile(times, 0.9))} ms, 99 % within ${Math.round(quantile(times, 0.99))} ms`).join("\n")}

![How long short transfers take](tailLoss.svg)

## Speed

On the machine that wrote this page, busy with other things: a flow that fills 1 Gbit/s ran at ${gigabit.map(({ coalesce, speed, cost }) => `${Number(speed.toPrecision(2))} times as fast as real time where interfaces keep frames for ${coalesce} us (${Number(cost.toPrecision(2))} us of CPU time for a segment with all that it causes, at both ends)`).join(", ")}; a bulk transfer ran between ${Number(Math.min(...cells.map(({ speed }) => speed)).toPrecision(2))} and ${Math.round(Math.max(...cells.map(({ speed }) => speed))).toLocaleString("en-US")} times as fast as real time, a day of ${idle.hosts} hosts that say a word a minute ${Math.round(idle.speed).toLocaleString("en-US")} times. All of this page took ${Math.round(took / 60)} minutes.
`
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { quick: { type: "boolean", default: false }, seconds: { type: "string" }, keep: { type: "string" } },
  })
  const { quick, seconds, keep } = values
  if (seconds !== undefined && !(Number(seconds) > 0)) throw new Error(`--seconds "${seconds}": a number above 0`)
  const words = [...(quick ? ["--quick"] : []), ...(seconds === undefined ? [] : ["--seconds", seconds])]
  const results = runSim(quick, seconds === undefined ? undefined : Number(seconds), keptIn(keep))
  progressDone()
  const wire = isKept(WIRE_REPORT) ? await loadReport(WIRE_REPORT) : undefined
  await Bun.write(`${DOCS}throughput.svg`, drawGrid(results.cells))
  await Bun.write(`${DOCS}fairness.svg`, drawFairness(results))
  await Bun.write(`${DOCS}tailLoss.svg`, drawTail(results))
  await Bun.write(`${DOCS}throughput.md`, page(results, wire, ["bun bench/sim/publish.ts", ...words].join(" ")))
  Bun.spawnSync([process.execPath, "x", "biome", "format", "--write", `${DOCS}throughput.md`], { stderr: "inherit" })
}
