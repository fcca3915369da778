import type { SocketId } from "../../host/types.ts"
import { isSynchronized } from "../../tcp/tcb.ts"
import { hasFin, hasSyn } from "../../wire/tcpSegment.ts"
import type { Micros } from "../../wire/time.ts"
import type { LogEvent, Observer } from "./log.ts"
import type { Machine } from "./machine.ts"
import { tcpIn } from "./packet.ts"
import { Series } from "./series.ts"

/** A sender's windows at a time: octets and microseconds. */
export interface WindowSample {
  readonly at: Micros
  readonly cwnd: number
  /** Infinite before the first loss. */
  readonly ssthresh: number
  readonly flight: number
  readonly srtt: Micros
  readonly rto: Micros
}

/** A data segment that left, counted from the first octet of the stream. */
export interface SegmentPoint {
  readonly at: Micros
  readonly from: number
  readonly to: number
}

const MOST_SAMPLES = 4000
const MOST_POINTS = 8000
/** As large as ssthresh is before anything was lost. */
const NO_SSTHRESH = 0x7fffffff

/** What a sender's socket shows, or undefined before and after the connection. */
export const windowsOf = (machine: Machine, socket: SocketId, at: Micros): WindowSample | undefined => {
  const tcb = machine.host.status(socket)?.tcb
  if (tcb === undefined || !isSynchronized(tcb)) return undefined
  const { cc, rto, snd } = tcb
  return {
    at,
    cwnd: cc.cwnd,
    ssthresh: cc.ssthresh >= NO_SSTHRESH ? Number.POSITIVE_INFINITY : cc.ssthresh,
    flight: (snd.nxt - snd.una) >>> 0,
    srtt: rto.srtt,
    rto: rto.rto,
  }
}

/** Follows a sender's windows, a sample whenever they have changed at the end of a turn. */
export const followWindows = (
  machine: Machine,
  sockets: ReadonlyArray<SocketId>,
): ReadonlyArray<Series<WindowSample>> => {
  const followed = sockets.map((socket) => ({ socket, series: new Series<WindowSample>(MOST_SAMPLES), last: "" }))
  machine.afterTurn = (now) => {
    for (const one of followed) {
      const sample = windowsOf(machine, one.socket, now)
      if (sample === undefined) continue
      const key = `${sample.cwnd} ${sample.ssthresh} ${sample.srtt}`
      if (key === one.last) continue
      one.last = key
      one.series.add(sample)
    }
  }
  return followed.map(({ series }) => series)
}

/** Sequence numbers of a host's first connection over time, as its interface sees them. Octets count from the SYN's successor. */
export class SequenceTrace {
  readonly segments = new Series<SegmentPoint>(MOST_POINTS)
  readonly acks = new Series<{ readonly at: Micros; readonly ack: number }>(MOST_POINTS)
  readonly retransmits = new Series<SegmentPoint>(MOST_POINTS)
  readonly losses = new Series<SegmentPoint>(MOST_POINTS)
  private isn: number | undefined
  private port: number | undefined
  private highest = 0

  constructor(private readonly host: string) {}

  readonly observe: Observer = (event) => {
    if (event._tag === "Sent" && event.host === this.host) this.sent(event)
    else if (event._tag === "Arrived" && event.host === this.host) this.arrived(event)
    else if (event._tag === "Lost") this.lost(event)
  }

  private sent({ at, bytes }: LogEvent & { readonly bytes: Uint8Array }): void {
    const packet = tcpIn(bytes)
    if (packet === undefined) return
    const { segment, sourcePort } = packet
    if (hasSyn(segment) && this.isn === undefined) {
      this.isn = (segment.seq + 1) >>> 0
      this.port = sourcePort
    }
    if (sourcePort !== this.port || this.isn === undefined || segment.payload.length === 0) return
    const point = this.pointOf(at, segment.seq, segment.payload.length)
    if (point.from < this.highest) this.retransmits.add(point)
    else this.segments.add(point)
    this.highest = Math.max(this.highest, point.to)
  }

  private arrived({ at, bytes }: LogEvent & { readonly bytes: Uint8Array }): void {
    const packet = tcpIn(bytes)
    if (packet === undefined || packet.destinationPort !== this.port || this.isn === undefined) return
    const ack = this.offset(packet.segment.ack)
    if (ack >= 0 && !hasFin(packet.segment)) this.acks.add({ at, ack })
  }

  private lost({ at, bytes }: LogEvent & { readonly bytes: Uint8Array }): void {
    const packet = tcpIn(bytes)
    if (packet === undefined || packet.sourcePort !== this.port || packet.segment.payload.length === 0) return
    this.losses.add(this.pointOf(at, packet.segment.seq, packet.segment.payload.length))
  }

  private pointOf(at: Micros, seq: number, length: number): SegmentPoint {
    const from = this.offset(seq)
    return { at, from, to: from + length }
  }

  /** Unwrapped by what has been sent so far: sequence numbers come round every 4 GiB. */
  private offset(seq: number): number {
    const near = (seq - (this.isn ?? 0)) >>> 0
    const turns = Math.round((this.highest - near) / 2 ** 32)
    return near + turns * 2 ** 32
  }
}
