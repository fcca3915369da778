/**
 * The cube root of a number from 0 up, to the last place or two. Math.cbrt may round differently on
 * another machine; additions, products and quotients may not (IEEE 754), and these are always the same.
 */
export const cubeRoot = (x: number): number => {
  if (!(x > 0 && x < Number.POSITIVE_INFINITY)) return x
  let scale = 1
  let rest = x
  // Powers of two are exact.
  while (rest >= 8) {
    rest /= 8
    scale *= 2
  }
  while (rest < 1) {
    rest *= 8
    scale /= 2
  }
  let root = 1 + (rest - 1) / 7
  // Newton's method, from above: 1 to 2 needs five steps.
  for (let step = 0; step < STEPS; step++) root -= (root * root * root - rest) / (3 * root * root)
  return root * scale
}

const STEPS = 6
