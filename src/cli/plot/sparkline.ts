const LEVELS = "▁▂▃▄▅▆▇█"

/** Values over time in `width` characters, each the highest of its part; the tallest character is `highest`. */
export const sparkline = (
  points: ReadonlyArray<readonly [at: number, value: number]>,
  from: number,
  to: number,
  width: number,
): string => {
  const bins: Array<number | undefined> = new Array(width).fill(undefined)
  for (const [at, value] of points) {
    const bin = Math.min(width - 1, Math.max(0, Math.floor(((at - from) / Math.max(1, to - from)) * width)))
    bins[bin] = Math.max(bins[bin] ?? 0, value)
  }
  const highest = points.reduce((most, [, value]) => Math.max(most, value), 1)
  let last: number | undefined
  return bins
    .map((value) => {
      last = value ?? last
      return last === undefined ? " " : (LEVELS[Math.min(7, Math.floor((last / highest) * 8))] ?? " ")
    })
    .join("")
}
