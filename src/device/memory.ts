import type { MacAddress } from "../wire/address.ts"
import { type Capabilities, type Device, noCounters, type Offload, type ReceivedFrame } from "./device.ts"
import { ETHERNET_OVERHEAD, MAX_SEGMENTED_PAYLOAD, MAX_SUPER_FRAME } from "./limits.ts"
import { checkedMac } from "./mac.ts"

/** What both ends of the wire have in common, and what tells them apart. */
export interface MemoryOptions {
  /** Octets of IP packet in one frame. Default 1500. */
  readonly mtu?: number
  /** Partial checksums travel as they are and arrive vouched for. Default false. */
  readonly checksumOffload?: boolean
  /** Frames carry up to 64 KiB of TCP payload, uncut. Default false. */
  readonly segmentationOffload?: boolean
  /** Frames that wait for a receiver before the next one is dropped. Default 1024. */
  readonly capacity?: number
  readonly names?: readonly [string, string]
  readonly macs?: readonly [MacAddress, MacAddress]
}

/** One frame on the wire. Its memory is kept for the next frame that comes to this slot. */
interface Slot {
  bytes: Uint8Array
  length: number
  checksumVouched: boolean
  segmentSize: number
}

const DEFAULT_CAPACITY = 1024
const EMPTY = new Uint8Array(0)

/**
 * One direction of the wire: a ring of slots, drop-tail. The sender writes into the slot at `tail`
 * itself, so a frame is copied once, by whoever encodes it. Slots between `published` and `tail` are
 * committed and not yet flushed: the receiver does not see them.
 */
class Ring {
  readonly slots: ReadonlyArray<Slot>
  /** Slots before `head` are the sender's again; those from there to `seen` stay as the receiver saw them until its batch ends. */
  head = 0
  seen = 0
  published = 0
  tail = 0
  /** Called when frames are published; the receiving device's. */
  onPublished: () => void = () => {}

  constructor(capacity: number) {
    this.slots = Array.from({ length: capacity }, () => ({
      bytes: EMPTY,
      length: 0,
      checksumVouched: false,
      segmentSize: 0,
    }))
  }

  /** The slot at a position; positions only count up. */
  at(position: number): Slot | undefined {
    return this.slots[position % this.slots.length]
  }

  /** The slot for the next frame with room for `length` octets, or undefined when the ring is full. */
  free(length: number): Slot | undefined {
    if (this.tail - this.head >= this.slots.length) return undefined
    const slot = this.at(this.tail)
    if (slot !== undefined && slot.bytes.length < length) slot.bytes = new Uint8Array(sizeClass(length))
    return slot
  }
}

/** Two sizes are enough: nearly every frame fits the first, and what does not is a jumbo or a super-segment. */
const sizeClass = (length: number): number => (length <= 2048 ? 2048 : Math.max(length, MAX_SUPER_FRAME))

class MemoryDevice implements Device {
  readonly counters = noCounters()
  readonly name: string
  readonly mac: MacAddress
  readonly capabilities: Capabilities
  readonly #out: Ring
  readonly #in: Ring
  readonly #frame: ReceivedFrame = { bytes: EMPTY, offset: 0, length: 0, checksumVouched: false, segmentSize: 0 }
  readonly #maxFrame: number
  #reserved: Slot | undefined
  #onReady: (() => void) | undefined
  #firing = false
  #closed = false

  constructor(name: string, mac: MacAddress, capabilities: Capabilities, outgoing: Ring, incoming: Ring) {
    this.name = name
    this.mac = mac
    this.capabilities = capabilities
    this.#out = outgoing
    this.#in = incoming
    this.#maxFrame = capabilities.segmentationOffload > 0 ? MAX_SUPER_FRAME : capabilities.mtu + ETHERNET_OVERHEAD
    incoming.onPublished = () => this.#fireSoon()
  }

  receive(visit: (frame: ReceivedFrame) => void, budget: number): number {
    const ring = this.#in
    const frame = this.#frame
    let visited = 0
    ring.head = ring.seen
    while (visited < budget && ring.seen < ring.published && !this.#closed) {
      const slot = ring.at(ring.seen)
      if (slot === undefined) break
      frame.bytes = slot.bytes
      frame.offset = 0
      frame.length = slot.length
      frame.checksumVouched = slot.checksumVouched
      frame.segmentSize = slot.segmentSize
      visited++
      this.counters.rxPackets++
      this.counters.rxBytes += slot.length
      ring.seen++
      visit(frame)
    }
    return visited
  }

  reserve(length: number): Uint8Array | undefined {
    this.#reserved = undefined
    if (this.#closed) return undefined
    const slot = length <= this.#maxFrame ? this.#out.free(length) : undefined
    if (slot === undefined) {
      this.counters.txDropped++
      return undefined
    }
    this.#reserved = slot
    return slot.bytes
  }

  commit(length: number, offload: Offload): void {
    const slot = this.#reserved
    if (slot === undefined || this.#closed) return
    this.#reserved = undefined
    const { checksumOffload, segmentationOffload, mtu } = this.capabilities
    const cut = segmentationOffload > 0 && offload.segmentSize > 0
    if (length > slot.bytes.length || (!cut && length > mtu + ETHERNET_OVERHEAD)) {
      this.counters.txDropped++
      return
    }
    slot.length = length
    slot.checksumVouched = checksumOffload && offload.checksumStart > 0
    slot.segmentSize = cut ? offload.segmentSize : 0
    this.#out.tail++
    this.counters.txPackets++
    this.counters.txBytes += length
  }

  flush(): void {
    // The batch has ended: the sender may have the slots again.
    this.#in.head = this.#in.seen
    const ring = this.#out
    if (ring.published === ring.tail) return
    ring.published = ring.tail
    ring.onPublished()
  }

  wake(onReady: () => void): void {
    if (this.#closed) return
    this.#onReady = onReady
    if (this.#in.seen < this.#in.published) this.#fireSoon()
  }

  failure(): undefined {
    return undefined
  }

  close(): void {
    this.#closed = true
    this.#onReady = undefined
    this.#reserved = undefined
  }

  // A macrotask, not a microtask: two hosts that answer each other must not starve the event loop.
  #fireSoon(): void {
    if (this.#onReady === undefined || this.#firing) return
    this.#firing = true
    setImmediate(() => {
      this.#firing = false
      const onReady = this.#onReady
      this.#onReady = undefined
      onReady?.()
    })
  }
}

/**
 * Two devices joined by a wire that neither delays nor loses, but holds only `capacity` frames each way:
 * a frame for a full wire is refused by `reserve` and counted as `txDropped`, as is one larger than the MTU
 * that the device is not asked to cut. Frames arrive at `flush`. Closing one end unplugs it:
 * the other's frames fill the wire and are dropped.
 */
export const memoryPair = (options: MemoryOptions = {}): readonly [Device, Device] => {
  const capabilities: Capabilities = {
    mtu: options.mtu ?? 1500,
    layer: "ethernet",
    checksumOffload: options.checksumOffload ?? false,
    segmentationOffload: options.segmentationOffload === true ? MAX_SEGMENTED_PAYLOAD : 0,
    framesStay: true,
  }
  const capacity = options.capacity ?? DEFAULT_CAPACITY
  const [leftName, rightName] = options.names ?? ["memory0", "memory1"]
  const [leftMac, rightMac] = options.macs ?? [checkedMac(0x02_00_00_00_00_01), checkedMac(0x02_00_00_00_00_02)]
  const rightwards = new Ring(capacity)
  const leftwards = new Ring(capacity)
  return [
    new MemoryDevice(leftName, leftMac, capabilities, rightwards, leftwards),
    new MemoryDevice(rightName, rightMac, capabilities, leftwards, rightwards),
  ]
}
