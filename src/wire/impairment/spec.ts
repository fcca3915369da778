import type { Micros } from "../time.ts"

/**
 * One direction of a link, as data. A frame passes the stages in this order: MTU, queue and bandwidth;
 * then, on the wire, outage, losses, corruption, duplication; then delay, jitter and reordering. What is
 * lost on the wire has used its bandwidth. Probabilities are 0 to 1 and for each frame.
 */
export interface Impairment {
  /** Bits per second, of the whole frame from the link header on; 0: a frame takes no time. */
  readonly rate: number
  /** Propagation. */
  readonly delay: Micros
  readonly jitter: Jitter
  /** Frames that wait for the wire; without a rate none do. */
  readonly queue: QueueSpec
  readonly loss: number
  readonly burstLoss: BurstLoss | undefined
  /** One bit of the frame, behind its link header, is flipped. */
  readonly corrupt: number
  /** The frame arrives twice. */
  readonly duplicate: number
  readonly reorder: Reorder
  /** Octets of the largest IP packet; larger ones are lost without a word. 0: no limit. */
  readonly mtu: number
  /** From when to when nothing gets through, in order. An endless one ends at Infinity. */
  readonly outages: ReadonlyArray<readonly [from: Micros, to: Micros]>
}

export interface Jitter {
  /** The delay varies by so much at most, to either side, and never below 0. */
  readonly spread: Micros
  /** Evenly, or as the sum of twelve even ones: a bell. */
  readonly shape: "uniform" | "normal"
  /** Frames may overtake each other; otherwise a late one holds up those behind it. */
  readonly overtaking: boolean
}

export interface Reorder {
  readonly probability: number
  /** A frame chosen waits until so many others have left; 0: only for `delay`. */
  readonly distance: number
  /** It waits no longer than this. */
  readonly delay: Micros
}

/**
 * Gilbert's and Elliott's channel of two states: each frame first moves the channel, then meets the loss
 * of the state it is in.
 */
export interface BurstLoss {
  readonly toBad: number
  readonly toGood: number
  readonly lossInBad: number
  readonly lossInGood: number
}

/** Limits count what waits, not the frame on its way out; 0: no limit of that kind. */
export type QueueSpec = TailDrop | CoDelSpec | RedSpec

export interface TailDrop {
  readonly _tag: "taildrop"
  readonly packets: number
  readonly octets: number
}

/** RFC 8289. */
export interface CoDelSpec {
  readonly _tag: "codel"
  readonly packets: number
  readonly octets: number
  readonly target: Micros
  readonly interval: Micros
  /** Marks what is ECN-capable where it would drop (RFC 3168). */
  readonly ecn: boolean
}

/** Random Early Detection (Floyd and Jacobson, 1993), "gentle" above the upper threshold. Octets. */
export interface RedSpec {
  readonly _tag: "red"
  readonly packets: number
  readonly octets: number
  readonly low: number
  readonly high: number
  /** Probability of a drop at `high`. */
  readonly most: number
  /** Of the current length in the average. */
  readonly weight: number
  readonly ecn: boolean
}

export const DEFAULT_QUEUE: TailDrop = { _tag: "taildrop", packets: 1000, octets: 0 }
/** RFC 8289 section 4.4. */
export const CODEL: CoDelSpec = {
  _tag: "codel",
  packets: 1000,
  octets: 0,
  target: 5000,
  interval: 100_000,
  ecn: false,
}

/** As Floyd recommends: thresholds 1:3, the queue three times as long as the upper one, a weight of 0.002. */
export const red = (octets: number, ecn: boolean): RedSpec => ({
  _tag: "red",
  packets: 0,
  octets,
  low: Math.ceil(octets / 9),
  high: Math.ceil(octets / 3),
  most: 0.1,
  weight: 0.002,
  ecn,
})

/** A wire that does nothing to frames. */
export const PERFECT: Impairment = {
  rate: 0,
  delay: 0,
  jitter: { spread: 0, shape: "uniform", overtaking: false },
  queue: DEFAULT_QUEUE,
  loss: 0,
  burstLoss: undefined,
  corrupt: 0,
  duplicate: 0,
  reorder: { probability: 0, distance: 0, delay: 0 },
  mtu: 0,
  outages: [],
}

/** What is wrong with an impairment, or undefined. */
export const impairmentProblem = (i: Impairment): string | undefined => {
  const probabilities: ReadonlyArray<readonly [string, number]> = [
    ["loss", i.loss],
    ["corrupt", i.corrupt],
    ["duplicate", i.duplicate],
    ["reorder.probability", i.reorder.probability],
    ...Object.entries(i.burstLoss ?? {}).map(([name, value]) => [`burstLoss.${name}`, Number(value)] as const),
    ...(i.queue._tag === "red" ? ([["queue.most", i.queue.most]] as const) : []),
  ]
  const amounts: ReadonlyArray<readonly [string, number]> = [
    ["rate", i.rate],
    ["delay", i.delay],
    ["jitter.spread", i.jitter.spread],
    ["reorder.distance", i.reorder.distance],
    ["reorder.delay", i.reorder.delay],
    ["mtu", i.mtu],
    ["queue.packets", i.queue.packets],
    ["queue.octets", i.queue.octets],
  ]
  const unlikely = probabilities.find(([, value]) => !(value >= 0 && value <= 1))
  if (unlikely !== undefined) return `${unlikely[0]} is ${unlikely[1]}: a probability is 0 to 1`
  const negative = amounts.find(([, value]) => !(value >= 0 && value < Number.POSITIVE_INFINITY))
  if (negative !== undefined) return `${negative[0]} is ${negative[1]}: it must be finite and not negative`
  if (i.queue.packets === 0 && i.queue.octets === 0) return "queue: it needs a limit, of packets or of octets"
  if (i.queue._tag === "red" && !(i.queue.low < i.queue.high)) return "queue: low must be below high"
  if (i.queue._tag === "red" && !(i.queue.weight > 0 && i.queue.weight <= 1))
    return "queue: weight is above 0, 1 at most"
  if (i.queue._tag === "codel" && !(i.queue.target > 0 && i.queue.interval > 0)) {
    return "queue: target and interval must be above 0"
  }
  if (i.reorder.probability > 0 && i.reorder.delay === 0) return "reorder.delay must be above 0"
  const ends = i.outages.flat()
  if (ends.some((at, n) => Number.isNaN(at) || at < (ends[n - 1] ?? 0))) return "outages: they must follow each other"
  return undefined
}
