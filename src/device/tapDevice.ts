import { Errno, errnoName } from "../../ffi/errno.ts"
import { close, POLLERR, POLLHUP, POLLIN, POLLNVAL, read, write, yieldProcessor } from "../../ffi/libc.ts"
import { offsetBy, type Pinned } from "../../ffi/memory.ts"
import { type Tap, VNET_HEADER } from "../../ffi/tun.ts"
import type { MacAddress } from "../wire/address.ts"
import { ETHERNET_HEADER } from "../wire/ethernet.ts"
import { cutDatagrams } from "./cutDatagrams.ts"
import {
  type Capabilities,
  type Device,
  type DeviceFailure,
  noCounters,
  type Offload,
  type ReceivedFrame,
} from "./device.ts"
import { frameMemory } from "./frameMemory.ts"
import { ETHERNET_OVERHEAD, MAX_SEGMENTED_PAYLOAD, MAX_SUPER_FRAME } from "./limits.ts"
import { Outbox, outboxSize } from "./outbox.ts"
import type { Registration } from "./poller.ts"
import { joinedDatagrams, readVnetHeader, writeVnetHeader } from "./vnetHeader.ts"

/** No two frames share a cache line. */
const ALIGNED = 63
/**
 * In the first batches after a silence the kernel's thread and the peer, which are woken on the processor where we write our
 * answer, are let go on there while we look for more. Later they do well to move to another one.
 */
const FEW = 2
/** So many times nothing was there in a row: a silence too, of one who looks on through it. */
const SILENT = 32
const aligned = (length: number): number => (length + ALIGNED) & ~ALIGNED
/** Octets of a batch. */
const BATCH_SIZE = 1 << 19
/** Frames that are read, or written, before and after others have their turn with the processor's caches. */
const VECTOR = 64
const BROKEN = POLLERR | POLLHUP | POLLNVAL

/**
 * A device over an attached TAP or TUN descriptor, which it owns. One system call moves one frame. Those of many
 * frames follow each other, and so does what the stack does with the frames: the kernel's code and ours each fill
 * the processor's nearest cache, and by turns, frame after frame, they would throw each other out of it. The kernel queues
 * what it sends us (txqueuelen) and drops there; those drops are counted on its interface, not here.
 *
 * An interface that is set down is a cable pulled out, not a failure: frames to it are dropped and
 * counted. One that is removed is a failure.
 */
export class TapDevice implements Device {
  readonly counters = noCounters()
  readonly name: string
  readonly mac: MacAddress
  readonly capabilities: Capabilities
  readonly #fd: number
  readonly #registration: Registration
  /** Octets of virtio header before each frame; 0 without offload. */
  readonly #header: number
  /** Where the IP header begins in a frame without VLAN tag, as those of an interface of ours are. */
  readonly #ipStart: number
  readonly #maxFrame: number
  /** Frames of one batch, each behind the one before it. */
  readonly #rx: Pinned
  /** Octets that the next frame may take, its virtio header included. */
  readonly #largest: number
  /** Of those that are read together, where each begins, and its octets. */
  readonly #starts = new Int32Array(VECTOR)
  readonly #lengths = new Int32Array(VECTOR)
  /** Short frames wait in the outbox; one that is too long for it is written from here, at once. */
  readonly #outbox: Outbox
  readonly #tx: Pinned
  readonly #txFrame: Uint8Array
  readonly #frame: ReceivedFrame
  #reserved: "outbox" | "tx" | undefined
  #full = false
  /** That had frames in them, since the last silence. */
  #batches = 0
  /** Times that nothing was there, since then. */
  #empty = 0
  #failure: DeviceFailure | undefined
  #onReady: (() => void) | undefined
  #closed = false

  constructor(
    tap: Tap,
    layer: Capabilities["layer"],
    mac: MacAddress,
    mtu: number,
    offload: boolean,
    registration: Registration,
  ) {
    this.name = tap.name
    this.mac = mac
    this.#fd = tap.fd
    this.#registration = registration
    this.#header = offload ? VNET_HEADER : 0
    this.#ipStart = layer === "ethernet" ? ETHERNET_HEADER : 0
    this.#maxFrame = offload ? MAX_SUPER_FRAME : mtu + (layer === "ethernet" ? ETHERNET_OVERHEAD : 0)
    this.#largest = this.#header + this.#maxFrame
    const memory = frameMemory(BATCH_SIZE, outboxSize(VECTOR), VNET_HEADER + MAX_SUPER_FRAME, !offload)
    this.#rx = memory.rx
    this.#outbox = new Outbox(tap.fd, this.#header, VECTOR, memory.outbox, (written, length) =>
      this.#written(written, length),
    )
    this.#tx = memory.tx
    this.#txFrame = this.#tx.bytes.subarray(this.#header)
    this.#frame = { bytes: this.#rx.bytes, offset: this.#header, length: 0, checksumVouched: false, segmentSize: 0 }
    this.capabilities = {
      mtu,
      layer,
      checksumOffload: offload,
      segmentationOffload: offload ? MAX_SEGMENTED_PAYLOAD : 0,
      datagramOffload: tap.datagramOffload,
      framesStay: true,
      gathers: tap.napi && !offload,
    }
  }

  get full(): boolean {
    return this.#full
  }

  receive(visit: (frame: ReceivedFrame) => void, budget: number): number {
    let visited = 0
    let place = 0
    this.#full = false
    while (visited < budget && !this.#closed && this.#failure === undefined) {
      const wanted = Math.min(VECTOR, budget - visited)
      const count = this.#readVector(place, wanted)
      for (let n = 0; n < count && !this.#closed; n++) {
        const start = this.#starts[n] ?? 0
        const length = this.#lengths[n] ?? 0
        visited += this.#visit(start, length, visit)
        place = start + aligned(length)
      }
      if (count < wanted) break
    }
    if (visited > 0) {
      this.#batches++
      this.#empty = 0
    } else {
      if (++this.#empty === SILENT) this.#batches = 0
      if (this.#batches <= FEW) yieldProcessor()
    }
    return visited
  }

  /** Reads frames to behind `place`; fewer than wanted where there are no more, or no room for one. */
  #readVector(from: number, wanted: number): number {
    const { address, bytes } = this.#rx
    let place = from
    for (let n = 0; n < wanted; n++) {
      this.#full = place + this.#largest > bytes.length
      if (this.#full) return n
      const length = read(this.#fd, offsetBy(address, place), this.#largest)
      if (length <= 0) {
        this.#readFailed(-length)
        return n
      }
      this.#starts[n] = place
      this.#lengths[n] = length
      place += aligned(length)
    }
    return wanted
  }

  /** Returns as how many frames it counts. */
  #visit(start: number, length: number, visit: (frame: ReceivedFrame) => void): number {
    const { view } = this.#rx
    const header = this.#header
    const frame = this.#frame
    if (header > 0) readVnetHeader(view, frame, start)
    frame.offset = start + header
    frame.length = length - header
    this.counters.rxPackets++
    this.counters.rxBytes += frame.length
    const udpStart = header > 0 ? joinedDatagrams(view, start) : 0
    if (udpStart === 0) {
      visit(frame)
      return 1
    }
    const datagrams = cutDatagrams(frame, this.#ipStart, udpStart, visit)
    if (datagrams === 0) this.counters.rxDropped++
    return Math.max(1, datagrams)
  }

  reserve(length: number): Uint8Array | undefined {
    this.#reserved = undefined
    if (this.#closed) return undefined
    if (length > this.#maxFrame || this.#failure !== undefined) {
      this.counters.txDropped++
      return undefined
    }
    this.#reserved = this.#outbox.fits(length) ? "outbox" : "tx"
    return this.#reserved === "outbox" ? this.#outbox.place() : this.#txFrame
  }

  commit(length: number, offload: Offload): void {
    const reserved = this.#reserved
    this.#reserved = undefined
    if (reserved === undefined || this.#closed) return
    if (length > this.#maxFrame || (reserved === "outbox" && !this.#outbox.fits(length))) {
      this.counters.txDropped++
      return
    }
    if (reserved === "outbox") return this.#outbox.add(length, offload)
    this.#outbox.flush()
    if (this.#header > 0) writeVnetHeader(this.#tx.view, offload)
    this.#written(write(this.#fd, this.#tx.address, this.#header + length), length)
  }

  flush(): void {
    if (!this.#closed) this.#outbox.flush()
  }

  #written(written: number, length: number): void {
    if (written < 0) {
      this.counters.txDropped++
      this.#writeFailed(-written)
      return
    }
    this.counters.txPackets++
    this.counters.txBytes += length
  }

  wake(onReady: () => void): void {
    if (this.#closed) return
    this.#batches = 0
    this.#onReady = onReady
    if (this.#failure !== undefined) setImmediate(() => this.#fire())
    else this.#registration.arm((revents) => this.#polled(revents))
  }

  failure(): DeviceFailure | undefined {
    return this.#failure
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#onReady = undefined
    this.#registration.close()
    close(this.#fd)
  }

  #polled(revents: number): void {
    // Readable and broken: let the read say what is wrong. Broken only, a read might still say EAGAIN
    // while the interface is being taken apart, and we would spin on it.
    if ((revents & BROKEN) !== 0 && (revents & POLLIN) === 0) this.#fail("ENODEV")
    this.#fire()
  }

  #fire(): void {
    const onReady = this.#onReady
    this.#onReady = undefined
    onReady?.()
  }

  #readFailed(errno: number): void {
    // No frame is empty: a socket in place of an interface ends so.
    if (errno === 0) return this.#fail("ENODEV")
    if (errno === Errno.EAGAIN || errno === Errno.EINTR || errno === Errno.ENOMEM || errno === Errno.ENOBUFS) return
    this.#fail(errnoName(errno))
  }

  // The rest are the frame's own trouble, or the moment's: EAGAIN, ENOBUFS and ENOMEM when the kernel
  // has no room, EINVAL for a frame that makes no sense to it, EIO while the interface is down.
  #writeFailed(errno: number): void {
    if (errno === Errno.EBADFD || errno === Errno.ENODEV || errno === Errno.EBADF) this.#fail(errnoName(errno))
  }

  #fail(errno: string): void {
    this.#failure ??= { device: this.name, errno, message: `${this.name}: the interface is gone (${errno})` }
  }
}
