import { known } from "../../src/sim/network/congestion.ts"
import { Transfer } from "../../src/sim/network/transfer.ts"
import type { TcpSettings } from "../../src/tcp/settings.ts"
import { PERFECT } from "../../src/wire/impairment/spec.ts"

/** How long short transfers took whose frames were lost by the same seeds. */
export interface Tail {
  readonly recovery: string
  /** Milliseconds from the SYN to the last octet, sorted. */
  readonly times: ReadonlyArray<number>
}

interface Recovery {
  readonly name: string
  readonly settings: Partial<TcpSettings>
}

/**
 * RACK-TLP (RFC 8985) against its absence, with Linux's names. A stack without these settings has one way
 * of recovery only, and is measured with that.
 */
const RECOVERIES: ReadonlyArray<Recovery> = [
  { name: "RACK-TLP", settings: known({ tcpRecovery: 1, tcpEarlyRetrans: 3 }) },
  { name: "without it", settings: known({ tcpRecovery: 0, tcpEarlyRetrans: 0, tcpSack: false }) },
]

const recoveries = (): ReadonlyArray<Recovery> => {
  const differing = RECOVERIES.filter(({ settings }) => "tcpRecovery" in settings)
  return differing.length === RECOVERIES.length ? differing : [{ name: "NewReno", settings: {} }]
}

const SEGMENTS = 20
const OCTETS = SEGMENTS * 1448
/** Of data frames, at random: a channel whose bursts last for so many frames would also hold up lone retransmissions. */
export const LOSS = 0.05

export const runTail = (quick: boolean): ReadonlyArray<Tail> => {
  const seeds = Array.from({ length: quick ? 100 : 1000 }, (_, seed) => seed + 1)
  return recoveries().map(({ name, settings }) => ({
    recovery: name,
    times: seeds.map((seed) => duration(seed, settings)).sort((x, y) => x - y),
  }))
}

const duration = (seed: number, settings: Partial<TcpSettings>): number => {
  const way = { ...PERFECT, rate: 20_000_000, delay: 20_000 }
  const transfer = new Transfer({
    seed,
    there: { ...way, loss: LOSS },
    back: way,
    mtu: 1500,
    flows: 1,
    octets: OCTETS,
    startEvery: 0,
    until: Number.POSITIVE_INFINITY,
    settings,
  })
  const [flow] = transfer.run().flows
  return (flow?.duration ?? 0) / 1000
}

/** The value below which a share of the sorted ones lies. */
export const quantile = (sorted: ReadonlyArray<number>, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
