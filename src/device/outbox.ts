import { write } from "../../ffi/libc.ts"
import { offsetBy, type Pinned } from "../../ffi/memory.ts"
import { NO_OFFLOAD, type Offload } from "./device.ts"
import { writeVnetHeader } from "./vnetHeader.ts"

/** Octets of a place, a virtio header included: a frame of Ethernet's usual size fits. */
const PLACE = 2048
/** Behind the last place, so that from each of them on there is as much memory as words.ts asks of a device's. */
const BEHIND = 1 << 15

/** Octets of memory for so many frames. */
export const outboxSize = (capacity: number): number => capacity * PLACE + BEHIND

/** Frames that wait to be written one right after the other; see tapDevice.ts for why. */
export class Outbox {
  readonly #places: ReadonlyArray<Uint8Array>
  readonly #lengths: Int32Array
  /** Of each place: the virtio header in it asks for something. */
  readonly #asks: Uint8Array
  #count = 0

  /** `header`: octets of virtio header before each frame. `memory`: of `outboxSize`. `onWritten` hears of each frame what write(2) has said, and its length. */
  constructor(
    private readonly fd: number,
    private readonly header: number,
    private readonly capacity: number,
    private readonly memory: Pinned,
    private readonly onWritten: (written: number, length: number) => void,
  ) {
    this.#places = Array.from({ length: capacity }, (_, n) => memory.bytes.subarray(n * PLACE + header))
    this.#lengths = new Int32Array(capacity)
    this.#asks = new Uint8Array(capacity)
  }

  /** Frames of so many octets fit. */
  fits(length: number): boolean {
    return this.header + length <= PLACE
  }

  /** Where the next frame's octets go; those that wait are written first where there is no place left. */
  place(): Uint8Array | undefined {
    if (this.#count === this.capacity) this.flush()
    return this.#places[this.#count]
  }

  /** The frame in `place` is there. */
  add(length: number, offload: Offload): void {
    const n = this.#count++
    this.#lengths[n] = length
    if (this.header === 0) return
    const asks = offload !== NO_OFFLOAD
    if (asks || this.#asks[n] !== 0) writeVnetHeader(this.memory.view, offload, n * PLACE)
    this.#asks[n] = asks ? 1 : 0
  }

  flush(): void {
    const count = this.#count
    this.#count = 0
    for (let n = 0; n < count; n++) {
      const length = this.#lengths[n] ?? 0
      this.onWritten(write(this.fd, offsetBy(this.memory.address, n * PLACE), this.header + length), length)
    }
  }
}
