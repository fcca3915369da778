import { jain, Transfer } from "../../src/sim/network/transfer.ts"
import type { CcName } from "../../src/tcp/congestion/control.ts"
import { ALGORITHMS } from "../../src/tcp/congestion/registry.ts"
import { PERFECT } from "../../src/wire/impairment/spec.ts"
import { progress } from "../progress.ts"

/** Two flows of one kind over one bottleneck: the second begins a second later. */
export interface Fairness {
  readonly cc: CcName
  /** The queue in bandwidth-delay products. */
  readonly bdp: number
  readonly seconds: number
  /** Over the time in which both ran. */
  readonly index: number
  /** Bits per second of both together in that time. */
  readonly goodput: number
  /** Bits per second of each flow in each second. */
  readonly rates: ReadonlyArray<ReadonlyArray<number>>
}

const SECOND = 1_000_000
const LINK = 20_000_000
const DELAY = 20_000
/** Octets that the path holds. */
const PRODUCT = (LINK * 2 * DELAY) / 8 / SECOND

export const runFairness = (quick: boolean): ReadonlyArray<Fairness> => {
  const asked = ALGORITHMS.flatMap((cc) => (quick ? [1] : [0.5, 1, 2, 4]).map((bdp) => ({ cc, bdp })))
  return asked.map(({ cc, bdp }, index) => {
    progress(index, asked.length, `two flows of ${cc}`)
    return shareBottleneck(cc, bdp, quick ? 20 : 60)
  })
}

export const shareBottleneck = (cc: CcName, bdp: number, seconds: number, seed = 1): Fairness => {
  const way = { ...PERFECT, rate: LINK, delay: DELAY }
  const transfer = new Transfer({
    seed,
    there: { ...way, queue: { _tag: "taildrop", packets: 0, octets: bdp * PRODUCT } },
    back: way,
    mtu: 1500,
    flows: 2,
    octets: Number.POSITIVE_INFINITY,
    startEvery: SECOND,
    until: (seconds + 1) * SECOND,
    settings: { tcpCongestionControl: cc },
  })
  transfer.run()
  const totals = transfer.perSecond.map(([first = 0, second = 0]) => [first, second] as const)
  const [from, to] = [totals[0] ?? [0, 0], totals.at(-1) ?? [0, 0]]
  const got = [to[0] - from[0], to[1] - from[1]] as const
  return {
    cc,
    bdp,
    seconds,
    index: jain(got),
    goodput: ((got[0] + got[1]) * 8) / seconds,
    rates: totals.slice(1).map((total, n) => total.map((octets, flow) => (octets - (totals[n]?.[flow] ?? 0)) * 8)),
  }
}
