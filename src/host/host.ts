import type { Candidate } from "../ip/sourceAddress.ts"
import { abort, close, receive, release, send, sendRoom, shutReading } from "../tcp/calls.ts"
import type { CloseReason, Refused } from "../tcp/effect.ts"
import { AT_MARK, toMark } from "../tcp/mark.ts"
import { clamped } from "../tcp/open.ts"
import { optionsOf, refusal, setOptions } from "../tcp/setOptions.ts"
import type { TcpSettings } from "../tcp/settings.ts"
import type { SocketOptions, TcpContext } from "../tcp/tcb.ts"
import { type Micros, OFF } from "../tcp/time.ts"
import { type Endpoint, type IpAddress, UNSPECIFIED4, UNSPECIFIED6 } from "../wire/address.ts"
import { isDrop } from "../wire/drop.ts"
import { codepointOf } from "../wire/ecn.ts"
import type { IpPacket } from "../wire/ip.ts"
import { PROTOCOL_ICMP, PROTOCOL_IGMP, PROTOCOL_TCP, PROTOCOL_UDP } from "../wire/ipv4.ts"
import { NEXT_HEADER_ICMPV6 } from "../wire/ipv6.ts"
import { decodeQuoted, type Quote } from "../wire/quote.ts"
import { decodeTcp } from "../wire/tcp.ts"
import { Chances } from "./chances.ts"
import { ConfigCalls } from "./configCalls.ts"
import { Counters } from "./counters.ts"
import { Datagrams } from "./datagrams.ts"
import { Deadlines, type Scheduled } from "./deadlines.ts"
import { DhcpHost } from "./dhcpHost.ts"
import type { EchoApi } from "./echo/types.ts"
import { Flow } from "./flow.ts"
import { fragment4Arrives, fragment6Arrives } from "./fragmentInput.ts"
import { isUsable } from "./guards.ts"
import { IcmpHost } from "./icmpHost.ts"
import type { IcmpReport } from "./icmpReport.ts"
import { type HostKeys, makeKeys } from "./keyedHash.ts"
import { type Cast, Link } from "./link.ts"
import { NeighbourEntry } from "./neighbours.ts"
import { type Notice, Notices, type Watch, writtenOf } from "./notices.ts"
import { Ports } from "./ports.ts"
import { Reassembler, type ReassemblerSettings } from "./reassembler.ts"
import { BAD_ID, BAD_KEYS, refuse } from "./refusal.ts"
import type { ConnectionSocket } from "./socket.ts"
import { SocketCalls } from "./socketCalls.ts"
import { statusOf, statusOfFlow, statusOfRequest } from "./status.ts"
import { Task } from "./task.ts"
import { TcpHost } from "./tcpHost.ts"
import { type TcpInfo, tcpInfo } from "./tcpInfo.ts"
import type {
  AddressView,
  ConfigRefusal,
  ConnectCall,
  HostApi,
  HostConfig,
  HostEffect,
  HostRefusal,
  LeaseView,
  ListenCall,
  NeighbourView,
  NewAddress,
  ReadResult,
  RouteConfig,
  RouteView,
  SendFrame,
  SendSegment,
  SocketId,
  SocketStatus,
} from "./types.ts"
import type { UdpApi } from "./udp/types.ts"

export const makeHost = (config: HostConfig): HostApi => new Host(config)

/** The facade of one host: see `HostApi` for the order of calls. */
class Host implements HostApi {
  private effects: Array<HostEffect> = []
  private readonly deadlines = new Deadlines<Scheduled>()
  private readonly keys: HostKeys
  /** Shared by all blocks, which look at it when they need it: `configure` changes what they see. */
  private readonly context: { settings: TcpSettings; readonly keys: HostKeys }
  private readonly link: Link
  private readonly icmp: IcmpHost
  private readonly tcp: TcpHost
  private readonly calls: SocketCalls
  private readonly config: ConfigCalls
  private readonly datagrams: Datagrams
  private readonly dhcp: DhcpHost
  private readonly count = new Counters()
  private lastId = 0

  constructor(config: HostConfig) {
    this.keys = makeKeys(config.secret)
    this.context = { settings: config.settings, keys: this.keys }
    const emit = (effect: HostEffect): void => {
      this.effects.push(effect)
    }
    const reassembler4 = this.reassembler(reassembly4(this.context))
    const reassembler6 = this.reassembler(reassembly6(this.context))
    this.link = new Link(config, this.keys, this.deadlines, emit, {
      settings: () => this.context.settings,
      input: (iface, packet, bytes, vouched, cast, now) => this.datagram(iface, packet, bytes, vouched, cast, now),
      unreachable: (lost, now) => {
        if (lost._tag === "SendSegment") this.tcp.unreachable(lost, now)
        else this.datagrams.unreachable(lost, now)
      },
      report: (problem, packet, bytes, cast, why, now) => this.icmp.report(problem, packet, bytes, cast, why, now),
      fragments: {
        v4: (iface, packet, bytes, now) => fragment4Arrives(reassembler4, iface, packet, bytes, now),
        v6: (iface, fragment, bytes, now) => fragment6Arrives(reassembler6, iface, fragment, bytes, now),
      },
      addressLost: (iface, address, now) => this.dhcp.addressLost(iface, address, now),
      counters: this.count,
    })
    this.icmp = new IcmpHost(this.link, this.count, {
      onEchoReply: (packet, reply, now) => this.datagrams.echo.reply(packet, reply, now),
      onError: (quote, report, now) => this.icmpError(quote, report, now),
    })
    this.config = new ConfigCalls(this.link)
    this.dhcp = new DhcpHost(config.interfaces, this.keys, this.link, this.deadlines)
    const chances = new Chances(this.keys)
    this.tcp = new TcpHost(
      {
        context: this.context,
        link: this.link,
        deadlines: this.deadlines,
        counters: this.count,
        event: emit,
        nextId: () => ++this.lastId as SocketId,
        chances,
      },
      this.keys.tableSeed,
    )
    this.datagrams = new Datagrams(
      {
        context: this.context,
        link: this.link,
        chances,
        counters: this.count,
        nextId: () => ++this.lastId as SocketId,
        flowHash: (local, remote) => this.tcp.flows.hash(local.address, local.port, remote.address, remote.port) >>> 0,
      },
      emit,
    )
    const ports = new Ports(this.context, this.keys, this.tcp, chances)
    this.calls = new SocketCalls(this.context, this.link, this.tcp, ports, () => ++this.lastId as SocketId)
  }

  get counters(): Readonly<Record<string, number>> {
    return this.count.values
  }

  get settings(): TcpSettings {
    return this.context.settings
  }

  configure(changed: Partial<TcpSettings>): HostRefusal | undefined {
    const settings = { ...this.context.settings, ...changed }
    // Devices and signatures lay options out as they were told at the start.
    if (settings.profile.optionLayout !== this.context.settings.profile.optionLayout) return FIXED_LAYOUT
    this.context.settings = settings
    return undefined
  }

  get udp(): UdpApi {
    return this.datagrams.udp
  }

  get echo(): EchoApi {
    return this.datagrams.echo
  }

  frame(iface: number, bytes: Uint8Array, offset: number, length: number, checksumVouched: boolean, now: Micros): void {
    if (this.tcp.follow(iface, bytes, offset, length, checksumVouched, now)) return
    this.link.frame(iface, bytes, offset, length, checksumVouched, now)
  }

  advance(now: Micros): void {
    this.tcp.endTrains()
    for (;;) {
      const due = this.deadlines.takeDue(now)
      if (due === undefined) break
      if (due instanceof Flow) this.tcp.timeout(due, now)
      else if (due instanceof Task) due.run(now)
      else if (due instanceof Reassembler) due.timeout(now)
      else if (due instanceof NeighbourEntry) this.link.timeout(due as NeighbourEntry<SendSegment | SendFrame>, now)
    }
    this.tcp.listening.advance(now)
  }

  flush(now: Micros): void {
    this.tcp.endTrains()
    for (let rounds = 0; this.link.hasLooped && rounds < LOOPBACK_ROUNDS; rounds++) this.link.takeLooped(now)
    this.tcp.flush(now)
  }

  nextDeadline(): Micros {
    if (this.tcp.wantsFlush || this.link.hasLooped) return 0
    return earlier(this.deadlines.next(), this.tcp.listening.nextDeadline())
  }

  get rested(): number {
    return this.tcp.rest.count
  }

  get crowded(): boolean {
    return this.tcp.listening.crowded
  }

  take(): ReadonlyArray<HostEffect> {
    this.tcp.endTrains()
    const { effects } = this
    if (effects.length === 0) return NOTHING
    this.effects = []
    this.tcp.taken()
    this.datagrams.taken()
    return effects
  }

  socket(options: SocketOptions): SocketId {
    return this.calls.socket(options)
  }

  bind(id: SocketId, local: Endpoint): HostRefusal | undefined {
    return this.calls.bind(id, local)
  }

  startListening(id: SocketId, backlog: number): HostRefusal | undefined {
    return this.calls.listen(id, backlog)
  }

  startConnecting(id: SocketId, remote: Endpoint, now: Micros, fastOpen?: Uint8Array): HostRefusal | undefined {
    return this.calls.connect(id, remote, now, fastOpen)
  }

  addAddress(iface: number, address: NewAddress, now: Micros): ConfigRefusal | undefined {
    return this.config.addAddress(iface, address, now)
  }

  removeAddress(iface: number, address: IpAddress, now: Micros): ConfigRefusal | undefined {
    return this.config.removeAddress(iface, address, now)
  }

  extendAddress(
    iface: number,
    address: IpAddress,
    preferredUntil: Micros,
    validUntil: Micros,
    now: Micros,
  ): ConfigRefusal | undefined {
    return this.config.extendAddress(iface, address, preferredUntil, validUntil, now)
  }

  addRoute(route: RouteConfig): ConfigRefusal | undefined {
    return this.config.addRoute(route)
  }

  removeRoute(route: RouteConfig): ConfigRefusal | undefined {
    return this.config.removeRoute(route)
  }

  addresses(): ReadonlyArray<AddressView> {
    return this.link.addressViews()
  }

  routes(): ReadonlyArray<RouteView> {
    return this.link.routeViews()
  }

  neighbours(): ReadonlyArray<NeighbourView> {
    return this.link.neighbourViews()
  }

  sourceFor(destination: IpAddress): Candidate | undefined {
    return this.link.sourceTowards(destination)
  }

  pathMtu(destination: IpAddress, now: Micros): number | undefined {
    const hop = this.link.route(destination)
    return hop === undefined ? undefined : this.link.pathMtus.mtu(destination, hop.interface, now)
  }

  resolvers(): ReadonlyArray<IpAddress> {
    return [...this.dhcp.leases().flatMap(({ lease }) => lease?.dnsServers ?? []), ...this.link.resolvers()]
  }

  leases(): ReadonlyArray<LeaseView> {
    return this.dhcp.leases()
  }

  release(now: Micros): void {
    this.dhcp.release(now)
  }

  listen({ address, port, backlog, options }: ListenCall, _now: Micros): SocketId | HostRefusal {
    if (port === "every") return this.calls.listenEverywhere(address, backlog, options)
    const id = this.calls.socket(options)
    return this.orForget(id, this.calls.bind(id, { address, port }) ?? this.calls.listen(id, backlog))
  }

  connect({ remote, local, options, fastOpen }: ConnectCall, now: Micros): SocketId | HostRefusal {
    const id = this.calls.socket(options)
    const any = remote.address.family === 4 ? UNSPECIFIED4 : UNSPECIFIED6
    const named = local.address !== undefined || local.port !== undefined
    const refusal = named ? this.calls.bind(id, { address: local.address ?? any, port: local.port ?? 0 }) : undefined
    return this.orForget(id, refusal ?? this.calls.connect(id, remote, now, fastOpen))
  }

  accept(listener: SocketId): SocketId | undefined {
    const socket = this.tcp.sockets.get(listener)
    if (socket?.kind !== "listener") return undefined
    const accepted = socket.accepted.shift()
    if (accepted === undefined) return undefined
    accepted.held = true
    socket.tcb = { ...socket.tcb, waiting: socket.accepted.length }
    return accepted.id
  }

  mayOpenFast(remote: IpAddress, options: SocketOptions): boolean {
    return this.calls.mayOpenFast(remote, options)
  }

  read(id: SocketId, max: number, now: Micros): ReadResult {
    const socket = this.connection(id)
    if (socket === undefined) return BAD_ID
    return this.taken(socket, socket.received.shift(Math.min(max, toMark(socket.flow.tcb))), now)
  }

  borrow(id: SocketId, max: number, now: Micros): ReadResult {
    const socket = this.connection(id)
    if (socket === undefined) return BAD_ID
    return this.taken(socket, socket.received.borrow(Math.min(max, toMark(socket.flow.tcb))), now)
  }

  private taken(socket: ConnectionSocket, bytes: Uint8Array | undefined, now: Micros): ReadResult {
    if (bytes === undefined) return nothingToRead(socket)
    const step = receive(socket.flow.tcb, bytes.length, now)
    // After the end of a connection what it delivered can still be read, and nobody is to be told.
    if (!("_tag" in step)) this.tcp.apply(socket.flow, step, now)
    return bytes
  }

  peek(id: SocketId, max: number): ReadResult {
    const socket = this.connection(id)
    return socket === undefined ? BAD_ID : (socket.received.peek(max) ?? nothingToRead(socket))
  }

  atMark(id: SocketId): boolean {
    const socket = this.connection(id)
    return socket !== undefined && toMark(socket.flow.tcb) === AT_MARK
  }

  takeError(id: SocketId): CloseReason | undefined {
    const socket = this.connection(id)
    if (socket?.closed === undefined || socket.errorTaken) return undefined
    socket.errorTaken = true
    return socket.closed.reason === "done" ? undefined : socket.closed.reason
  }

  write(
    id: SocketId,
    bytes: Uint8Array,
    now: Micros,
    urgent = false,
    more = false,
    record = false,
  ): number | HostRefusal {
    const socket = this.connection(id)
    if (socket === undefined) return BAD_ID
    const { flow } = socket
    const n = Math.min(bytes.length, sendRoom(flow.tcb))
    if (n < bytes.length) socket.wantsRoom = true
    const step =
      n === bytes.length
        ? send(flow.tcb, bytes, urgent, more, record)
        : send(flow.tcb, bytes.subarray(0, n), urgent, more)
    if ("_tag" in step) return step
    this.tcp.apply(flow, step, now)
    return n
  }

  watch(id: SocketId, watch: Watch): HostRefusal | undefined {
    const socket = this.connection(id)
    if (socket === undefined) return BAD_ID
    const { tcb } = socket.flow
    const written = writtenOf(tcb)
    if (written === undefined) return refuse("EPIPE", "RFC9293-3.10.2:connection-closing")
    socket.notices ??= new Notices(written.first)
    socket.notices.watch(written.end, watch)
    return undefined
  }

  takeNotice(id: SocketId): Notice | undefined {
    return this.connection(id)?.notices?.take()
  }

  room(id: SocketId): number {
    const socket = this.connection(id)
    if (socket === undefined) return 0
    const room = sendRoom(socket.flow.tcb)
    if (room === 0) socket.wantsRoom = true
    return room
  }

  setOptions(id: SocketId, options: Partial<SocketOptions>, now: Micros): HostRefusal | undefined {
    this.tcp.endTrains()
    const socket = this.tcp.sockets.get(id)
    if (socket === undefined) return BAD_ID
    if (!isUsable(options)) return BAD_KEYS
    const wrong = refusal(options)
    if (wrong !== undefined) return wrong
    if (socket.kind === "idle") {
      socket.options = { ...socket.options, ...options }
      return undefined
    }
    if (socket.kind === "listener") {
      const changed = { ...socket.tcb.options, ...options }
      const path = clamped(this.tcp.path(0, socket.address.family), changed)
      socket.tcb = { ...socket.tcb, options: changed, path }
      return undefined
    }
    if (!this.tcp.reguard(socket.flow, options)) return BAD_KEYS
    const refused = this.carry(socket.flow, setOptions(socket.flow.tcb, options, now), now)
    if (refused === undefined) this.tcp.optionsSet(socket)
    return refused
  }

  shutdownRead(id: SocketId, now: Micros): HostRefusal | undefined {
    const socket = this.connection(id)
    if (socket === undefined) return BAD_ID
    const refused = this.carry(socket.flow, shutReading(socket.flow.tcb), now)
    if (refused !== undefined) return refused
    socket.shut = true
    this.tcp.notify(socket, "readable")
    return undefined
  }

  shutdown(id: SocketId, now: Micros): HostRefusal | undefined {
    const socket = this.connection(id)
    if (socket === undefined) return BAD_ID
    return this.carry(socket.flow, close(socket.flow.tcb), now)
  }

  close(id: SocketId, now: Micros): void {
    if (this.datagrams.udp.close(id, now) || this.datagrams.echo.close(id)) return
    this.giveUp(
      id,
      (flow) => this.carry(flow, lingersNot(flow.tcb) ? abort(flow.tcb, now) : release(flow.tcb, now), now),
      now,
    )
  }

  abort(id: SocketId, now: Micros): void {
    this.giveUp(id, (flow) => this.carry(flow, abort(flow.tcb, now), now), now)
  }

  status(id: SocketId): SocketStatus | undefined {
    this.tcp.endTrains()
    const socket = this.tcp.sockets.look(id)
    return socket === undefined ? undefined : statusOf(socket)
  }

  info(id: SocketId, now: Micros): TcpInfo | undefined {
    const status = this.status(id)
    return status === undefined ? undefined : tcpInfo(status, now)
  }

  sockets(): ReadonlyArray<SocketStatus> {
    this.tcp.endTrains()
    return [
      ...[...this.tcp.sockets].map(statusOf),
      ...[...this.tcp.listening.requests()].map(statusOfRequest),
      ...[...this.tcp.orphans()].map(statusOfFlow),
    ]
  }

  private orForget(id: SocketId, refusal: HostRefusal | undefined): SocketId | HostRefusal {
    if (refusal === undefined) return id
    this.calls.forget(id)
    return refusal
  }

  private connection(id: SocketId): ConnectionSocket | undefined {
    this.tcp.endTrains()
    const socket = this.tcp.sockets.get(id)
    return socket?.kind === "connection" ? socket : undefined
  }

  private carry(flow: Flow, step: ReturnType<typeof close>, now: Micros): Refused | undefined {
    if ("_tag" in step) return step
    this.tcp.apply(flow, step, now)
    return undefined
  }

  private giveUp(id: SocketId, call: (flow: Flow) => void, now: Micros): void {
    this.tcp.endTrains()
    const socket = this.tcp.sockets.get(id)
    if (socket === undefined) return
    if (socket.kind === "idle") return this.calls.forget(id)
    if (socket.kind === "listener") {
      this.tcp.listening.close(socket, (flow) => this.carry(flow, abort(flow.tcb, now), now))
      return
    }
    this.tcp.sockets.delete(id)
    socket.flow.socket = undefined
    call(socket.flow)
  }

  private reassembler(settings: ReassemblerSettings): Reassembler {
    return new Reassembler(settings, this.deadlines, {
      counters: this.count,
      drop: (why) => this.link.drop(why),
      expired: (iface, first, now) => this.reassemblyExpired(iface, first, now),
    })
  }

  /** Fragments were missing when their time was over (RFC 792, RFC 4443 section 3.3); `first` is the one that began the datagram. */
  private reassemblyExpired(iface: number, first: Uint8Array, now: Micros): void {
    const packet = decodeQuoted(first, iface + 1)
    if (isDrop(packet)) return this.link.drop(packet)
    const cast = this.link.reachOf(packet.destination) ?? "unicast"
    this.icmp.report(REASSEMBLY_EXPIRED, packet, first, cast, "RFC792:reassembly-time-exceeded", now)
  }

  /** An ICMP error about a packet of ours. */
  private icmpError(quote: Quote, report: IcmpReport, now: Micros): void {
    if (quote.ip.protocol !== PROTOCOL_TCP) {
      if (!this.datagrams.icmpError(quote, report, now)) this.link.drop("icmp:nobody-asked")
    } else if (report.problem === "MessageTooBig") this.tcp.icmpTooBig(quote, report.mtu, now)
    else this.tcp.icmpError(quote, report.errno, now)
  }

  private datagram(
    iface: number,
    packet: IpPacket,
    bytes: Uint8Array,
    vouched: boolean,
    cast: Cast,
    now: Micros,
  ): void {
    const { family } = packet.source
    const counts = this.count.ip[family]
    // Each version has its own: the other's number is one that nobody speaks (RFC 8200 section 4, RFC 4443 section 1).
    if (!isSpoken(packet.protocol, family)) {
      counts.inUnknownProtos++
      return this.icmp.unreachable(packet, bytes, "protocol", cast, now)
    }
    counts.inDelivers++
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
          codepointOf(packet.tos),
        )
        if (!isDrop(tcp)) {
          return this.tcp.segment(tcp, now, bytes, packet, this.link.interface(iface)?.framesStay)
        }
        this.count.add("InErrs", 1)
        if (tcp === "tcp:bad-checksum") this.count.add("InCsumErrors", 1)
        return this.link.drop(tcp)
      }
      case PROTOCOL_ICMP:
        return this.icmp.input(packet, bytes, cast, now)
      case NEXT_HEADER_ICMPV6:
        return this.icmp.inputV6(iface, packet, bytes, cast, now)
      case PROTOCOL_IGMP:
        return this.link.igmp(iface, packet, bytes, now)
      case PROTOCOL_UDP:
        if (this.dhcp.input(iface, packet, bytes, vouched, now)) return
        // RFC 1122 section 4.1.3.1: nobody listens, and only a sound one is told so.
        if (this.datagrams.udp.input(iface, packet, bytes, vouched, cast, now) !== "nobody") return
        return this.icmp.unreachable(packet, bytes, "port", cast, now)
    }
  }
}

const isSpoken = (protocol: number, family: 4 | 6): boolean =>
  protocol === PROTOCOL_TCP ||
  protocol === PROTOCOL_UDP ||
  (family === 4 ? protocol === PROTOCOL_ICMP || protocol === PROTOCOL_IGMP : protocol === NEXT_HEADER_ICMPV6)

/** Questions and answers of this host with itself in one flush; the rest waits for the next. */
const LOOPBACK_ROUNDS = 8
const NOTHING: ReadonlyArray<HostEffect> = []

/** Read anew each time: `configure` may have changed them. */
const reassembly4 = (context: TcpContext): ReassemblerSettings => ({
  family: 4,
  get lifetime() {
    return context.settings.ipfragTime
  },
  get highThresh() {
    return context.settings.ipfragHighThresh
  },
})

const reassembly6 = (context: TcpContext): ReassemblerSettings => ({
  family: 6,
  get lifetime() {
    return context.settings.ip6fragTime
  },
  get highThresh() {
    return context.settings.ip6fragHighThresh
  },
})

const REASSEMBLY_EXPIRED = { _tag: "ReassemblyTimeExceeded" } as const

const FIXED_LAYOUT = refuse("EINVAL", "netfold:option-layout-is-fixed")

const earlier = (x: Micros, y: Micros): Micros => (x === OFF ? y : y === OFF ? x : Math.min(x, y))

const nothingToRead = ({ ended, shut, closed }: ConnectionSocket): ReadResult =>
  ended || shut || closed !== undefined ? "end" : "empty"

/** SO_LINGER with no time: close is ABORT. */
const lingersNot = (tcb: Flow["tcb"]): boolean => optionsOf(tcb)?.linger === 0
