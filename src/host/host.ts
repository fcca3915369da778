import type { Candidate } from "../ip/sourceAddress.ts"
import type { CloseReason } from "../tcp/effect.ts"
import type { TcpSettings } from "../tcp/settings.ts"
import type { SocketOptions } from "../tcp/tcb.ts"
import { type Micros, OFF } from "../tcp/time.ts"
import { type Endpoint, type IpAddress, UNSPECIFIED4, UNSPECIFIED6 } from "../wire/address.ts"
import { Chances } from "./chances.ts"
import { ConfigCalls } from "./configCalls.ts"
import { ConnectionCalls } from "./connectionCalls.ts"
import { Counters } from "./counters.ts"
import { Datagrams } from "./datagrams.ts"
import { Deadlines, type Scheduled } from "./deadlines.ts"
import { DhcpHost } from "./dhcpHost.ts"
import type { EchoApi } from "./echo/types.ts"
import { Flow } from "./flow.ts"
import { fragment4Arrives, fragment6Arrives } from "./fragmentInput.ts"
import { IcmpHost } from "./icmpHost.ts"
import { Inbound } from "./inbound.ts"
import { type HostKeys, makeKeys } from "./keyedHash.ts"
import { Link } from "./link.ts"
import { NeighbourEntry } from "./neighbours.ts"
import type { Notice, Watch } from "./notices.ts"
import { Ports } from "./ports.ts"
import { Reassembler, reassemblerSettings } from "./reassembler.ts"
import { refuse } from "./refusal.ts"
import { SocketCalls } from "./socketCalls.ts"
import { Task } from "./task.ts"
import { TcpHost } from "./tcpHost.ts"
import { type TcpInfo, tcpInfo } from "./tcpInfo.ts"
import type {
  AddressView,
  ConfigRefusal,
  ConnectCall,
  Ends,
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
  private readonly connections: ConnectionCalls
  private readonly config: ConfigCalls
  private readonly datagrams: Datagrams
  private readonly dhcp: DhcpHost
  private readonly inbound: Inbound
  private readonly count = new Counters()
  private lastId = 0

  constructor(config: HostConfig) {
    this.keys = makeKeys(config.secret)
    this.context = { settings: config.settings, keys: this.keys }
    const emit = (effect: HostEffect): void => {
      this.effects.push(effect)
    }
    const [reassembler4, reassembler6] = [this.reassembler(4), this.reassembler(6)]
    this.link = new Link(config, this.keys, this.deadlines, emit, {
      settings: () => this.context.settings,
      input: (iface, packet, bytes, vouched, cast, now) =>
        this.inbound.datagram(iface, packet, bytes, vouched, cast, now),
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
      onError: (quote, report, now) => this.inbound.icmpError(quote, report, now),
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
    const { icmp, tcp, datagrams, dhcp } = this
    this.inbound = new Inbound(this.link, { icmp, tcp, datagrams, dhcp }, this.count)
    const ports = new Ports(this.context, this.keys, this.tcp, chances)
    this.calls = new SocketCalls(this.context, this.link, this.tcp, ports, () => ++this.lastId as SocketId)
    this.connections = new ConnectionCalls(this.tcp, (id) => this.calls.forget(id))
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
    return this.connections.accept(listener)
  }

  mayOpenFast(remote: IpAddress, options: SocketOptions): boolean {
    return this.calls.mayOpenFast(remote, options)
  }

  read(id: SocketId, max: number, now: Micros): ReadResult {
    return this.connections.read(id, max, now)
  }

  borrow(id: SocketId, max: number, now: Micros): ReadResult {
    return this.connections.borrow(id, max, now)
  }

  peek(id: SocketId, max: number): ReadResult {
    return this.connections.peek(id, max)
  }

  atMark(id: SocketId): boolean {
    return this.connections.atMark(id)
  }

  takeError(id: SocketId): CloseReason | undefined {
    return this.connections.takeError(id)
  }

  write(
    id: SocketId,
    bytes: Uint8Array,
    now: Micros,
    urgent = false,
    more = false,
    record = false,
  ): number | HostRefusal {
    return this.connections.write(id, bytes, now, urgent, more, record)
  }

  watch(id: SocketId, watch: Watch): HostRefusal | undefined {
    return this.connections.watch(id, watch)
  }

  takeNotice(id: SocketId): Notice | undefined {
    return this.connections.takeNotice(id)
  }

  room(id: SocketId): number {
    return this.connections.room(id)
  }

  setOptions(id: SocketId, options: Partial<SocketOptions>, now: Micros): HostRefusal | undefined {
    return this.connections.setOptions(id, options, now)
  }

  shutdownRead(id: SocketId, now: Micros): HostRefusal | undefined {
    return this.connections.shutdownRead(id, now)
  }

  shutdown(id: SocketId, now: Micros): HostRefusal | undefined {
    return this.connections.shutdown(id, now)
  }

  close(id: SocketId, now: Micros): void {
    if (this.datagrams.udp.close(id, now) || this.datagrams.echo.close(id)) return
    this.connections.close(id, now)
  }

  abort(id: SocketId, now: Micros): void {
    this.connections.abort(id, now)
  }

  ends(id: SocketId): Ends | undefined {
    return this.connections.ends(id)
  }

  status(id: SocketId): SocketStatus | undefined {
    return this.connections.status(id)
  }

  info(id: SocketId, now: Micros): TcpInfo | undefined {
    const status = this.status(id)
    return status === undefined ? undefined : tcpInfo(status, now)
  }

  sockets(): ReadonlyArray<SocketStatus> {
    return this.connections.all()
  }

  private orForget(id: SocketId, refusal: HostRefusal | undefined): SocketId | HostRefusal {
    if (refusal === undefined) return id
    this.calls.forget(id)
    return refusal
  }

  private reassembler(family: 4 | 6): Reassembler {
    return new Reassembler(reassemblerSettings(this.context, family), this.deadlines, {
      counters: this.count,
      drop: (why) => this.link.drop(why),
      expired: (iface, first, now) => this.inbound.reassemblyExpired(iface, first, now),
    })
  }
}

/** Questions and answers of this host with itself in one flush; the rest waits for the next. */
const LOOPBACK_ROUNDS = 8
const NOTHING: ReadonlyArray<HostEffect> = []

const FIXED_LAYOUT = refuse("EINVAL", "netfold:option-layout-is-fixed")

const earlier = (x: Micros, y: Micros): Micros => (x === OFF ? y : y === OFF ? x : Math.min(x, y))
