import { Agenda, earlier } from "../agenda.ts"
import { ETHERNET_HEADER } from "../ethernet.ts"
import { Random } from "../random.ts"
import { type Micros, OFF } from "../time.ts"
import { markCe } from "./ecn.ts"
import { BurstChannel } from "./loss.ts"
import { makeQueue, type Queue } from "./queue.ts"
import type { LossReason } from "./reasons.ts"
import type { Impairment } from "./spec.ts"

/** A frame on its way. The pipe owns it: what alters the octets puts a copy in their place. */
export interface Frame {
  bytes: Uint8Array
  /** A bit was flipped on the way. */
  corrupted: boolean
}

/** What becomes of frames beside their arrival. */
export interface PipeEvents<F extends Frame> {
  readonly lost: (frame: F, why: LossReason, now: Micros) => void
  /** CE was set by the queue. */
  readonly marked: (frame: F, now: Micros) => void
}

export interface PipeCounters {
  sent: number
  arrived: number
  lost: number
  marked: number
  corrupted: number
  duplicated: number
  reordered: number
  /** The longest that the queue has been, octets. */
  longest: number
}

interface Held<F> {
  readonly frame: F
  readonly arrivesBy: Micros
  left: number
  gone: boolean
}

/**
 * One direction of a link. `send` takes a frame in, `advance` hands over those that have arrived by
 * `now`, `next` is when that has something to do. Calls come in order of time. The seed and the calls
 * decide everything.
 */
export class Pipe<F extends Frame> {
  readonly counters: PipeCounters = {
    sent: 0,
    arrived: 0,
    lost: 0,
    marked: 0,
    corrupted: 0,
    duplicated: 0,
    reordered: 0,
    longest: 0,
  }
  private readonly random: { readonly [stage in Stage]: Random }
  private readonly queue: Queue<F>
  private readonly burst: BurstChannel | undefined
  private readonly octetTime: number
  private readonly onTheWire = new Agenda<F>()
  private readonly held: Array<Held<F>> = []
  private sending: F | undefined = undefined
  /** When the frame on its way out has left altogether: not rounded, so that the rate is exact. */
  private sentAt = 0
  private lastArrival: Micros = 0
  private time: Micros = 0
  private outage = 0

  constructor(
    readonly spec: Impairment,
    private readonly layer: "ethernet" | "ip",
    seed: number,
    private readonly events: PipeEvents<F>,
  ) {
    const stream = (index: number): Random => new Random(seed, index)
    this.random = {
      queue: stream(1),
      loss: stream(2),
      burst: stream(3),
      corrupt: stream(4),
      duplicate: stream(5),
      reorder: stream(6),
      jitter: stream(7),
    }
    this.octetTime = spec.rate > 0 ? 8_000_000 / spec.rate : 0
    this.burst = spec.burstLoss === undefined ? undefined : new BurstChannel(spec.burstLoss, this.random.burst)
    this.queue = makeQueue(
      spec.queue,
      this.octetTime,
      { drop: (frame, why) => this.lose(frame, why), mark: (frame) => this.mark(frame) },
      this.random.queue,
    )
  }

  /** Frames that wait for the wire. */
  get queued(): number {
    return this.queue.length
  }

  /** Frames anywhere in the pipe. */
  get inside(): number {
    const held = this.held.length
    return this.queue.length + (this.sending === undefined ? 0 : 1) + this.onTheWire.length + held
  }

  /** The direction is within an outage. */
  isDown(now: Micros): boolean {
    const { outages } = this.spec
    while (now >= (outages[this.outage]?.[1] ?? Number.POSITIVE_INFINITY)) this.outage++
    return now >= (outages[this.outage]?.[0] ?? Number.POSITIVE_INFINITY)
  }

  send(frame: F, now: Micros): void {
    this.time = now
    this.counters.sent++
    const { length } = frame.bytes
    const { mtu } = this.spec
    if (mtu > 0 && length - (this.layer === "ethernet" ? ETHERNET_HEADER : 0) > mtu) return this.lose(frame, "link:mtu")
    if (this.octetTime === 0) return this.ontoWire(frame, now)
    // What is due goes first, so that the queue is as long as it is now.
    this.transmit(now)
    this.queue.enqueue(frame, length, now)
    this.counters.longest = Math.max(this.counters.longest, this.queue.octets)
    if (this.sending === undefined) this.nextFrame(now)
  }

  advance(now: Micros, arrive: (frame: F) => void): void {
    this.time = now
    this.transmit(now)
    this.releaseLate(now)
    for (;;) {
      const frame = this.onTheWire.takeDue(now)
      if (frame === undefined) return
      this.counters.arrived++
      arrive(frame)
    }
  }

  next(): Micros {
    const leaves = this.sending === undefined ? OFF : whole(this.sentAt)
    let late: Micros = OFF
    for (const { arrivesBy } of this.held) late = earlier(late, arrivesBy)
    return earlier(earlier(leaves, late), this.onTheWire.next())
  }

  private transmit(now: Micros): void {
    while (this.sending !== undefined && whole(this.sentAt) <= now) {
      const frame = this.sending
      const left = this.sentAt
      this.sending = undefined
      this.ontoWire(frame, whole(left))
      this.nextFrame(left)
    }
  }

  private nextFrame(now: number): void {
    this.time = whole(now)
    const first = this.queue.dequeue(now)
    if (first === undefined) return
    this.sending = first.frame
    this.sentAt = now + first.size * this.octetTime
  }

  private ontoWire(frame: F, now: Micros): void {
    const { spec, random, counters } = this
    this.time = now
    if (this.isDown(now)) return this.lose(frame, "link:down")
    if (this.onTheWire.length + this.held.length >= MOST_UNDER_WAY) return this.lose(frame, "link:full")
    if (random.loss.chance(spec.loss)) return this.lose(frame, "wire:random-loss")
    if (this.burst?.loses() === true) return this.lose(frame, "wire:burst-loss")
    if (random.corrupt.chance(spec.corrupt)) this.flipBit(frame)
    const twice = random.duplicate.chance(spec.duplicate)
    this.travel(frame, now)
    if (!twice) return
    counters.duplicated++
    this.travel({ ...frame }, now)
  }

  private travel(frame: F, now: Micros): void {
    const { spec, random, held, counters } = this
    const arrival = now + this.delay()
    if (random.reorder.chance(spec.reorder.probability)) {
      counters.reordered++
      const { distance, delay } = spec.reorder
      held.push({ frame, arrivesBy: arrival + delay, left: distance > 0 ? distance : -1, gone: false })
      return
    }
    this.arriveAt(arrival, frame)
    if (held.length > 0) this.passHeld(arrival)
  }

  private arriveAt(at: Micros, frame: F): void {
    const inTurn = this.spec.jitter.overtaking ? at : Math.max(at, this.lastArrival)
    this.lastArrival = Math.max(this.lastArrival, inTurn)
    this.onTheWire.add(inTurn, frame)
  }

  /** One more has passed those that wait for others. */
  private passHeld(arrival: Micros): void {
    for (const waiting of this.held) {
      if (waiting.left < 0 || --waiting.left > 0) continue
      waiting.gone = true
      this.onTheWire.add(Math.min(arrival, waiting.arrivesBy), waiting.frame)
    }
    this.forgetGone()
  }

  private releaseLate(now: Micros): void {
    if (this.held.length === 0) return
    for (const waiting of this.held) {
      if (waiting.arrivesBy > now) continue
      waiting.gone = true
      this.onTheWire.add(waiting.arrivesBy, waiting.frame)
    }
    this.forgetGone()
  }

  private forgetGone(): void {
    let kept = 0
    for (const waiting of this.held) if (!waiting.gone) this.held[kept++] = waiting
    this.held.length = kept
  }

  private delay(): Micros {
    const { delay, jitter } = this.spec
    if (jitter.spread === 0) return delay
    return Math.max(0, Math.round(delay + jitter.spread * swing(jitter.shape, this.random.jitter)))
  }

  private flipBit(frame: F): void {
    const start = this.layer === "ethernet" ? ETHERNET_HEADER : 0
    const bits = 8 * (frame.bytes.length - start)
    if (bits <= 0) return
    const bit = this.random.corrupt.below(bits)
    const at = start + (bit >>> 3)
    const bytes = frame.bytes.slice()
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7))
    frame.bytes = bytes
    frame.corrupted = true
    this.counters.corrupted++
  }

  private mark(frame: F): boolean {
    const bytes = frame.bytes.slice()
    if (!markCe(bytes, this.layer)) return false
    frame.bytes = bytes
    this.counters.marked++
    this.events.marked(frame, this.time)
    return true
  }

  private lose(frame: F, why: LossReason): void {
    this.counters.lost++
    this.events.lost(frame, why, this.time)
  }
}

/** The microsecond in which something has happened; sums of fractions are a little off. */
const whole = (time: number): Micros => Math.ceil(time - 1e-3)

/** Frames under way at once; more do not fit, whatever rate and delay allow. */
const MOST_UNDER_WAY = 2 ** 18

type Stage = "queue" | "loss" | "burst" | "corrupt" | "duplicate" | "reorder" | "jitter"

/** Of the spread, -1 to 1. The bell's standard deviation is a third. */
const swing = (shape: "uniform" | "normal", random: Random): number => {
  if (shape === "uniform") return 2 * random.unit() - 1
  let sum = 0
  for (let i = 0; i < 12; i++) sum += random.unit()
  return Math.max(-1, Math.min(1, (sum - 6) / 3))
}
