import { type VectorSum, vectorSumOf } from "./vectorSum.ts"

/** Arrays of this many octets and more are memory of devices, where frame after frame is looked at: their view is kept. */
const KEPT = 1 << 15

/** The whole memory that some octets lie in. */
export interface Memory {
  /** In the machine's order, an odd end left out. */
  readonly words: Uint16Array
  readonly vectorSum: VectorSum | undefined
}

const views = new WeakMap<Uint8Array, Memory>()

/** The whole memory that `bytes` lies in as 16-bit words. */
export const memoryUnder = (bytes: Uint8Array): Memory => {
  if (bytes.length < KEPT) return viewOf(bytes, undefined)
  const known = views.get(bytes)
  if (known !== undefined) return known
  const memory = viewOf(bytes, vectorSumOf(bytes.buffer))
  views.set(bytes, memory)
  return memory
}

const viewOf = ({ buffer }: Uint8Array, vectorSum: VectorSum | undefined): Memory => ({
  words: new Uint16Array(buffer, 0, buffer.byteLength >>> 1),
  vectorSum,
})
