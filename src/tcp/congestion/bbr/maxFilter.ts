/**
 * The largest value of a sliding window of time, in constant space: the best sample, and the best of
 * what came after it, twice. When the best grows too old the next takes its place (Kathleen Nichols'
 * algorithm, which Linux and the BBR draft use). Time in any unit that only grows.
 */
export interface MaxFilter {
  readonly best: number
  readonly bestAt: number
  readonly second: number
  readonly secondAt: number
  readonly third: number
  readonly thirdAt: number
}

export const filterOf = (value: number, at: number): MaxFilter => ({
  best: value,
  bestAt: at,
  second: value,
  secondAt: at,
  third: value,
  thirdAt: at,
})

/** `window`: how old the best may grow. */
export const withSample = (filter: MaxFilter, value: number, at: number, window: number): MaxFilter => {
  // Better than all, or nothing that is kept is young enough.
  if (value >= filter.best || at - filter.thirdAt > window) return unlessSame(filter, value, at)
  return aged(placed(filter, value, at), value, at, window)
}

const unlessSame = (filter: MaxFilter, value: number, at: number): MaxFilter =>
  filter.best === value && filter.bestAt === at && filter.third === value && filter.thirdAt === at
    ? filter
    : filterOf(value, at)

const placed = (filter: MaxFilter, value: number, at: number): MaxFilter => {
  if (value >= filter.second) return { ...filter, second: value, secondAt: at, third: value, thirdAt: at }
  if (value >= filter.third) return { ...filter, third: value, thirdAt: at }
  return filter
}

const aged = (filter: MaxFilter, value: number, at: number, window: number): MaxFilter => {
  const age = at - filter.bestAt
  if (age > window) {
    const next = promoted(filter, value, at)
    return at - next.bestAt > window ? promoted(next, value, at) : next
  }
  // The later ones have to come from later parts of the window, or they would all grow old at once.
  if (filter.secondAt === filter.bestAt && age > window / 4) {
    return { ...filter, second: value, secondAt: at, third: value, thirdAt: at }
  }
  if (filter.thirdAt === filter.secondAt && age > window / 2) return { ...filter, third: value, thirdAt: at }
  return filter
}

const promoted = (filter: MaxFilter, value: number, at: number): MaxFilter => ({
  best: filter.second,
  bestAt: filter.secondAt,
  second: filter.third,
  secondAt: filter.thirdAt,
  third: value,
  thirdAt: at,
})
