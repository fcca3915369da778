import type { Arguments } from "../arguments.ts"
import type { Rate, Section } from "../report.ts"
import { type Fairness, runFairness } from "./fairness.ts"
import { type Gigabit, runGigabit } from "./gigabit.ts"
import { type Cell, FULL_GRID, type GridSpec, QUICK_GRID, runGrid } from "./grid.ts"
import { idle } from "./idle.ts"
import { type Kept, keptIn } from "./kept.ts"
import { type Response, runResponse } from "./response.ts"
import { LOSS, quantile, runTail, type Tail } from "./tail.ts"

export interface SimResults {
  readonly grid: GridSpec
  readonly response: ReadonlyArray<Response>
  readonly cells: ReadonlyArray<Cell>
  readonly fairness: ReadonlyArray<Fairness>
  readonly tail: ReadonlyArray<Tail>
  readonly gigabit: ReadonlyArray<Gigabit>
  readonly idle: ReturnType<typeof idle>
  /** Wall-clock seconds that all of it took. */
  readonly took: number
}

/** `seconds`: virtual ones of each run of the grid, where it is not the usual number. */
export const runSim = (quick: boolean, seconds?: number, kept: Kept = keptIn()): SimResults => {
  const effort = quick ? "quick" : "full"
  const usual = quick ? QUICK_GRID : FULL_GRID
  const grid = seconds === undefined ? usual : { ...usual, duration: seconds * MEGA }
  return {
    grid,
    response: kept.recall(`response, ${effort}`, () => runResponse(quick)),
    cells: runGrid(grid, kept),
    fairness: kept.recall(`fairness, ${effort}`, () => runFairness(quick)),
    tail: kept.recall(`tail, ${effort}`, () => runTail(quick)),
    gigabit: kept.recall(`gigabit, ${effort}`, () => runGigabit(quick)),
    idle: kept.recall("idle", idle),
    took: kept.seconds(),
  }
}

export const simSections = ({ quick }: Pick<Arguments, "quick">): ReadonlyArray<Section> => sectionsOf(runSim(quick))

const MEGA = 1_000_000

const sectionsOf = ({
  grid,
  response,
  cells,
  fairness,
  tail,
  gigabit,
  idle: silence,
}: SimResults): ReadonlyArray<Section> => [
  {
    title: "Throughput in virtual time",
    method: `One flow at 100 Mbit/s for ${grid.duration / MEGA} s, drop-tail buffer; base: the algorithm's response function (RFC 9438 section 5.1), which knows no start and no queue. The same in every run.`,
    rates: cells.map(({ cc, loss, rtt, bdp, goodput, expected }) => ({
      ...one(`loss ${100 * loss}%, RTT ${rtt / 1000} ms, ${bdp} BDP`, cc, "Mbit/s", goodput / MEGA),
      ratio: expected === undefined ? undefined : goodput / expected,
    })),
  },
  {
    title: "Throughput and its response function",
    method: "100 Mbit/s, RTT 20 ms, 0.1% loss: the mean of several seeds; base: RFC 9438 section 5.1.",
    rates: response.map(({ cc, seconds, seeds, mean, low, high, expected }) => ({
      ...one(`${seconds} s, ${seeds} seeds`, cc, "Mbit/s", mean / MEGA),
      low: low / MEGA,
      high: high / MEGA,
      samples: seeds,
      ratio: expected === undefined ? undefined : mean / expected,
    })),
  },
  {
    title: "Two flows at one bottleneck",
    method: "20 Mbit/s, RTT 40 ms; Jain's index of what both got while both ran.",
    rates: fairness.map(({ cc, bdp, seconds, index }) =>
      one(`Jain's index over ${seconds} s, buffer of ${bdp} BDP`, cc, "", index),
    ),
  },
  {
    title: "Short transfers that lose frames",
    method: `20 segments at 20 Mbit/s, RTT 40 ms, ${100 * LOSS}% of data frames lost; ${tail[0]?.times.length ?? 0} seeds, the same for each.`,
    rates: tail.flatMap(({ recovery, times }) =>
      [0.5, 0.9, 0.99].map((share) => one(`${100 * share}% are done within`, recovery, "ms", quantile(times, share))),
    ),
  },
  {
    title: "Speed of virtual time",
    method: "Virtual over real time, one core, on this machine as busy as it was.",
    rates: [
      one("the grid's slowest run", "netfold", "times", Math.min(...cells.map(({ speed }) => speed))),
      one("the grid's fastest run", "netfold", "times", Math.max(...cells.map(({ speed }) => speed))),
      ...gigabit.flatMap(({ coalesce, speed, cost }) => [
        one(`1 Gbit/s, frames kept for ${coalesce} us`, "netfold", "times", speed),
        one(`1 Gbit/s, frames kept for ${coalesce} us: CPU time`, "netfold", "us a segment", cost),
      ]),
      one(`${silence.hosts} hosts that say a word every ${silence.every / MEGA} s`, "netfold", "times", silence.speed),
    ],
  },
]

const one = (job: string, by: string, unit: string, value: number): Rate => ({
  job,
  by,
  unit,
  median: value,
  low: value,
  high: value,
  samples: 1,
  ratio: undefined,
})
