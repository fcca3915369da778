import { createCipheriv } from "node:crypto"

/** One end of a connection, the kernel's or the stack's: tests are written once for both. */
export interface End {
  /** Waits until the own TCP has taken all octets. */
  readonly write: (bytes: Uint8Array) => Promise<void>
  /** The next octets, `max` at most where it is given; undefined once the peer has sent its last. */
  readonly read: (max?: number) => Promise<Uint8Array | undefined>
  /** Half-close: a FIN after what was written. */
  readonly shutdown: () => void
  readonly close: () => void
  /** A RST. */
  readonly abort: () => void
}

/** Octets that differ everywhere, and by seed: a piece lost, doubled or in the wrong place changes their hash. */
export const octets = (length: number, seed = 0): Uint8Array => {
  const key = Buffer.alloc(16)
  key.writeUInt32BE(seed)
  const cipher = createCipheriv("aes-128-ctr", key, Buffer.alloc(16))
  return new Uint8Array(cipher.update(Buffer.alloc(length)))
}

export const text = (value: string): Uint8Array => new TextEncoder().encode(value)
export const string = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** Up to the peer's last octet. */
export const readAll = async (end: End): Promise<Uint8Array> => {
  const chunks: Array<Uint8Array> = []
  for (let chunk = await end.read(); chunk !== undefined; chunk = await end.read()) chunks.push(chunk)
  return new Uint8Array(Buffer.concat(chunks))
}

/** Exactly so many; fewer only where the peer's last comes first. */
export const readExactly = async (end: End, length: number): Promise<Uint8Array> => {
  const out = new Uint8Array(length)
  let at = 0
  while (at < length) {
    const chunk = await end.read(length - at)
    if (chunk === undefined) return out.subarray(0, at)
    out.set(chunk, at)
    at += chunk.length
  }
  return out
}

export const sha256 = (bytes: Uint8Array): string => new Bun.CryptoHasher("sha256").update(bytes).digest("hex")

/** SHA-256 and number of all octets up to the peer's last. */
export const hashAll = async (end: End): Promise<{ readonly length: number; readonly sha256: string }> => {
  const hasher = new Bun.CryptoHasher("sha256")
  let length = 0
  for (let chunk = await end.read(); chunk !== undefined; chunk = await end.read()) {
    hasher.update(chunk)
    length += chunk.length
  }
  return { length, sha256: hasher.digest("hex") }
}
