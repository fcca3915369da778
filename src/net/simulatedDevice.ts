import { type Device, noCounters, type ReceivedFrame } from "../device/device.ts"
import { ETHERNET_OVERHEAD } from "../device/limits.ts"
import type { MacAddress } from "../wire/address.ts"

/** Frames that wait for the stack; more are lost. */
const CAPACITY = 4096

/** One end of a simulated link, as a device: whole frames without offload. */
export class SimulatedDevice implements Device {
  readonly counters = noCounters()
  readonly capabilities
  private readonly waiting: Array<Uint8Array> = []
  private readonly seen: ReceivedFrame = {
    bytes: new Uint8Array(0),
    offset: 0,
    length: 0,
    checksumVouched: false,
    segmentSize: 0,
  }
  private reserved: Uint8Array | undefined
  private onReady: (() => void) | undefined
  private closed = false

  constructor(
    readonly name: string,
    readonly mac: MacAddress,
    mtu: number,
    private readonly send: (frame: Uint8Array) => void,
  ) {
    // Each frame has memory of its own.
    this.capabilities = {
      mtu,
      layer: "ethernet",
      checksumOffload: false,
      segmentationOffload: 0,
      framesStay: true,
    } as const
  }

  /** Frames have arrived that the stack has not looked at, or it has not been told of them. */
  get isBusy(): boolean {
    return !this.closed && this.waiting.length > 0
  }

  /** A frame arrives. */
  arrive(frame: Uint8Array): void {
    if (this.closed) return
    if (this.waiting.length >= CAPACITY) {
      this.counters.rxDropped++
      return
    }
    this.waiting.push(frame)
    this.fireSoon()
  }

  receive(visit: (frame: ReceivedFrame) => void, budget: number): number {
    if (this.closed) return 0
    const batch = this.waiting.splice(0, budget)
    const { seen, counters } = this
    for (const frame of batch) {
      seen.bytes = frame
      seen.length = frame.length
      counters.rxPackets++
      counters.rxBytes += frame.length
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
    this.counters.txPackets++
    this.counters.txBytes += length
    this.send(reserved.subarray(0, length))
  }

  flush(): void {}

  wake(onReady: () => void): void {
    if (this.closed) return
    this.onReady = onReady
    if (this.waiting.length > 0) this.fireSoon()
  }

  failure(): undefined {
    return undefined
  }

  close(): void {
    this.closed = true
    this.onReady = undefined
    this.waiting.length = 0
  }

  /** A macrotask, as with every device: two stacks that answer each other must not starve the event loop. */
  private fireSoon(): void {
    const { onReady } = this
    if (onReady === undefined) return
    this.onReady = undefined
    setImmediate(() => {
      if (!this.closed) onReady()
    })
  }
}
