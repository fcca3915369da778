import type { NeighbourEffect } from "../ip/neighbour.ts"
import type { Hop } from "../ip/route.ts"
import { type Candidate, selectSource } from "../ip/sourceAddress.ts"
import type { TcpSettings } from "../tcp/settings.ts"
import type { Micros } from "../tcp/time.ts"
import { type IpAddress, inPrefix, inZone, isMulticast, sameAddress } from "../wire/address.ts"
import { isDrop } from "../wire/drop.ts"
import { decodeEthernet, ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, isGroupMac } from "../wire/ethernet.ts"
import type { IpPacket } from "../wire/ip.ts"
import { solicitedNode } from "../wire/multicast.ts"
import type { NdpMessage } from "../wire/ndp.ts"
import { Addresses } from "./addresses.ts"
import { ArpHost } from "./arpHost.ts"
import type { Counters } from "./counters.ts"
import type { Deadlines, Scheduled } from "./deadlines.ts"
import { Forwarder } from "./forwarder.ts"
import { Groups } from "./groups.ts"
import { Identifications } from "./identifications.ts"
import type { ReportProblem } from "./ipErrors.ts"
import { type Cast, type FragmentInput, type IpInput, IpReceiver } from "./ipInput.ts"
import type { HostKeys } from "./keyedHash.ts"
import { NdHost } from "./ndHost.ts"
import { type NeighbourEntry, Neighbours } from "./neighbours.ts"
import { NetInterface } from "./netInterface.ts"
import { type DatagramOptions, Output, type Packet, type Unaddressed } from "./output.ts"
import { PathMtus } from "./pathMtus.ts"
import { refuse } from "./refusal.ts"
import { Routes } from "./routes.ts"
import type {
  AddressView,
  HostConfig,
  HostEffect,
  HostRefusal,
  InterfaceConfig,
  NeighbourView,
  RouteView,
  SendFrame,
  SendSegment,
} from "./types.ts"

export type { Cast, IpInput } from "./ipInput.ts"
export type { DatagramOptions } from "./output.ts"

/** What the layers above do for the network layer. */
export interface LinkUpper {
  /** As they are: whether the host is a router can change while it runs. */
  readonly settings: () => TcpSettings
  readonly input: IpInput
  /** A packet was lost because nobody answers for its next hop. */
  readonly unreachable: (packet: SendSegment | SendFrame, now: Micros) => void
  readonly report: ReportProblem
  readonly fragments: FragmentInput
  /** An address of ours has gone: taken away, its lifetime over, or somebody else has it. */
  readonly addressLost: (iface: number, address: IpAddress, now: Micros) => void
  readonly counters: Counters
}

/** Link and network layer of a host, both IP versions: frames in, neighbours, addresses, routes, frames out. */
export class Link {
  readonly addresses: Addresses
  readonly routes: Routes
  readonly groups: Groups
  readonly pathMtus: PathMtus
  private readonly interfaces: ReadonlyArray<NetInterface>
  private readonly caches: ReadonlyArray<Neighbours<Packet>>
  private readonly output: Output
  private readonly arp: ArpHost
  private readonly nd: NdHost
  private readonly receiver: IpReceiver

  constructor(
    config: HostConfig,
    keys: HostKeys,
    deadlines: Deadlines<Scheduled>,
    private readonly emit: (effect: HostEffect) => void,
    private readonly upper: LinkUpper,
  ) {
    const seed = keys.tableSeed
    const drop = (why: string): void => this.drop(why)
    this.interfaces = config.interfaces.map((iface, index) => new NetInterface(index, iface))
    this.caches = config.interfaces.map(
      (_, index) =>
        new Neighbours<Packet>(index, seed, deadlines, (entry, effects, now) => this.carryOut(entry, effects, now)),
    )
    this.pathMtus = new PathMtus(this, seed)
    this.routes = new Routes(this.interfaces, config.routes, seed, (hop) => this.isPromising(hop))
    const { input, report, fragments, counters } = upper
    const identifications = new Identifications(keys)
    const parts = {
      sourceFor: (index: number, destination: IpAddress) => this.sourceFor(index, destination),
      castOf: (iface: NetInterface, destination: IpAddress) => this.receiver.castOf(iface, destination),
      pathMtu: (destination: IpAddress, index: number, now: Micros) => this.pathMtus.mtu(destination, index, now),
      identification: (source: IpAddress, destination: IpAddress, protocol: number) =>
        identifications.next(source, destination, protocol),
      counters,
    }
    this.output = new Output(this.interfaces, this.caches, this.routes, parts, emit)
    this.addresses = new Addresses(this.interfaces, deadlines, keys, {
      added: (iface, address, now) => this.added(iface, address, now),
      removed: (iface, address, now) => this.removed(iface, address, now),
      assigned: (iface, { address }, now) => this.nd.assigned(iface, address, now),
      probe: (iface, address, now) =>
        address.family === 4 ? this.arp.probe(iface, address) : this.nd.probe(iface, address, now),
      announce: (iface, address) => this.arp.announce(iface, address),
      changed: () => this.routes.rebuild(),
    })
    const chance = (iface: NetInterface) => this.addresses.chance(iface)
    this.groups = new Groups(this.interfaces, deadlines, this.output, chance, drop)
    this.arp = new ArpHost(this.addresses, this.caches, emit)
    const isRouter = (): boolean => upper.settings().ipForward
    const role = {
      get isRouter() {
        return isRouter()
      },
    }
    this.nd = new NdHost(this.interfaces, role, this.addresses, this.caches, this.routes, this.output, deadlines)
    const forwarder = new Forwarder(
      this.interfaces,
      this.routes,
      this.output,
      report,
      counters,
      () => upper.settings().ipForwardClampMss,
    )
    this.receiver = new IpReceiver(
      this.addresses,
      () => (isRouter() ? forwarder : undefined),
      input,
      fragments,
      report,
      counters.ip,
      drop,
    )
    this.addresses.begin()
    this.routes.rebuild()
  }

  interface(index: number): InterfaceConfig | undefined {
    return this.interfaces[index]?.config
  }

  /** Octets of the largest packet of a family that an interface carries. */
  mtu(index: number, family: 4 | 6): number | undefined {
    return this.interfaces[index]?.mtu(family)
  }

  /** A frame from an interface. Everything that is not for us ends here, with its reason. */
  frame(index: number, bytes: Uint8Array, offset: number, length: number, vouched: boolean, now: Micros): void {
    const iface = this.interfaces[index]
    if (iface === undefined) return this.drop("link:no-such-interface")
    if (!iface.isEthernet) {
      return (bytes[offset] ?? 0) >>> 4 === 6
        ? this.receiver.ipv6(iface, bytes, offset, length, vouched, false, now)
        : this.receiver.ipv4(iface, bytes, offset, length, vouched, false, now)
    }
    const frame = decodeEthernet(bytes, offset, length)
    if (isDrop(frame)) return this.drop(frame)
    const group = isGroupMac(frame.destination)
    if (frame.destination !== iface.config.mac && !group) return this.drop("ethernet:not-for-us")
    const { payloadOffset, payloadLength } = frame
    switch (frame.etherType) {
      case ETHERTYPE_IPV4:
        return this.receiver.ipv4(iface, bytes, payloadOffset, payloadLength, vouched, group, now)
      case ETHERTYPE_IPV6:
        // Our own questions about an address come back from some links; they are nobody else's claim to it.
        if (group && frame.source === iface.config.mac) return this.drop("ethernet:our-own")
        return this.receiver.ipv6(iface, bytes, payloadOffset, payloadLength, vouched, group, now)
      case ETHERTYPE_ARP:
        return this.arp.input(iface, bytes, payloadOffset, payloadLength, now)
      default:
        return this.drop("ethernet:unknown-ethertype")
    }
  }

  /** Packets to ourselves wait for the end of the batch: what is sent in answer to a packet must not arrive inside it. */
  get hasLooped(): boolean {
    return this.output.hasLooped
  }

  /** Takes in what was sent to ourselves before this call. */
  takeLooped(now: Micros): void {
    for (const packet of this.output.takeLooped()) this.receiver.looped(packet, now)
  }

  isLocal(address: IpAddress): boolean {
    return this.addresses.isLocal(address)
  }

  /** A group or everyone, to whom no connection can be. */
  isForMany(address: IpAddress): boolean {
    return isMulticast(address) || this.interfaces.some((iface) => iface.isBroadcast(address))
  }

  route(destination: IpAddress): Hop | undefined {
    return this.routes.hop(destination)
  }

  /** The same, by an interface that the sender has chosen. */
  wayTo(destination: IpAddress, chosen?: number): Hop | undefined {
    return this.routes.hop(destination, chosen)
  }

  /** For what has no way to go: counted as Linux counts what a socket cannot send or connect to. */
  noRoute(destination: IpAddress, why: HostRefusal["why"]): HostRefusal {
    this.upper.counters.ip[destination.family].outNoRoutes++
    return refuse("ENETUNREACH", why)
  }

  /** One of our addresses, everybody's on some link, or a group's; undefined: somebody else's. */
  reachOf(destination: IpAddress): Cast | undefined {
    for (const iface of this.interfaces) {
      const cast = this.receiver.castOf(iface, destination)
      if (cast !== undefined) return cast
    }
    return isMulticast(destination) ? "multicast" : undefined
  }

  /** The address that speaks for us on an interface: RFC 6724's choice; over IPv4, one of the destination's prefix before any other. */
  sourceFor(index: number, destination: IpAddress): IpAddress | undefined {
    const candidates = this.addresses.candidates(index, destination.family)
    if (destination.family === 6) return selectSource(candidates, destination, index)
    const own = candidates.find(({ address, prefixLength }) => inPrefix(destination, address, prefixLength))
    return (own ?? candidates[0])?.address
  }

  /** The same, by the interface that the route leads to; undefined: no way leads there. */
  sourceTowards(destination: IpAddress): Candidate | undefined {
    const index = this.route(destination)?.interface
    const address = index === undefined ? undefined : this.sourceFor(index, destination)
    if (index === undefined || address === undefined) return undefined
    return this.addresses.candidates(index, address.family).find((each) => sameAddress(each.address, address))
  }

  segment(effect: Unaddressed, neighbour: IpAddress, now: Micros): void {
    this.output.segment(effect, neighbour, now)
  }

  /** A datagram of the destination's family, whose payload `write` fills in. Without a `source`: the one that suits. */
  datagramTo(
    destination: IpAddress,
    source: IpAddress | undefined,
    protocol: number,
    length: number,
    write: (out: Uint8Array, offset: number, source: IpAddress) => void,
    why: SendFrame["why"],
    now: Micros,
    how?: DatagramOptions,
  ): void {
    this.output.datagramTo(destination, source, protocol, length, write, why, now, how)
  }

  /** What we sent to `destination` has been acknowledged: its next hop is alive (RFC 4861 section 7.3.1). */
  progress(destination: IpAddress, now: Micros): void {
    const hop = this.routes.hop(destination)
    if (hop !== undefined) this.caches[hop.interface]?.progress(hop.neighbour, now)
  }

  /** `destination` has been silent for long: is its next hop still there (RFC 1122 section 3.3.1.4)? */
  doubt(destination: IpAddress, now: Micros): void {
    const hop = this.route(destination)
    if (hop !== undefined) this.caches[hop.interface]?.doubt(hop.neighbour, now)
  }

  /** A neighbour's timer has ended. */
  timeout(entry: NeighbourEntry<Packet>, now: Micros): void {
    this.caches[entry.iface]?.timeout(entry, now)
  }

  drop(why: string): void {
    this.emit({ _tag: "Dropped", why })
  }

  /** Neighbour Discovery and group membership, behind ICMPv6's checksum. */
  discover(index: number, message: NdpMessage, packet: IpPacket, now: Micros): void {
    const iface = this.interfaces[index]
    if (iface !== undefined) this.nd.input(iface, message, packet, now)
  }

  mld(index: number, payload: Uint8Array, packet: IpPacket, bytes: Uint8Array, now: Micros): void {
    const iface = this.interfaces[index]
    if (iface !== undefined) this.groups.mld(iface, payload, packet, bytes, now)
  }

  igmp(index: number, packet: IpPacket, bytes: Uint8Array, now: Micros): void {
    const iface = this.interfaces[index]
    if (iface !== undefined) this.groups.igmp(iface, packet, bytes, now)
  }

  /** A redirect over IPv4, which quotes a packet of ours: the router that it went to knows a better one for where it went. */
  redirected(source: IpAddress, gateway: IpAddress, about: IpPacket): void {
    if (this.upper.settings().ipForward) return this.drop("icmp:redirect-for-a-router")
    const { destination } = about
    const hop = this.addresses.isOwn(about.source) ? this.routes.hop(destination) : undefined
    if (hop === undefined || !sameAddress(hop.neighbour, source)) {
      return this.drop("RFC1122-3.2.2.2:redirect-not-from-the-first-hop")
    }
    const iface = this.interfaces[hop.interface]
    const isNear = iface?.owns.some((own) => inPrefix(gateway, own.address, own.prefixLength)) ?? false
    if (!isNear || this.isLocal(gateway) || this.isForMany(gateway)) {
      return this.drop("RFC1122-3.2.2.2:gateway-not-on-the-network")
    }
    this.routes.redirect(destination, { interface: hop.interface, neighbour: gateway })
  }

  /** False: there is no such interface, or it listens to as many groups as it can. */
  joinGroup(index: number, group: IpAddress, now: Micros): boolean {
    const iface = this.interfaces[index]
    return iface !== undefined && isMulticast(group) && this.groups.join(iface, group, now)
  }

  leaveGroup(index: number, group: IpAddress, now: Micros): void {
    const iface = this.interfaces[index]
    if (iface !== undefined) this.groups.leave(iface, group, now)
  }

  isMember(index: number, group: IpAddress): boolean {
    return this.interfaces[index]?.listensTo(group) ?? false
  }

  netInterface(index: number): NetInterface | undefined {
    return this.interfaces[index]
  }

  addressViews(): ReadonlyArray<AddressView> {
    return this.interfaces.flatMap(({ index, owns }) =>
      owns.map(({ address, prefixLength, origin, state, preferredUntil, validUntil }) => ({
        interface: index,
        address,
        prefixLength,
        origin,
        state,
        preferredUntil,
        validUntil,
      })),
    )
  }

  /** Packets are as large as the interfaces were configured for, wherever they go. */
  get hasConfiguredMtus(): boolean {
    if (!this.pathMtus.isEmpty) return false
    for (const { isNarrowed } of this.interfaces) if (isNarrowed) return false
    return true
  }

  routeViews(): ReadonlyArray<RouteView> {
    return this.routes.all().map(({ metric = 0, ...route }) => ({ ...route, metric }))
  }

  neighbourViews(): ReadonlyArray<NeighbourView> {
    return this.caches.flatMap((cache, index) =>
      [...cache.all()].flatMap(({ address, state }) =>
        state === undefined
          ? []
          : [
              {
                interface: index,
                address,
                mac: state.state === "INCOMPLETE" ? undefined : state.mac,
                state: state.state,
                isRouter: state.isRouter,
              },
            ],
      ),
    )
  }

  /** Those that routers have named (RFC 8106). */
  resolvers(): ReadonlyArray<IpAddress> {
    return this.interfaces.flatMap(({ discovery, zone }) =>
      discovery.resolvers.map(({ address }) => inZone(address, zone)),
    )
  }

  private isPromising({ interface: index, neighbour }: Hop): boolean {
    const iface = this.interfaces[index]
    return iface !== undefined && (!iface.isEthernet || (this.caches[index]?.isPromising(neighbour) ?? false))
  }

  /** RFC 4862 section 5.4.2: who wants to hear whether an address is taken listens to its group first. */
  private added(iface: NetInterface, address: IpAddress, now: Micros): void {
    if (address.family === 6 && iface.isEthernet) this.groups.join(iface, solicitedNode(address), now)
  }

  private removed(iface: NetInterface, address: IpAddress, now: Micros): void {
    this.upper.addressLost(iface.index, address, now)
    if (address.family === 6 && iface.isEthernet) this.groups.leave(iface, solicitedNode(address), now)
  }

  private carryOut(entry: NeighbourEntry<Packet>, effects: ReadonlyArray<NeighbourEffect<Packet>>, now: Micros): void {
    for (const effect of effects) {
      switch (effect._tag) {
        case "Solicit":
          this.solicit(entry, effect.to, now)
          break
        case "Forward":
          this.output.forward(effect.packet, effect.mac)
          break
        case "NoRouter": {
          const iface = this.interfaces[entry.iface]
          if (iface !== undefined) this.nd.noRouter(iface, entry.address)
          break
        }
        case "Lost":
          this.drop(effect.why)
          if (effect.why === "neighbour:no-answer")
            this.routes.lost({ interface: entry.iface, neighbour: entry.address })
          if (effect.why === "neighbour:no-answer") this.upper.unreachable(effect.packet, now)
      }
    }
  }

  private solicit({ iface: index, address }: NeighbourEntry<Packet>, to: Solicited, now: Micros): void {
    const iface = this.interfaces[index]
    const source = this.sourceFor(index, address)
    if (iface === undefined || source === undefined) return
    if (address.family === 4) this.arp.solicit(iface, source, address, to)
    else this.nd.solicit(iface, source, address, to, now)
  }
}

type Solicited = Extract<NeighbourEffect<Packet>, { readonly _tag: "Solicit" }>["to"]
