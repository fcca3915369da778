import { Effect, type Scope } from "effect"
import { earlier } from "../wire/agenda.ts"
import { type Frame, Pipe, type PipeCounters } from "../wire/impairment/pipe.ts"
import type { Impairment } from "../wire/impairment/spec.ts"
import type { Micros } from "../wire/time.ts"
import { type Timekeeper, timekeeper } from "./clock.ts"
import { type Capabilities, type Device, type DeviceCounters, NO_OFFLOAD, type ReceivedFrame } from "./device.ts"
import { ETHERNET_OVERHEAD } from "./limits.ts"

export interface ImpairOptions {
  /** Of frames that the stack sends, and of those that come to it. */
  readonly outgoing: Impairment
  readonly incoming: Impairment
  readonly seed: number
}

/** A device with faults, and what they did. */
export interface ImpairedDevice extends Device {
  readonly impairments: { readonly outgoing: Readonly<PipeCounters>; readonly incoming: Readonly<PipeCounters> }
}

/**
 * The device behind a wire with limits and faults, until the end of the scope. It takes whole frames
 * only: open the device itself without offload, or the kernel's super-segments are lost in one piece.
 * Times are those of Effect's Clock, to the millisecond where the stack is asleep.
 */
export const impaired = (device: Device, options: ImpairOptions): Effect.Effect<ImpairedDevice, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.gen(function* () {
      const clock = yield* Effect.clock
      const runtime = yield* Effect.runtime<never>()
      return new Impaired(device, options, (onDue) => timekeeper(clock, runtime, onDue))
    }),
    (wrapped) => Effect.sync(() => wrapped.stop()),
  )

interface Carried extends Frame {
  /** Its checksum is right by contract, whatever the field says. */
  readonly vouched: boolean
  readonly segmentSize: number
}

/** Frames taken from the device at once, and that wait for the stack; more of the latter are lost. */
const BATCH = 256
const CAPACITY = 4096

class Impaired implements ImpairedDevice {
  readonly counters: DeviceCounters
  readonly capabilities: Capabilities
  private readonly outgoing: Pipe<Carried>
  private readonly incoming: Pipe<Carried>
  private readonly time: Timekeeper
  private arrived: Array<Carried> = []
  private reserved: Uint8Array | undefined
  private onReady: (() => void) | undefined
  private listening = false
  private closed = false
  private readonly seen: ReceivedFrame = {
    bytes: new Uint8Array(0),
    offset: 0,
    length: 0,
    checksumVouched: false,
    segmentSize: 0,
  }

  constructor(
    private readonly device: Device,
    { outgoing, incoming, seed }: ImpairOptions,
    keeper: (onDue: () => void) => Timekeeper,
  ) {
    const { layer } = device.capabilities
    this.counters = device.counters
    this.capabilities = {
      ...device.capabilities,
      checksumOffload: false,
      segmentationOffload: 0,
      datagramOffload: false,
      framesStay: true,
    }
    const events = { lost: () => {}, marked: () => {} }
    this.outgoing = new Pipe(outgoing, layer, seed, events)
    this.incoming = new Pipe(incoming, layer, ~seed >>> 0, events)
    this.time = keeper(() => this.due())
  }

  get name(): string {
    return this.device.name
  }

  get mac(): Device["mac"] {
    return this.device.mac
  }

  get impairments(): ImpairedDevice["impairments"] {
    return { outgoing: this.outgoing.counters, incoming: this.incoming.counters }
  }

  receive(visit: (frame: ReceivedFrame) => void, budget: number): number {
    if (this.closed) return 0
    this.pump()
    const batch = this.arrived.splice(0, budget)
    const { seen } = this
    for (const { bytes, vouched, corrupted, segmentSize } of batch) {
      seen.bytes = bytes
      seen.length = bytes.length
      // A flipped bit ends the contract: the sum in the frame has to be right by itself, and is not.
      seen.checksumVouched = vouched && !corrupted
      seen.segmentSize = segmentSize
      visit(seen)
    }
    return batch.length
  }

  reserve(length: number): Uint8Array | undefined {
    this.reserved = undefined
    if (this.closed) return undefined
    if (length > this.capabilities.mtu + ETHERNET_OVERHEAD) {
      this.counters.txDropped++
      return undefined
    }
    this.reserved = new Uint8Array(length)
    return this.reserved
  }

  commit(length: number): void {
    const { reserved } = this
    if (reserved === undefined || this.closed) return
    this.reserved = undefined
    const frame = { bytes: reserved.subarray(0, length), corrupted: false, vouched: false, segmentSize: 0 }
    this.outgoing.send(frame, this.time.now())
  }

  flush(): void {
    if (this.closed) return
    this.pump()
    this.device.flush()
  }

  wake(onReady: () => void): void {
    if (this.closed) return
    this.onReady = onReady
    this.pump()
    this.listen()
  }

  failure(): ReturnType<Device["failure"]> {
    return this.device.failure()
  }

  close(): void {
    this.stop()
    this.device.close()
  }

  /** What is in the wire is lost. */
  stop(): void {
    this.closed = true
    this.onReady = undefined
    this.arrived = []
    this.time.cancel()
  }

  /** Moves all frames that have something to do by now. */
  private pump(): void {
    const now = this.time.now()
    this.device.receive((frame) => this.take(frame, now), BATCH)
    this.incoming.advance(now, (frame) => {
      if (this.arrived.length < CAPACITY) this.arrived.push(frame)
      else this.counters.rxDropped++
    })
    this.outgoing.advance(now, (frame) => this.transmit(frame))
    this.time.arm(earlier(this.incoming.next(), this.outgoing.next()))
    if (this.arrived.length > 0) this.fireSoon()
  }

  private take({ bytes, offset, length, checksumVouched, segmentSize }: ReceivedFrame, now: Micros): void {
    const frame = {
      bytes: new Uint8Array(bytes.subarray(offset, offset + length)),
      corrupted: false,
      vouched: checksumVouched,
      segmentSize,
    }
    this.incoming.send(frame, now)
  }

  private transmit({ bytes }: Carried): void {
    const out = this.device.reserve(bytes.length)
    if (out === undefined) return
    out.set(bytes)
    this.device.commit(bytes.length, NO_OFFLOAD)
  }

  /** The timer: frames leave and arrive though nobody polls. */
  private due(): void {
    if (this.closed) return
    this.pump()
    this.device.flush()
    this.listen()
  }

  /** Frames enter the wire when they come, not when the stack looks. */
  private listen(): void {
    if (this.listening || this.closed) return
    this.listening = true
    this.device.wake(() => {
      this.listening = false
      if (this.closed) return
      this.pump()
      // The stack must hear of a device that ended.
      if (this.device.failure() !== undefined) this.fireSoon()
      else this.listen()
    })
  }

  private fireSoon(): void {
    const { onReady } = this
    if (onReady === undefined) return
    this.onReady = undefined
    setImmediate(() => {
      if (!this.closed) onReady()
    })
  }
}
