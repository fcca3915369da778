import { EVER, RETRANS, SAMPLED, type Sent } from "../flight.ts"
import { after } from "../seq.ts"
import { OFF } from "../time.ts"
import { type Ack, inFlight, type Sample } from "./ack.ts"
import { minimumOf } from "./minFilter.ts"

/** Delivery rate samples (draft-cheng-iccrg-delivery-rate-estimation section 3.3). */
export interface RateSample {
  /** Octets per second; 0: none. */
  readonly rate: number
  readonly appLimited: boolean
  /** Delivered when the newest segment acknowledged was sent. */
  readonly deliveredAtSend: number
}

/** A record is delivered: of all in this ACK the one sent last makes the sample. */
export const take = (a: Pick<Ack, "prior" | "del">, record: Sent): void => {
  const { prior, del } = a
  if ((record.marks & SAMPLED) !== 0) return
  const later = record.at > del.firstAt || (record.at === del.firstAt && after(record.end, prior.end))
  if (prior.at !== OFF && !later) return
  prior.delivered = record.delivered
  prior.at = record.deliveredAt
  prior.appLimited = record.appLimited
  prior.again = (record.marks & (RETRANS | EVER)) !== 0
  prior.end = record.end
  del.firstAt = record.at
  prior.interval = record.at - record.firstAt
}

/** The sample of this ACK, once all it delivers is counted. */
export const generate = (a: Pick<Ack, "prior" | "del" | "rec" | "now" | "priorDelivered">): RateSample => {
  const { prior, del, now } = a
  const fresh = del.delivered - a.priorDelivered
  if (del.appLimited !== 0 && del.delivered > del.appLimited) del.appLimited = 0
  if (fresh > 0) del.at = now
  if (prior.at === OFF || a.rec.reneged) return sampled(prior, 0)
  // The longer of the two phases, so that compressed ACKs do not exaggerate.
  const interval = Math.max(prior.interval, now - prior.at)
  const least = minimumOf(del.minRtt)
  if (interval <= 0 || (Number.isFinite(least) && interval < least)) return sampled(prior, 0)
  const rate = ((del.delivered - prior.delivered) * 1_000_000) / interval
  if (!prior.appLimited || rate >= del.rate) {
    del.rate = rate
    del.rateAppLimited = prior.appLimited
  }
  return sampled(prior, rate)
}

const sampled = ({ appLimited, delivered }: Sample, rate: number): RateSample => ({
  rate,
  appLimited,
  deliveredAtSend: delivered,
})

/** Marks the pause of an application that has nothing more to send. */
export const pausedAt = (a: { readonly delivered: number }, flightOctets: number): number =>
  Math.max(1, a.delivered + flightOctets)

export const flightOctets = (a: Ack): number => inFlight(a) * a.mss
