import { Transfer } from "../../src/sim/network/transfer.ts"
import { PERFECT } from "../../src/wire/impairment/spec.ts"
import { progress } from "../progress.ts"

/** A flow that fills 1 Gbit/s at a round trip of 10 ms. */
export interface Gigabit {
  /** Microseconds for which interfaces keep what arrives, as network cards do. */
  readonly coalesce: number
  /** Bits per second. */
  readonly goodput: number
  /** Virtual over real time. */
  readonly speed: number
  /** CPU time of a data segment with everything that it caused, microseconds. */
  readonly cost: number
}

const SECOND = 1_000_000
const LINK = 1_000_000_000
const DELAY = 5000

export const runGigabit = (quick: boolean): ReadonlyArray<Gigabit> =>
  [0, 50, 100].map((coalesce, index, all) => {
    progress(index, all.length, `1 Gbit/s, frames kept for ${coalesce} us`)
    return fill(coalesce, quick ? 2 : 5)
  })

const fill = (coalesce: number, seconds: number): Gigabit => {
  const way = { ...PERFECT, rate: LINK, delay: DELAY }
  const transfer = new Transfer({
    seed: 1,
    there: { ...way, queue: { _tag: "taildrop", packets: 0, octets: (LINK * 2 * DELAY) / 8 / SECOND } },
    back: way,
    mtu: 1500,
    coalesce,
    flows: 1,
    octets: Number.POSITIVE_INFINITY,
    startEvery: 0,
    until: seconds * SECOND,
    settings: {},
  })
  const [began, before] = [performance.now(), process.cpuUsage()]
  const { goodput, links } = transfer.run()
  const { user, system } = process.cpuUsage(before)
  return {
    coalesce,
    goodput,
    speed: (seconds * 1000) / (performance.now() - began),
    cost: (user + system) / (links[0]?.counters.sent ?? 1),
  }
}
