const MASK = 0xffff_ffff_ffff_ffffn

const rotated = (word: bigint, bits: bigint): bigint => ((word << bits) | (word >> (64n - bits))) & MASK

const littleEndian = (bytes: Uint8Array, at: number, count: number): bigint => {
  let word = 0n
  for (let i = count - 1; i >= 0; i--) word = (word << 8n) | BigInt(bytes[at + i] ?? 0)
  return word
}

type State = [v0: bigint, v1: bigint, v2: bigint, v3: bigint]

const round = ([v0, v1, v2, v3]: State): State => {
  const a = (v0 + v1) & MASK
  const b = rotated(v1, 13n) ^ a
  const c = (v2 + v3) & MASK
  const d = rotated(v3, 16n) ^ c
  const e = (rotated(a, 32n) + d) & MASK
  const f = rotated(d, 21n) ^ e
  const g = (c + b) & MASK
  return [e, rotated(b, 17n) ^ g, rotated(g, 32n), f]
}

/** SipHash-2-4 (Aumasson and Bernstein, 2012) of `bytes` under 16 octets of `key`: 8 octets, lowest first. */
export const sipHash = (key: Uint8Array, bytes: Uint8Array): Uint8Array => {
  const [k0, k1] = [littleEndian(key, 0, 8), littleEndian(key, 8, 8)]
  let state: State = [
    k0 ^ 0x736f6d6570736575n,
    k1 ^ 0x646f72616e646f6dn,
    k0 ^ 0x6c7967656e657261n,
    k1 ^ 0x7465646279746573n,
  ]
  const take = (word: bigint): void => {
    state[3] ^= word
    state = round(round(state))
    state[0] ^= word
  }
  const whole = bytes.length - (bytes.length % 8)
  for (let at = 0; at < whole; at += 8) take(littleEndian(bytes, at, 8))
  take(littleEndian(bytes, whole, bytes.length - whole) | (BigInt(bytes.length & 0xff) << 56n))
  state[2] ^= 0xffn
  state = round(round(round(round(state))))
  const word = state[0] ^ state[1] ^ state[2] ^ state[3]
  return Uint8Array.from({ length: 8 }, (_, i) => Number((word >> BigInt(8 * i)) & 0xffn))
}
