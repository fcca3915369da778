import { abort, close, receive, release, send, sendRoom } from "../tcp/calls.ts"
import type { Refused } from "../tcp/effect.ts"
import { activeOpen, passiveOpen } from "../tcp/open.ts"
import type { SocketOptions, TcpContext } from "../tcp/tcb.ts"
import type { Micros } from "../tcp/time.ts"
import { isUnspecified } from "../wire/address.ts"
import { isDrop } from "../wire/drop.ts"
import { type Ipv4Packet, PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP } from "../wire/ipv4.ts"
import { decodeTcp } from "../wire/tcp.ts"
import { Counters } from "./counters.ts"
import { Deadlines, type Scheduled } from "./deadlines.ts"
import { Flow } from "./flow.ts"
import { IcmpHost } from "./icmpHost.ts"
import { type HostKeys, makeKeys } from "./keyedHash.ts"
import { type Cast, Link } from "./link.ts"
import { NeighbourEntry } from "./neighbours.ts"
import { Ports } from "./ports.ts"
import { ConnectionSocket, ListenerSocket } from "./socket.ts"
import { statusOf, statusOfFlow } from "./status.ts"
import { TcpHost } from "./tcpHost.ts"
import type {
  ConnectCall,
  HostApi,
  HostConfig,
  HostEffect,
  HostRefusal,
  ListenCall,
  ReadResult,
  SendFrame,
  SendSegment,
  SocketId,
  SocketStatus,
} from "./types.ts"

export const makeHost = (config: HostConfig): HostApi => new Host(config)

/** The facade of one host: see `HostApi` for the order of calls. */
class Host implements HostApi {
  private effects: Array<HostEffect> = []
  private readonly deadlines = new Deadlines<Scheduled>()
  private readonly keys: HostKeys
  private readonly context: TcpContext
  private readonly link: Link
  private readonly icmp: IcmpHost
  private readonly tcp: TcpHost
  private readonly ports: Ports
  private readonly count = new Counters()
  private lastId = 0

  constructor(config: HostConfig) {
    this.keys = makeKeys(config.secret)
    this.context = { settings: config.settings, keys: this.keys }
    const emit = (effect: HostEffect): void => {
      this.effects.push(effect)
    }
    this.link = new Link(config, this.deadlines, emit, (_, packet, bytes, vouched, cast, now) =>
      this.datagram(packet, bytes, vouched, cast, now),
    )
    this.icmp = new IcmpHost(this.link, (quoted, reason, now) => this.tcp.icmpError(quoted, reason, now))
    this.tcp = new TcpHost(
      {
        context: this.context,
        link: this.link,
        deadlines: this.deadlines,
        counters: this.count,
        event: emit,
        nextId: () => ++this.lastId as SocketId,
      },
      this.keys.tableSeed,
    )
    this.ports = new Ports(config.settings.ipLocalPortRange, this.keys, this.tcp)
  }

  get counters(): Readonly<Record<string, number>> {
    return this.count.values
  }

  frame(iface: number, bytes: Uint8Array, offset: number, length: number, checksumVouched: boolean, now: Micros): void {
    this.link.frame(iface, bytes, offset, length, checksumVouched, now)
  }

  advance(now: Micros): void {
    for (;;) {
      const due = this.deadlines.takeDue(now)
      if (due === undefined) return
      if (due instanceof Flow) this.tcp.timeout(due, now)
      else if (due instanceof NeighbourEntry) this.link.timeout(due as NeighbourEntry<SendSegment | SendFrame>, now)
    }
  }

  flush(now: Micros): void {
    this.tcp.flush(now)
  }

  nextDeadline(): Micros {
    return this.tcp.hasLooped ? 0 : this.deadlines.next()
  }

  take(): ReadonlyArray<HostEffect> {
    const { effects } = this
    if (effects.length === 0) return NOTHING
    this.effects = []
    this.tcp.taken()
    return effects
  }

  listen(call: ListenCall, _now: Micros): SocketId | HostRefusal {
    const { address, options } = call
    if (!isUnspecified(address) && !this.link.isLocal(address) && !this.context.settings.ipNonlocalBind) {
      return refuse("EADDRNOTAVAIL", "Linux:inet_bind:not-a-local-address")
    }
    if (call.port !== "every" && !isPort(call.port)) return refuse("EINVAL", "Linux:inet_bind:port-out-of-range")
    const port = call.port === 0 ? this.ports.forListener(address) : call.port
    if (port === undefined) return refuse("EADDRINUSE", "RFC6056-3.3:no-free-port")
    if (port !== "every" && call.port !== 0 && port < this.context.settings.ipUnprivilegedPortStart) {
      return refuse("EACCES", "Linux:ip_unprivileged_port_start")
    }
    if (this.tcp.listeners.conflicts(address, port)) return refuse("EADDRINUSE", "Linux:inet_csk_get_port:conflict")
    const id = ++this.lastId as SocketId
    const path = this.tcp.path(0, address.family)
    const listener = new ListenerSocket(id, passiveOpen(this.context, options, path, call.backlog), address, port)
    this.tcp.listeners.add(listener)
    this.tcp.sockets.set(id, listener)
    return id
  }

  connect(call: ConnectCall, now: Micros): SocketId | HostRefusal {
    const { remote, options } = call
    if (!isPort(remote.port) || remote.port === 0) return refuse("EADDRNOTAVAIL", "Linux:tcp_v4_connect:port-0")
    const own = this.link.isLocal(remote.address)
    const hop = this.link.route(remote.address)
    if (hop === undefined) return refuse("ENETUNREACH", "Linux:tcp_v4_connect:no-route")
    const address = call.local.address ?? (own ? remote.address : this.link.sourceFor(hop.interface, remote.address))
    if (address === undefined) return refuse("EADDRNOTAVAIL", "RFC6724:no-source-address")
    if (!this.link.isLocal(address) && !this.context.settings.ipNonlocalBind) {
      return refuse("EADDRNOTAVAIL", "Linux:inet_bind:not-a-local-address")
    }
    const wanted = call.local.port ?? 0
    if (!isPort(wanted)) return refuse("EINVAL", "Linux:inet_bind:port-out-of-range")
    if (wanted !== 0 && this.tcp.localAddressInUse(address, wanted, remote)) {
      return refuse("EADDRNOTAVAIL", "Linux:inet_hash_connect:tuple-in-use")
    }
    const port = wanted === 0 ? this.ports.forPeer(address, remote) : wanted
    if (port === undefined) return refuse("EADDRNOTAVAIL", "RFC6056-3.3:no-free-port")
    const local = { address, port }
    const path = this.tcp.path(hop.interface, remote.address.family)
    const step = activeOpen(this.context, options, path, local, remote, now)
    const flow = new Flow(++this.lastId as SocketId, step.tcb, local, remote, hop.interface)
    const socket = new ConnectionSocket(flow.id, flow)
    flow.socket = socket
    this.tcp.sockets.set(socket.id, socket)
    this.tcp.open(flow, step, now)
    return socket.id
  }

  accept(listener: SocketId): SocketId | undefined {
    const socket = this.tcp.sockets.get(listener)
    if (socket?.kind !== "listener") return undefined
    const accepted = socket.accepted.shift()
    if (accepted !== undefined) socket.tcb = { ...socket.tcb, waiting: socket.accepted.length }
    return accepted?.id
  }

  read(id: SocketId, max: number, now: Micros): ReadResult {
    const socket = this.connection(id)
    if (socket === undefined) return BAD_ID
    const bytes = socket.received.shift(max)
    if (bytes === undefined) return socket.ended || socket.closed !== undefined ? "end" : "empty"
    const step = receive(socket.flow.tcb, bytes.length, now)
    // After the end of a connection what it delivered can still be read, and nobody is to be told.
    if (!("_tag" in step)) this.tcp.apply(socket.flow, step, now)
    return bytes
  }

  write(id: SocketId, bytes: Uint8Array, now: Micros): number | HostRefusal {
    const socket = this.connection(id)
    if (socket === undefined) return BAD_ID
    const { flow } = socket
    const n = Math.min(bytes.length, sendRoom(flow.tcb))
    if (n < bytes.length) socket.wantsRoom = true
    const step = send(flow.tcb, n === bytes.length ? bytes : bytes.subarray(0, n))
    if ("_tag" in step) return step
    this.tcp.apply(flow, step, now)
    return n
  }

  room(id: SocketId): number {
    const socket = this.connection(id)
    if (socket === undefined) return 0
    const room = sendRoom(socket.flow.tcb)
    if (room === 0) socket.wantsRoom = true
    return room
  }

  setOptions(id: SocketId, options: Partial<SocketOptions>, now: Micros): HostRefusal | undefined {
    const socket = this.tcp.sockets.get(id)
    if (socket === undefined) return BAD_ID
    if (socket.kind === "listener") {
      socket.tcb = { ...socket.tcb, options: { ...socket.tcb.options, ...options } }
      return undefined
    }
    const { tcb } = socket.flow
    if (!("options" in tcb))
      return tcb._tag === "SYN-RECEIVED" ? undefined : refuse("EINVAL", "RFC9293-3.10:connection-over")
    this.tcp.apply(socket.flow, { tcb: { ...tcb, options: { ...tcb.options, ...options } }, effects: [] }, now)
    return undefined
  }

  shutdown(id: SocketId, now: Micros): HostRefusal | undefined {
    const socket = this.connection(id)
    if (socket === undefined) return BAD_ID
    return this.call(socket.flow, close(socket.flow.tcb), now)
  }

  close(id: SocketId, now: Micros): void {
    this.giveUp(id, (flow) => this.call(flow, release(flow.tcb, now), now), now)
  }

  abort(id: SocketId, now: Micros): void {
    this.giveUp(id, (flow) => this.call(flow, abort(flow.tcb), now), now)
  }

  status(id: SocketId): SocketStatus | undefined {
    const socket = this.tcp.sockets.get(id)
    return socket === undefined ? undefined : statusOf(socket)
  }

  sockets(): ReadonlyArray<SocketStatus> {
    return [...this.tcp.sockets.values()].map(statusOf).concat([...this.tcp.orphans()].map(statusOfFlow))
  }

  private connection(id: SocketId): ConnectionSocket | undefined {
    const socket = this.tcp.sockets.get(id)
    return socket?.kind === "connection" ? socket : undefined
  }

  private call(flow: Flow, step: ReturnType<typeof close>, now: Micros): Refused | undefined {
    if ("_tag" in step) return step
    this.tcp.apply(flow, step, now)
    return undefined
  }

  private giveUp(id: SocketId, call: (flow: Flow) => void, now: Micros): void {
    const socket = this.tcp.sockets.get(id)
    if (socket === undefined) return
    if (socket.kind === "listener") {
      this.tcp.closeListener(socket, (flow) => this.call(flow, abort(flow.tcb), now))
      return
    }
    this.tcp.sockets.delete(id)
    socket.flow.socket = undefined
    call(socket.flow)
  }

  private datagram(packet: Ipv4Packet, bytes: Uint8Array, vouched: boolean, cast: Cast, now: Micros): void {
    switch (packet.protocol) {
      case PROTOCOL_TCP: {
        // RFC 1122 section 4.2.3.10: a segment to everybody is nobody's.
        if (cast !== "unicast") return this.link.drop("RFC1122-4.2.3.10:not-unicast")
        const tcp = decodeTcp(
          bytes,
          packet.payloadOffset,
          packet.payloadLength,
          packet.source,
          packet.destination,
          !vouched,
        )
        if (!isDrop(tcp)) return this.tcp.segment(tcp, now)
        this.count.add("InErrs", 1)
        if (tcp === "tcp:bad-checksum") this.count.add("InCsumErrors", 1)
        return this.link.drop(tcp)
      }
      case PROTOCOL_ICMP:
        return this.icmp.input(packet, bytes, cast, now)
      case PROTOCOL_UDP:
        return this.icmp.unreachable(packet, bytes, "port", cast, now)
      default:
        return this.icmp.unreachable(packet, bytes, "protocol", cast, now)
    }
  }
}

const NOTHING: ReadonlyArray<HostEffect> = []

const refuse = (errno: HostRefusal["errno"], why: HostRefusal["why"]): HostRefusal => ({ _tag: "Refused", errno, why })

const BAD_ID = refuse("EBADF", "netfold:no-such-socket")

const isPort = (port: number): boolean => Number.isInteger(port) && port >= 0 && port <= 65535
