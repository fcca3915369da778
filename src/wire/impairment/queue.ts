import type { Random } from "../random.ts"
import type { Micros } from "../time.ts"
import { CoDelQueue } from "./codel.ts"
import type { LossReason } from "./reasons.ts"
import { RedQueue } from "./red.ts"
import type { QueueSpec } from "./spec.ts"

/** A frame in a queue; `T` is whoever's the frame is. */
export interface Queued<T> {
  readonly frame: T
  /** Octets. */
  readonly size: number
  readonly since: Micros
}

/** What a queue tells: frames that it drops, and those that it marks in place of a drop. */
export interface QueueEvents<T> {
  readonly drop: (frame: T, why: LossReason) => void
  /** Marks the frame CE; false where it is not ECN-capable, and so must be dropped. */
  readonly mark: (frame: T) => boolean
}

export interface Queue<T> {
  readonly length: number
  readonly octets: number
  enqueue(frame: T, size: number, now: Micros): void
  dequeue(now: Micros): Queued<T> | undefined
}

/** `octetTime`: microseconds that one octet takes on the wire. */
export const makeQueue = <T>(spec: QueueSpec, octetTime: number, events: QueueEvents<T>, random: Random): Queue<T> => {
  switch (spec._tag) {
    case "taildrop":
      return new TailDropQueue(spec, events)
    case "codel":
      return new CoDelQueue(spec, events)
    case "red":
      return new RedQueue(spec, octetTime, events, random)
  }
}

/** First in, first out, in a ring that grows up to the queue's limit. */
export class Fifo<T> {
  private slots: Array<Queued<T> | undefined> = new Array(16).fill(undefined)
  private head = 0
  length = 0
  octets = 0

  constructor(private readonly limits: { readonly packets: number; readonly octets: number }) {}

  /** One more frame would be too many. */
  isFull(size: number): boolean {
    const { packets, octets } = this.limits
    return (packets > 0 && this.length >= packets) || (octets > 0 && this.octets + size > octets)
  }

  push(frame: T, size: number, since: Micros): void {
    if (this.length === this.slots.length) this.grow()
    this.slots[(this.head + this.length) % this.slots.length] = { frame, size, since }
    this.length++
    this.octets += size
  }

  shift(): Queued<T> | undefined {
    const first = this.slots[this.head]
    if (this.length === 0 || first === undefined) return undefined
    this.slots[this.head] = undefined
    this.head = (this.head + 1) % this.slots.length
    this.length--
    this.octets -= first.size
    return first
  }

  private grow(): void {
    const { slots, head } = this
    this.slots = [...slots.slice(head), ...slots.slice(0, head), ...new Array(slots.length).fill(undefined)]
    this.head = 0
  }
}

class TailDropQueue<T> implements Queue<T> {
  private readonly fifo: Fifo<T>

  constructor(
    limits: { readonly packets: number; readonly octets: number },
    private readonly events: QueueEvents<T>,
  ) {
    this.fifo = new Fifo(limits)
  }

  get length(): number {
    return this.fifo.length
  }

  get octets(): number {
    return this.fifo.octets
  }

  enqueue(frame: T, size: number, now: Micros): void {
    if (this.fifo.isFull(size)) this.events.drop(frame, "queue:full")
    else this.fifo.push(frame, size, now)
  }

  dequeue(): Queued<T> | undefined {
    return this.fifo.shift()
  }
}
