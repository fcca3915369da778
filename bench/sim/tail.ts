import { Transfer } from "../../src/sim/network/transfer.ts"
import type { TcpSettings } from "../../src/tcp/settings.ts"
import { PERFECT } from "../../src/wire/impairment/spec.ts"
import { progress } from "../progress.ts"

/** How long short transfers took whose frames were lost by the same seeds. */
export interface Tail {
  readonly recovery: string
  /** Milliseconds from the SYN to the last octet, sorted. */
  readonly times: ReadonlyArray<number>
  /** Of all transfers together. */
  readonly timeouts: number
}

interface Recovery {
  readonly name: string
  readonly settings: Partial<TcpSettings>
}

/** No duplicate ACK begins a recovery: a transfer has fewer segments than this. */
const NEVER = 300

/** RACK-TLP (RFC 8985), what was before it, and time-outs only. */
const RECOVERIES: ReadonlyArray<Recovery> = [
  { name: "RACK-TLP", settings: {} },
  { name: "SACK without RACK-TLP (RFC 6675)", settings: { tcpRecovery: 0, tcpEarlyRetrans: 0 } },
  {
    name: "RTO only",
    settings: {
      tcpSack: false,
      tcpRecovery: 0,
      tcpEarlyRetrans: 0,
      tcpReordering: NEVER,
      tcpMaxReordering: NEVER,
    },
  },
]

const SEGMENTS = 20
const OCTETS = SEGMENTS * 1448
/** Of data frames, at random: a channel whose bursts last for so many frames would also hold up lone retransmissions. */
export const LOSS = 0.05

export const runTail = (quick: boolean): ReadonlyArray<Tail> => {
  const seeds = Array.from({ length: quick ? 100 : 1000 }, (_, seed) => seed + 1)
  return RECOVERIES.map(({ name, settings }, index) => {
    progress(index, RECOVERIES.length, `short transfers, ${name}`)
    const runs = seeds.map((seed) => shortTransfer(seed, settings))
    return {
      recovery: name,
      times: runs.map(({ time }) => time).sort((x, y) => x - y),
      timeouts: runs.reduce((sum, { timeouts }) => sum + timeouts, 0),
    }
  })
}

const shortTransfer = (
  seed: number,
  settings: Partial<TcpSettings>,
): { readonly time: number; readonly timeouts: number } => {
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
  const { flows, counters } = transfer.run()
  if (counters["TCPFastRetrans"] !== 0 && settings.tcpReordering === NEVER) {
    throw new Error(`seed ${seed}: a fast retransmit where only time-outs are wanted`)
  }
  return { time: (flows[0]?.duration ?? 0) / 1000, timeouts: counters["TCPTimeouts"] ?? 0 }
}

/** The value below which a share of the sorted ones lies. */
export const quantile = (sorted: ReadonlyArray<number>, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
