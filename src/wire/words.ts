/** Arrays of this many octets and more are memory of devices, where frame after frame is looked at: their view is kept. */
const KEPT = 1 << 15

const views = new WeakMap<Uint8Array, Uint16Array>()

/** The whole memory that `bytes` lies in as 16-bit words of the machine's order, an odd end left out. */
export const wordsUnder = (bytes: Uint8Array): Uint16Array => {
  if (bytes.length < KEPT) return viewOf(bytes)
  const known = views.get(bytes)
  if (known !== undefined) return known
  const words = viewOf(bytes)
  views.set(bytes, words)
  return words
}

const viewOf = ({ buffer }: Uint8Array): Uint16Array => new Uint16Array(buffer, 0, buffer.byteLength >>> 1)
