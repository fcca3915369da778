import { deadlineOf } from "../tcp/deadline.ts"
import type { Spawn, Step } from "../tcp/effect.ts"
import { settled } from "../tcp/fastOpen.ts"
import * as listen from "../tcp/listen.ts"
import { clamped } from "../tcp/open.ts"
import * as request from "../tcp/request.ts"
import { add, type Seq } from "../tcp/seq.ts"
import { cookiesPending } from "../tcp/syncookie.ts"
import { CLOSED, isSynchronized, type Request } from "../tcp/tcb.ts"
import { type Micros, OFF } from "../tcp/time.ts"
import * as timeWait from "../tcp/timeWait.ts"
import type { Endpoint } from "../wire/address.ts"
import { ACK, type Segment, SYN, type TcpPacket } from "../wire/tcpSegment.ts"
import { Flow } from "./flow.ts"
import { guardOfAnswer, guardOfSpawned } from "./guards.ts"
import { Listeners } from "./listeners.ts"
import { Remembered } from "./remembered.ts"
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
  /** An accept queue has filled since the last `take`: its application should hear of it before more is refused. */
  crowded = false
  /** Listeners that have handled something since the last flush. */
  private turns: Array<ListenerSocket> = []

  constructor(
    private readonly shell: Shell,
    private readonly tcp: TcpHost,
  ) {}

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
      this.handle(listener, packet, now)
      if (hadRoom && !hasRoom(listener)) return
    }
  }

  /** A new SYN ends TIME-WAIT where somebody listens (RFC 6191, RFC 1122 section 4.2.2.13). */
  reopens(flow: Flow, packet: TcpPacket, now: Micros): boolean {
    const { tcb, local } = flow
    const { segment } = packet
    if (tcb._tag !== "TIME-WAIT" || (segment.flags & SYN) === 0 || !timeWait.mayReopen(tcb, segment, now)) return false
    const listener = this.listeners.find(local.address, local.port, 0)
    if (listener === undefined) return false
    this.shell.counters.add("TWRecycled", 1)
    this.tcp.apply(flow, GONE, now)
    this.handle(listener, packet, now, timeWait.nextIss(tcb))
    return true
  }

  /**
   * An ACK that is not for this request may be for a cookie that was sent to the same peer while the
   * queue was full: then the request gives way (Linux's tcp_check_req hands it to the listener).
   */
  bringsCookie(flow: Flow, half: Request, segment: Segment, now: Micros): boolean {
    const { listener, local, remote } = flow
    if (listener === undefined || (segment.flags & ACK) === 0 || segment.ack === add(half.iss, 1)) return false
    if (!cookiesPending(listener.tcb, now)) return false
    const answer = listen.segmentArrives(listener.tcb, segment, local, remote, true, now)
    if (!answer.effects.some((effect) => effect._tag === "Spawn")) return false
    this.tcp.apply(flow, GONE, now)
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

  /** The SYN-ACK of a request has had no answer. */
  requestTimeout(flow: Flow, half: Request, now: Micros): void {
    const { listener } = flow
    const retries = listener === undefined ? 0 : listen.synAckRetries(listener.tcb)
    if (listener !== undefined) this.noLongerYoung(listener, flow)
    this.tcp.apply(flow, request.timeout(half, retries, now), now)
  }

  /** A handshake is complete: the connection waits to be accepted. */
  established(listener: ListenerSocket, flow: Flow, now: Micros): void {
    flow.identification = this.tcp.flows.hashOf(flow) & 0xffff
    flow.sharing = listener.tcb.options
    this.tcp.join(flow)
    this.shell.counters.add("PassiveOpens", 1)
    this.proven.set(flow.remote.address, true)
    const socket = new ConnectionSocket(flow.id, flow, new Totals(firstSent(flow.tcb), now))
    socket.lowWater = listener.tcb.options.receiveLowWater
    // The segment that completes the handshake is the connection's first.
    socket.totals.segsIn = 1
    flow.socket = socket
    flow.listener = undefined
    this.tcp.sockets.set(socket.id, socket)
    listener.accepted.push(socket)
    this.noLongerYoung(listener, flow)
    const { tcb } = listener
    listener.tcb = { ...tcb, requests: tcb.requests - 1, waiting: listener.accepted.length }
    if (!hasRoom(listener)) this.crowded = true
    this.tcp.notify(listener, "acceptable")
  }

  /** A request is over before it became a connection. */
  forget(listener: ListenerSocket, flow: Flow): void {
    flow.listener = undefined
    this.noLongerYoung(listener, flow)
    listener.tcb = { ...listener.tcb, requests: listener.tcb.requests - 1 }
  }

  /** The handshake of a fast open is over: its place in the queue is free, after a reset only later. */
  fastOpenSettled(flow: Flow, listener: ListenerSocket, effects: Step["effects"], now: Micros): void {
    flow.fastOpenedBy = undefined
    const reset = effects.some((effect) => effect._tag === "Closed" && effect.reason === "ConnectionReset")
    listener.tcb = settled(listener.tcb, reset, now)
  }

  /** Half-open requests go silently, connections that nobody accepted are reset (Linux's inet_csk_listen_stop). */
  close(listener: ListenerSocket, abort: (flow: Flow) => void): void {
    this.listeners.remove(listener)
    if (listener.bound !== undefined) this.tcp.ports.remove(listener.bound.port, listener.bound.owner)
    this.tcp.sockets.delete(listener.id)
    // No list of its own: closing is rare, and a request is to be small.
    for (const flow of [...this.tcp.flows].filter((one) => one.listener === listener)) {
      this.tcp.flows.remove(flow)
      this.shell.deadlines.forget(flow)
      flow.tcb = CLOSED
    }
    for (const socket of listener.accepted.splice(0)) {
      this.tcp.sockets.delete(socket.id)
      socket.flow.socket = undefined
      abort(socket.flow)
    }
  }

  /** `reopens`: the ISS for a SYN that ends a TIME-WAIT. */
  private handle(listener: ListenerSocket, packet: TcpPacket, now: Micros, reopens?: Seq): void {
    const { segment } = packet
    const local = listener.endpointOf(packet.destination, packet.destinationPort)
    const remote = { address: packet.source, port: packet.sourcePort }
    // A segment that had to wait may find that its connection has been made meanwhile.
    const flow = this.tcp.flows.find(local.address, local.port, remote.address, remote.port)
    if (flow !== undefined && flow.tcb._tag !== "TIME-WAIT") return this.tcp.arrives(flow, segment, now)
    const proven = this.proven.has(remote.address)
    const iface = this.shell.link.route(remote.address)?.interface ?? 0
    // What the way can carry is known only now that the peer is.
    const usual = iface === 0 && remote.address.family === listener.address.family && this.shell.link.pathMtus.isEmpty
    const { options } = listener.tcb
    const here = usual ? listener.tcb : { ...listener.tcb, path: clamped(this.tcp.pathTo(iface, remote, now), options) }
    const step = listen.segmentArrives(here, segment, local, remote, proven, now, reopens)
    listener.tcb = usual ? step.tcb : { ...step.tcb, path: listener.tcb.path }
    for (const effect of step.effects) {
      switch (effect._tag) {
        case "Spawn":
          this.spawn(listener, effect, packet, iface, local, remote, now)
          break
        case "Transmit":
          this.tcp.egress.transmit(
            effect,
            { local, remote, guard: guardOfAnswer(listener.tcb.options, packet, effect) },
            now,
          )
          break
        case "Count":
          this.shell.counters.add(effect.counter, 1)
          if (effect.counter === "ListenDrops") listener.drops++
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
    iface: number,
    local: Endpoint,
    remote: Endpoint,
    now: Micros,
  ): void {
    const { tcb, effects } = effect
    const flow = new Flow(this.shell.nextId(), tcb, local, remote, iface)
    flow.guard = guardOfSpawned(listener.tcb.options, tcb, local, remote, packet.segment.options.ao)
    flow.listener = listener
    flow.young = true
    if (tcb._tag === "SYN-RECEIVED" && tcb.open === "fast") flow.fastOpenedBy = listener
    this.tcp.flows.add(flow)
    const deadline = deadlineOf(tcb)
    if (deadline !== OFF) this.shell.deadlines.schedule(flow, deadline)
    this.tcp.apply(flow, { tcb, effects }, now)
  }

  /** Its SYN-ACK has been sent again, or its handshake is over. */
  private noLongerYoung(listener: ListenerSocket, flow: Flow): void {
    if (flow.young) listener.tcb = { ...listener.tcb, young: listener.tcb.young - 1 }
    flow.young = false
  }
}

/** The accept queue takes one more. */
export const hasRoom = ({ accepted, tcb }: ListenerSocket): boolean => accepted.length <= tcb.backlog

/** The first sequence number after our SYN-ACK. */
const firstSent = (tcb: Flow["tcb"]): Seq => {
  if (isSynchronized(tcb)) return tcb.snd.una
  return tcb._tag === "SYN-RECEIVED" && tcb.open === "fast" ? tcb.tcb.snd.una : 0
}

const GONE: Step = { tcb: CLOSED, effects: [] }
