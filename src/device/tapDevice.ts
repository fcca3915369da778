import { Errno, errnoName } from "../../ffi/errno.ts"
import { close, POLLERR, POLLHUP, POLLIN, POLLNVAL, read, write } from "../../ffi/libc.ts"
import { offsetBy, PAGE, type Pinned, pinned } from "../../ffi/memory.ts"
import { type Tap, VNET_HEADER } from "../../ffi/tun.ts"
import type { MacAddress } from "../wire/address.ts"
import { ETHERNET_HEADER } from "../wire/ethernet.ts"
import { cutDatagrams } from "./cutDatagrams.ts"
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
import { joinedDatagrams, readVnetHeader, writeVnetHeader } from "./vnetHeader.ts"

/** No two frames share a cache line. */
const ALIGNED = 63
/** Octets of a batch. */
const BATCH_SIZE = 1 << 19
const BROKEN = POLLERR | POLLHUP | POLLNVAL

/**
 * A device over an attached TAP or TUN descriptor, which it owns. One system call moves one frame, at once:
 * `commit` is write(2) and `flush` has nothing to do. The kernel queues what it sends us (txqueuelen,
 * 1000 frames) and drops there; those drops are counted on its interface, not here.
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
  readonly #tx = pinned(VNET_HEADER + MAX_SUPER_FRAME, PAGE)
  readonly #txFrame: Uint8Array
  readonly #frame: ReceivedFrame
  /** The virtio header in `#tx` asks for nothing: it need not be written again. */
  #plainHeader = true
  #reserved = false
  #full = false
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
    this.#rx = pinned(BATCH_SIZE, PAGE)
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
    const { address, view, bytes } = this.#rx
    const header = this.#header
    const frame = this.#frame
    const largest = this.#largest
    let visited = 0
    let place = 0
    this.#full = false
    while (visited < budget && !this.#closed && this.#failure === undefined) {
      this.#full = place + largest > bytes.length
      if (this.#full) break
      const length = read(this.#fd, offsetBy(address, place), largest)
      if (length < 0) {
        this.#readFailed(-length)
        break
      }
      if (header > 0) readVnetHeader(view, frame, place)
      frame.offset = place + header
      frame.length = length - header
      this.counters.rxPackets++
      this.counters.rxBytes += frame.length
      const udpStart = header > 0 ? joinedDatagrams(view, place) : 0
      place += (length + ALIGNED) & ~ALIGNED
      if (udpStart === 0) {
        visited++
        visit(frame)
        continue
      }
      const datagrams = cutDatagrams(frame, this.#ipStart, udpStart, visit)
      if (datagrams === 0) this.counters.rxDropped++
      visited += Math.max(1, datagrams)
    }
    return visited
  }

  reserve(length: number): Uint8Array | undefined {
    if (this.#closed) return undefined
    this.#reserved = length <= this.#maxFrame && this.#failure === undefined
    if (this.#reserved) return this.#txFrame
    this.counters.txDropped++
    return undefined
  }

  commit(length: number, offload: Offload): void {
    if (!this.#reserved || this.#closed) return
    this.#reserved = false
    if (length > this.#maxFrame) {
      this.counters.txDropped++
      return
    }
    if (this.#header > 0) this.#writeHeader(offload)
    const written = write(this.#fd, this.#tx.address, this.#header + length)
    if (written < 0) {
      this.counters.txDropped++
      this.#writeFailed(-written)
      return
    }
    this.counters.txPackets++
    this.counters.txBytes += length
  }

  flush(): void {}

  wake(onReady: () => void): void {
    if (this.#closed) return
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

  #writeHeader(offload: Offload): void {
    const plain = offload === NO_OFFLOAD
    if (!(plain && this.#plainHeader)) writeVnetHeader(this.#tx.view, offload)
    this.#plainHeader = plain
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
