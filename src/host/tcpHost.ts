import { worthWaking } from "../tcp/calls.ts"
import { deadlineOf } from "../tcp/deadline.ts"
import type { IcmpErrno, Step, TcpEffect } from "../tcp/effect.ts"
import { icmpArrives, isRefusal } from "../tcp/icmpError.ts"
import { pathMtuArrives } from "../tcp/pathMtu.ts"
import { outputOf, synReceivedArrives } from "../tcp/reduce.ts"
import { resentBetween } from "../tcp/resend.ts"
import { answerNobody } from "../tcp/reset.ts"
import { distance, type Seq } from "../tcp/seq.ts"
import { optionsOf } from "../tcp/setOptions.ts"
import * as synchronized from "../tcp/synchronized.ts"
import * as synSent from "../tcp/synSent.ts"
import {
  CLOSED,
  type Closed,
  type Connection,
  type FastOpened,
  isSynchronized,
  type PathLimits,
  type SocketOptions,
  type Tcb,
  type TcpContext,
  type TimeWait,
} from "../tcp/tcb.ts"
import { type Micros, OFF } from "../tcp/time.ts"
import { timeout } from "../tcp/timeouts.ts"
import { TIMER_NAMES } from "../tcp/timers.ts"
import * as timeWait from "../tcp/timeWait.ts"
import type { Endpoint, IpAddress } from "../wire/address.ts"
import { IPV4_HEADER } from "../wire/ipv4.ts"
import { IPV6_HEADER, IPV6_MIN_MTU } from "../wire/ipv6.ts"
import type { Quote } from "../wire/quote.ts"
import { COPIED_PAYLOAD } from "../wire/tcp.ts"
import type { Segment, TcpPacket } from "../wire/tcpSegment.ts"
import { ChallengeLimit } from "./challengeLimit.ts"
import type { Chances } from "./chances.ts"
import type { Counters } from "./counters.ts"
import type { Deadlines, Scheduled } from "./deadlines.ts"
import { Egress } from "./egress.ts"
import { Flow } from "./flow.ts"
import { FlowTable } from "./flowTable.ts"
import { type Carrier, Guards, guardAfter, isSigned } from "./guards.ts"
import { HalfOpen } from "./halfOpen.ts"
import type { Link } from "./link.ts"
import { Listening } from "./listening.ts"
import { acknowledgedBy } from "./notices.ts"
import { NumberTable } from "./numberTable.ts"
import { PortTable } from "./portTable.ts"
import { LENT, type ReceiveQueue } from "./receiveQueue.ts"
import { type FastOpenCookie, Remembered } from "./remembered.ts"
import { Rest } from "./rest.ts"
import type { AnySocket, ConnectionSocket, ListenerSocket } from "./socket.ts"
import { SocketTable } from "./socketTable.ts"
import { Trains } from "./trains.ts"
import type { SendSegment, SocketEvent, SocketId } from "./types.ts"

const TCP_HEADER = 20
const IP_HEADER = { 4: IPV4_HEADER, 6: IPV6_HEADER } as const
/** RFC 1122 section 3.3.2, RFC 8200 section 5. */
const SMALLEST_MTU = { 4: 576, 6: IPV6_MIN_MTU } as const

/** Flows that may send as much as one may in one flush; the others wait for the next. */
const FLOWS_AT_ONCE = 2
/** Segments that a host sends to itself and handles in one flush; the rest waits for the next. */
const LOOPBACK_BUDGET = 1024

/** How often a connection's progress tells of its next hop: a small part of the least time that one counts as reachable. */
const CONFIRMATION: Micros = 1_000_000

/** Why a host reports a state of a socket, as bits of `reported`. */
const EVENT_BITS = {
  connected: 1,
  acceptable: 2,
  readable: 4,
  writable: 8,
  closed: 16,
  urgent: 32,
  finished: 64,
  error: 128,
} as const

/** What the parts of a host share. */
export interface Shell {
  readonly context: TcpContext
  readonly link: Link
  readonly deadlines: Deadlines<Scheduled>
  readonly counters: Counters
  readonly event: (event: SocketEvent) => void
  readonly nextId: () => SocketId
  readonly chances: Pick<Chances, "next">
}

/** The TCP side of a host: finds the block that a segment is for, runs its reducer, carries the effects into tables and queues. */
export class TcpHost {
  readonly flows: FlowTable
  readonly ports = new PortTable()
  readonly sockets: SocketTable
  readonly listening: Listening
  readonly egress: Egress
  readonly rest: Rest
  /** Fast Open cookies that servers gave us. */
  readonly cookies = new Remembered<FastOpenCookie>()
  private readonly guards: Guards
  private readonly challenges: ChallengeLimit
  /** The ACK that follows is one challenge too many. */
  private withheld = false
  private readonly trains = new Trains((flow, segment, now, gathered) => {
    this.own = gathered || isCopy(segment.payload) ? segment.payload : undefined
    this.staying = gathered ? undefined : memoryOf(segment.payload)
    this.arrives(flow, segment, now)
    this.own = undefined
    this.staying = undefined
  })
  /** The payload at hand is an array of its own, which the receive queue may keep. */
  private own: Uint8Array | undefined = undefined
  /** The payload at hand lies in memory that stays as it is until the batch's flush. */
  private staying: ArrayBufferLike | undefined = undefined
  /** Queues that hold such memory. */
  private borrowers: Array<ReceiveQueue> = []
  private dirty: Array<Flow> = []
  /** Of the next flush: flows that have more to send than one may, and those that had no turn at all, which come first. */
  private stopped: Array<Flow> = []
  private skipped: Array<Flow> = []
  private reported: Array<ConnectionSocket | ListenerSocket> = []
  private timeWaits = 0

  constructor(
    private readonly shell: Shell,
    tableSeed: number,
  ) {
    this.challenges = new ChallengeLimit(() => shell.context.settings, shell.chances)
    this.guards = new Guards(shell.counters, shell.link, shell.context.settings.profile.optionLayout)
    this.flows = new FlowTable(tableSeed)
    this.listening = new Listening(shell, this)
    const sockets = new NumberTable<AnySocket>()
    this.rest = new Rest(shell.deadlines, { flows: this.flows, sockets })
    this.sockets = new SocketTable(sockets, this.rest)
    this.egress = new Egress(shell.link, shell.counters, this.guards, this.flows)
  }

  /** A segment for one of our addresses (RFC 9293 section 3.10.7): the established table, then listeners, then nobody. */
  segment(packet: TcpPacket, now: Micros, bytes?: Uint8Array, carrier?: Carrier, stays?: "joined" | "single"): void {
    const { source, destination, sourcePort, destinationPort, segment } = packet
    this.shell.counters.inSegs++
    const flow = this.find(destination, destinationPort, source, sourcePort)
    if (flow !== undefined) {
      if (this.guards.refuses(flow.guard, flow.tcb, packet, bytes, carrier)) return
      flow.socket?.totals.arrived(segment, now)
      if (stays === "single" && flow.guard === undefined) {
        if (this.trains.takes(flow, packet, now, bytes, carrier)) return
      } else this.trains.end(flow)
      if (this.listening.reopens(flow, packet, now)) return
      this.own = isCopy(segment.payload) ? segment.payload : undefined
      this.staying = stays === undefined ? undefined : memoryOf(segment.payload)
      this.arrives(flow, segment, now)
      this.own = undefined
      this.staying = undefined
      return
    }
    const { listeners } = this.listening
    const half = this.listening.find(destination, destinationPort, source, sourcePort, now)
    if (half !== undefined) {
      if (this.guards.refuses(half.guard, half.request, packet, bytes, carrier)) return
      return this.listening.arrives(half, segment, now)
    }
    const hash = this.flows.hash(destination, destinationPort, source, sourcePort)
    const listener = listeners.find(destination, destinationPort, hash)
    if (listener !== undefined) {
      if (this.guards.refusesForListener(listener.tcb.options, packet, bytes, carrier)) return
      return this.listening.segment(listener, packet, now)
    }
    const guard = isSigned(segment.options)
      ? this.guards.ofNobody(packet, listeners.find(destination, sourcePort, hash)?.tcb.options, bytes, carrier)
      : undefined
    if (guard === "silence") return
    const answer = answerNobody(segment)
    if (answer._tag === "Drop") return this.shell.link.drop(answer.why)
    const local = { address: destination, port: destinationPort }
    const remote = { address: source, port: sourcePort }
    this.egress.transmit(answer, { local, remote, guard }, now)
  }

  /** A frame that only goes on where the one before it ended is taken as it is; false: it must be parsed. */
  follow(iface: number, bytes: Uint8Array, offset: number, length: number, vouched: boolean, now: Micros): boolean {
    const flow = this.trains.follow(iface, bytes, offset, length, vouched, now)
    if (flow === undefined) return false
    const { counters } = this.shell
    const counts = counters.ip[flow.remote.address.family]
    counts.inReceives++
    counts.inDelivers++
    counters.inSegs++
    if (flow.train !== undefined) flow.socket?.totals.arrived(flow.train.first, now)
    return true
  }

  /** The connection with these four values; awake, whatever it was. */
  find(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): Flow | undefined {
    return this.flows.find(local, localPort, remote, remotePort) ?? this.rest.wake(local, localPort, remote, remotePort)
  }

  /** A segment for a block of the table. */
  arrives(flow: Flow, segment: Segment, now: Micros): void {
    const { tcb } = flow
    switch (tcb._tag) {
      case "CLOSED":
        return
      case "SYN-SENT":
        return this.apply(flow, synSent.segmentArrives(tcb, segment, now), now)
      case "SYN-RECEIVED":
        // No request, which would ask whether there is room for it.
        return this.apply(flow, synReceivedArrives(tcb, segment, true, now), now)
      case "TIME-WAIT":
        return this.apply(flow, timeWait.segmentArrives(tcb, segment, now), now)
      default:
        return this.apply(flow, synchronized.segmentArrives(tcb, segment, now), now)
    }
  }

  /** What frames of this batch still wait to be handled together is handled. */
  endTrains(): void {
    this.trains.endAll()
  }

  /** An ICMP error about a segment that went out (RFC 5927 section 4.1: its sequence number must be in flight). */
  icmpError(quote: Quote, errno: IcmpErrno, now: Micros): void {
    const block = this.quoted(quote, isRefusal(errno), now)
    if (block instanceof HalfOpen) this.listening.apply(block, icmpArrives(block.request, quote.seq, errno), now)
    else if (block !== undefined) this.apply(block, icmpArrives(block.tcb, quote.seq, errno), now)
  }

  /**
   * A segment of ours was too big for a link of `mtu` on its path (RFC 1191, RFC 8201); 0: the router does
   * not say. Believed when the segment is one in flight (RFC 5927 section 7.2): later connections to the
   * destination begin with what this one learns.
   */
  icmpTooBig(quote: Quote, mtu: number, now: Micros): void {
    const block = this.quoted(quote, false, now)
    if (block === undefined) return
    const { link } = this.shell
    const tcb = block instanceof HalfOpen ? block.request : block.tcb
    if (!isInFlight(tcb, quote.seq)) return link.drop("RFC5927-4.1:sequence-number")
    const { destination } = quote.ip
    const learnt = link.pathMtus.learn(destination, mtu, now, quote.length)
    // What it knows is what another connection may have been told.
    const path = link.pathMtus.mtu(destination, block.iface, now)
    if (block instanceof Flow && isSynchronized(tcb)) this.apply(block, pathMtuArrives(tcb, quote.seq, path, now), now)
    else if (learnt === undefined) link.drop("RFC8201-4:no-smaller-path-MTU")
  }

  /** Whose segment an ICMP error quotes. */
  private quoted({ ip, sourcePort, destinationPort }: Quote, hard: boolean, now: Micros): Flow | HalfOpen | undefined {
    const flow = this.find(ip.source, sourcePort, ip.destination, destinationPort)
    if (flow !== undefined) {
      this.trains.end(flow)
      return this.guards.ignoresIcmp(flow.guard, flow.tcb, ip.ttl, hard) ? undefined : flow
    }
    const half = this.listening.find(ip.source, sourcePort, ip.destination, destinationPort, now)
    if (half !== undefined) return this.guards.ignoresIcmp(half.guard, half.request, ip.ttl, hard) ? undefined : half
    this.shell.link.drop("icmp:no-connection")
    return undefined
  }

  /** Nobody answers for the next hop: as if a router had said so (Linux's arp_error_report). */
  unreachable(lost: SendSegment, now: Micros): void {
    const { source, sourcePort, destination, destinationPort, segment } = lost
    const flow = this.find(source, sourcePort, destination, destinationPort)
    if (flow !== undefined) return this.apply(flow, icmpArrives(flow.tcb, segment.seq, "EHOSTUNREACH"), now)
    const half = this.listening.find(source, sourcePort, destination, destinationPort, now)
    if (half !== undefined) {
      this.listening.apply(half, icmpArrives(half.request, segment.seq, "EHOSTUNREACH"), now)
    }
  }

  /** An application has changed a connection's options; false: its keys cannot become these. */
  reguard(flow: Flow, changed: Partial<SocketOptions>): boolean {
    const after = guardAfter(flow.guard, flow.remote, changed)
    if (after !== undefined) flow.guard = after.guard
    return after !== undefined
  }

  /**
   * Owed ACKs and new data of everything that this batch touched, up to `tcpLimitOutputBytes` of each and some more of
   * all: a window of many megabytes that opens at once must not stop the world.
   */
  flush(now: Micros): void {
    this.listening.nextTurns(now)
    if (this.stopped.length + this.skipped.length > 0) {
      this.dirty = [...this.skipped, ...this.dirty, ...this.stopped]
      this.skipped = []
      this.stopped = []
    }
    const most = Math.max(1, this.shell.context.settings.tcpLimitOutputBytes)
    let octets = 0
    let budget = LOOPBACK_BUDGET
    do {
      for (let index = 0; index < this.dirty.length; index++) {
        const flow = this.dirty[index]
        if (flow === undefined) continue
        if (octets >= FLOWS_AT_ONCE * most) {
          this.skipped.push(flow)
          continue
        }
        const before = flow.tcb
        // Still marked while it is applied: output leaves nothing that more output is owed for.
        if (isSynchronized(flow.tcb) || isFast(flow.tcb)) this.apply(flow, outputOf(flow.tcb, now, most), now)
        const sent = sentBetween(before, flow.tcb)
        octets += sent
        flow.dirty = sent >= most
        if (flow.dirty) this.stopped.push(flow)
        const { socket, tcb } = flow
        if (socket !== undefined && isSynchronized(tcb)) socket.totals.settle(tcb, socket.wantsRoom, now)
      }
      this.dirty = []
      const looped = this.egress.takeLooped()
      for (const packet of looped) this.segment(packet, now)
      budget -= looped.length
    } while ((this.egress.hasLooped || this.dirty.length > 0) && budget > 0)
    this.giveBack()
  }

  /** True when another flush is wanted at once: for segments to ourselves, or of a listener or flows whose turn was over. */
  get wantsFlush(): boolean {
    return this.egress.hasLooped || this.listening.isWaiting || this.stopped.length + this.skipped.length > 0
  }

  /** The deadline of a flow has come: fire those of its timers that are due, and ask again. */
  timeout(flow: Flow, now: Micros): void {
    const at = deadlineOf(flow.tcb)
    if (at === OFF) return
    if (at > now) return this.shell.deadlines.schedule(flow, at)
    const { tcb } = flow
    if (tcb._tag === "TIME-WAIT") this.apply(flow, timeout(tcb, "linger", now), now)
    else this.fireTimers(flow, now)
    const next = deadlineOf(flow.tcb)
    if (next !== OFF) this.shell.deadlines.schedule(flow, next)
  }

  private fireTimers(flow: Flow, now: Micros): void {
    for (const name of TIMER_NAMES) {
      // One time-out may end the block, or disarm the others.
      const { tcb } = flow
      const inner = isFast(tcb) ? tcb.tcb : tcb
      if (!("timers" in inner)) return
      const deadline = name === "retransmit" && isFast(tcb) ? tcb.request.deadline : inner.timers[name]
      if (deadline !== OFF && deadline <= now) this.apply(flow, timeout(tcb, name, now), now)
    }
  }

  /** Enters a block into the table and carries out its first step. */
  open(flow: Flow, step: Step, now: Micros): void {
    this.flows.add(flow)
    flow.identification = this.flows.hashOf(flow) & 0xffff
    this.join(flow)
    this.apply(flow, step, now)
  }

  /** A reducer's answer to anything: the new block, then the effects in order. */
  apply(flow: Flow, step: Step, now: Micros): void {
    const before = flow.tcb
    const { tcb, effects } = step
    if (isConnection(tcb)) flow.tcb = tcb
    for (const effect of effects) this.carryOut(flow, effect, now)
    if (flow.socket !== undefined && owesFin(before) && finished(tcb)) this.notify(flow.socket, "finished")
    if (tcb._tag === "CLOSED") this.remove(flow, before)
    else if (tcb._tag === "TIME-WAIT" && before._tag !== "TIME-WAIT") this.enterTimeWait(flow)
    else if (isSynchronized(tcb) || isFast(tcb)) this.markDirty(flow, now)
    const { listener } = flow
    if (listener !== undefined && !isFast(tcb)) this.listening.fastOpenSettled(flow, listener, effects, now)
  }

  notify(socket: ConnectionSocket | ListenerSocket, event: SocketEvent["event"]): void {
    const bit = EVENT_BITS[event]
    if ((socket.reported & bit) !== 0) return
    if (socket.reported === 0) this.reported.push(socket)
    socket.reported |= bit
    this.shell.event({ _tag: "SocketEvent", socket: socket.id, event })
  }

  /** The batch's effects have been taken: events may be reported anew. */
  taken(): void {
    this.listening.crowded = false
    for (const socket of this.reported) socket.reported = 0
    this.reported = []
  }

  /** What an interface carries. */
  path(iface: number, family: 4 | 6): PathLimits {
    return this.limits(iface, family, this.shell.link.mtu(iface, family) ?? SMALLEST_MTU[family])
  }

  /** What the way to a peer carries, as far as we know. */
  pathTo(iface: number, { address }: Endpoint, now: Micros): PathLimits {
    return this.limits(iface, address.family, this.shell.link.pathMtus.mtu(address, iface, now))
  }

  private limits(iface: number, family: 4 | 6, mtu: number): PathLimits {
    const burst = this.shell.link.interface(iface)?.burst ?? 0
    return { mss: mtu - IP_HEADER[family] - TCP_HEADER, burst }
  }

  /** A connection begins to use its port. */
  join(flow: Flow): void {
    flow.joined = true
    this.ports.join(flow.local.port, flow.local.address, flow.sharing)
  }

  /** Blocks that are not behind a socket: given up by their application, or in TIME-WAIT. */
  orphans(): ReadonlyArray<Flow> {
    const isOrphan = ({ socket }: Flow): boolean => socket === undefined || !this.sockets.has(socket.id)
    return [...this.flows].filter(isOrphan).sort((a, b) => a.id - b.id)
  }

  isTaken(address: IpAddress, port: number, remote: Endpoint): boolean {
    return (
      this.flows.find(address, port, remote.address, remote.port) !== undefined ||
      this.rest.has(address, port, remote.address, remote.port) ||
      this.listening.has(address, port, remote.address, remote.port)
    )
  }

  private carryOut(flow: Flow, effect: TcpEffect, now: Micros): void {
    const { socket } = flow
    switch (effect._tag) {
      case "Transmit":
        if (this.withheld) {
          this.withheld = false
          return this.shell.link.drop("RFC5961-7:challenge-limit")
        }
        socket?.totals.left(effect)
        if (socket?.notices?.left(effect, now) === true) this.notify(socket, "error")
        return this.egress.transmit(effect, flow, now)
      case "ArmTimer":
        return this.shell.deadlines.schedule(flow, effect.at)
      case "CancelTimer":
        return // The heap's entry finds nothing to do when it comes up.
      case "Deliver":
        if (socket === undefined) return
        socket.totals.bytesReceived += effect.bytes.length
        this.keep(socket.received, effect.bytes)
        if (socket.received.length >= socket.lowWater || cannotFill(flow.tcb)) this.notify(socket, "readable")
        return
      case "Acknowledged":
        this.confirm(flow, now)
        if (socket === undefined) return
        socket.totals.bytesAcked += effect.count
        if (socket.notices?.acknowledged(acknowledgedBy(flow.tcb), now) === true) this.notify(socket, "error")
        if (socket.wantsRoom) this.offerRoom(socket)
        return
      case "Established":
        if (flow.listener !== undefined) this.listening.established(flow.listener, flow, now)
        else if (socket !== undefined) {
          // Our SYN.
          socket.totals.bytesAcked++
          this.notify(socket, "connected")
        }
        return
      case "PeerClosed":
        if (socket === undefined) return
        socket.ended = true
        socket.totals.bytesReceived++
        return this.notify(socket, "readable")
      case "Closed":
        if (socket === undefined || socket.closed !== undefined) return
        socket.closed = { reason: effect.reason, errno: effect.errno, why: effect.why }
        if (socket.notices?.over() === true) this.notify(socket, "error")
        return this.notify(socket, "closed")
      case "Drop":
        return this.shell.link.drop(effect.why)
      case "Count":
        if (effect.counter === "TCPChallengeACK" && !this.challenges.allows(now)) {
          this.withheld = true
          return
        }
        this.shell.counters.add(effect.counter, 1)
        if (effect.counter === "TCPOFOQueue" && socket !== undefined) socket.totals.outOfOrder++
        return
      case "Doubt":
        return this.shell.link.doubt(flow.remote.address, now)
      case "RememberCookie":
        return this.cookies.set(flow.remote.address, { option: effect.cookie, mss: effect.mss })
      case "Urgent":
        if (socket !== undefined) this.notify(socket, "urgent")
        return
      case "Spawn":
        return
    }
  }

  /** The next hop is alive, which need not be said for every segment. */
  private confirm(flow: Flow, now: Micros): void {
    if (flow.confirmedAt !== OFF && now - flow.confirmedAt < CONFIRMATION) return
    flow.confirmedAt = now
    this.shell.link.progress(flow.remote.address, now)
  }

  /** Octets for an application to read: copied at once only where they are few, or their memory does not stay. */
  private keep(queue: ReceiveQueue, bytes: Uint8Array): void {
    if (bytes === this.own) queue.take(bytes)
    else if (bytes.length < LENT || this.staying === undefined || bytes.buffer !== this.staying) queue.push(bytes)
    else if (queue.lend(bytes)) this.borrowers.push(queue)
  }

  /** The batch's memory goes back to its devices: what nobody has read is copied. */
  private giveBack(): void {
    if (this.borrowers.length > 0) {
      for (const queue of this.borrowers) queue.own()
      this.borrowers = []
    }
    this.trains.clearYard()
  }

  /** What a socket keeps of its options beside the block. */
  optionsSet(socket: ConnectionSocket): void {
    socket.lowWater = optionsOf(socket.flow.tcb)?.receiveLowWater ?? socket.lowWater
    if (socket.received.length > 0 && socket.received.length >= socket.lowWater) this.notify(socket, "readable")
  }

  private offerRoom(socket: ConnectionSocket): void {
    const { tcb } = socket.flow
    if (!isSynchronized(tcb)) return
    // Not for every segment.
    if (!worthWaking(tcb)) return
    socket.wantsRoom = false
    this.notify(socket, "writable")
  }

  private markDirty(flow: Flow, now: Micros): void {
    this.rest.stirs(flow, now)
    if (flow.dirty) return
    flow.dirty = true
    this.dirty.push(flow)
  }

  private remove(flow: Flow, before: Tcb): void {
    this.flows.remove(flow)
    if (flow.joined) this.ports.leave(flow.local.port, flow.local.address, flow.sharing)
    flow.joined = false
    this.shell.deadlines.forget(flow)
    this.rest.ends(flow)
    if (before._tag === "TIME-WAIT") this.timeWaits--
  }

  private enterTimeWait(flow: Flow): void {
    this.rest.ends(flow)
    this.timeWaits++
    if (this.timeWaits <= this.shell.context.settings.tcpMaxTwBuckets) return
    this.shell.counters.add("TCPTimeWaitOverflow", 1)
    const before = flow.tcb
    flow.tcb = CLOSED
    this.remove(flow, before)
  }
}

/** What a flow may hold: its own block, no listener's and no request. */
const isConnection = (tcb: Tcb): tcb is Connection | TimeWait | Closed =>
  tcb._tag !== "LISTEN" && !(tcb._tag === "SYN-RECEIVED" && tcb.open === "passive")

/** Our FIN is on its way, or will be: the peer has not acknowledged it (Linux's sk_stream_closing). */
const owesFin = ({ _tag }: Tcb): boolean => _tag === "FIN-WAIT-1" || _tag === "CLOSING" || _tag === "LAST-ACK"

const finished = (tcb: Tcb): boolean => !owesFin(tcb) && tcb._tag !== "CLOSED"

/** The window is closed: what a reader waits for cannot come (Linux's tcp_epollin_ready). */
const cannotFill = (tcb: Tcb): boolean => isSynchronized(tcb) && tcb.rcv.buf - tcb.rcv.unread <= tcb.rcv.mss

/** The octet at `seq` has been sent and is not acknowledged. */
const isInFlight = (tcb: Tcb, seq: Seq): boolean => {
  if (isSynchronized(tcb)) return distance(seq, tcb.snd.una) >= 0 && distance(tcb.snd.nxt, seq) > 0
  if (tcb._tag === "SYN-SENT") return seq === tcb.iss
  if (tcb._tag !== "SYN-RECEIVED") return false
  if (tcb.open === "fast") return isInFlight(tcb.tcb, seq)
  return seq === (tcb.open === "active" ? tcb.sent.iss : tcb.iss)
}

/** Where a payload lies that may be lent; looking at a short one's memory would move it. */
const memoryOf = (payload: Uint8Array): ArrayBufferLike | undefined =>
  payload.length < LENT ? undefined : payload.buffer

/** Not in device memory: the receive queue may keep it (see `COPIED_PAYLOAD`). */
const isCopy = ({ length }: Uint8Array): boolean => length > 0 && length <= COPIED_PAYLOAD

const isFast = (tcb: Tcb): tcb is FastOpened => tcb._tag === "SYN-RECEIVED" && tcb.open === "fast"

/** Octets that have left between two blocks of a flow, for the first time or once more. */
const sentBetween = (before: Tcb, after: Tcb): number =>
  isSynchronized(before) && isSynchronized(after)
    ? distance(after.snd.nxt, before.snd.nxt) + resentBetween(before, after)
    : 0
