import { makeKeys } from "../../src/host/keyedHash.ts"
import { sendRoom } from "../../src/tcp/calls.ts"
import type { CloseReason, Refused, Step, TcpEffect, Transmit, Why } from "../../src/tcp/effect.ts"
import { LOST, RETRANS, recordsOf, SACKED, segmentsOf } from "../../src/tcp/flight.ts"
import type { reduce, TcpEvent } from "../../src/tcp/reduce.ts"
import { sendEnd } from "../../src/tcp/sendEnd.ts"
import { add, after, distance } from "../../src/tcp/seq.ts"
import {
  CLOSED,
  isSynchronized,
  type Listen,
  type SocketOptions,
  type Synchronized,
  type Tcb,
  type TcpContext,
  type TimerName,
  type Timers,
} from "../../src/tcp/tcb.ts"
import { agreedBy } from "../../src/tcp/terms.ts"
import { type Micros, OFF } from "../../src/tcp/time.ts"
import { TIMER_NAMES } from "../../src/tcp/timers.ts"
import type { Endpoint as Address } from "../../src/wire/address.ts"
import { optionsLength } from "../../src/wire/tcpOptionLayout.ts"
import { ACK, FIN, hasRst, RST, type Segment, SYN } from "../../src/wire/tcpSegment.ts"
import type { Random } from "./random.ts"
import { type EndSpec, optionsOf, settingsOf } from "./scenario.ts"

/** A timer that is armed. */
export interface Due {
  readonly timer: TimerName
  readonly at: Micros
}

export interface Closing {
  readonly reason: CloseReason
  readonly at: Micros
  /** The state that it ended. */
  readonly from: Tcb["_tag"]
}

/** What a run needs to know of its network. */
export interface Outside {
  readonly send: (out: Transmit) => void
  readonly wake: (what: "write" | "read", at: Micros) => void
}

/** A rule that a step has broken. */
export class Broken extends Error {}

const KEYS = makeKeys(new Uint8Array(32).fill(7))

const must = (holds: boolean, rule: string): void => {
  if (!holds) throw new Broken(rule)
}

/**
 * One block with its application, and everything that must hold of it after every step.
 * The application writes by its plan, reads by its plan, and closes when both say so.
 */
export class End {
  tcb: Tcb = CLOSED
  written = 0
  consumed = 0
  delivered = 0
  acknowledged = 0
  established = 0
  peerClosed = 0
  closed: Closing | undefined = undefined
  /** When TIME-WAIT began, and how it ended. */
  timeWait: { readonly from: Micros; readonly ended: "timer" | "reset" | undefined } | undefined = undefined
  steps = 0
  resets = 0
  retransmitted = 0
  private lastWhy: Why | undefined
  private readonly context: TcpContext
  private readonly options: SocketOptions
  private readonly data: Uint8Array
  private listener: Listen | undefined = undefined
  private wantsRoom = false
  private writeAt: Micros = OFF
  private readAt: Micros = OFF
  private calledClose = false
  private hasLeft = false
  private released = false
  /** Timers as the effects tell of them. */
  private readonly armed = new Map<TimerName, Micros>()
  /** The furthest that the peer has allowed. */
  private allowed: number | undefined = undefined
  /** The end of the last probe that carried an octet. */
  private probed: number | undefined = undefined
  private announced: number | undefined = undefined
  private lastAck: number | undefined = undefined

  constructor(
    readonly name: string,
    readonly spec: EndSpec,
    private readonly local: Address,
    private readonly remote: Address,
    private readonly random: Random,
    private readonly reducer: typeof reduce,
    private readonly peer: () => End,
  ) {
    this.context = {
      settings: settingsOf(spec),
      keys: { ...KEYS, iss: () => spec.iss },
    }
    this.options = optionsOf(spec)
    this.data = random.octets(spec.plan.total)
  }

  /** An octet of data has gone out as a window probe: it is sent again by design. */
  get hasProbed(): boolean {
    return this.probed !== undefined
  }

  /** What this end's application sends. */
  get sends(): Uint8Array {
    return this.data
  }

  get isOver(): boolean {
    return this.tcb._tag === "CLOSED" && (this.closed !== undefined || this.timeWait !== undefined)
  }

  connect(now: Micros, outside: Outside): void {
    const { context, local, remote, options } = this
    const { path } = this.spec
    this.step({ _tag: "ActiveOpen", context, options, path, local, remote }, now, outside)
    this.wakeWriter(now, outside)
  }

  listen(now: Micros, outside: Outside): void {
    const { context, options } = this
    const { path } = this.spec
    this.step({ _tag: "PassiveOpen", context, options, path, backlog: 1 }, now, outside)
    this.listener = this.tcb._tag === "LISTEN" ? this.tcb : undefined
  }

  arrives(segment: Segment, now: Micros, outside: Outside): void {
    const { local, remote } = this
    this.note(segment)
    this.step({ _tag: "SegmentArrives", segment, local, remote, room: true, proven: false }, now, outside)
  }

  fire({ timer, at }: Due, outside: Outside): void {
    this.armed.delete(timer)
    this.step({ _tag: "Timeout", timer }, at, outside)
  }

  /** The application's turn: a write. */
  write(now: Micros, outside: Outside): void {
    this.writeAt = OFF
    const { plan } = this.spec
    const { _tag } = this.tcb
    if (_tag === "CLOSED" || _tag === "LISTEN" || this.calledClose) return
    const n = Math.min(plan.total - this.written, this.random.between(1, plan.chunk), sendRoom(this.tcb))
    if (n > 0) {
      const { data, written } = this
      this.written += n
      this.step({ _tag: "Send", bytes: data.slice(written, written + n) }, now, outside)
      if (this.written < plan.total) this.wakeWriter(now + plan.writeEvery, outside)
    } else if (this.written < plan.total) this.wantsRoom = true
    this.closeIfDone(now, outside)
  }

  /** The application's turn: a read. */
  read(now: Micros, outside: Outside): void {
    this.readAt = OFF
    if (!isSynchronized(this.tcb)) return
    const { plan } = this.spec
    const count = Math.min(this.tcb.rcv.unread, plan.readSize)
    if (count > 0) {
      this.consumed += count
      this.step({ _tag: "Receive", count }, now, outside)
    }
    this.wakeReader(now + plan.readEvery, outside)
  }

  /** The application leaves: close(2). */
  release(now: Micros, outside: Outside): void {
    this.calledClose = true
    this.hasLeft = true
    const { tcb } = this
    // A half-open request belongs to the listener still; whoever accepts it then leaves.
    const owned = !(
      tcb._tag === "CLOSED" ||
      tcb._tag === "LISTEN" ||
      (tcb._tag === "SYN-RECEIVED" && tcb.open === "passive")
    )
    if (owned && !this.released) {
      this.released = true
      this.step({ _tag: "Release" }, now, outside)
    }
  }

  abort(now: Micros, outside: Outside): void {
    this.calledClose = true
    if (this.tcb._tag !== "CLOSED") this.step({ _tag: "Abort" }, now, outside)
  }

  /** The first timer to end. */
  due(): Due | undefined {
    let first: Due | undefined
    for (const [timer, at] of timersOf(this.tcb)) if (first === undefined || at < first.at) first = { timer, at }
    return first
  }

  private closeIfDone(now: Micros, outside: Outside): void {
    const { plan } = this.spec
    if (this.calledClose || plan.closes === "never" || this.established === 0 || this.written < plan.total) return
    if (plan.closes === "after-peer" && this.peerClosed === 0) return
    this.calledClose = true
    this.step({ _tag: "Close" }, now, outside)
  }

  private wakeWriter(at: Micros, outside: Outside): void {
    if (this.writeAt !== OFF) return
    this.writeAt = at
    outside.wake("write", at)
  }

  private wakeReader(at: Micros, outside: Outside): void {
    if (this.readAt !== OFF || !isSynchronized(this.tcb) || this.tcb.rcv.unread === 0) return
    this.readAt = Math.max(at, this.spec.plan.readFrom)
    outside.wake("read", this.readAt)
  }

  private step(event: TcpEvent, now: Micros, outside: Outside): void {
    this.steps++
    const before = this.tcb
    const result: Step | Refused = this.reducer(before, event, now)
    if ("_tag" in result) throw new Broken(`${before._tag} refuses ${event._tag}: ${result.errno}, ${result.why}`)
    this.tcb = result.tcb
    const cause = event._tag === "SegmentArrives" ? event.segment : undefined
    const out: Array<Transmit> = []
    for (const effect of result.effects) this.carryOut(effect, before, cause, now, out, outside)
    this.settle(before, event, now)
    this.check(before)
    for (const transmit of out) outside.send(transmit)
    if (this.hasLeft && !this.released && this.established > 0) this.release(now, outside)
    this.wakeReader(now, outside)
    if (this.established > 0 && !this.calledClose && this.writeAt === OFF && !this.wantsRoom) {
      const done = this.written >= this.spec.plan.total
      if (!done || this.spec.plan.closes === "when-written" || this.peerClosed > 0) this.wakeWriter(now, outside)
    }
  }

  private carryOut(
    effect: TcpEffect,
    before: Tcb,
    cause: Segment | undefined,
    now: Micros,
    out: Array<Transmit>,
    outside: Outside,
  ): void {
    switch (effect._tag) {
      case "Transmit":
        this.checkTransmit(effect, cause)
        this.lastWhy = effect.why
        out.push(effect)
        return
      case "ArmTimer":
        must(effect.at >= now, `a timer is armed for the past: ${effect.timer}`)
        this.armed.set(effect.timer, effect.at)
        return
      case "CancelTimer":
        this.armed.delete(effect.timer)
        return
      case "Deliver":
        return this.deliver(effect.bytes)
      case "Acknowledged":
        this.acknowledged += effect.count
        if (this.wantsRoom && sendRoom(this.tcb) > 0) {
          this.wantsRoom = false
          this.wakeWriter(now, outside)
        }
        return
      case "Established":
        this.established++
        must(this.established === 1, "established twice")
        return
      case "Spawn":
        this.tcb = effect.tcb
        if (effect.tcb._tag === "SYN-RECEIVED" && effect.tcb.open === "passive") {
          this.armed.set("retransmit", effect.tcb.deadline)
        }
        for (const first of effect.effects) this.carryOut(first, before, cause, now, out, outside)
        return
      case "PeerClosed":
        this.peerClosed++
        must(this.peerClosed === 1, "the peer closed twice")
        must(this.delivered === this.peer().written, "the peer's FIN came before its data")
        return
      case "Closed":
        must(this.closed === undefined || this.tcb._tag === "CLOSED", "closed twice")
        this.closed ??= { reason: effect.reason, at: now, from: before._tag }
        return
      case "Urgent":
      case "Drop":
      case "RememberCookie":
        return
      case "Count":
        // A tail loss probe repeats what an ACK that is only delayed would have covered (RFC 8985 section 7.2).
        if (effect.counter === "RetransSegs" && !this.repeatsProbe(before) && this.lastWhy !== "RFC8985-7.3:probe") {
          this.retransmitted++
        }
        return
    }
  }

  /** The peer's edge, or the end of a probe beyond it. */
  private furthest(): number | undefined {
    const { allowed, probed } = this
    return allowed === undefined || (probed !== undefined && after(probed, allowed)) ? probed : allowed
  }

  /** An octet that went out as a probe and found no room goes out again: that is its purpose. */
  private repeatsProbe(before: Tcb): boolean {
    return isSynchronized(before) && this.probed !== undefined && after(this.probed, before.snd.una)
  }

  private deliver(bytes: Uint8Array): void {
    const part = this.peer().sends.subarray(this.delivered, this.delivered + bytes.length)
    must(Buffer.compare(part, bytes) === 0, `other octets than were sent, at ${this.delivered}`)
    this.delivered += bytes.length
  }

  /** States that only a run can tell apart. */
  private settle(before: Tcb, event: TcpEvent, now: Micros): void {
    const { tcb } = this
    if (tcb._tag === "TIME-WAIT" && before._tag !== "TIME-WAIT") this.timeWait = { from: now, ended: undefined }
    if (tcb._tag === "CLOSED" && before._tag === "TIME-WAIT" && this.timeWait !== undefined) {
      const { from } = this.timeWait
      const { timeWait, tcpRfc1337 } = this.context.settings
      const byTimer = event._tag === "Timeout"
      if (byTimer) must(now - from >= timeWait, "TIME-WAIT ended before 2 MSL")
      else if (event._tag !== "Abort") {
        must(!tcpRfc1337 && event._tag === "SegmentArrives" && hasRst(event.segment), "TIME-WAIT ended by no RST")
      }
      this.timeWait = { from, ended: byTimer ? "timer" : "reset" }
    }
    if (before._tag === "SYN-RECEIVED" && before.open === "passive" && tcb._tag === "CLOSED" && this.listener) {
      // A request that came to nothing: the listener is there as before.
      this.tcb = this.listener
      this.closed = undefined
    }
    if (tcb._tag === "CLOSED" || this.tcb._tag === "LISTEN") this.armed.clear()
  }

  /** The window that the peer allows with this segment. */
  private note(segment: Segment): void {
    if ((segment.flags & ACK) === 0 || (segment.flags & RST) !== 0) return
    const edge = add(segment.ack, segment.wnd * 2 ** ((segment.flags & SYN) !== 0 ? 0 : sndScale(this.tcb)))
    if (this.allowed === undefined || after(edge, this.allowed)) this.allowed = edge
  }

  private checkTransmit(out: Transmit, cause: Segment | undefined): void {
    for (const word of [out.seq, out.ack]) must(word >>> 0 === word, "not a sequence number")
    must(Number.isInteger(out.wnd) && out.wnd >= 0 && out.wnd <= 65_535, `not a window field: ${out.wnd}`)
    if ((out.flags & RST) !== 0) {
      this.resets++
      must(cause === undefined || (cause.flags & RST) === 0, "a RST in answer to a RST")
      return
    }
    this.checkLength(out)
    this.checkAnnouncement(out)
    const synOctet = (out.flags & SYN) !== 0 ? 1 : 0
    const size = out.length + ((out.flags & FIN) !== 0 ? 1 : 0)
    if (size === 0) {
      // A peer whose window is closed takes an ACK only at its edge (Linux's tcp_acceptable_seq).
      const seen = synOctet === 1 || this.allowed === undefined || distance(out.seq, this.allowed) <= 0
      must(seen, `${out.why} is a bare ACK beyond the peer's window`)
      return
    }
    const end = add(out.seq, synOctet + size)
    if (out.why === "RFC9293-3.8.6.1:zero-window-probe") {
      must(size === 1, "a probe of more than one octet")
      this.probed = end
      return
    }
    const beyond = distance(end, this.furthest() ?? 0)
    must(this.allowed !== undefined && beyond <= 0, `${out.why} sends ${beyond} beyond the peer's window`)
  }

  private checkLength(out: Transmit): void {
    must(out.length >= 0 && (out.length === 0) === (out.queue === undefined), "a length without octets")
    if (out.length === 0) return
    const { spec, tcb } = this
    must(out.segmentSize > 0, "data without a segment size")
    if (!isSynchronized(tcb)) return
    const most = Math.min(tcb.link.agreed.peerMss, spec.path.mss)
    const piece = Math.min(out.segmentSize, out.length)
    const options = optionsLength(out.options, this.context.settings.profile.optionLayout)
    must(piece + options <= most, `${piece} octets and ${options} of options exceed the MSS of ${most}`)
    must(out.length <= Math.max(out.segmentSize, spec.path.burst), `a burst of ${out.length}`)
  }

  private checkAnnouncement(out: Transmit): void {
    if ((out.flags & ACK) === 0) return
    const shift = (out.flags & SYN) !== 0 ? 0 : rcvScale(this.tcb)
    const edge = add(out.ack, out.wnd * 2 ** shift)
    // Rounding to the scale may take it back by less than one unit (RFC 7323 section 2.4).
    must(
      this.announced === undefined || distance(edge, this.announced) > -(2 ** shift),
      "the announced edge moves left",
    )
    if (this.announced === undefined || after(edge, this.announced)) this.announced = edge
    must(this.lastAck === undefined || distance(out.ack, this.lastAck) >= 0, "an ACK takes back what it acknowledged")
    this.lastAck = out.ack
  }

  /** What must hold between two steps. */
  private check(before: Tcb): void {
    const { tcb } = this
    this.checkTimers()
    if (!isSynchronized(tcb)) return
    const { snd, rcv, timers } = tcb
    must(distance(snd.nxt, snd.una) >= 0, "SND.NXT is before SND.UNA")
    checkFlight(tcb)
    must(distance(sendEnd(tcb), snd.nxt) >= 0, "more was sent than there is")
    must(tcb.queue.length === this.written - this.acknowledged, "octets written, acknowledged and queued do not add up")
    const flight = distance(snd.nxt, snd.una)
    must(distance(snd.nxt, this.furthest() ?? 0) <= 0, "more in flight than the peer's window")
    checkReceive(tcb, before)
    must(rcv.unread === this.delivered - this.consumed, "octets delivered, taken and unread do not add up")
    must(
      flight > 0 === (timers.retransmit !== OFF),
      `${flight} in flight, retransmission timer at ${timers.retransmit}`,
    )
    must(timers.persist === OFF || timers.retransmit === OFF, "both persist and retransmission timers are armed")
    const held = distance(sendEnd(tcb), snd.nxt)
    const waits = timers.persist !== OFF || timers.pacing !== OFF
    must(held === 0 || flight > 0 || waits, `stuck: ${held} wait, nothing in flight, no timer`)
    must(rcv.due !== "now", "an ACK is still owed after output")
    must((rcv.due === "later") === (timers.delayedAck !== OFF), `an ACK due ${rcv.due}, its timer ${timers.delayedAck}`)
  }

  /** The timers of the block are those that the effects told of. */
  private checkTimers(): void {
    const timers = timersOf(this.tcb)
    const told = [...this.armed].map(([timer, at]) => `${timer} ${at}`).sort()
    const kept = timers.map(([timer, at]) => `${timer} ${at}`).sort()
    must(told.join() === kept.join(), `the effects armed [${told}], the ${this.tcb._tag} block has [${kept}]`)
  }
}

const checkReceive = (tcb: Synchronized, before: Tcb): void => {
  const { rcv } = tcb
  const window = distance(rcv.edge, rcv.nxt)
  must(window >= 0, "RCV.NXT is beyond the edge")
  must(rcv.unread <= rcv.buf, `${rcv.unread} unread in a buffer of ${rcv.buf}`)
  must(rcv.unread + window <= rcv.buf, `${rcv.unread} unread and a window of ${window} in a buffer of ${rcv.buf}`)
  must(rcv.queue.length <= window, "more is held out of order than the window promised")
  if (!isSynchronized(before)) return
  const gain = distance(rcv.edge, before.rcv.edge)
  must(gain >= 0, "the right edge moves left")
  // Silly-window avoidance of a receiver (RFC 9293 section 3.8.6.2.2); the peer's FIN may take one beyond it.
  const { windowStep } = tcb.link.context.settings.profile
  // Linux counts in the peer's segments, as far as seen.
  const mss = windowStep === "sliding" ? Math.min(tcb.link.path.mss, before.rcv.mss) : tcb.link.path.mss
  const small = distance(rcv.edge, before.rcv.nxt) < Math.min(rcv.buf >> 2, mss)
  const worth = windowStep !== "segment" && !small ? 1 : Math.min(rcv.buf >> 1, mss)
  must(gain === 0 || gain >= worth || rcv.fin, `a window update of ${gain} octets, in a buffer of ${rcv.buf}`)
}

/** The scoreboard: records side by side from SND.UNA to SND.NXT, and counts that are those of its marks. */
const checkFlight = ({ flight, snd, link }: Synchronized): void => {
  must(flight.una === snd.una, "the scoreboard's SND.UNA is another")
  const counted = { out: 0, sacked: 0, lost: 0, retrans: 0 }
  let at = snd.una
  for (const [index, record] of recordsOf(flight).entries()) {
    const seq = index === 0 && distance(record.seq, snd.una) < 0 ? snd.una : record.seq
    must(seq === at, "a gap in the scoreboard")
    must(distance(record.end, seq) > 0, "an empty record")
    const n = segmentsOf({ ...record, seq })
    counted.out += n
    if (record.marks & SACKED) counted.sacked += n
    if (record.marks & LOST) counted.lost += n
    if (record.marks & RETRANS) counted.retrans += n
    must((record.marks & (SACKED | LOST)) !== (SACKED | LOST), "lost, and reported by SACK")
    at = record.end
  }
  must(at === snd.nxt, "the scoreboard does not end at SND.NXT")
  // Without SACK duplicate ACKs are counted in place of marks.
  const sacked = link.agreed.sack ? counted.sacked : flight.sacked
  must(
    counted.out === flight.out &&
      sacked === flight.sacked &&
      counted.lost === flight.lost &&
      counted.retrans === flight.retrans,
    `the scoreboard's counts are off: ${JSON.stringify(counted)} against ${JSON.stringify({ ...flight, chunks: [] })}`,
  )
}

const timersOf = (tcb: Tcb): ReadonlyArray<readonly [TimerName, Micros]> => {
  switch (tcb._tag) {
    case "CLOSED":
    case "LISTEN":
      return []
    case "TIME-WAIT":
      return [["linger", tcb.deadline]]
    case "SYN-RECEIVED":
      if (tcb.open === "passive") return [["retransmit", tcb.deadline]]
      if (tcb.open === "fast") return armedIn({ ...tcb.tcb.timers, retransmit: tcb.request.deadline })
      break
    default:
  }
  return armedIn(tcb.timers)
}

const armedIn = (timers: Timers): ReadonlyArray<readonly [TimerName, Micros]> =>
  TIMER_NAMES.map((name) => [name, timers[name]] as const).filter(([, at]) => at !== OFF)

const sndScale = (tcb: Tcb): number => agreedOf(tcb)?.sndScale ?? 0
const rcvScale = (tcb: Tcb): number => (tcb._tag === "TIME-WAIT" ? tcb.rcvScale : (agreedOf(tcb)?.rcvScale ?? 0))

const agreedOf = (tcb: Tcb) => {
  if (isSynchronized(tcb)) return tcb.link.agreed
  if (tcb._tag !== "SYN-RECEIVED") return undefined
  switch (tcb.open) {
    case "fast":
      return tcb.tcb.link.agreed
    case "passive":
      return agreedBy(tcb.terms)
    case "active":
      return tcb.agreed
  }
}
