/**
 * A seeded source of chance: xoshiro128** (Blackman and Vigna), its state filled by splitmix32. Integer
 * operations only, so that a seed gives the same run on every machine. Not for secrets.
 */
export class Random {
  private a: number
  private b: number
  private c: number
  private d: number

  /** `seed`: a whole number up to 2^53. `stream` tells sources of one seed apart: each then goes its own way, whatever the others are asked. */
  constructor(seed: number, stream = 0) {
    // One word after the other, so that no two of seed and stream make up for each other.
    const fill = splitmix32(mix(mix(mix(seed) + Math.floor(seed / 2 ** 32)) + stream))
    this.a = fill()
    this.b = fill()
    this.c = fill()
    // A state of zeros would stay one.
    this.d = fill() | 1
  }

  /** 32 bits. */
  word(): number {
    const times5 = Math.imul(this.b, 5)
    const result = Math.imul((times5 << 7) | (times5 >>> 25), 9) >>> 0
    const t = this.b << 9
    this.c ^= this.a
    this.d ^= this.b
    this.b ^= this.c
    this.a ^= this.d
    this.c ^= t
    this.d = (this.d << 11) | (this.d >>> 21)
    return result
  }

  /** At least 0 and below 1. */
  unit(): number {
    return this.word() / 2 ** 32
  }

  /** Always false at 0, always true at 1. */
  chance(probability: number): boolean {
    return probability > 0 && this.unit() < probability
  }

  /** A whole number below `limit`. */
  below(limit: number): number {
    return Math.floor(this.unit() * limit)
  }
}

const mix = (word: number): number => {
  let x = word | 0
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad)
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97)
  return (x ^ (x >>> 15)) >>> 0
}

const splitmix32 = (seed: number): (() => number) => {
  let state = seed
  return () => {
    state = (state + 0x9e3779b9) >>> 0
    return mix(state)
  }
}
