import { Transfer } from "../../src/sim/network/transfer.ts"
import type { CcName } from "../../src/tcp/congestion/control.ts"
import { ALGORITHMS } from "../../src/tcp/congestion/registry.ts"
import { cubicWindow, rateOf, renoWindow } from "../../src/tcp/congestion/response.ts"
import { PERFECT } from "../../src/wire/impairment/spec.ts"
import { progress } from "../progress.ts"
import type { Kept } from "./kept.ts"

/** One run of the grid: 100 Mbit/s, one flow for so long, losses of data frames at random. */
export interface Cell {
  readonly cc: CcName
  readonly loss: number
  /** Microseconds. */
  readonly rtt: number
  /** In bandwidth-delay products, and in octets. */
  readonly bdp: number
  readonly buffer: number
  /** Bits per second: measured; what the response function says, without a queue's delay. */
  readonly goodput: number
  readonly expected: number | undefined
  readonly retransmits: number
  readonly timeouts: number
  /** Virtual over real time. */
  readonly speed: number
}

export interface GridSpec {
  readonly ccs: ReadonlyArray<CcName>
  readonly losses: ReadonlyArray<number>
  readonly rtts: ReadonlyArray<number>
  readonly bdps: ReadonlyArray<number>
  /** Virtual microseconds of each run. */
  readonly duration: number
}

const MILLI = 1000
const SECOND = 1_000_000
export const LINK = 100_000_000
/** A full frame's payload with timestamps. */
export const SEGMENT = 1448
/** What headers leave of the link, octets per second. */
const PAYLOAD = ((LINK / 8) * SEGMENT) / 1514
const SMALLEST_BUFFER = 16 * 1514

export const FULL_GRID: GridSpec = {
  ccs: ["cubic", "reno", "bbr"],
  losses: [0, 0.001, 0.01, 0.03, 0.1],
  rtts: [1, 20, 100, 300].map((ms) => ms * MILLI),
  bdps: [0.25, 1, 4],
  duration: 60 * SECOND,
}

export const QUICK_GRID: GridSpec = {
  ...FULL_GRID,
  ccs: ALGORITHMS,
  losses: [0, 0.001, 0.01],
  bdps: [1],
  duration: 5 * SECOND,
}

export const runGrid = (spec: GridSpec, kept: Kept): ReadonlyArray<Cell> => {
  const asked = spec.ccs.flatMap((cc) =>
    spec.bdps.flatMap((bdp) => spec.rtts.flatMap((rtt) => spec.losses.map((loss) => ({ cc, bdp, rtt, loss })))),
  )
  return asked.map((one, index) => {
    progress(index, asked.length, `${one.cc}, loss ${one.loss}, RTT ${one.rtt / MILLI} ms`)
    const { cc, bdp, rtt, loss } = one
    const key = `${cc}, ${bdp} BDP, RTT ${rtt} us, loss ${loss}, ${spec.duration} us`
    return kept.recall(key, () => runCell(one, spec.duration))
  })
}

/** Bits per second by the response function; undefined: the algorithm has none (BBR does not answer to loss). */
export const expected = (cc: CcName, loss: number, rtt: number): number | undefined => {
  if (cc === "bbr") return undefined
  if (loss === 0) return 8 * PAYLOAD
  const seconds = rtt / SECOND
  const window = cc === "reno" ? renoWindow(loss) : cubicWindow(loss, seconds)
  return 8 * rateOf(window, seconds, SEGMENT, PAYLOAD)
}

/** One flow without end over the grid's link. */
export const cellTransfer = (
  { cc, bdp, rtt, loss }: Pick<Cell, "cc" | "bdp" | "rtt" | "loss">,
  duration: number,
  seed = 1,
): Transfer => {
  const way = { ...PERFECT, rate: LINK, delay: rtt / 2 }
  return new Transfer({
    seed,
    there: { ...way, loss, queue: { _tag: "taildrop", packets: 0, octets: bufferOf(bdp, rtt) } },
    back: way,
    mtu: 1500,
    flows: 1,
    octets: Number.POSITIVE_INFINITY,
    startEvery: 0,
    until: duration,
    settings: { tcpCongestionControl: cc },
  })
}

const bufferOf = (bdp: number, rtt: number): number =>
  Math.max(SMALLEST_BUFFER, Math.round((bdp * LINK * rtt) / 8 / SECOND))

const runCell = (asked: Pick<Cell, "cc" | "bdp" | "rtt" | "loss">, duration: number): Cell => {
  const transfer = cellTransfer(asked, duration)
  const began = performance.now()
  const { goodput, counters } = transfer.run()
  const { cc, loss, rtt, bdp } = asked
  return {
    ...asked,
    buffer: bufferOf(bdp, rtt),
    goodput,
    expected: expected(cc, loss, rtt),
    retransmits: counters["RetransSegs"] ?? 0,
    timeouts: counters["TCPTimeouts"] ?? 0,
    speed: duration / MILLI / (performance.now() - began),
  }
}
