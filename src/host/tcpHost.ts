import { sendRoom } from "../tcp/calls.ts"
import type { CloseReason, Spawn, Step, TcpEffect, Transmit } from "../tcp/effect.ts"
import { settled as fastOpenSettled } from "../tcp/fastOpen.ts"
import { icmpArrives } from "../tcp/icmpError.ts"
import * as listen from "../tcp/listen.ts"
import { synAckRetries } from "../tcp/listen.ts"
import { isSynchronized, outputOf, synReceivedArrives } from "../tcp/reduce.ts"
import * as request from "../tcp/request.ts"
import { answerNobody } from "../tcp/reset.ts"
import { slice } from "../tcp/sendQueue.ts"
import { add, type Seq } from "../tcp/seq.ts"
import * as synchronized from "../tcp/synchronized.ts"
import { cookiesPending } from "../tcp/syncookie.ts"
import * as synSent from "../tcp/synSent.ts"
import type { FastOpened, PathLimits, Request, SocketOptions, SynReceived, Tcb, TcpContext } from "../tcp/tcb.ts"
import { type Micros, OFF } from "../tcp/time.ts"
import { timeout } from "../tcp/timeouts.ts"
import { earliestDeadline, TIMER_NAMES } from "../tcp/timers.ts"
import * as timeWait from "../tcp/timeWait.ts"
import type { Endpoint, IpAddress } from "../wire/address.ts"
import { isDrop } from "../wire/drop.ts"
import { NO_MAC } from "../wire/ethernet.ts"
import { PROTOCOL_TCP } from "../wire/ipv4.ts"
import { decodeQuote } from "../wire/quote.ts"
import { ACK, EMPTY, RST, type Segment, SYN, type TcpPacket } from "../wire/tcpSegment.ts"
import { withRoom } from "./authentication/signature.ts"
import type { Counters } from "./counters.ts"
import type { Deadlines, Scheduled } from "./deadlines.ts"
import { Flow } from "./flow.ts"
import { FlowTable } from "./flowTable.ts"
import { type Carrier, type Guard, Guards, guardAfter, guardOfAnswer, guardOfSpawned, isSigned } from "./guards.ts"
import type { Link } from "./link.ts"
import { Listeners } from "./listeners.ts"
import { PortTable } from "./portTable.ts"
import { type FastOpenCookie, Remembered } from "./remembered.ts"
import { type AnySocket, ConnectionSocket, type ListenerSocket } from "./socket.ts"
import type { SendSegment, SocketEvent, SocketId } from "./types.ts"

const DEFAULT_TTL = 64
const TCP_HEADER = 20

/** Segments that a host sends to itself and handles in one flush; the rest waits for the next. */
const LOOPBACK_BUDGET = 1024

/** gVisor's maxListenSegments: what one listener handles before others get their turn. */
const LISTENER_BUDGET = 100

/** Segments that wait for a listener; more are dropped. */
const LISTENER_INBOX = 1000

/** Why a host reports a state of a socket, as bits of `reported`. */
const EVENT_BITS = { connected: 1, acceptable: 2, readable: 4, writable: 8, closed: 16 } as const

interface Shell {
  readonly context: TcpContext
  readonly link: Link
  readonly deadlines: Deadlines<Scheduled>
  readonly counters: Counters
  readonly event: (event: SocketEvent) => void
  readonly nextId: () => SocketId
}

/** The TCP side of a host: finds the block that a segment is for, runs its reducer, carries the effects into tables and queues. */
export class TcpHost {
  readonly flows: FlowTable
  readonly listeners = new Listeners()
  readonly ports = new PortTable()
  /** Peers that have completed a handshake: they are somebody, not a spoofed source (Linux asks its TCP metrics). */
  private readonly proven = new Remembered<true>()
  /** Fast Open cookies that servers gave us. */
  readonly cookies = new Remembered<FastOpenCookie>()
  readonly sockets = new Map<SocketId, AnySocket>()
  private dirty: Array<Flow> = []
  private reported: Array<ConnectionSocket | ListenerSocket> = []
  private looped: Array<TcpPacket> = []
  private timeWaits = 0
  /** Listeners that have handled something since the last flush. */
  private turns: Array<ListenerSocket> = []
  private readonly guards: Guards

  constructor(
    private readonly shell: Shell,
    tableSeed: number,
  ) {
    this.guards = new Guards(shell.counters, shell.link, shell.context.settings.profile.optionLayout)
    this.flows = new FlowTable(tableSeed)
  }

  /** A segment for one of our addresses (RFC 9293 section 3.10.7): the established table, then listeners, then nobody. */
  segment(packet: TcpPacket, now: Micros, bytes?: Uint8Array, carrier?: Carrier): void {
    const { source, destination, sourcePort, destinationPort, segment } = packet
    this.shell.counters.add("InSegs", 1)
    const flow = this.flows.find(destination, destinationPort, source, sourcePort)
    if (flow !== undefined) {
      if (this.guards.refuses(flow.guard, flow.tcb, packet, bytes, carrier)) return
      if (this.reopens(flow, packet, now)) return
      return this.arrives(flow, segment, now)
    }
    const hash = this.flows.hash(destination, destinationPort, source, sourcePort)
    const listener = this.listeners.find(destination, destinationPort, hash)
    if (listener !== undefined) {
      if (this.guards.refusesForListener(listener.tcb.options, packet, bytes, carrier)) return
      return this.takeTurn(listener, packet, now)
    }
    const guard = isSigned(segment.options)
      ? this.guards.ofNobody(packet, this.listeners.find(destination, sourcePort, hash)?.tcb.options, bytes, carrier)
      : undefined
    if (guard === "silence") return
    const local = { address: destination, port: destinationPort }
    const remote = { address: source, port: sourcePort }
    const answer = answerNobody(segment)
    if (answer._tag === "Drop") this.shell.link.drop(answer.why)
    else this.transmit(answer, local, remote, undefined, now, guard)
  }

  /** An ICMP error about a segment that went out (RFC 5927 section 4.1: its sequence number must be in flight). */
  icmpError(quoted: Uint8Array, reason: CloseReason, now: Micros): void {
    const quote = decodeQuote(quoted)
    if (isDrop(quote)) return this.shell.link.drop(quote)
    if (quote.ip.protocol !== PROTOCOL_TCP) return this.shell.link.drop("icmp:nobody-asked")
    const flow = this.flows.find(quote.ip.source, quote.sourcePort, quote.ip.destination, quote.destinationPort)
    if (flow === undefined) return this.shell.link.drop("icmp:no-connection")
    if (this.guards.ignoresIcmp(flow.guard, flow.tcb, quote.ip.ttl, reason === "ConnectionRefused")) return
    this.apply(flow, icmpArrives(flow.tcb, quote.seq, reason), now)
  }

  /** Nobody answers for the next hop: as if a router had said so (Linux's arp_error_report). */
  unreachable(lost: SendSegment, now: Micros): void {
    const flow = this.flows.find(lost.source, lost.sourcePort, lost.destination, lost.destinationPort)
    if (flow !== undefined) this.apply(flow, icmpArrives(flow.tcb, lost.segment.seq, "HostUnreachable"), now)
  }

  /** An application has changed a connection's options; false: its keys cannot become these. */
  reguard(flow: Flow, changed: Partial<SocketOptions>): boolean {
    const after = guardAfter(flow.guard, flow.remote, changed)
    if (after !== undefined) flow.guard = after.guard
    return after !== undefined
  }

  /** Owed ACKs and new data of everything that this batch touched. */
  flush(now: Micros): void {
    this.nextTurns(now)
    let budget = LOOPBACK_BUDGET
    do {
      for (let index = 0; index < this.dirty.length; index++) {
        const flow = this.dirty[index]
        if (flow === undefined) continue
        // Still marked while it is applied: output leaves nothing that more output is owed for.
        if (isSynchronized(flow.tcb) || isFast(flow.tcb)) this.apply(flow, outputOf(flow.tcb, now), now)
        flow.dirty = false
      }
      this.dirty = []
      const looped = this.looped
      this.looped = []
      for (const packet of looped) this.segment(packet, now)
      budget -= looped.length
    } while ((this.looped.length > 0 || this.dirty.length > 0) && budget > 0)
  }

  /** True when another flush is wanted at once: for segments to ourselves, or of a listener whose turn was over. */
  get wantsFlush(): boolean {
    return this.looped.length > 0 || this.turns.some((listener) => listener.inbox.length > 0)
  }

  /** The deadline of a flow has come: fire those of its timers that are due, and ask again. */
  timeout(flow: Flow, now: Micros): void {
    const at = nextDeadline(flow.tcb)
    if (at === OFF) return
    if (at > now) return this.shell.deadlines.schedule(flow, at)
    const { tcb } = flow
    if (tcb._tag === "TIME-WAIT") this.apply(flow, timeout(tcb, "linger", now), now)
    else if (tcb._tag === "SYN-RECEIVED" && tcb.open === "passive") this.requestTimeout(flow, tcb, now)
    else if (isFast(tcb)) this.fastTimeout(flow, now)
    else if (tcb._tag !== "CLOSED" && "timers" in tcb) {
      for (const name of TIMER_NAMES) {
        const current = flow.tcb
        if (!("timers" in current)) return
        const deadline = current.timers[name]
        if (deadline !== OFF && deadline <= now) this.apply(flow, timeout(current, name, now), now)
      }
    }
    const next = nextDeadline(flow.tcb)
    if (next !== OFF) this.shell.deadlines.schedule(flow, next)
  }

  private fastTimeout(flow: Flow, now: Micros): void {
    for (const name of TIMER_NAMES) {
      const { tcb } = flow
      if (!isFast(tcb)) return
      const deadline = name === "retransmit" ? tcb.request.deadline : tcb.tcb.timers[name]
      if (deadline !== OFF && deadline <= now) this.apply(flow, timeout(tcb, name, now), now)
    }
  }

  /** Enters a block into the table and carries out its first step. */
  open(flow: Flow, step: Step, now: Micros): void {
    this.flows.add(flow)
    this.join(flow)
    this.apply(flow, step, now)
  }

  /** A reducer's answer to anything: the new block, then the effects in order. */
  apply(flow: Flow, step: Step, now: Micros): void {
    const before = flow.tcb
    const { tcb, effects } = step
    if (tcb._tag !== "LISTEN") flow.tcb = tcb
    for (const effect of effects) this.carryOut(flow, effect, now)
    if (tcb._tag === "CLOSED") this.remove(flow, before)
    else if (tcb._tag === "TIME-WAIT" && before._tag !== "TIME-WAIT") this.enterTimeWait(flow)
    else if (isSynchronized(tcb) || isFast(tcb)) this.markDirty(flow)
    if (flow.fastOpenedBy !== undefined && !isFast(tcb)) this.fastOpenSettled(flow, flow.fastOpenedBy, effects, now)
  }

  /** The handshake of a fast open is over: its place in the queue is free, after a reset only later. */
  private fastOpenSettled(flow: Flow, listener: ListenerSocket, effects: Step["effects"], now: Micros): void {
    flow.fastOpenedBy = undefined
    const reset = effects.some((effect) => effect._tag === "Closed" && effect.reason === "ConnectionReset")
    listener.tcb = fastOpenSettled(listener.tcb, reset, now)
  }

  markDirty(flow: Flow): void {
    if (flow.dirty) return
    flow.dirty = true
    this.dirty.push(flow)
  }

  /** Half-open requests go silently, connections that nobody accepted are reset (Linux's inet_csk_listen_stop). */
  closeListener(listener: ListenerSocket, abort: (flow: Flow) => void): void {
    this.listeners.remove(listener)
    if (listener.bound !== undefined) this.ports.remove(listener.bound.port, listener.bound.owner)
    this.sockets.delete(listener.id)
    for (const flow of listener.requests) {
      this.flows.remove(flow)
      this.shell.deadlines.forget(flow)
      flow.tcb = { _tag: "CLOSED" }
    }
    listener.requests.clear()
    for (const socket of listener.accepted.splice(0)) {
      this.sockets.delete(socket.id)
      socket.flow.socket = undefined
      abort(socket.flow)
    }
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
    for (const socket of this.reported) socket.reported = 0
    this.reported = []
  }

  path(iface: number, family: 4 | 6): PathLimits {
    const config = this.shell.link.interface(iface)
    const header = family === 4 ? 20 : 40
    return { mss: (config?.mtu ?? 576) - header - TCP_HEADER, burst: config?.burst ?? 0 }
  }

  private arrives(flow: Flow, segment: Segment, now: Micros): void {
    const { tcb } = flow
    switch (tcb._tag) {
      case "CLOSED":
        return
      case "SYN-SENT":
        return this.apply(flow, synSent.segmentArrives(tcb, segment, now), now)
      case "SYN-RECEIVED":
        if (tcb.open === "passive" && this.bringsCookie(flow, tcb, segment, now)) return
        return this.apply(flow, synReceivedArrives(tcb, segment, hasRoom(flow.listener), now), now)
      case "TIME-WAIT":
        return this.apply(flow, timeWait.segmentArrives(tcb, segment, now), now)
      default:
        return this.apply(flow, synchronized.segmentArrives(tcb, segment, now), now)
    }
  }

  /**
   * An ACK that is not for this request may be for a cookie that was sent to the same peer while the
   * queue was full: then the request gives way (Linux's tcp_check_req hands it to the listener).
   */
  private bringsCookie(flow: Flow, half: Request, segment: Segment, now: Micros): boolean {
    const { listener, local, remote } = flow
    if (listener === undefined || (segment.flags & ACK) === 0 || segment.ack === add(half.iss, 1)) return false
    if (!cookiesPending(listener.tcb, now)) return false
    const answer = listen.segmentArrives(listener.tcb, segment, local, remote, true, now)
    if (!answer.effects.some((effect) => effect._tag === "Spawn")) return false
    this.apply(flow, { tcb: { _tag: "CLOSED" }, effects: [] }, now)
    const packet: TcpPacket = {
      source: remote.address,
      destination: local.address,
      sourcePort: remote.port,
      destinationPort: local.port,
      segment,
    }
    this.toListener(listener, packet, now)
    return true
  }

  /** A new SYN ends TIME-WAIT where somebody listens (RFC 6191, RFC 1122 section 4.2.2.13). */
  private reopens(flow: Flow, packet: TcpPacket, now: Micros): boolean {
    const { tcb, local } = flow
    const { segment } = packet
    if (tcb._tag !== "TIME-WAIT" || (segment.flags & SYN) === 0 || !timeWait.mayReopen(tcb, segment, now)) return false
    const listener = this.listeners.find(local.address, local.port, 0)
    if (listener === undefined) return false
    this.shell.counters.add("TWRecycled", 1)
    this.apply(flow, { tcb: { _tag: "CLOSED" }, effects: [] }, now)
    this.toListener(listener, packet, now, timeWait.nextIss(tcb))
    return true
  }

  /** A listener handles so many segments in one turn (gVisor's discipline); the rest waits, so that a flood starves nobody. */
  private takeTurn(listener: ListenerSocket, packet: TcpPacket, now: Micros): void {
    if (listener.handled < LISTENER_BUDGET && listener.inbox.length === 0) {
      if (listener.handled++ === 0) this.turns.push(listener)
      return this.toListener(listener, packet, now)
    }
    if (listener.inbox.length >= LISTENER_INBOX) {
      this.shell.counters.add("ListenDrops", 1)
      return this.shell.link.drop("gVisor:listener-inbox-full")
    }
    const { segment } = packet
    listener.inbox.push(
      segment.payload.length === 0 ? packet : { ...packet, segment: { ...segment, payload: segment.payload.slice() } },
    )
  }

  /** The next turn of every listener that was busy in the last one. */
  private nextTurns(now: Micros): void {
    if (this.turns.length === 0) return
    const busy = this.turns
    this.turns = []
    for (const listener of busy) {
      listener.handled = 0
      if (!this.sockets.has(listener.id)) continue
      for (const packet of listener.inbox.splice(0, LISTENER_BUDGET)) {
        listener.handled++
        this.toListener(listener, packet, now)
      }
      if (listener.handled > 0) this.turns.push(listener)
    }
  }

  private toListener(listener: ListenerSocket, packet: TcpPacket, now: Micros, reopens?: Seq): void {
    const { segment } = packet
    const local = { address: packet.destination, port: packet.destinationPort }
    const remote = { address: packet.source, port: packet.sourcePort }
    // A segment that had to wait may find that its connection has been made meanwhile.
    const flow = this.flows.find(local.address, local.port, remote.address, remote.port)
    if (flow !== undefined && flow.tcb._tag !== "TIME-WAIT") return this.arrives(flow, segment, now)
    const step = listen.segmentArrives(
      listener.tcb,
      segment,
      local,
      remote,
      this.proven.has(remote.address),
      now,
      reopens,
    )
    listener.tcb = step.tcb
    for (const effect of step.effects) {
      switch (effect._tag) {
        case "Spawn":
          this.spawn(listener, effect, packet, local, remote, now)
          break
        case "Transmit":
          {
            const guard = guardOfAnswer(listener.tcb.options, packet, effect)
            this.transmit(effect, local, remote, undefined, now, guard)
          }
          break
        case "Count":
          this.shell.counters.add(effect.counter, 1)
          break
        case "Drop":
          this.shell.link.drop(effect.why)
          break
        default:
      }
    }
  }

  private spawn(
    listener: ListenerSocket,
    effect: Spawn,
    packet: TcpPacket,
    local: Endpoint,
    remote: Endpoint,
    now: Micros,
  ): void {
    const { tcb, effects } = effect
    const iface = this.shell.link.route(remote.address)?.interface ?? 0
    const flow = new Flow(this.shell.nextId(), tcb, local, remote, iface)
    flow.guard = guardOfSpawned(listener.tcb.options, tcb, local, remote, packet.segment.options.ao)
    flow.listener = listener
    flow.young = true
    if (tcb._tag === "SYN-RECEIVED" && tcb.open === "fast") flow.fastOpenedBy = listener
    listener.requests.add(flow)
    this.flows.add(flow)
    const deadline = nextDeadline(tcb)
    if (deadline !== OFF) this.shell.deadlines.schedule(flow, deadline)
    this.apply(flow, { tcb, effects }, now)
  }

  private requestTimeout(flow: Flow, half: Request, now: Micros): void {
    const { listener } = flow
    const retries = listener === undefined ? 0 : synAckRetries(listener.tcb)
    if (listener !== undefined) this.noLongerYoung(listener, flow)
    this.apply(flow, request.timeout(half, retries, now), now)
  }

  /** Its SYN-ACK has been sent again, or its handshake is over. */
  private noLongerYoung(listener: ListenerSocket, flow: Flow): void {
    if (flow.young) listener.tcb = { ...listener.tcb, young: listener.tcb.young - 1 }
    flow.young = false
  }

  private carryOut(flow: Flow, effect: TcpEffect, now: Micros): void {
    const { socket } = flow
    switch (effect._tag) {
      case "Transmit":
        return this.transmit(effect, flow.local, flow.remote, flow.iface, now, flow.guard)
      case "ArmTimer":
        return this.shell.deadlines.schedule(flow, effect.at)
      case "CancelTimer":
        return // The heap's entry finds nothing to do when it comes up.
      case "Deliver":
        if (socket === undefined) return
        socket.received.push(effect.bytes)
        return this.notify(socket, "readable")
      case "Acknowledged":
        if (socket?.wantsRoom === true) this.offerRoom(socket)
        return
      case "Established":
        return this.established(flow)
      case "PeerClosed":
        if (socket === undefined) return
        socket.ended = true
        return this.notify(socket, "readable")
      case "Closed":
        if (socket === undefined || socket.closed !== undefined) return
        socket.closed = { reason: effect.reason, why: effect.why }
        return this.notify(socket, "closed")
      case "Urgent":
        return
      case "Drop":
        return this.shell.link.drop(effect.why)
      case "Count":
        return this.shell.counters.add(effect.counter, 1)
      case "RememberCookie":
        return this.cookies.set(flow.remote.address, { option: effect.cookie, mss: effect.mss })
      case "Spawn":
        return
    }
  }

  private offerRoom(socket: ConnectionSocket): void {
    const { tcb } = socket.flow
    if (!isSynchronized(tcb)) return
    const room = sendRoom(tcb)
    // A third of the buffer at a time, so that a writer is not woken for every segment (Linux's sk_stream_is_writeable).
    if (room * 3 < room + tcb.queue.length) return
    socket.wantsRoom = false
    this.notify(socket, "writable")
  }

  private established(flow: Flow): void {
    const { listener } = flow
    if (listener === undefined) {
      if (flow.socket !== undefined) this.notify(flow.socket, "connected")
      return
    }
    listener.requests.delete(flow)
    flow.sharing = listener.tcb.options
    this.join(flow)
    this.shell.counters.add("PassiveOpens", 1)
    this.proven.set(flow.remote.address, true)
    const socket = new ConnectionSocket(flow.id, flow)
    flow.socket = socket
    flow.listener = undefined
    this.sockets.set(socket.id, socket)
    listener.accepted.push(socket)
    this.noLongerYoung(listener, flow)
    const { tcb } = listener
    listener.tcb = { ...tcb, requests: tcb.requests - 1, waiting: listener.accepted.length }
    this.notify(listener, "acceptable")
  }

  private remove(flow: Flow, before: Tcb): void {
    this.flows.remove(flow)
    this.leave(flow)
    this.shell.deadlines.forget(flow)
    if (before._tag === "TIME-WAIT") this.timeWaits--
    const { listener } = flow
    if (listener?.requests.delete(flow)) {
      this.noLongerYoung(listener, flow)
      listener.tcb = { ...listener.tcb, requests: listener.tcb.requests - 1 }
    }
  }

  private join(flow: Flow): void {
    flow.joined = true
    this.ports.join(flow.local.port, flow.local.address, flow.sharing)
  }

  private leave(flow: Flow): void {
    if (flow.joined) this.ports.leave(flow.local.port, flow.local.address, flow.sharing)
    flow.joined = false
  }

  private enterTimeWait(flow: Flow): void {
    this.timeWaits++
    if (this.timeWaits <= this.shell.context.settings.tcpMaxTwBuckets) return
    this.shell.counters.add("TCPTimeWaitOverflow", 1)
    const before = flow.tcb
    flow.tcb = { _tag: "CLOSED" }
    this.remove(flow, before)
  }

  /** Puts a segment on its way: to ourselves, or out of an interface. */
  private transmit(
    plain: Transmit,
    local: Endpoint,
    remote: Endpoint,
    iface: number | undefined,
    now: Micros,
    guard: Guard | undefined,
  ): void {
    const { link, counters } = this.shell
    const signature = guard === undefined ? undefined : this.guards.sign(guard, plain)
    if (signature === "unsignable") return
    const segment = signature === undefined ? plain : { ...plain, options: withRoom(plain.options, signature) }
    const count = segment.segmentSize > 0 ? Math.max(1, Math.ceil(segment.length / segment.segmentSize)) : 1
    counters.add("OutSegs", count)
    if ((segment.flags & RST) !== 0) counters.add("OutRsts", 1)
    if (link.isLocal(remote.address)) {
      const packet = asPacket(segment, local, remote)
      this.looped.push(signature === undefined ? packet : this.guards.signed(packet, signature))
      return
    }
    const hop = link.route(remote.address)
    if (hop === undefined) return link.drop("ip:no-route")
    link.segment(
      {
        _tag: "SendSegment",
        interface: iface ?? hop.interface,
        nextHop: NO_MAC,
        source: local.address,
        destination: remote.address,
        sourcePort: local.port,
        destinationPort: remote.port,
        ttl: guard === undefined || guard.ttl === 0 ? DEFAULT_TTL : guard.ttl,
        tos: 0,
        identification: link.nextIdentification(count),
        segment,
        signature,
      },
      hop.neighbour,
      now,
    )
  }

  /** Blocks that are not behind a socket: half-open, given up by their application, or in TIME-WAIT. */
  *orphans(): Generator<Flow> {
    for (const flow of this.flows) if (flow.socket === undefined || !this.sockets.has(flow.socket.id)) yield flow
  }

  localAddressInUse(address: IpAddress, port: number, remote: Endpoint): boolean {
    return this.flows.find(address, port, remote.address, remote.port) !== undefined
  }
}

const hasRoom = (listener: ListenerSocket | undefined): boolean =>
  listener !== undefined && listener.accepted.length <= listener.tcb.backlog

const isFast = (tcb: Tcb): tcb is FastOpened => tcb._tag === "SYN-RECEIVED" && tcb.open === "fast"

const asPacket = (segment: Transmit, local: Endpoint, remote: Endpoint): TcpPacket => {
  const from = (segment.flags & SYN) === 0 ? segment.seq : segment.seq + 1
  return {
    source: local.address,
    destination: remote.address,
    sourcePort: local.port,
    destinationPort: remote.port,
    segment: {
      seq: segment.seq,
      ack: segment.ack,
      flags: segment.flags,
      wnd: segment.wnd,
      up: segment.up,
      options: segment.options,
      payload: segment.queue === undefined ? EMPTY : slice(segment.queue, from >>> 0, segment.length),
    },
  }
}

const nextDeadline = (tcb: Tcb): Micros => {
  switch (tcb._tag) {
    case "CLOSED":
    case "LISTEN":
      return OFF
    case "TIME-WAIT":
      return tcb.deadline
    case "SYN-RECEIVED":
      return handshakeDeadline(tcb)
    default:
      return earliestDeadline(tcb.timers)
  }
}

const handshakeDeadline = (tcb: Request | SynReceived | FastOpened): Micros => {
  switch (tcb.open) {
    case "passive":
      return tcb.deadline
    case "active":
      return earliestDeadline(tcb.timers)
    case "fast":
      return earliestDeadline({ ...tcb.tcb.timers, retransmit: tcb.request.deadline })
  }
}
