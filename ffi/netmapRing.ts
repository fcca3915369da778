import { NetmapIncompatible } from "./netmapError.ts"
import { NS_MOREFRAG, Ring, Slot } from "./netmapLayout.ts"

/** Words and halves of a slot. */
const SLOT_WORDS = Slot.size / 4
const SLOT_HALVES = Slot.size / 2

/**
 * A ring of slots in memory that is shared with the kernel. Ours are those from `head` up to `tail`, not including it:
 * at most all but one. `head` moves by `advance` alone, slot after slot and never past `tail`, because the
 * kernel answers any other value by a reset of the ring, without a word.
 */
export class NetmapRing {
  readonly slots: number
  readonly bufferSize: number
  readonly #words: Uint32Array
  readonly #halves: Uint16Array
  /** Where the ring begins in the shared memory. */
  readonly offset: number
  /** Of buffer 0, in the shared memory. */
  readonly #buffers: number

  /** The ring at `offset` of the shared memory. Throws NetmapIncompatible for what cannot be one. */
  static at(region: ArrayBuffer, offset: number, direction: number): NetmapRing {
    if (!(offset > 0 && offset % 8 === 0 && offset + Ring.slots < region.byteLength)) {
      throw new NetmapIncompatible(`a ring at ${offset} of ${region.byteLength} octets`)
    }
    const view = new DataView(region, offset, Ring.slots)
    const slots = view.getUint32(Ring.numSlots, true)
    const size = view.getUint32(Ring.bufferSize, true)
    const way = view.getUint16(Ring.direction, true)
    const buffers = offset + Number(view.getBigInt64(Ring.bufferOffset, true))
    const whole = offset + Ring.slots + slots * Slot.size <= region.byteLength
    if (way !== direction || slots < 2 || !whole || size < 64 || buffers < 0 || buffers >= region.byteLength) {
      throw new NetmapIncompatible(`a ring of ${slots} slots and buffers of ${size} octets, direction ${way}`)
    }
    return new NetmapRing(region, offset, slots, size, buffers)
  }

  private constructor(region: ArrayBuffer, offset: number, slots: number, bufferSize: number, buffers: number) {
    this.#words = new Uint32Array(region)
    this.#halves = new Uint16Array(region)
    this.offset = offset
    this.#buffers = buffers
    this.slots = slots
    this.bufferSize = bufferSize
  }

  /** The first slot that is ours. */
  get head(): number {
    return this.#words[(this.offset + Ring.head) >>> 2] ?? 0
  }

  /** The first slot that is the kernel's. */
  get tail(): number {
    return this.#words[(this.offset + Ring.tail) >>> 2] ?? 0
  }

  next(slot: number): number {
    return slot + 1 === this.slots ? 0 : slot + 1
  }

  /** How many slots are ours. */
  get available(): number {
    const n = this.tail - this.head
    return n < 0 ? n + this.slots : n
  }

  /** Gives `count` slots to the kernel, which learns of it at the next sync. False, and nothing done, when they are not ours. */
  advance(count: number): boolean {
    if (!(count >= 0 && count <= this.available)) return false
    const head = (this.head + count) % this.slots
    this.#words[(this.offset + Ring.head) >>> 2] = head
    this.#words[(this.offset + Ring.cur) >>> 2] = head
    return true
  }

  bufferIndex(slot: number): number {
    return this.#words[((this.offset + Ring.slots) >>> 2) + slot * SLOT_WORDS] ?? 0
  }

  /** Where the slot's buffer begins in the shared memory. */
  bufferOffset(slot: number): number {
    return this.#buffers + this.bufferIndex(slot) * this.bufferSize
  }

  /** Octets in the slot's buffer. */
  length(slot: number): number {
    return this.#halves[((this.offset + Ring.slots + Slot.length) >>> 1) + slot * SLOT_HALVES] ?? 0
  }

  /** Whether the frame goes on in the next slot. */
  continues(slot: number): boolean {
    const flags = this.#halves[((this.offset + Ring.slots + Slot.flags) >>> 1) + slot * SLOT_HALVES] ?? 0
    return (flags & NS_MOREFRAG) !== 0
  }

  /** Says that the slot holds a whole frame of `length` octets. */
  fill(slot: number, length: number): void {
    this.#halves[((this.offset + Ring.slots + Slot.length) >>> 1) + slot * SLOT_HALVES] = length
    this.#halves[((this.offset + Ring.slots + Slot.flags) >>> 1) + slot * SLOT_HALVES] = 0
  }
}
