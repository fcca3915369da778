import { describe, expect, test } from "bun:test"
import { Random } from "../../src/wire/random.ts"

const words = (random: Random, count: number): ReadonlyArray<number> =>
  Array.from({ length: count }, () => random.word())

describe("a seeded source of chance", () => {
  test("a seed: the words that it gives on every machine", () => {
    expect(words(new Random(1), 4)).toEqual([1530113752, 2674714925, 1321010356, 3163237568])
  })

  test("the same seed and stream: the same words; another of either: others", () => {
    expect(words(new Random(5, 2), 100)).toEqual(words(new Random(5, 2), 100))
    expect(words(new Random(5, 2), 4)).not.toEqual(words(new Random(6, 2), 4))
    expect(words(new Random(5, 2), 4)).not.toEqual(words(new Random(5, 3), 4))
  })

  test("seeds above 32 bits: each another, whatever the stream", () => {
    const seeds = [5, 2 ** 32 + 5, 2 ** 33 + 5, 2 ** 52 + 5]
    const firsts = seeds.flatMap((seed) => [0, 1, 2, 3].map((stream) => new Random(seed, stream).word()))
    expect(new Set(firsts).size).toBe(firsts.length)
  })

  test("units: below 1, and even over sixteen parts (chi-squared, 15 degrees of freedom, 99.9 %)", () => {
    const random = new Random(42)
    const parts = new Array<number>(16).fill(0)
    for (let i = 0; i < 160_000; i++) {
      const part = Math.floor(random.unit() * 16)
      parts[part] = (parts[part] ?? Number.NaN) + 1
    }
    expect(parts.reduce((sum, n) => sum + (n - 10_000) ** 2 / 10_000, 0)).toBeLessThan(37.7)
  })

  test("chance: never at 0, always at 1", () => {
    const random = new Random(1)
    for (let i = 0; i < 1000; i++) {
      expect(random.chance(0)).toBe(false)
      expect(random.chance(1)).toBe(true)
    }
  })
})
