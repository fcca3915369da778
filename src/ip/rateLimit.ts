import type { Micros } from "../wire/time.ts"

/** A token bucket: `burst` at once, `perSecond` in the long run. */
export interface Bucket {
  readonly tokens: number
  readonly at: Micros
}

export interface Rate {
  readonly perSecond: number
  readonly burst: number
}

export const full = ({ burst }: Rate, now: Micros): Bucket => ({ tokens: burst, at: now })

/** One token less, or `undefined`: there is none. */
export const take = (bucket: Bucket, { perSecond, burst }: Rate, now: Micros): Bucket | undefined => {
  const refill = Math.floor(((now - bucket.at) * perSecond) / 1_000_000)
  const tokens = refill > 0 ? Math.min(burst, bucket.tokens + refill) : bucket.tokens
  return tokens === 0 ? undefined : { tokens: tokens - 1, at: refill > 0 ? now : bucket.at }
}
