import { fragment } from "../ip/fragments.ts"
import type { NeighbourEffect } from "../ip/neighbour.ts"
import type { Hop, Route } from "../ip/route.ts"
import { lookup } from "../ip/route.ts"
import type { Micros } from "../tcp/time.ts"
import {
  BROADCAST4,
  type IpAddress,
  inPrefix,
  ipv4,
  isLoopback,
  isMulticast,
  type MacAddress,
  sameAddress,
} from "../wire/address.ts"
import { setMac } from "../wire/addressBytes.ts"
import { ARP_LENGTH, ARP_REPLY, ARP_REQUEST, decodeArp, encodeArp } from "../wire/arp.ts"
import { isDrop } from "../wire/drop.ts"
import {
  BROADCAST_MAC,
  decodeEthernet,
  ETHERNET_HEADER,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  isGroupMac,
  NO_MAC,
  writeEthernet,
} from "../wire/ethernet.ts"
import type { IpPacket } from "../wire/ip.ts"
import { decodeIpv4, IPV4_HEADER, type Ipv4Packet, isFragment, writeIpv4 } from "../wire/ipv4.ts"
import { EMPTY } from "../wire/tcpSegment.ts"
import type { Deadlines, Scheduled } from "./deadlines.ts"
import { type NeighbourEntry, Neighbours } from "./neighbours.ts"
import type { HostConfig, HostEffect, InterfaceConfig, SendFrame, SendSegment } from "./types.ts"

/** A frame that waits for its link address; the datagram's other fragments leave right behind it. */
interface QueuedFrame extends SendFrame {
  readonly following?: ReadonlyArray<Uint8Array>
}

type Packet = SendSegment | QueuedFrame

/** How a datagram came: some answers are due only to what was meant for one host. */
export type Cast = "unicast" | "broadcast" | "multicast"

/** Who takes the datagrams that are for us. */
export type IpInput = (
  iface: number,
  packet: IpPacket,
  bytes: Uint8Array,
  checksumVouched: boolean,
  cast: Cast,
  now: Micros,
) => void

/** Takes a fragment; gives the whole packet, from its IP header on, where none is missing any more. */
export type FragmentInput = (
  iface: number,
  packet: Ipv4Packet,
  bytes: Uint8Array,
  now: Micros,
) => Uint8Array | undefined

/** How a datagram leaves, where it is not as all do. */
export interface DatagramOptions {
  readonly ttl?: number
  readonly tos?: number
  /** One that is longer than the MTU is lost then. */
  readonly dontFragment?: boolean
  /** Where it leaves, whatever the routes say. */
  readonly interface?: number | undefined
  /** Of IPv4's header, or of a Fragment header. */
  readonly identification?: number
  /** What is sent to a group reaches ourselves too. Default: broadcasts do. */
  readonly loop?: boolean
  /** Octets that a fragment may have, where a path takes less than its first link. */
  readonly mtu?: number
}

export const DEFAULT_TTL = 64
/** Packets to ourselves that wait for the end of the batch. */
const MOST_LOOPED = 1024

interface Looped {
  readonly iface: number
  readonly bytes: Uint8Array
  readonly cast: Cast
}

/** Link and network layer of a host: frames in, ARP, routes, frames out. */
export class Link {
  private readonly interfaces: ReadonlyArray<InterfaceConfig>
  private readonly neighbours: ReadonlyArray<Neighbours<Packet>>
  private readonly routes: ReadonlyArray<Route>
  private identification = 0
  private looped: Array<Looped> = []

  constructor(
    config: HostConfig,
    deadlines: Deadlines<Scheduled>,
    private readonly emit: (effect: HostEffect) => void,
    private readonly input: IpInput,
    /** A packet was lost because nobody answers for its next hop. */
    private readonly unreachable: (packet: SendSegment | SendFrame, now: Micros) => void,
    private readonly reassemble: FragmentInput,
    /** A datagram was longer than the MTU: how many fragments were made of it, 0 where none may be. */
    private readonly fragmented: (family: 4 | 6, count: number) => void,
  ) {
    this.interfaces = config.interfaces
    this.neighbours = config.interfaces.map(
      (_, index) =>
        new Neighbours<Packet>(index, deadlines, (entry, effects, now) => this.carryOut(entry, effects, now)),
    )
    this.routes = [
      ...config.interfaces.flatMap((iface, index) =>
        iface.addresses.map(({ address, prefixLength }) => ({
          prefix: address,
          prefixLength,
          via: undefined,
          interface: index,
        })),
      ),
      ...config.routes,
    ]
  }

  interface(index: number): InterfaceConfig | undefined {
    return this.interfaces[index]
  }

  /** A frame from an interface. Everything that is not for us ends here, with its reason. */
  frame(index: number, bytes: Uint8Array, offset: number, length: number, vouched: boolean, now: Micros): void {
    const iface = this.interfaces[index]
    if (iface === undefined) return this.drop("link:no-such-interface")
    if (iface.layer === "ip") return this.datagram(index, iface, bytes, offset, length, vouched, false, now)
    const frame = decodeEthernet(bytes, offset, length)
    if (isDrop(frame)) return this.drop(frame)
    const group = isGroupMac(frame.destination)
    if (frame.destination !== iface.mac && !group) return this.drop("ethernet:not-for-us")
    switch (frame.etherType) {
      case ETHERTYPE_IPV4:
        return this.datagram(index, iface, bytes, frame.payloadOffset, frame.payloadLength, vouched, group, now)
      case ETHERTYPE_ARP:
        return this.arp(index, iface, bytes, frame.payloadOffset, frame.payloadLength, now)
      default:
        return this.drop("ethernet:unknown-ethertype")
    }
  }

  isLocal(address: IpAddress): boolean {
    for (const iface of this.interfaces) {
      for (const own of iface.addresses) if (sameAddress(own.address, address)) return true
    }
    return false
  }

  route(destination: IpAddress): Hop | undefined {
    return lookup(this.routes, destination)
  }

  /** The address that speaks for us on an interface: one of the destination's prefix before any other. */
  sourceFor(index: number, destination: IpAddress): IpAddress | undefined {
    const own = this.interfaces[index]?.addresses.filter(({ address }) => address.family === destination.family) ?? []
    return (own.find(({ address, prefixLength }) => inPrefix(destination, address, prefixLength)) ?? own[0])?.address
  }

  /** Identification for the next `count` packets; unique while DF is set anyway (RFC 6864 section 4.1). */
  nextIdentification(count: number): number {
    const id = this.identification
    this.identification = (id + count) & 0xffff
    return id
  }

  /** A TCP segment to `neighbour`, at once when its link address is known. */
  segment(effect: SendSegment, neighbour: IpAddress, now: Micros): void {
    const cache = this.neighbours[effect.interface]
    if (cache === undefined || this.interfaces[effect.interface]?.layer === "ip") return this.emit(effect)
    const mac = cache.ready(neighbour)
    if (mac !== undefined) this.emit({ ...effect, nextHop: mac })
    else cache.send(neighbour, effect, now)
  }

  /** Where a datagram to `destination` leaves, and to whom: groups are on the link, by the route or by the first interface. */
  wayTo(destination: IpAddress, chosen?: number): Hop | undefined {
    if (chosen !== undefined) {
      const hop = this.route(destination)
      return hop?.interface === chosen ? hop : { interface: chosen, neighbour: destination }
    }
    if (!isMulticast(destination) && !sameAddress(destination, BROADCAST4)) return this.route(destination)
    const first = this.interfaces.findIndex(({ addresses }) =>
      addresses.some(({ address }) => address.family === destination.family),
    )
    // A host that has no address yet speaks to everybody all the same (RFC 2131 section 4.1).
    return this.route(destination) ?? { interface: Math.max(0, first), neighbour: destination }
  }

  /** One of our addresses, everybody's on some link, or a group's; undefined: somebody else's. */
  reachOf(destination: IpAddress): Cast | undefined {
    if (this.isLocal(destination)) return "unicast"
    for (const iface of this.interfaces) {
      const cast = this.castOf(iface, destination)
      if (cast !== undefined) return cast
    }
    return undefined
  }

  /** An IPv4 datagram whose payload `write` fills in. Longer than the MTU, it leaves in fragments. */
  datagramTo(
    destination: IpAddress,
    source: IpAddress | undefined,
    protocol: number,
    length: number,
    write: (out: Uint8Array, offset: number) => void,
    why: SendFrame["why"],
    now: Micros,
    how: DatagramOptions = {},
  ): void {
    const hop = this.wayTo(destination, how.interface)
    const iface = hop === undefined ? undefined : this.interfaces[hop.interface]
    if (hop === undefined || iface === undefined) return this.drop("ip:no-route")
    const from = source ?? this.sourceFor(hop.interface, destination)
    if (from === undefined) return this.drop("ip:no-source-address")
    const start = iface.layer === "ethernet" ? ETHERNET_HEADER : 0
    const bytes = new Uint8Array(start + IPV4_HEADER + length)
    if (start > 0) writeEthernet(bytes, 0, { destination: NO_MAC, source: iface.mac, etherType: ETHERTYPE_IPV4 })
    const identification = how.identification ?? this.nextIdentification(1)
    writeIpv4(bytes, start, {
      tos: how.tos ?? 0,
      payloadLength: length,
      identification,
      dontFragment: how.dontFragment ?? false,
      moreFragments: false,
      fragmentOffset: 0,
      ttl: how.ttl ?? DEFAULT_TTL,
      protocol,
      source: from,
      destination,
      options: EMPTY,
    })
    write(bytes, start + IPV4_HEADER)
    const cast = this.isLocal(destination) ? "unicast" : this.castOf(iface, destination)
    if (cast === "unicast") return this.loop(hop.interface, bytes.subarray(start), cast)
    if (cast !== undefined && (how.loop ?? cast === "broadcast")) this.loop(hop.interface, bytes.slice(start), cast)
    const frames = fragment(bytes, start, Math.min(iface.mtu, how.mtu ?? iface.mtu), identification) ?? []
    if (frames.length !== 1) this.fragmented(destination.family, frames.length)
    const [first, ...following] = frames
    if (first === undefined) return this.drop("ip:too-long-to-send-whole")
    const frame: QueuedFrame = { _tag: "SendFrame", interface: hop.interface, bytes: first, why, following }
    if (start === 0) this.send(frame, undefined)
    else if (cast !== undefined) this.send(frame, groupMac(destination))
    else this.neighbours[hop.interface]?.send(hop.neighbour, frame, now)
  }

  /** Packets to ourselves wait for the end of the batch: what is sent in answer to a packet must not arrive inside it. */
  get hasLooped(): boolean {
    return this.looped.length > 0
  }

  /** Takes in what was sent to ourselves before this call. */
  takeLooped(now: Micros): void {
    const packets = this.looped
    this.looped = []
    for (const { iface, bytes, cast } of packets) {
      const packet = decodeIpv4(bytes, 0, bytes.length)
      if (isDrop(packet)) this.drop(packet)
      else this.input(iface, packet, bytes, false, cast, now)
    }
  }

  /** What we sent to `destination` has been acknowledged: its next hop is alive (RFC 4861 section 7.3.1). */
  progress(destination: IpAddress, now: Micros): void {
    const hop = this.route(destination)
    if (hop !== undefined) this.neighbours[hop.interface]?.progress(hop.neighbour, now)
  }

  /** `destination` has been silent for long: is its next hop still there (RFC 1122 section 3.3.1.4)? */
  doubt(destination: IpAddress, now: Micros): void {
    const hop = this.route(destination)
    if (hop !== undefined) this.neighbours[hop.interface]?.doubt(hop.neighbour, now)
  }

  /** A neighbour's timer has ended. */
  timeout(entry: NeighbourEntry<Packet>, now: Micros): void {
    this.neighbours[entry.iface]?.timeout(entry, now)
  }

  drop(why: string): void {
    this.emit({ _tag: "Dropped", why })
  }

  private datagram(
    index: number,
    iface: InterfaceConfig,
    bytes: Uint8Array,
    offset: number,
    length: number,
    vouched: boolean,
    group: boolean,
    now: Micros,
  ): void {
    const packet = decodeIpv4(bytes, offset, length)
    if (isDrop(packet)) return this.drop(packet)
    const cast = this.castOf(iface, packet.destination)
    if (cast === undefined) return this.drop("ipv4:not-for-us")
    // RFC 1122 section 3.3.6: what came to everyone on the link must be addressed to everyone.
    if (group && cast === "unicast") return this.drop("ipv4:unicast-in-link-broadcast")
    // RFC 1122 section 3.2.1.3, BCP 38: nobody on the wire speaks as us.
    if (!validSource(iface, packet.source) || this.isLocal(packet.source)) return this.drop("ipv4:bad-source")
    if (isFragment(packet)) {
      const whole = this.reassemble(index, packet, bytes, now)
      if (whole !== undefined) this.datagram(index, iface, whole, 0, whole.length, false, group, now)
      return
    }
    this.input(index, packet, bytes, vouched, cast, now)
  }

  /** A frame and those that follow it, to a link address where links have them. */
  private send({ following = [], ...frame }: QueuedFrame, mac: MacAddress | undefined): void {
    for (const bytes of [frame.bytes, ...following]) {
      if (mac !== undefined) setMac(bytes, 0, mac)
      this.emit({ ...frame, bytes })
    }
  }

  private loop(iface: number, bytes: Uint8Array, cast: Cast): void {
    if (this.looped.length >= MOST_LOOPED) this.drop("netfold:loopback-full")
    else this.looped.push({ iface, bytes, cast })
  }

  private castOf(iface: InterfaceConfig, destination: IpAddress): Cast | undefined {
    if (this.isLocal(destination)) return "unicast"
    if (isMulticast(destination)) return "multicast"
    if (sameAddress(destination, BROADCAST4)) return "broadcast"
    return iface.addresses.some((own) => sameAddress(destination, broadcastOf(own.address, own.prefixLength)))
      ? "broadcast"
      : undefined
  }

  /** RFC 826: learn the sender if it is known or asks for us; answer if it asks for us. */
  private arp(
    index: number,
    iface: InterfaceConfig,
    bytes: Uint8Array,
    offset: number,
    length: number,
    now: Micros,
  ): void {
    const packet = decodeArp(bytes, offset, length)
    if (isDrop(packet)) return this.drop(packet)
    const cache = this.neighbours[index]
    if (cache === undefined) return
    const forUs = iface.addresses.some((own) => sameAddress(own.address, packet.targetAddress))
    // An announcement of one of our own addresses is a conflict (RFC 5227 section 2.4): it must not be learnt.
    if (this.isLocal(packet.senderAddress)) return this.drop("arp:our-address-is-claimed")
    if (isGroupMac(packet.senderMac) || packet.senderMac === NO_MAC) return this.drop("arp:bad-sender")
    if (packet.operation === ARP_REPLY && forUs) cache.confirm(packet.senderAddress, packet.senderMac, now)
    // A probe (RFC 5227 section 1.1) comes from 0.0.0.0: nothing to learn.
    else if (packet.senderAddress.d !== 0) {
      cache.hear(packet.senderAddress, packet.senderMac, forUs && packet.operation === ARP_REQUEST, now)
    }
    if (packet.operation === ARP_REQUEST && forUs) {
      this.sendArp(
        index,
        ARP_REPLY,
        packet.senderMac,
        packet.senderMac,
        packet.targetAddress,
        packet.senderAddress,
        "RFC826:request-for-our-address",
      )
    }
  }

  private carryOut(entry: NeighbourEntry<Packet>, effects: ReadonlyArray<NeighbourEffect<Packet>>, now: Micros): void {
    for (const effect of effects) {
      switch (effect._tag) {
        case "Solicit": {
          const source = this.sourceFor(entry.iface, entry.address)
          if (source === undefined) break
          const to = effect.to === "everyone" ? BROADCAST_MAC : effect.to
          this.sendArp(entry.iface, ARP_REQUEST, to, NO_MAC, source, entry.address, "RFC4861-7.2.2:resolve")
          break
        }
        case "Forward": {
          const { packet, mac } = effect
          if (packet._tag === "SendSegment") this.emit({ ...packet, nextHop: mac })
          else this.send(packet, mac)
          break
        }
        case "Lost":
          this.drop(effect.why)
          if (effect.why === "neighbour:no-answer") this.unreachable(effect.packet, now)
      }
    }
  }

  private sendArp(
    index: number,
    operation: number,
    to: MacAddress,
    targetMac: MacAddress,
    senderAddress: IpAddress,
    targetAddress: IpAddress,
    why: SendFrame["why"],
  ): void {
    const iface = this.interfaces[index]
    if (iface === undefined) return
    const bytes = new Uint8Array(ETHERNET_HEADER + ARP_LENGTH)
    writeEthernet(bytes, 0, { destination: to, source: iface.mac, etherType: ETHERTYPE_ARP })
    encodeArp(bytes, ETHERNET_HEADER, { operation, senderMac: iface.mac, senderAddress, targetMac, targetAddress })
    this.emit({ _tag: "SendFrame", interface: index, bytes, why })
  }
}

/** The link address of a group: RFC 1112 section 6.4, or everybody's. */
const groupMac = (destination: IpAddress): MacAddress =>
  isMulticast(destination) ? ((0x01_00_5e_00_00_00 + (destination.d & 0x7f_ffff)) as MacAddress) : BROADCAST_MAC

const broadcastOf = (address: IpAddress, prefixLength: number): IpAddress =>
  // A /31 or /32 has no broadcast address (RFC 3021 section 2.2).
  prefixLength >= 31 ? BROADCAST4 : ipv4((address.d | (0xffffffff >>> prefixLength)) >>> 0)

/** RFC 1122 section 3.2.1.3: no one may speak as a broadcast or multicast address, nor as loopback on a wire. */
const validSource = (iface: InterfaceConfig, source: IpAddress): boolean =>
  !isMulticast(source) &&
  !isLoopback(source) &&
  source.d >>> 24 !== 0 &&
  source.d >>> 28 !== 0xf &&
  !iface.addresses.some(
    ({ address, prefixLength }) => prefixLength < 31 && sameAddress(source, broadcastOf(address, prefixLength)),
  )
