import { isSynchronized } from "../tcp/tcb.ts"
import type { Micros } from "../tcp/time.ts"
import { ACK, PSH, type Segment, type TcpOptions } from "../wire/tcpSegment.ts"
import type { Flow } from "./flow.ts"

/** Octets of one train at most: what an IP packet could hold. */
const LONGEST = 65_535

/** Segments of one connection that follow each other and say the same. Their payloads are views of device memory. */
export interface Train {
  readonly first: Segment
  last: Segment
  readonly parts: Array<Uint8Array>
  length: number
}

/** Handles a train as one segment. `gathered`: its payload is a fresh array, nobody else's. */
export type Arrival = (flow: Flow, segment: Segment, now: Micros, gathered: boolean) => void

/**
 * What one batch brings for a connection, joined where it is plain data in order (Linux calls it
 * GRO): one step of the reducer and one chunk for the application in place of many. Only for frames
 * that stay where they are until the batch has ended.
 */
export class Trains {
  private flows: Array<Flow> = []
  private now: Micros = 0

  constructor(private readonly arrives: Arrival) {}

  /** Takes a segment of an established connection; false: it must be handled by itself, at once. */
  takes(flow: Flow, segment: Segment, now: Micros): boolean {
    const { train } = flow
    if (train !== undefined && follows(train, segment)) {
      train.last = segment
      train.parts.push(segment.payload)
      train.length += segment.payload.length
      return true
    }
    this.end(flow)
    const { tcb } = flow
    // What is out of order is answered one by one: the peer counts the duplicate ACKs (RFC 5681 section 3.2).
    if (!isSynchronized(tcb) || segment.seq !== tcb.rcv.nxt || tcb.rcv.queue.pieces > 0) return false
    if (!isPlain(segment)) return false
    flow.train = { first: segment, last: segment, parts: [segment.payload], length: segment.payload.length }
    this.flows.push(flow)
    this.now = now
    return true
  }

  /** Something else comes for the connection: what waits goes before it. */
  end(flow: Flow): void {
    const { train } = flow
    if (train === undefined) return
    flow.train = undefined
    const { first, last, parts, length } = train
    if (parts.length === 1) return this.arrives(flow, first, this.now, false)
    const flags = first.flags | last.flags
    this.arrives(flow, { ...first, flags, wnd: last.wnd, payload: joined(parts, length) }, this.now, true)
  }

  /** The batch has ended, or somebody wants to know. */
  endAll(): void {
    if (this.flows.length === 0) return
    const { flows } = this
    this.flows = []
    for (const flow of flows) this.end(flow)
  }
}

const isPlain = ({ flags, options, payload }: Segment): boolean =>
  (flags & ~PSH) === ACK &&
  payload.length > 0 &&
  options.sack.length === 0 &&
  options.md5 === undefined &&
  options.ao === undefined &&
  options.unknown.length === 0

/** As in Linux's tcp_gro_receive: the same ACK and options; the window may differ, the newest counts. */
const follows = ({ first, last, length }: Train, next: Segment): boolean =>
  next.seq === (last.seq + last.payload.length) >>> 0 &&
  next.ack === first.ack &&
  isPlain(next) &&
  sameStamps(next.options, first.options) &&
  length + next.payload.length <= LONGEST

const sameStamps = (x: TcpOptions, y: TcpOptions): boolean => x.tsVal === y.tsVal && x.tsEcr === y.tsEcr

const joined = (parts: ReadonlyArray<Uint8Array>, length: number): Uint8Array => {
  const out = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}
