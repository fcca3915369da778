import { errnoName } from "../../ffi/errno.ts"
import { POLLERR, POLLHUP, POLLIN, POLLNVAL } from "../../ffi/libc.ts"
import { PAGE, type Pinned, pinned } from "../../ffi/memory.ts"
import { INJECT_SLACK, type NetmapPort } from "../../ffi/netmap.ts"
import type { NetmapRing } from "../../ffi/netmapRing.ts"
import type { MacAddress } from "../wire/address.ts"
import {
  type Capabilities,
  type Device,
  type DeviceFailure,
  NO_OFFLOAD,
  noCounters,
  type Offload,
  type ReceivedFrame,
} from "./device.ts"
import { ETHERNET_OVERHEAD, MAX_SEGMENTED_PAYLOAD, MAX_SUPER_FRAME } from "./limits.ts"
import type { Registration } from "./poller.ts"
import { readVnetHeader, writeVnetHeader } from "./vnetHeader.ts"

const BROKEN = POLLERR | POLLHUP | POLLNVAL
const NOTHING = new Uint8Array(0)
/** The longest virtio-net header. */
const MAX_HEADER = 12
/** How often a sleeping stack offers a full pipe what is left, milliseconds. */
const RETRY = 5

/**
 * A device over an open netmap port, which it owns. Frames are written into the slots of the transmit rings and
 * parsed where they lie in those of the receive rings; only what is longer than a buffer is copied, into
 * and out of one piece. One NIOCRXSYNC begins a batch, one NIOCTXSYNC (`flush`) ends it.
 *
 * A VALE switch has no back-pressure: it takes every frame and throws away what its receiver has no room for. Such
 * a loss is nobody's counter; `txDropped` counts what our own rings had no room for.
 */
export class NetmapDevice implements Device {
  readonly counters = noCounters()
  readonly name: string
  readonly mac: MacAddress
  readonly capabilities: Capabilities
  readonly #port: NetmapPort
  readonly #registration: Registration
  /** Octets of virtio-net header before each frame. */
  readonly #header: number
  readonly #maxFrame: number
  readonly #memory: Uint8Array
  readonly #view: DataView
  /** The frame of each transmit buffer, behind its virtio-net header, by buffer index; made when first used. */
  readonly #txViews: Array<Uint8Array | undefined> = []
  /** A long frame on its way out, or one that came in pieces. */
  readonly #txLong = pinned(MAX_HEADER + MAX_SUPER_FRAME + INJECT_SLACK, PAGE)
  readonly #txLongFrame: Uint8Array
  readonly #rxLong: Pinned
  /** Receive buffers as a whole, by buffer index; made when first used. */
  readonly #bufferViews: Array<Uint8Array | undefined> = []
  readonly #frame: ReceivedFrame = {
    bytes: NOTHING,
    offset: 0,
    length: 0,
    checksumVouched: false,
    segmentSize: 0,
  }
  /** The ring and its slot that `reserve` handed out; none of them: the long frame. */
  #ring: NetmapRing | undefined
  #nextRing = 0
  /** Of the transmit rings, as we left them: a head that the kernel does not like it sets back without a word. */
  readonly #heads: Array<number> = []
  #reserved = 0
  #unsent = false
  #retrying: ReturnType<typeof setTimeout> | undefined
  #failure: DeviceFailure | undefined
  #onReady: (() => void) | undefined
  #closed = false

  constructor(port: NetmapPort, mac: MacAddress, mtu: number, header: number, registration: Registration) {
    this.name = port.name
    this.mac = mac
    this.#port = port
    this.#registration = registration
    this.#header = header
    this.#maxFrame = header > 0 ? MAX_SUPER_FRAME : mtu + ETHERNET_OVERHEAD
    this.#memory = port.memory
    this.#view = new DataView(port.memory.buffer)
    // The last buffer of a long frame is copied as a whole.
    const slack = Math.max(0, ...port.rx.map(({ bufferSize }) => bufferSize))
    this.#rxLong = pinned(MAX_HEADER + MAX_SUPER_FRAME + slack, PAGE)
    this.#txLongFrame = this.#txLong.bytes.subarray(header)
    this.capabilities = {
      mtu,
      layer: "ethernet",
      checksumOffload: header > 0,
      segmentationOffload: header > 0 ? MAX_SEGMENTED_PAYLOAD : 0,
      // Whoever waits in poll(2) hands the slots of visited frames back to the kernel.
      framesStay: false,
    }
  }

  receive(visit: (frame: ReceivedFrame) => void, budget: number): number {
    if (this.#closed || this.#failure !== undefined) return 0
    const error = this.#port.syncRx()
    if (error < 0) this.#fail(errnoName(error), "the port is gone")
    let visited = 0
    for (const ring of this.#port.rx) {
      while (visited < budget && ring.available > 0 && !this.#closed) {
        const count = this.#present(ring)
        if (count === 0) break
        const complete = this.#frame.length > 0
        if (complete) {
          visited++
          this.counters.rxPackets++
          this.counters.rxBytes += this.#frame.length
        } else this.counters.rxDropped++
        try {
          if (complete) visit(this.#frame)
        } finally {
          // Only now: whoever waits in poll(2) meanwhile would hand the slots back to the kernel.
          ring.advance(count)
        }
      }
    }
    return visited
  }

  reserve(length: number): Uint8Array | undefined {
    this.#reserved = 0
    if (this.#closed) return undefined
    if (length > this.#maxFrame || this.#failure !== undefined) {
      this.counters.txDropped++
      return undefined
    }
    const ring = this.#ringWithRoom()
    if (ring === undefined) {
      this.counters.txDropped++
      return undefined
    }
    this.#reserved = length
    if (this.#header + length > ring.bufferSize) {
      this.#ring = undefined
      return this.#txLongFrame
    }
    this.#ring = ring
    return this.#txView(ring)
  }

  commit(length: number, offload: Offload): void {
    if (this.#reserved === 0 || this.#closed) return
    const fits = length <= this.#maxFrame && length > 0
    const ring = this.#ring
    this.#reserved = 0
    if (!fits || !(ring === undefined ? this.#commitLong(length, offload) : this.#commitSlot(ring, length, offload))) {
      this.counters.txDropped++
      return
    }
    this.#unsent = true
    this.counters.txPackets++
    this.counters.txBytes += length
  }

  flush(): void {
    if (!this.#unsent || this.#closed) return
    this.#unsent = false
    this.#syncTx()
  }

  wake(onReady: () => void): void {
    if (this.#closed) return
    this.#onReady = onReady
    if (this.#failure !== undefined) setImmediate(() => this.#fire())
    else this.#registration.arm((revents) => this.#polled(revents))
    if (this.#unsent) this.#retry()
  }

  failure(): DeviceFailure | undefined {
    return this.#failure
  }

  close(): void {
    if (this.#closed) return
    this.flush()
    this.#closed = true
    this.#onReady = undefined
    clearTimeout(this.#retrying)
    this.#registration.close()
    this.#frame.bytes = NOTHING
    this.#frame.length = 0
    this.#port.close()
  }

  /** Makes `#frame` of what begins at the ring's head, and says how many slots it has; 0: its end has not come. Without length: nonsense. */
  #present(ring: NetmapRing): number {
    const slot = ring.head
    const frame = this.#frame
    const header = this.#header
    if (!ring.continues(slot)) {
      frame.bytes = this.#memory
      frame.offset = ring.bufferOffset(slot) + header
      frame.length = Math.max(0, ring.length(slot) - header)
      this.#describe(this.#view, ring.bufferOffset(slot))
      return 1
    }
    const long = this.#rxLong.bytes
    let length = 0
    let count = 0
    for (let at = slot; count < ring.available; at = ring.next(at)) {
      const n = ring.length(at)
      // The whole buffer, which has a view already: a view of what it holds would be garbage.
      if (length + ring.bufferSize <= long.length) long.set(this.#bufferView(ring, at), length)
      length += n
      count++
      if (ring.continues(at)) continue
      frame.bytes = long
      frame.offset = header
      frame.length = length > MAX_HEADER + MAX_SUPER_FRAME ? 0 : Math.max(0, length - header)
      this.#describe(this.#rxLong.view, 0)
      return count
    }
    // No end in a ring that can hold no more: it will never come.
    frame.length = 0
    return count === ring.slots - 1 ? count : 0
  }

  #describe(view: DataView, at: number): void {
    this.#frame.checksumVouched = false
    this.#frame.segmentSize = 0
    if (this.#header > 0) readVnetHeader(view, this.#frame, at)
  }

  /** The ring in use while it has a free slot, else another, and after a sync once more. */
  #ringWithRoom(): NetmapRing | undefined {
    const found = this.#roomyRing()
    if (found !== undefined) return found
    this.#syncTx()
    return this.#roomyRing()
  }

  #roomyRing(): NetmapRing | undefined {
    const rings = this.#port.tx
    for (let tried = 0; tried < rings.length; tried++) {
      const ring = rings[this.#nextRing]
      if (ring !== undefined && ring.available > 0) return ring
      this.#nextRing = (this.#nextRing + 1) % rings.length
    }
    return undefined
  }

  #txView(ring: NetmapRing): Uint8Array {
    const index = ring.bufferIndex(ring.head)
    const known = this.#txViews[index]
    if (known !== undefined) return known
    const at = ring.bufferOffset(ring.head)
    const view = this.#memory.subarray(at + this.#header, at + ring.bufferSize)
    this.#txViews[index] = view
    return view
  }

  #bufferView(ring: NetmapRing, slot: number): Uint8Array {
    const index = ring.bufferIndex(slot)
    const known = this.#bufferViews[index]
    if (known !== undefined) return known
    const at = ring.bufferOffset(slot)
    const view = this.#memory.subarray(at, at + ring.bufferSize)
    this.#bufferViews[index] = view
    return view
  }

  #commitSlot(ring: NetmapRing, length: number, offload: Offload): boolean {
    if (this.#header + length > ring.bufferSize) return false
    const slot = ring.head
    if (this.#header > 0) this.#writeHeader(this.#memory, this.#view, ring.bufferOffset(slot), offload)
    ring.fill(slot, this.#header + length)
    return ring.advance(1)
  }

  #commitLong(length: number, offload: Offload): boolean {
    const { bytes, view, address } = this.#txLong
    if (this.#header > 0) this.#writeHeader(bytes, view, 0, offload)
    if (this.#port.inject(address, this.#header + length)) return true
    // Room for one slot is not room for all of them: ask once more when the kernel has taken what it has.
    this.#syncTx()
    return this.#port.inject(address, this.#header + length)
  }

  #writeHeader(bytes: Uint8Array, view: DataView, at: number, offload: Offload): void {
    if (offload === NO_OFFLOAD) bytes.fill(0, at, at + this.#header)
    else {
      writeVnetHeader(view, offload, at)
      // num_buffers, where the header has it: one.
      if (this.#header === MAX_HEADER) view.setUint16(at + 10, 1, true)
    }
  }

  #syncTx(): void {
    const rings = this.#port.tx
    const heads = this.#heads
    for (let index = 0; index < rings.length; index++) heads[index] = rings[index]?.head ?? 0
    const error = this.#port.syncTx()
    if (error < 0) return this.#fail(errnoName(error), "the port is gone")
    for (let index = 0; index < rings.length; index++) {
      const ring = rings[index]
      if (ring === undefined) continue
      if (ring.head !== heads[index]) this.#fail("EFAULT", "netmap has reset a transmit ring")
      else if (this.#port.pipe && ring.available < ring.slots - 1) this.#unsent = true
    }
  }

  /** Nobody tells us when the other end of a pipe has made room. */
  #retry(): void {
    this.#retrying ??= setTimeout(() => {
      this.#retrying = undefined
      this.flush()
      if (this.#unsent) this.#retry()
    }, RETRY)
  }

  #polled(revents: number): void {
    if ((revents & BROKEN) !== 0 && (revents & POLLIN) === 0) this.#fail("ENXIO", "the port is gone")
    this.#fire()
  }

  #fire(): void {
    const onReady = this.#onReady
    this.#onReady = undefined
    onReady?.()
  }

  #fail(errno: string, what: string): void {
    this.#failure ??= { device: this.name, errno, message: `${this.name}: ${what} (${errno})` }
  }
}
