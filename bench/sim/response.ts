import type { CcName } from "../../src/tcp/congestion/control.ts"
import { ALGORITHMS } from "../../src/tcp/congestion/registry.ts"
import { progress } from "../progress.ts"
import { cellTransfer, expected } from "./grid.ts"

/** A congestion control at 0.1 % loss and 20 ms, beside its response function. Bits per second. */
export interface Response {
  readonly cc: CcName
  readonly seconds: number
  readonly seeds: number
  readonly mean: number
  readonly low: number
  readonly high: number
  readonly expected: number | undefined
}

const LOSS = 0.001
const RTT = 20_000
const SECOND = 1_000_000

export const runResponse = (quick: boolean): ReadonlyArray<Response> =>
  ALGORITHMS.map((cc, index, all) => {
    progress(index, all.length, `response function, ${cc}`)
    return measureResponse(cc, quick ? 10 : 30, quick || cc === "bbr" ? 3 : 5)
  })

export const measureResponse = (cc: CcName, seconds: number, seeds: number): Response => {
  const rates = Array.from(
    { length: seeds },
    (_, n) => cellTransfer({ cc, bdp: 1, rtt: RTT, loss: LOSS }, seconds * SECOND, n + 1).run().goodput,
  )
  return {
    cc,
    seconds,
    seeds,
    mean: rates.reduce((sum, rate) => sum + rate, 0) / seeds,
    low: Math.min(...rates),
    high: Math.max(...rates),
    expected: expected(cc, LOSS, RTT),
  }
}
