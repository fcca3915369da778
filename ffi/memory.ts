import { type Pointer, ptr } from "./foreign.ts"

/** An address in this process, as system calls take it. */
export type Address = Pointer

/** Memory that stays where it is for as long as this object is referenced. */
export interface Pinned {
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly address: Address
}

/** Every page size that Bun's Linux targets use by default. */
export const PAGE = 4096

/**
 * Zeroed memory of `length` octets at an address which is a multiple of `alignment` (a power of two), in a `buffer` of
 * `length + alignment` octets or more that stays where it is, or in one of its own. Made over an explicit ArrayBuffer: a small typed array moves when its `.buffer` is first
 * touched, and a pointer taken before then dangles.
 */
export const pinned = (length: number, alignment = 8, buffer = new ArrayBuffer(length + alignment)): Pinned => {
  const start = ptr(new Uint8Array(buffer))
  const skip = (alignment - (start % alignment)) % alignment
  return {
    bytes: new Uint8Array(buffer, skip, length),
    view: new DataView(buffer, skip, length),
    address: offsetBy(start, skip),
  }
}

/** `length` octets of it, from `offset` on. */
export const part = ({ bytes, address }: Pinned, offset: number, length: number): Pinned => {
  const from = bytes.byteOffset + offset
  return {
    bytes: new Uint8Array(bytes.buffer, from, length),
    view: new DataView(bytes.buffer, from, length),
    address: offsetBy(address, offset),
  }
}

/** The address `octets` further on. */
export const offsetBy = (address: Address, octets: number): Address => (address + octets) as Address

/** A NUL-terminated copy of `text`. */
export const cString = (text: string): Pinned => {
  const encoded = new TextEncoder().encode(text)
  const memory = pinned(encoded.length + 1)
  memory.bytes.set(encoded)
  return memory
}
