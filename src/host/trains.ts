import { isSynchronized } from "../tcp/tcb.ts"
import type { Micros } from "../tcp/time.ts"
import { copyPart } from "../wire/bytes.ts"
import { CE } from "../wire/ecn.ts"
import { ACK, PSH, type Segment, type TcpOptions, type TcpPacket } from "../wire/tcpSegment.ts"
import type { Flow } from "./flow.ts"
import { LENT } from "./receiveQueue.ts"
import { SameHeaders } from "./sameHeaders.ts"

/** Segments of so many octets and more are seldom alone: the next is worth a comparison. */
const BULK = 512
/** Octets of memory in which trains are joined for those who borrow them. */
const YARD = 1 << 19
/** Octets of one train at most: what an IP packet could hold. */
const LONGEST = 65_535

/** Segments of one connection that follow each other and say the same. */
export interface Train {
  readonly first: Segment
  /** Undefined: it is alone. */
  payloads: Payloads | undefined
  length: number
  /** Of the last segment. */
  flags: number
  wnd: number
}

/** Parts of device memory: of the nth array from its start to its end, so that no view of it need be made. */
interface Payloads {
  readonly parts: Array<Uint8Array>
  readonly starts: Array<number>
  readonly ends: Array<number>
}

/** Handles a train as one segment. `gathered`: its payload is a fresh array, nobody else's; else it stays until the batch's flush. */
export type Arrival = (flow: Flow, segment: Segment, now: Micros, gathered: boolean) => void

/** Where a packet's headers begin in the frame that carries it. */
interface Carried {
  readonly headerOffset: number
}

/**
 * What one batch brings for a connection, joined where it is plain data in order (Linux calls it
 * GRO): one step of the reducer and one chunk for the application in place of many. Only for frames
 * that stay where they are until the batch has ended.
 */
export class Trains {
  private flows: Array<Flow> = []
  private now: Micros = 0
  /** The frame at hand: its interface, and where it lies. */
  private iface = -1
  private bytes: Uint8Array | undefined = undefined
  private offset = 0
  /** What the last frame of a train looked like, and whose it was. */
  private headers: SameHeaders | undefined = undefined
  private headersOf: Flow | undefined = undefined
  private headersOn = -1
  private yard: Uint8Array | undefined = undefined
  /** Octets of the yard that this batch's trains take. */
  private used = 0

  constructor(private readonly arrives: Arrival) {}

  /**
   * A frame that goes on where the latest train ends, with the same headers: taken unparsed, its flow is the result.
   * Else it must be parsed, and may come back as a segment.
   */
  follow(
    iface: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    vouched: boolean,
    now: Micros,
  ): Flow | undefined {
    this.iface = iface
    this.bytes = bytes
    this.offset = offset
    const { headers, headersOf: flow } = this
    const train = flow?.train
    if (headers === undefined || flow === undefined || train === undefined || iface !== this.headersOn) return undefined
    const seq = (train.first.seq + train.length) >>> 0
    if (train.length + length - headers.headers > LONGEST) return undefined
    if (!headers.matches(bytes, offset, length, seq, vouched)) return undefined
    lengthen(train, bytes, offset + headers.headers, offset + length)
    train.flags = headers.flags(bytes, offset)
    train.wnd = headers.wnd(bytes, offset)
    this.now = now
    return flow
  }

  /** Takes a segment of an established connection; false: it must be handled by itself, at once. */
  takes(flow: Flow, packet: TcpPacket, now: Micros, bytes?: Uint8Array, carried?: Carried): boolean {
    const { train } = flow
    const { segment } = packet
    if (train !== undefined && follows(train, segment)) {
      lengthen(train, segment.payload, 0, segment.payload.length)
      train.flags = segment.flags
      train.wnd = segment.wnd
      if (this.headersOf !== flow) this.compareNext(flow, packet, bytes, carried)
      return true
    }
    this.end(flow)
    const { tcb } = flow
    // What is out of order is answered one by one: the peer counts the duplicate ACKs (RFC 5681 section 3.2).
    if (!isSynchronized(tcb) || segment.seq !== tcb.rcv.nxt || tcb.rcv.queue.pieces > 0) return false
    if (!isPlain(segment)) return false
    const { payload, flags, wnd } = segment
    flow.train = { first: segment, payloads: undefined, length: payload.length, flags, wnd }
    this.flows.push(flow)
    this.now = now
    this.compareNext(flow, packet, bytes, carried)
    return true
  }

  /** Something else comes for the connection: what waits goes before it. */
  end(flow: Flow): void {
    const { train } = flow
    if (train === undefined) return
    flow.train = undefined
    if (this.headersOf === flow) this.headersOf = undefined
    const { first, payloads, length, wnd } = train
    if (payloads === undefined) return this.arrives(flow, first, this.now, false)
    const flags = first.flags | train.flags
    const lent = length >= LENT && flow.socket?.received.borrows === true ? this.room(length) : undefined
    const payload = joined(payloads, lent ?? new Uint8Array(length))
    this.arrives(flow, { ...first, flags, wnd, payload }, this.now, lent === undefined)
  }

  /** Nobody reads the joined trains of the batch any more. */
  clearYard(): void {
    this.used = 0
  }

  private room(length: number): Uint8Array | undefined {
    const from = this.used
    if (from + length > YARD) return undefined
    this.yard ??= new Uint8Array(YARD)
    this.used += length
    return this.yard.subarray(from, this.used)
  }

  /** The batch has ended, or somebody wants to know. */
  endAll(): void {
    if (this.flows.length === 0) return
    const { flows } = this
    this.flows = []
    for (const flow of flows) this.end(flow)
  }

  /** The next frame is compared with this one. What came by no frame, or by several, is no example. */
  private compareNext(
    flow: Flow,
    packet: TcpPacket,
    bytes: Uint8Array | undefined,
    carried: Carried | undefined,
  ): void {
    this.headersOf = undefined
    if (bytes === undefined || bytes !== this.bytes || carried === undefined) return
    const { payload } = packet.segment
    if (payload.length < BULK) return
    const headers = payload.byteOffset - bytes.byteOffset - this.offset
    this.headers = SameHeaders.of(packet, bytes, this.offset, carried.headerOffset - this.offset, headers)
    this.headersOf = flow
    this.headersOn = this.iface
  }
}

/** A mark of congestion is one segment's: they are counted (RFC 9768 section 3.2.2). */
const isPlain = ({ flags, options, payload, ecn }: Segment): boolean =>
  (flags & ~PSH) === ACK &&
  payload.length > 0 &&
  ecn !== CE &&
  options.sack.length === 0 &&
  options.md5 === undefined &&
  options.ao === undefined &&
  options.unknown.length === 0

/** As in Linux's tcp_gro_receive: the same ACK and options; the window may differ, the newest counts. */
const follows = ({ first, length }: Train, next: Segment): boolean =>
  next.seq === (first.seq + length) >>> 0 &&
  next.ack === first.ack &&
  isPlain(next) &&
  next.ecn === first.ecn &&
  sameStamps(next.options, first.options) &&
  length + next.payload.length <= LONGEST

const sameStamps = (x: TcpOptions, y: TcpOptions): boolean => x.tsVal === y.tsVal && x.tsEcr === y.tsEcr

const lengthen = (train: Train, bytes: Uint8Array, start: number, end: number): void => {
  train.payloads ??= alone(train.first.payload)
  const { parts, starts, ends } = train.payloads
  parts.push(bytes)
  starts.push(start)
  ends.push(end)
  train.length += end - start
}

const alone = (payload: Uint8Array): Payloads => ({ parts: [payload], starts: [0], ends: [payload.length] })

const joined = ({ parts, starts, ends }: Payloads, out: Uint8Array): Uint8Array => {
  let at = 0
  for (const [index, bytes] of parts.entries()) {
    const start = starts[index] ?? 0
    const length = (ends[index] ?? 0) - start
    copyPart(bytes, start, length, out, at)
    at += length
  }
  return out
}
