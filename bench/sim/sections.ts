import type { Arguments } from "../arguments.ts"
import type { Rate, Section } from "../report.ts"
import { type Fairness, runFairness } from "./fairness.ts"
import { type Cell, FULL_GRID, QUICK_GRID, runGrid } from "./grid.ts"
import { idle } from "./idle.ts"
import { LOSS, quantile, runTail, type Tail } from "./tail.ts"

export interface SimResults {
  readonly quick: boolean
  readonly cells: ReadonlyArray<Cell>
  readonly fairness: ReadonlyArray<Fairness>
  readonly tail: ReadonlyArray<Tail>
  readonly idle: ReturnType<typeof idle>
}

export const runSim = (quick: boolean): SimResults => ({
  quick,
  cells: runGrid(quick ? QUICK_GRID : FULL_GRID),
  fairness: runFairness(quick),
  tail: runTail(quick),
  idle: idle(),
})

export const simSections = ({ quick }: Pick<Arguments, "quick">): ReadonlyArray<Section> => sectionsOf(runSim(quick))

const MEGA = 1_000_000

const sectionsOf = ({ quick, cells, fairness, tail, idle: silence }: SimResults): ReadonlyArray<Section> => [
  {
    title: "Throughput in virtual time",
    method: `One flow at 100 Mbit/s for ${(quick ? QUICK_GRID : FULL_GRID).duration / MEGA} s, drop-tail buffer; base: the algorithm's response function (RFC 9438 section 5.1), which knows no start and no queue. The same in every run.`,
    rates: cells.map(({ cc, loss, rtt, bdp, goodput, expected }) => ({
      ...one(`loss ${100 * loss}%, RTT ${rtt / 1000} ms, ${bdp} BDP`, cc, "Mbit/s", goodput / MEGA),
      ratio: expected === undefined ? undefined : goodput / expected,
    })),
  },
  {
    title: "Two flows at one bottleneck",
    method: "20 Mbit/s, RTT 40 ms, buffer of one BDP; Jain's index of what both got while both ran.",
    rates: fairness.map(({ cc, seconds, index }) => one(`Jain's index over ${seconds} s`, cc, "", index)),
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
