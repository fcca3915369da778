import { type Micros, OFF } from "../time.ts"
import { Fifo, type Queue, type Queued, type QueueEvents } from "./queue.ts"
import type { CoDelSpec } from "./spec.ts"

/** RFC 8289 section 3.2 and Linux: the rate of the last episode is taken up again within so many intervals. */
const MEMORY = 16

/**
 * Controlled delay (RFC 8289): drops at the head once frames have waited longer than `target` for a
 * whole `interval`, faster with every drop until the wait is short again.
 */
export class CoDelQueue<T> implements Queue<T> {
  private readonly fifo: Fifo<T>
  private firstAbove: Micros = OFF
  private dropping = false
  private dropNext: Micros = 0
  private count = 0
  private lastCount = 0
  private largest = 0
  private okToDrop = false

  constructor(
    private readonly spec: CoDelSpec,
    private readonly events: QueueEvents<T>,
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
    this.largest = Math.max(this.largest, size)
    if (this.fifo.isFull(size)) this.events.drop(frame, "queue:full")
    else this.fifo.push(frame, size, now)
  }

  /** Section 5.5. */
  dequeue(now: Micros): Queued<T> | undefined {
    const first = this.head(now)
    if (this.dropping) return this.whileDropping(first, now)
    if (!this.okToDrop || first === undefined) return first
    const next = this.markOrDrop(first, now)
    this.dropping = true
    const delta = this.count - this.lastCount
    this.count = delta > 1 && now - this.dropNext < MEMORY * this.spec.interval ? delta : 1
    this.dropNext = this.controlLaw(now)
    this.lastCount = this.count
    return next
  }

  private whileDropping(first: Queued<T> | undefined, now: Micros): Queued<T> | undefined {
    let current = first
    if (!this.okToDrop) this.dropping = false
    while (this.dropping && current !== undefined && now >= this.dropNext) {
      this.count++
      if (this.marks(current)) {
        this.dropNext = this.controlLaw(this.dropNext)
        return current
      }
      this.events.drop(current.frame, "codel:RFC8289-5:drop")
      current = this.head(now)
      if (this.okToDrop) this.dropNext = this.controlLaw(this.dropNext)
      else this.dropping = false
    }
    return current
  }

  /** Section 5.6: the first frame, and whether the wait has been too long for a whole interval. */
  private head(now: Micros): Queued<T> | undefined {
    const { target, interval } = this.spec
    this.okToDrop = false
    const first = this.fifo.shift()
    if (first === undefined || now - first.since < target || this.fifo.octets <= this.largest) {
      this.firstAbove = OFF
    } else if (this.firstAbove === OFF) {
      this.firstAbove = now + interval
    } else {
      this.okToDrop = now >= this.firstAbove
    }
    return first
  }

  private markOrDrop(first: Queued<T>, now: Micros): Queued<T> | undefined {
    if (this.marks(first)) return first
    this.events.drop(first.frame, "codel:RFC8289-5:drop")
    return this.head(now)
  }

  private marks({ frame }: Queued<T>): boolean {
    return this.spec.ecn && this.events.mark(frame)
  }

  private controlLaw(from: Micros): Micros {
    return from + this.spec.interval / Math.sqrt(this.count)
  }
}
