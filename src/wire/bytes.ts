/**
 * Big-endian fields in octets. An octet beyond the end reads as 0 and is not written, so
 * nothing here throws; decoders check lengths first all the same.
 */
export const getU8 = (bytes: Uint8Array, at: number): number => bytes[at] ?? 0

export const getU16 = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)

export const getU32 = (bytes: Uint8Array, at: number): number =>
  (((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 0

export const setU8 = (out: Uint8Array, at: number, value: number): void => {
  out[at] = value
}

export const setU16 = (out: Uint8Array, at: number, value: number): void => {
  out[at] = value >>> 8
  out[at + 1] = value
}

export const setU32 = (out: Uint8Array, at: number, value: number): void => {
  out[at] = value >>> 24
  out[at + 1] = value >>> 16
  out[at + 2] = value >>> 8
  out[at + 3] = value
}

/** The same memory, of a range that must lie within: a third of what `subarray` costs. */
export const viewOf = (bytes: Uint8Array, from: number, length: number): Uint8Array =>
  new Uint8Array(bytes.buffer, bytes.byteOffset + from, length)

/** Node's, where the engine has it: it copies a part without a view of it, which costs more than the octets of a segment do. */
const nativeCopy: CopyPart | undefined = typeof Buffer === "undefined" ? undefined : Buffer.prototype.copy
type CopyPart = (this: Uint8Array, out: Uint8Array, at: number, from: number, end: number) => number

/** Copies `length` octets from `from` on into `out` at `at`. Both ranges must lie within. */
export const copyPart = (bytes: Uint8Array, from: number, length: number, out: Uint8Array, at: number): void => {
  if (nativeCopy === undefined) out.set(viewOf(bytes, from, length), at)
  else nativeCopy.call(bytes, out, at, from, from + length)
}

/** A copy that outlives `bytes` (a Buffer's own `slice` would be a view). */
export const copyOf = (bytes: Uint8Array, start: number, end: number): Uint8Array =>
  new Uint8Array(bytes.subarray(start, end))

/** Octet by octet: faster than `set` for the few octets of an option, and stops at the end of `out`. */
export const setBytes = (out: Uint8Array, at: number, bytes: Uint8Array): void => {
  for (let i = 0; i < bytes.length; i++) out[at + i] = bytes[i] ?? 0
}
