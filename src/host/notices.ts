import type { Transmit } from "../tcp/effect.ts"
import { end as endOf } from "../tcp/sendQueue.ts"
import { add, atOrBefore, before, distance, type Seq } from "../tcp/seq.ts"
import { isSynchronized, type Tcb } from "../tcp/tcb.ts"
import type { Micros } from "../tcp/time.ts"

/** What an application wants to hear of octets that it has written, once. */
export interface Watch {
  /** MSG_ZEROCOPY: they are no longer needed. */
  readonly released?: boolean
  /** SO_TIMESTAMPING: when the last of them left the stack, left the device, and was acknowledged. */
  readonly scheduled?: boolean
  readonly sent?: boolean
  readonly acknowledged?: boolean
  /** They belong to the write watched before: one notice for both. */
  readonly goesOn?: boolean
}

/** An entry of a socket's error queue (MSG_ERRQUEUE), of the kinds that are no errors. */
export type Notice =
  /** Writes `first` to `last`, counted from 0 over those that asked for it, are no longer needed. */
  | { readonly _tag: "Released"; readonly first: number; readonly last: number }
  /** `offset`: the connection's octets before the one that it is about, modulo 2^32. */
  | {
      readonly _tag: "Stamp"
      readonly of: "scheduled" | "sent" | "acknowledged"
      readonly offset: number
      readonly at: Micros
    }

interface Released {
  readonly first: number
  readonly last: number
  /** Octets of all of them. */
  readonly octets: number
}

interface Watched {
  /** Behind the last octet. */
  end: Seq
  /** The numbers that its release tells of, counted over the writes that asked for it. */
  released: Released | undefined
  scheduled: boolean
  sent: boolean
  readonly acknowledged: boolean
}

/** Where a connection's octets begin, which is the next to leave, and where those end that have been written so far. */
export interface Written {
  readonly first: Seq
  readonly nxt: Seq
  readonly end: Seq
}

/** Undefined: nothing is written. */
export const writtenOf = (tcb: Tcb): Written | undefined => {
  if (isSynchronized(tcb)) return { first: add(tcb.link.iss, 1), nxt: tcb.snd.nxt, end: endOf(tcb.queue) }
  if (tcb._tag === "SYN-SENT") {
    const first = add(tcb.iss, 1)
    return { first, nxt: add(first, tcb.synData), end: endOf(tcb.queue) }
  }
  if (tcb._tag !== "SYN-RECEIVED" || tcb.open === "passive") return undefined
  return writtenOf(tcb.open === "fast" ? tcb.tcb : tcb.sent)
}

/** SND.UNA; undefined: the connection is over, in order. */
export const acknowledgedBy = (tcb: Tcb): Seq | undefined => {
  if (isSynchronized(tcb)) return tcb.snd.una
  return tcb._tag === "SYN-RECEIVED" && tcb.open === "fast" ? tcb.tcb.snd.una : undefined
}

/** Notices that nobody fetches are kept up to here; what then comes is lost, as with a full error queue. */
const MOST = 1024

/** Octets of writes that are let go of together. */
const MOST_RELEASED_TOGETHER = 1 << 19

/** What a connection's application is told of its writes, in the order in which it happens. */
export class Notices {
  private readonly queue: Array<Notice> = []
  private watched: Array<Watched> = []
  private released = 0
  /** Behind the last octet that was watched. */
  private seen: Seq

  /** `first`: the sequence number of the connection's first octet. */
  constructor(private readonly first: Seq) {
    this.seen = first
  }

  get waiting(): boolean {
    return this.queue.length > 0
  }

  take(): Notice | undefined {
    return this.queue.shift()
  }

  /** What has been written up to `end` is watched; what lies before `nxt` has left already. */
  watch(end: Seq, nxt: Seq, { released, scheduled, sent, acknowledged, goesOn }: Watch): void {
    const before_ = this.watched.at(-1)
    const octets = distance(end, this.seen)
    this.seen = end
    if (goesOn === true && before_ !== undefined) {
      before_.end = end
      return
    }
    this.watched.push({
      end,
      released: released === true ? this.number(octets, nxt) : undefined,
      scheduled: scheduled === true,
      sent: sent === true,
      acknowledged: acknowledged === true,
    })
  }

  /**
   * A write's number. What is written behind one that waits still goes into the same buffer: both are let go of
   * together (Linux's msg_zerocopy_realloc).
   */
  private number(octets: number, nxt: Seq): Released {
    const own = this.released++
    const before_ = this.watched.at(-1)
    const joined = before_?.released
    if (before_ === undefined || joined === undefined || !before(nxt, before_.end))
      return { first: own, last: own, octets }
    if (joined.octets + octets > MOST_RELEASED_TOGETHER) return { first: own, last: own, octets }
    before_.released = undefined
    return { first: joined.first, last: own, octets: joined.octets + octets }
  }

  /** A segment leaves. True: there is something more to be told. */
  left({ seq, length }: Transmit, now: Micros): boolean {
    if (length === 0) return false
    const end = add(seq, length)
    let told = false
    for (const watched of this.watched) {
      if (before(end, watched.end)) break
      if (!before(seq, watched.end)) continue
      told ||= watched.scheduled || watched.sent
      if (watched.scheduled) this.stamp("scheduled", watched.end, now)
      if (watched.sent) this.stamp("sent", watched.end, now)
      watched.scheduled = false
      watched.sent = false
    }
    return told
  }

  /** The peer has everything up to `una`; undefined: all there is. */
  acknowledged(una: Seq | undefined, now: Micros): boolean {
    const known = this.watched.filter(({ end }) => una === undefined || atOrBefore(end, una))
    if (known.length === 0) return false
    this.watched = this.watched.slice(known.length)
    for (const watched of known) {
      if (watched.acknowledged) this.stamp("acknowledged", watched.end, now)
      this.release(watched)
    }
    return known.some(({ acknowledged, released }) => acknowledged || released !== undefined)
  }

  /** The connection is over: nothing is needed any more. */
  over(): boolean {
    const { watched } = this
    this.watched = []
    for (const write of watched) this.release(write)
    return watched.some(({ released }) => released !== undefined)
  }

  private stamp(of: "scheduled" | "sent" | "acknowledged", end: Seq, at: Micros): void {
    this.push({ _tag: "Stamp", of, offset: distance(end, this.first) - 1, at })
  }

  /** Neighbours in number are told together (Linux's skb_zerocopy_notify_extend). */
  private release({ released }: Watched): void {
    if (released === undefined) return
    const { first, last } = released
    const before_ = this.queue.at(-1)
    if (before_?._tag === "Released" && before_.last + 1 === first) {
      this.queue[this.queue.length - 1] = { ...before_, last }
    } else this.push({ _tag: "Released", first, last })
  }

  private push(notice: Notice): void {
    if (this.queue.length < MOST) this.queue.push(notice)
  }
}
