import type { AckSample, CcName } from "../../../src/tcp/congestion/control.ts"
import {
  type Cc,
  governsRecovery,
  onAck,
  onCongestion,
  onRecovered,
  onTimeout,
  pacingRate,
  start,
} from "../../../src/tcp/congestion/registry.ts"

/**
 * Senders that always have something to send, one queue, a receiver that acknowledges each segment at
 * once: as much of a network as a congestion control needs to be looked at, and nothing of TCP. Every
 * segment is new (what is lost is not sent again, only counted), three later ones acknowledged tell that
 * one was lost. Times in microseconds.
 */
export interface Path {
  /** Octets per second of the queue; infinite: no queue. */
  readonly rate: number
  /** Octets that the queue holds. */
  readonly queue: number
  /** Whether the n-th segment of a flow is lost on the way, whatever the queue. */
  readonly loses: (n: number) => boolean
  readonly mss: number
}

export interface FlowOptions {
  readonly algorithm: CcName
  /** Round trip without queueing. */
  readonly rtt: number
  readonly startsAt: number
  /** Where its sequence numbers begin. */
  readonly iss: number
}

export interface Flow {
  readonly options: FlowOptions
  cc: Cc
  /** Segments: sent, acknowledged, lost. */
  sent: number
  acked: number
  lost: number
  congestions: number
  timeouts: number
  /** The integral of the window over time, octets times microseconds; and of round trips over ACKs. */
  windowTime: number
  rttSum: number
}

/** A segment on its way; `arrives`: when its ACK is back, or never. */
interface InFlight {
  readonly n: number
  readonly sentAt: number
  readonly arrives: number
  readonly delivered: number
  readonly deliveredAt: number
  readonly firstSentAt: number
}

const SECOND = 1_000_000
const REORDERING = 3
const MIN_RTO = 200_000
const NEVER = Number.POSITIVE_INFINITY

class Sender implements Flow {
  cc: Cc
  sent = 0
  acked = 0
  lost = 0
  congestions = 0
  timeouts = 0
  windowTime = 0
  rttSum = 0
  /** In flight, in the order of sending; those before `head` are dealt with, those before `next` have no ACK to come. */
  private flying: Array<InFlight> = []
  private head = 0
  private next = 0
  private flight = 0
  private delivered = 0
  private deliveredAt = 0
  private firstSentAt = 0
  private srtt = 0
  private minRtt = NEVER
  /** An episode lasts until this segment is acknowledged; the last one that was lost. */
  private recover = 0
  private lastLost = -1
  private recovering = false
  private paceAt = 0
  private seenAt: number
  private progressAt = 0
  private wasLimited = false

  constructor(
    readonly options: FlowOptions,
    private readonly network: Network,
  ) {
    const { mss } = network.path
    this.cc = start(options.algorithm, 10 * mss, mss, options.startsAt)
    this.seenAt = options.startsAt
  }

  /** When something happens next: an ACK, the next segment's turn, a time-out. */
  nextAt(): number {
    return Math.min(this.ackAt(), this.sendAt(), this.timeoutAt())
  }

  step(now: number): void {
    if (now > this.seenAt) {
      this.windowTime += this.cc.cwnd * (now - this.seenAt)
      this.seenAt = now
    }
    if (this.ackAt() <= now) this.ack(now)
    else if (this.sendAt() <= now) this.send(now)
    else this.timeOut(now)
  }

  private ackAt(): number {
    return this.nextArrival()?.arrives ?? NEVER
  }

  /** ACKs come back in the order of sending: the first of those in flight that was not lost is the next. */
  private nextArrival(): InFlight | undefined {
    while (this.flying[this.next]?.arrives === NEVER) this.next++
    return this.flying[this.next]
  }

  private mayPass(): boolean {
    return this.flight + this.network.path.mss <= this.cc.cwnd
  }

  private sendAt(): number {
    return this.mayPass() ? Math.max(this.paceAt, this.options.startsAt, this.seenAt) : NEVER
  }

  private timeoutAt(): number {
    return this.flight > 0 ? this.progressAt + Math.max(MIN_RTO, 3 * this.srtt) : NEVER
  }

  private send(now: number): void {
    const { mss } = this.network.path
    if (this.flight === 0) {
      this.firstSentAt = now
      this.deliveredAt = now
      this.progressAt = now
    }
    const { delivered, deliveredAt, firstSentAt } = this
    const arrives = this.network.carry(this.sent, now, this.options.rtt)
    this.flying.push({ n: this.sent++, sentAt: now, arrives, delivered, deliveredAt, firstSentAt })
    this.flight += mss
    const pace = pacingRate(this.cc) || this.derivedPace()
    if (pace > 0) this.paceAt = Math.max(this.paceAt, now) + (mss * SECOND) / pace
    if (!this.mayPass()) this.wasLimited = true
  }

  /** As Linux: twice the window a round trip in slow start, a fifth more than it afterwards. */
  private derivedPace(): number {
    const gain = this.cc.cwnd < this.cc.ssthresh / 2 ? 2 : 1.2
    return this.srtt === 0 ? 0 : (gain * this.cc.cwnd * SECOND) / this.srtt
  }

  private ack(now: number): void {
    const { mss } = this.network.path
    const one = this.nextArrival()
    if (one === undefined) return
    this.next++
    const rtt = now - one.sentAt
    this.srtt = this.srtt === 0 ? rtt : (7 * this.srtt + rtt) / 8
    this.minRtt = Math.min(this.minRtt, rtt)
    const priorFlight = this.flight
    this.acked++
    this.rttSum += rtt
    this.flight -= mss
    this.delivered += mss
    const interval = Math.max(one.sentAt - one.firstSentAt, now - one.deliveredAt)
    const deliveryRate = interval >= this.minRtt ? ((this.delivered - one.delivered) * SECOND) / interval : 0
    this.deliveredAt = now
    this.firstSentAt = one.sentAt
    this.progressAt = now
    const lost = this.lostBefore(one.n - REORDERING + 1, one.n)
    // What was on its way when an episode began belongs to it.
    if (this.lastLost >= this.recover) {
      this.recovering = true
      this.recover = this.sent
      this.congestions++
      this.cc = onCongestion(this.cc, "loss", priorFlight, mss, now)
    } else if (this.recovering && one.n >= this.recover) {
      this.recovering = false
      this.cc = onRecovered(this.cc, this.flight, mss, now)
    }
    const sample: AckSample = {
      delivered: mss,
      acked: mss,
      lost: lost * mss,
      priorFlight,
      flight: this.flight,
      rtt,
      srtt: this.srtt,
      minRtt: this.minRtt,
      cwndLimited: this.wasLimited,
      recovering: this.recovering,
      una: this.seq(one.n + 1),
      nxt: this.seq(this.sent),
      paced: true,
      deliveryRate,
      appLimited: false,
      totalDelivered: this.delivered,
      deliveredAtSend: one.delivered,
    }
    this.cc = onAck(this.cc, sample, mss, now)
    if (this.mayPass() && !governsRecovery(this.cc)) this.wasLimited = this.paceAt > now
  }

  private seq(n: number): number {
    return (this.options.iss + n * this.network.path.mss) >>> 0
  }

  /** Gives up the lost ones up to `before`, and forgets what is acknowledged up to `acked`. */
  private lostBefore(before: number, acked: number): number {
    let lost = 0
    for (;;) {
      const one = this.flying[this.head]
      if (one === undefined || one.n > acked) break
      if (one.arrives === NEVER) {
        if (one.n >= before) break
        lost++
        this.lastLost = one.n
      }
      this.head++
    }
    if (this.head > 4096) {
      this.flying = this.flying.slice(this.head)
      this.next -= this.head
      this.head = 0
    }
    this.lost += lost
    this.flight -= lost * this.network.path.mss
    return lost
  }

  private timeOut(now: number): void {
    const { mss } = this.network.path
    this.timeouts++
    this.lost += this.flight / mss
    this.cc = onTimeout(this.cc, this.flight, mss, now, false)
    this.flying = []
    this.head = 0
    this.next = 0
    this.flight = 0
    this.recovering = false
    this.recover = this.sent
  }
}

class Network {
  private freeAt = 0
  drops = 0
  constructor(readonly path: Path) {}

  /** When the ACK of a segment that leaves now is back. */
  carry(n: number, now: number, rtt: number): number {
    const { rate, queue, loses, mss } = this.path
    if (loses(n)) return NEVER
    if (rate === NEVER) return now + rtt
    const free = Math.max(this.freeAt, now)
    if (((free - now) * rate) / SECOND > queue) {
      this.drops++
      return NEVER
    }
    this.freeAt = free + (mss * SECOND) / rate
    return this.freeAt + rtt
  }
}

/** Runs flows over a path until `until`; `look` sees each flow after each of its steps. */
export const run = (
  path: Path,
  flows: ReadonlyArray<FlowOptions>,
  until: number,
  look: (flow: Flow, now: number) => void = () => {},
): ReadonlyArray<Flow> => {
  const network = new Network(path)
  const senders = flows.map((options) => new Sender(options, network))
  for (;;) {
    let next: Sender | undefined
    let at = until
    for (const sender of senders) {
      const when = sender.nextAt()
      if (when < at) {
        next = sender
        at = when
      }
    }
    if (next === undefined) return senders
    next.step(at)
    look(next, at)
  }
}

/** Independent losses, the same for the same seed (mulberry32). */
export const randomLoss = (rate: number, seed: number): Path["loses"] => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b_79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32 < rate
  }
}

/** One segment in every `1 / rate`. */
export const regularLoss =
  (rate: number): Path["loses"] =>
  (n) =>
    (n + 1) % Math.round(1 / rate) === 0

/** Jain's index: 1 when all are equal, 1/n when one has all. */
export const jain = (rates: ReadonlyArray<number>): number => {
  const sum = rates.reduce((a, b) => a + b, 0)
  return sum ** 2 / (rates.length * rates.reduce((a, b) => a + b * b, 0))
}
