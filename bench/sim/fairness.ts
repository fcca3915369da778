import { CONGESTION_CONTROLS, withCongestionControl } from "../../src/sim/network/congestion.ts"
import { jain, Transfer } from "../../src/sim/network/transfer.ts"
import { PERFECT } from "../../src/wire/impairment/spec.ts"

/** Two flows of one kind over one bottleneck: the second begins a second later. */
export interface Fairness {
  readonly cc: string
  readonly seconds: number
  /** Over the time in which both ran. */
  readonly index: number
  /** Mbit/s of each flow in each second. */
  readonly rates: ReadonlyArray<ReadonlyArray<number>>
}

const SECOND = 1_000_000
const LINK = 20_000_000
const DELAY = 20_000
/** One bandwidth-delay product. */
const BUFFER = (LINK * 2 * DELAY) / 8 / SECOND

export const runFairness = (quick: boolean): ReadonlyArray<Fairness> =>
  CONGESTION_CONTROLS.map((cc) => {
    const seconds = quick ? 20 : 60
    const way = { ...PERFECT, rate: LINK, delay: DELAY }
    const transfer = new Transfer({
      seed: 1,
      there: { ...way, queue: { _tag: "taildrop", packets: 0, octets: BUFFER } },
      back: way,
      mtu: 1500,
      flows: 2,
      octets: Number.POSITIVE_INFINITY,
      startEvery: SECOND,
      until: (seconds + 1) * SECOND,
      settings: withCongestionControl({}, cc) ?? {},
    })
    transfer.run()
    const totals = transfer.perSecond.map(([first = 0, second = 0]) => [first, second] as const)
    const [from, to] = [totals[0] ?? [0, 0], totals.at(-1) ?? [0, 0]]
    return {
      cc,
      seconds,
      index: jain([to[0] - from[0], to[1] - from[1]]),
      rates: totals
        .slice(1)
        .map((total, n) => total.map((octets, flow) => ((octets - (totals[n]?.[flow] ?? 0)) * 8) / SECOND)),
    }
  })
