import type { Digest } from "../sim/network/hash.ts"

/** SHA-256 as the machine does it: some fifteen times as fast as in TypeScript. */
export const nativeDigest = (): Digest => {
  const hasher = new Bun.CryptoHasher("sha256")
  return { update: (bytes) => hasher.update(bytes), hex: () => hasher.copy().digest("hex") }
}
