import type { Random } from "../random.ts"
import type { Micros } from "../time.ts"
import { Fifo, type Queue, type Queued, type QueueEvents } from "./queue.ts"
import type { RedSpec } from "./spec.ts"

/**
 * Random early detection (Floyd and Jacobson, "Random Early Detection Gateways for Congestion Avoidance",
 * 1993), by octets, with the gentle slope from `most` at `high` to certainty at twice `high`.
 */
export class RedQueue<T> implements Queue<T> {
  private readonly fifo: Fifo<T>
  /** The average length. */
  private average = 0
  /** Frames since the last drop; -1: below `low`. */
  private count = -1
  private emptySince: Micros = 0

  /** `octetTime`: microseconds that one octet takes on the wire; an idle queue's average decays by it. */
  constructor(
    private readonly spec: RedSpec,
    private readonly octetTime: number,
    private readonly events: QueueEvents<T>,
    private readonly random: Random,
  ) {
    this.fifo = new Fifo(spec)
  }

  get length(): number {
    return this.fifo.length
  }

  get octets(): number {
    return this.fifo.octets
  }

  enqueue(frame: T, size: number, now: Micros): void {
    this.measure(size, now)
    if (this.fifo.isFull(size)) {
      this.count = 0
      this.events.drop(frame, "queue:full")
    } else if (this.picks() && !(this.spec.ecn && this.average < this.spec.high && this.events.mark(frame))) {
      this.events.drop(frame, "red:early-drop")
    } else {
      this.fifo.push(frame, size, now)
    }
  }

  dequeue(now: Micros): Queued<T> | undefined {
    const first = this.fifo.shift()
    if (first !== undefined && this.fifo.length === 0) this.emptySince = now
    return first
  }

  /** The average moves with each arrival; after idleness as if small frames had passed meanwhile. */
  private measure(size: number, now: Micros): void {
    const { weight } = this.spec
    if (this.fifo.length > 0) {
      this.average += weight * (this.fifo.octets - this.average)
      return
    }
    const passed = this.octetTime > 0 ? Math.floor((now - this.emptySince) / (this.octetTime * size)) : 1
    this.average *= power(1 - weight, Math.max(1, passed))
  }

  private picks(): boolean {
    const { low, high, most } = this.spec
    if (this.average < low) {
      this.count = -1
      return false
    }
    this.count++
    const base =
      this.average < high
        ? (most * (this.average - low)) / (high - low)
        : most + ((1 - most) * (this.average - high)) / high
    // Spreads the drops evenly: the gap between two is uniform, not geometric.
    const share = this.count * base
    if (base < 1 && share < 1 && !this.random.chance(base / (1 - share))) return false
    this.count = 0
    return true
  }
}

/** By squaring: Math.pow need not round alike on all machines. */
const power = (base: number, exponent: number): number => {
  let result = 1
  let square = base
  for (let n = Math.min(exponent, 2 ** 31 - 1); n > 0; n >>>= 1) {
    if (n & 1) result *= square
    square *= square
  }
  return result
}
