import type { Arguments } from "../arguments.ts"
import { type Case, FULL, measure, QUICK } from "../measure.ts"
import { progress } from "../progress.ts"
import type { Goal, Section } from "../report.ts"
import { codecCases } from "./codec.ts"
import { hostCases } from "./host.ts"
import { IN_ORDER, reducerCases } from "./reducer.ts"

export const REDUCERS = "Reducers"
export const HOST = "Host and transmit path"

const METHOD =
  "processor time of one thread, in memory; the cases take turns (A B C A B C), so each shares the compiler and the noise"

/** What the pure core alone should reach on one core. */
const IN_ORDER_SEGMENTS = 5_000_000

const goals = ({ costs = [] }: Section): ReadonlyArray<Goal> =>
  costs
    .filter(({ name }) => name === IN_ORDER)
    .map(({ nanos }) => ({
      what: "in-order segments through the reducers of one core",
      unit: "segments/s",
      goal: IN_ORDER_SEGMENTS,
      measured: 1e9 / nanos,
      better: "more",
    }))

export const microSections = ({ quick, only }: Arguments): ReadonlyArray<Section> => {
  const section = (title: string, method: string, cases: ReadonlyArray<Case>): ReadonlyArray<Section> => {
    const chosen = cases.filter(({ name }) => name.includes(only))
    return chosen.length === 0 ? [] : [{ title, method, costs: measure(chosen, quick ? QUICK : FULL, progress) }]
  }
  return [
    ...section("Codecs", `src/wire; decode: Ethernet, IPv4 and TCP with checksums; ${METHOD}.`, codecCases()),
    ...section(REDUCERS, `src/tcp alone, segments made beforehand; ${METHOD}.`, reducerCases()).map(
      (reducers): Section => ({ ...reducers, goals: goals(reducers) }),
    ),
    ...section(HOST, `src/host and src/host/encode.ts, frames made beforehand; ${METHOD}.`, hostCases()),
  ]
}
