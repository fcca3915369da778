import { output } from "../../src/tcp/output.ts"
import { MAX_PIECES } from "../../src/tcp/reassembly.ts"
import { segmentArrives } from "../../src/tcp/synchronized.ts"
import type { Synchronized } from "../../src/tcp/tcb.ts"
import type { Segment } from "../../src/wire/tcpSegment.ts"
import type { Case } from "../measure.ts"
import { dataFor, established, PAYLOAD, synchronized } from "../micro/scene.ts"

/** What one more segment costs behind a hole, as the queue of held ones grows; reducers alone. */

const HELD = [1, 4, 16, 64, 256, 1024] as const
/** Operations of one pass. Blocks are values: each begins with the same queue. */
const TIMES = 256
/** Segments between the heads of runs that must not touch. */
const APART = 4

export const UNIT = "segments held"
/** Of each segment that the filled hole brings into order. */
export const FILLED = "hole filled, each"

interface Queue {
  readonly tcb: Synchronized
  readonly now: number
  /** Segment k of the data; 0 fills the hole. */
  readonly segment: (k: number) => Segment
}

export const reassemblyCases = (): ReadonlyArray<Case> => HELD.filter((held) => held < MAX_PIECES).flatMap(casesOf)

const casesOf = (held: number): ReadonlyArray<Case> => {
  const one = queueOf(Array.from({ length: held }, (_, n) => n + 1))
  const apart = queueOf(Array.from({ length: held }, (_, n) => APART * (n + 1)))
  const middle = APART * Math.ceil((held + 1) / 2) + APART / 2
  const cases = [
    added("one run, its next", held, one, held + 1),
    added("runs of one, another among them", held, apart, middle),
    filled(held, one),
  ]
  if (held < 4) return cases
  const each = held / 4
  const four = queueOf(Array.from({ length: held }, (_, n) => 1 + (n % each) + Math.floor(n / each) * (each + APART)))
  return [...cases, added("four runs, next of the second", held, four, 1 + each + APART + each)]
}

/** A connection that holds these segments of the data that it waits for. */
const queueOf = (held: ReadonlyArray<number>): Queue => {
  const { server, now } = established()
  const start = synchronized(server)
  const data = dataFor(start, PAYLOAD, 1 + APART + Math.max(...held))
  const segment = (k: number): Segment => {
    const s = data[k]
    if (s === undefined) throw new Error(`segment ${k} was not made`)
    return s
  }
  const tcb = held.reduce((last, k) => arrive(last, segment(k), now), start)
  if (tcb.rcv.nxt !== start.rcv.nxt) throw new Error("the hole is filled")
  return { tcb, now, segment }
}

const arrive = (tcb: Synchronized, segment: Segment, now: number): Synchronized =>
  synchronized(output(synchronized(segmentArrives(tcb, segment, now).tcb), now).tcb)

const added = (series: string, held: number, { tcb, now, segment }: Queue, k: number): Case => {
  const next = segment(k)
  const after = arrive(tcb, next, now)
  if (after.rcv.nxt !== tcb.rcv.nxt || after === tcb) throw new Error(`${series}: segment ${k} was not held`)
  return {
    name: `${series}, ${held} held`,
    per: "segment",
    point: { chart: UNIT, line: series, at: held },
    run: () => {
      for (let n = 0; n < TIMES; n++) arrive(tcb, next, now)
      return TIMES
    },
  }
}

/** The hole is filled, and all go to the application at once: the cost of each. */
const filled = (held: number, { tcb, now, segment }: Queue): Case => {
  const series = FILLED
  const hole = segment(0)
  if ((arrive(tcb, hole, now).rcv.nxt - tcb.rcv.nxt) >>> 0 !== (held + 1) * PAYLOAD)
    throw new Error("segments were lost")
  return {
    name: `${series}, ${held} held`,
    per: "segment",
    point: { chart: UNIT, line: series, at: held },
    run: () => {
      const times = Math.max(1, Math.floor(TIMES / (held + 1)))
      for (let n = 0; n < times; n++) arrive(tcb, hole, now)
      return times * (held + 1)
    },
  }
}
