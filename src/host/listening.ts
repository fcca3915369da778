import { deadlineOf } from "../tcp/deadline.ts"
import type { Spawn, Step, TcpEffect } from "../tcp/effect.ts"
import { settled } from "../tcp/fastOpen.ts"
import * as listen from "../tcp/listen.ts"
import { clamped } from "../tcp/open.ts"
import * as request from "../tcp/request.ts"
import { add, type Seq } from "../tcp/seq.ts"
import { cookiesPending } from "../tcp/syncookie.ts"
import { CLOSED, isSynchronized, type PathLimits, type Request, type Synchronized } from "../tcp/tcb.ts"
import { type Micros, OFF } from "../tcp/time.ts"
import * as timeWait from "../tcp/timeWait.ts"
import type { Endpoint, IpAddress } from "../wire/address.ts"
import { ACK, type Segment, SYN, type TcpPacket } from "../wire/tcpSegment.ts"
import type { Way } from "./egress.ts"
import { Flow } from "./flow.ts"
import { type Guard, guardOfAnswer, guardOfSpawned } from "./guards.ts"
import { HalfOpen, isYoung, requestOf } from "./halfOpen.ts"
import { Listeners } from "./listeners.ts"
import { Remembered } from "./remembered.ts"
import { RequestTable } from "./requestTable.ts"
import { NO_ROW, type Row } from "./rows.ts"
import { ConnectionSocket, type ListenerSocket } from "./socket.ts"
import type { Shell, TcpHost } from "./tcpHost.ts"
import { Totals } from "./totals.ts"

/** gVisor's maxListenSegments: what one listener handles before others get their turn. */
const LISTENER_BUDGET = 100

/** Segments that wait for a listener; more are dropped. */
const LISTENER_INBOX = 1000

/** The listeners of a host with their two queues: half-open requests, and connections that wait to be accepted. */
export class Listening {
  readonly listeners = new Listeners()
  /** Peers that have completed a handshake: they are somebody, not a spoofed source (Linux asks its TCP metrics). */
  private readonly proven = new Remembered<true>()
  private readonly table: RequestTable
  /** An accept queue has filled since the last `take`: its application should hear of it before more is refused. */
  crowded = false
  /** Listeners that have handled something since the last flush. */
  private turns: Array<ListenerSocket> = []

  constructor(
    private readonly shell: Shell,
    private readonly tcp: TcpHost,
  ) {
    this.table = new RequestTable(tcp.flows)
  }

  /** A listener begins; cookies that others of its group have sent may return to it. */
  add(listener: ListenerSocket): void {
    const [other] = this.listeners.group(listener)
    if (other !== undefined) listener.tcb = { ...listener.tcb, cookiesAt: other.tcb.cookiesAt }
    this.listeners.add(listener)
  }

  /** A listener whose turn was over has more to handle. */
  get isWaiting(): boolean {
    return this.turns.some((listener) => listener.inbox.length > 0)
  }

  /** A listener handles so many segments in one turn (gVisor's discipline); the rest waits, so that a flood starves nobody. */
  segment(listener: ListenerSocket, packet: TcpPacket, now: Micros): void {
    if (listener.handled < LISTENER_BUDGET && listener.inbox.length === 0) {
      if (listener.handled++ === 0) this.turns.push(listener)
      return this.handle(listener, packet, now)
    }
    if (listener.inbox.length >= LISTENER_INBOX) {
      this.shell.counters.add("ListenDrops", 1)
      listener.drops++
      return this.shell.link.drop("gVisor:listener-inbox-full")
    }
    const { segment } = packet
    const { payload } = segment
    listener.inbox.push(
      payload.length === 0 ? packet : { ...packet, segment: { ...segment, payload: payload.slice() } },
    )
  }

  /** The next turn of every listener that was busy in the last one. */
  nextTurns(now: Micros): void {
    if (this.turns.length === 0) return
    const busy = this.turns
    this.turns = []
    for (const listener of busy) {
      listener.handled = 0
      if (!this.tcp.sockets.has(listener.id)) continue
      this.turn(listener, now)
      if (listener.handled > 0) this.turns.push(listener)
    }
  }

  /** Ends early when the accept queue fills: once the application has been told, the rest goes on. */
  private turn(listener: ListenerSocket, now: Micros): void {
    const hadRoom = hasRoom(listener)
    while (listener.handled < LISTENER_BUDGET) {
      const packet = listener.inbox.shift()
      if (packet === undefined) return
      listener.handled++
      this.handleLate(listener, packet, now)
      if (hadRoom && !hasRoom(listener)) return
    }
  }

  /** A new SYN ends TIME-WAIT where somebody listens (RFC 6191, RFC 1122 section 4.2.2.13). */
  reopens(flow: Flow, packet: TcpPacket, now: Micros): boolean {
    const { tcb, local } = flow
    const { segment } = packet
    if (tcb._tag !== "TIME-WAIT" || (segment.flags & SYN) === 0 || !timeWait.mayReopen(tcb, segment, now)) return false
    const listener = this.listeners.find(local.address, local.port, this.tcp.flows.hashOf(flow))
    if (listener === undefined) return false
    this.shell.counters.add("TWRecycled", 1)
    this.tcp.apply(flow, GONE, now)
    this.handle(listener, packet, now, timeWait.nextIss(tcb))
    return true
  }

  /** The half-open request with these four values. */
  find(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number, now: Micros): HalfOpen | undefined {
    const row = this.table.find(local, localPort, remote, remotePort)
    return row === NO_ROW ? undefined : this.open(row, now)
  }

  has(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): boolean {
    return this.table.find(local, localPort, remote, remotePort) !== NO_ROW
  }

  *requests(): Generator<HalfOpen> {
    for (const row of this.table) {
      // Time tells what is still believed of the path, which nobody asks here.
      const half = this.open(row, 0)
      if (half !== undefined) yield half
    }
  }

  /** A segment for a half-open request. */
  arrives(half: HalfOpen, segment: Segment, now: Micros): void {
    if (this.bringsCookie(half, segment, now)) return
    this.apply(half, request.segmentArrives(half.request, segment, hasRoom(half.listener), now), now)
  }

  /** A reducer's answer about a request: it goes on, ends, or becomes a connection. */
  apply(half: HalfOpen, step: Step, now: Micros): void {
    const { row, listener } = half
    const { tcb, effects } = step
    if (tcb._tag === "SYN-RECEIVED" && tcb.open === "passive") {
      if (isYoung(half.request) && !isYoung(tcb)) listener.tcb = { ...listener.tcb, young: listener.tcb.young - 1 }
      if (tcb !== half.request) this.table.update(row, tcb)
    } else {
      this.forget(half)
      if (isSynchronized(tcb)) return this.connect(half, tcb, effects, now)
    }
    for (const effect of effects) this.carryOut(listener, effect, half, now)
  }

  /** When the first SYN-ACK goes out again, or OFF. */
  nextDeadline(): Micros {
    return this.table.nextDeadline()
  }

  /** The SYN-ACKs that have had no answer in their time. */
  advance(now: Micros): void {
    for (let at = this.nextDeadline(); at !== OFF && at <= now; at = this.nextDeadline()) {
      const half = this.open(this.table.next(), now)
      if (half === undefined) return
      this.apply(half, request.timeout(half.request, listen.retriesUnderLoad(half.listener.tcb), now), now)
    }
  }

  /**
   * An ACK that is not for this request may be for a cookie that was sent to the same peer while the
   * queue was full: then the request gives way (Linux's tcp_check_req hands it to the listener).
   */
  private bringsCookie(half: HalfOpen, segment: Segment, now: Micros): boolean {
    const { listener, local, remote } = half
    if ((segment.flags & ACK) === 0 || segment.ack === add(half.request.iss, 1)) return false
    if (!cookiesPending(listener.tcb, now)) return false
    const answer = listen.segmentArrives(listener.tcb, segment, local, remote, true, now)
    if (!answer.effects.some((effect) => effect._tag === "Spawn")) return false
    this.forget(half)
    const packet: TcpPacket = {
      source: remote.address,
      destination: local.address,
      sourcePort: remote.port,
      destinationPort: local.port,
      segment,
    }
    this.handle(listener, packet, now)
    return true
  }

  /** A handshake is complete: the connection waits to be accepted. */
  established(listener: ListenerSocket, flow: Flow, now: Micros): void {
    flow.identification = this.tcp.flows.hashOf(flow) & 0xffff
    flow.sharing = listener.tcb.options
    this.tcp.join(flow)
    this.shell.counters.add("PassiveOpens", 1)
    this.proven.set(flow.remote.address, true)
    if (isSynchronized(flow.tcb)) flow.listener = undefined
    const socket = new ConnectionSocket(flow.id, flow, new Totals(firstSent(flow.tcb), now))
    socket.lowWater = listener.tcb.options.receiveLowWater
    // The segment that completes the handshake is the connection's first.
    socket.totals.segsIn = 1
    flow.socket = socket
    this.tcp.sockets.set(socket.id, socket)
    listener.accepted.push(socket)
    listener.tcb = listen.withWaiting(listener.tcb, listener.accepted.length)
    if (!hasRoom(listener)) this.crowded = true
    this.tcp.notify(listener, "acceptable")
  }

  /** The handshake of a fast open is over: its place in the queue is free, after a reset only later. */
  fastOpenSettled(flow: Flow, listener: ListenerSocket, effects: Step["effects"], now: Micros): void {
    flow.listener = undefined
    const reset = effects.some((effect) => effect._tag === "Closed" && effect.reason === "ConnectionReset")
    listener.tcb = settled(listener.tcb, reset, now)
  }

  /** Half-open requests go silently, connections that nobody accepted are reset (Linux's inet_csk_listen_stop). */
  close(listener: ListenerSocket, abort: (flow: Flow) => void): void {
    this.listeners.remove(listener)
    if (listener.bound !== undefined) this.tcp.ports.remove(listener.bound.port, listener.bound.owner)
    this.tcp.sockets.delete(listener.id)
    // No list of its own: closing is rare, and a request is to be small.
    const own = [...this.table].filter((row) => this.table.listenerOf(row) === listener.id)
    for (const row of own) this.table.remove(row)
    for (const socket of listener.accepted.splice(0)) {
      this.tcp.sockets.delete(socket.id)
      socket.flow.socket = undefined
      abort(socket.flow)
    }
  }

  /** A segment that had to wait may find that its connection has been made meanwhile. */
  private handleLate(listener: ListenerSocket, packet: TcpPacket, now: Micros): void {
    const { source, destination, sourcePort, destinationPort, segment } = packet
    const flow = this.tcp.find(destination, destinationPort, source, sourcePort)
    if (flow !== undefined && flow.tcb._tag !== "TIME-WAIT") return this.tcp.arrives(flow, segment, now)
    const half = this.find(destination, destinationPort, source, sourcePort, now)
    return half === undefined ? this.handle(listener, packet, now) : this.arrives(half, segment, now)
  }

  /** `reopens`: the ISS for a SYN that ends a TIME-WAIT. */
  private handle(listener: ListenerSocket, packet: TcpPacket, now: Micros, reopens?: Seq): void {
    const { segment } = packet
    const local = listener.endpointOf(packet.destination, packet.destinationPort)
    const remote = { address: packet.source, port: packet.sourcePort }
    const proven = this.proven.has(remote.address)
    const iface = this.shell.link.route(remote.address)?.interface ?? 0
    // What the way can carry is known only now that the peer is.
    const usual = this.isUsual(listener, iface, remote)
    const here = usual ? listener.tcb : { ...listener.tcb, path: this.pathOf(listener, iface, remote, now) }
    const step = listen.segmentArrives(here, segment, local, remote, proven, now, reopens)
    const { cookiesAt } = listener.tcb
    listener.tcb = usual ? step.tcb : { ...step.tcb, path: listener.tcb.path }
    // The cookie may return to another one of the group, when a listener has come or gone meanwhile.
    if (listener.tcb.cookiesAt !== cookiesAt) {
      for (const other of this.listeners.group(listener)) other.tcb = { ...other.tcb, cookiesAt: now }
    }
    for (const effect of step.effects) {
      if (effect._tag === "Spawn") this.spawn(listener, effect, packet, iface, local, remote, now)
      else {
        const guard = effect._tag === "Transmit" ? guardOfAnswer(listener.tcb.options, packet, effect) : undefined
        this.carryOut(listener, effect, { local, remote, guard }, now)
      }
    }
  }

  /** An effect of a listener or a request, behind which there is no socket yet. */
  private carryOut(listener: ListenerSocket, effect: TcpEffect, way: Way, now: Micros): void {
    switch (effect._tag) {
      case "Transmit":
        return this.tcp.egress.transmit(effect, way, now)
      case "Count":
        this.shell.counters.add(effect.counter, 1)
        if (effect.counter === "ListenDrops") listener.drops++
        return
      case "Drop":
        return this.shell.link.drop(effect.why)
      default:
        return // A request's deadline is in its row, and nobody waits for its end.
    }
  }

  private spawn(
    listener: ListenerSocket,
    effect: Spawn,
    packet: TcpPacket,
    iface: number,
    local: Endpoint,
    remote: Endpoint,
    now: Micros,
  ): void {
    const { tcb, effects } = effect
    const guard = guardOfSpawned(listener.tcb.options, tcb, local, remote, packet.segment.options.ao)
    if (isRequest(tcb)) return this.table.add(tcb, listener.id, iface, guard)
    listener.tcb = listen.oneLess(listener.tcb, true)
    this.enter(listener, new Flow(this.shell.nextId(), tcb, local, remote, iface), guard, effects, now)
  }

  /** A request has become a connection. */
  private connect(half: HalfOpen, tcb: Synchronized, effects: Step["effects"], now: Micros): void {
    const { listener, local, remote, iface, guard } = half
    this.enter(listener, new Flow(this.shell.nextId(), tcb, local, remote, iface), guard, effects, now)
  }

  private enter(
    listener: ListenerSocket,
    flow: Flow,
    guard: Guard | undefined,
    effects: Step["effects"],
    now: Micros,
  ): void {
    flow.guard = guard
    flow.listener = listener
    this.tcp.flows.add(flow)
    const deadline = deadlineOf(flow.tcb)
    if (deadline !== OFF) this.shell.deadlines.schedule(flow, deadline)
    this.tcp.apply(flow, { tcb: flow.tcb, effects }, now)
  }

  /** A request as the reducers know it: what all of a listener share is the listener's. */
  private open(row: Row, now: Micros): HalfOpen | undefined {
    const { table } = this
    const listener = this.tcp.sockets.get(table.listenerOf(row))
    if (listener?.kind !== "listener") return undefined
    const kept = table.read(row)
    const iface = table.ifaceOf(row)
    const { options } = listener.tcb
    const { context } = this.shell
    const path = this.pathOf(listener, iface, kept.remote, now)
    const local = listener.endpointOf(kept.local.address, kept.local.port)
    return new HalfOpen(row, requestOf(kept, context, options, path, local), listener, iface, table.guardOf(row))
  }

  private forget({ row, listener, request: half }: HalfOpen): void {
    this.table.remove(row)
    listener.tcb = listen.oneLess(listener.tcb, isYoung(half))
  }

  /** The listener's own path will do: that of the first interface, with nothing learnt of the way beyond. */
  private isUsual(listener: ListenerSocket, iface: number, { address }: Endpoint): boolean {
    return iface === 0 && address.family === listener.address.family && this.shell.link.hasConfiguredMtus
  }

  private pathOf(listener: ListenerSocket, iface: number, remote: Endpoint, now: Micros): PathLimits {
    const { path, options } = listener.tcb
    return this.isUsual(listener, iface, remote) ? path : clamped(this.tcp.pathTo(iface, remote, now), options)
  }
}

const isRequest = (tcb: Spawn["tcb"]): tcb is Request => tcb._tag === "SYN-RECEIVED" && tcb.open === "passive"

/** The accept queue takes one more. */
export const hasRoom = ({ accepted, tcb }: ListenerSocket): boolean => accepted.length <= tcb.backlog

/** The first sequence number after our SYN-ACK. */
const firstSent = (tcb: Flow["tcb"]): Seq => {
  if (isSynchronized(tcb)) return tcb.snd.una
  return tcb._tag === "SYN-RECEIVED" && tcb.open === "fast" ? tcb.tcb.snd.una : 0
}

const GONE: Step = { tcb: CLOSED, effects: [] }
