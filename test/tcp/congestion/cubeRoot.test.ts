import { expect, test } from "bun:test"
import fc from "fast-check"
import { cubeRoot } from "../../../src/tcp/congestion/cubeRoot.ts"

const cases = [
  [0, 0],
  [1, 1],
  [8, 2],
  [27, 3],
  [64, 4],
  [1e9, 1000],
  [1 / 8, 0.5],
  [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
] as const
for (const [x, root] of cases) {
  test(`the cube root of ${x} is ${root}`, () => expect(cubeRoot(x)).toBe(root))
}

test("of any number: what the machine's own says, to the last places", () => {
  fc.assert(
    fc.property(fc.double({ min: 1e-12, max: 1e15, noNaN: true }), (x) => {
      expect(Math.abs(cubeRoot(x) / Math.cbrt(x) - 1)).toBeLessThan(4e-16)
    }),
  )
})
