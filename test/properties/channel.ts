import type { Transmit } from "../../src/tcp/effect.ts"
import { slice } from "../../src/tcp/sendQueue.ts"
import { CWR, EMPTY, FIN, hasSyn, PSH, type Segment, SYN } from "../../src/wire/tcpSegment.ts"
import type { Random } from "./random.ts"

/** One direction of the network between two blocks. Times in microseconds. */
export interface ChannelSpec {
  readonly loss: number
  readonly duplicate: number
  /** Share of segments that take `late` longer, and so arrive after their successors. */
  readonly reorder: number
  readonly delay: number
  readonly jitter: number
  readonly late: number
  /** Super-segments arrive in one piece, as from a device with receive offload, or cut. */
  readonly joined: boolean
}

/** Not more than this many losses in a row, nor in all: a run must end before patience does. */
const LOSSES_IN_A_ROW = 2
const LOSSES_IN_ALL = 60
/** SYNs are sent again only a few times. */
const SYNS_LOST = 3

/** Decides by its seed what becomes of each segment; `carry` gives the arrivals. */
export class Channel {
  private inRow = 0
  private losses = 0
  private syns = 0
  cut = false

  constructor(
    private readonly spec: ChannelSpec,
    private readonly random: Random,
  ) {}

  carry(segment: Segment, now: number, arrive: (at: number, segment: Segment) => void): void {
    if (this.cut) return
    const { random, spec } = this
    if (random.chance(spec.loss) && this.mayLose(segment)) {
      this.inRow++
      this.losses++
      if (hasSyn(segment)) this.syns++
      return
    }
    this.inRow = 0
    arrive(now + this.travel(), segment)
    if (random.chance(spec.duplicate)) arrive(now + this.travel(), segment)
  }

  get joins(): boolean {
    return this.spec.joined
  }

  private mayLose(segment: Segment): boolean {
    if (hasSyn(segment) && this.syns >= SYNS_LOST) return false
    return this.inRow < LOSSES_IN_A_ROW && this.losses < LOSSES_IN_ALL
  }

  private travel(): number {
    const { random, spec } = this
    const jitter = spec.jitter > 0 ? random.between(0, spec.jitter) : 0
    return spec.delay + jitter + (random.chance(spec.reorder) ? random.between(0, spec.late) : 0)
  }
}

/** The segments of a Transmit effect: one, or one per MSS where the device would cut it. */
export const segmentsOf = (out: Transmit, joined: boolean): ReadonlyArray<Segment> => {
  const from = (out.flags & SYN) === 0 ? out.seq : (out.seq + 1) >>> 0
  const payload = out.queue === undefined ? EMPTY : slice(out.queue, from, out.length)
  const { seq, ack, flags, wnd, up, options } = out
  const whole: Segment = { seq, ack, flags, wnd, up, options, payload }
  const size = out.segmentSize
  if (joined || size === 0 || payload.length <= size) return [whole]
  const pieces: Array<Segment> = []
  for (let at = 0; at < payload.length; at += size) {
    const last = at + size >= payload.length
    pieces.push({
      ...whole,
      seq: at === 0 ? seq : (from + at) >>> 0,
      flags: (last ? flags : flags & ~(FIN | PSH)) & (at === 0 ? 0xfff : ~(SYN | CWR)),
      payload: payload.subarray(at, at + size),
    })
  }
  return pieces
}
