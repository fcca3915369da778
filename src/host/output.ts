import { fragment } from "../ip/fragments.ts"
import type { Micros } from "../tcp/time.ts"
import { type IpAddress, isMulticast, type MacAddress } from "../wire/address.ts"
import { setMac } from "../wire/addressBytes.ts"
import { getU8, setU8 } from "../wire/bytes.ts"
import {
  BROADCAST_MAC,
  ETHERNET_HEADER,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  NO_MAC,
  writeEthernet,
} from "../wire/ethernet.ts"
import { ROUTER_ALERT } from "../wire/igmp.ts"
import { IPV4_HEADER, PROTOCOL_ICMP, writeIpv4 } from "../wire/ipv4.ts"
import { IPV6_HEADER, NEXT_HEADER_ICMPV6, writeIpv6 } from "../wire/ipv6.ts"
import { HOP_BY_HOP } from "../wire/ipv6Extension.ts"
import { multicastMac } from "../wire/multicast.ts"
import { EMPTY } from "../wire/tcpSegment.ts"
import type { Counters } from "./counters.ts"
import { ipCounter } from "./datagramCounters.ts"
import { icmpCounters } from "./icmpCounters.ts"
import type { Cast } from "./ipInput.ts"
import type { Neighbours } from "./neighbours.ts"
import type { NetInterface } from "./netInterface.ts"
import type { Routes } from "./routes.ts"
import type { HostEffect, SendFrame, SendSegment } from "./types.ts"

/** A frame that waits for its link address; the datagram's other fragments leave right behind it. */
export interface QueuedFrame extends SendFrame {
  readonly following?: ReadonlyArray<Uint8Array>
}

/** What waits for a neighbour's link address. */
export type Packet = SendSegment | QueuedFrame

/** How a datagram leaves, where not by default. */
export interface DatagramOptions {
  /** Where it leaves, whatever the routes say. */
  readonly interface?: number | undefined
  readonly ttl?: number
  readonly tos?: number
  /** One that is longer than the MTU is lost then. */
  readonly dontFragment?: boolean
  /** Of IPv6. Default 0: none. */
  readonly flowLabel?: number
  /** What is sent to a group reaches ourselves too. Default: broadcasts do. */
  readonly loop?: boolean
  /** A Router Alert option (RFC 2113, RFC 2711), which all reports of groups carry. */
  readonly routerAlert?: boolean
  /** To this link address, without asking. */
  readonly mac?: MacAddress
}

export const DEFAULT_TTL = 64
/** RFC 1112 section 6.1, RFC 3493 section 5.2. */
export const DEFAULT_MULTICAST_TTL = 1

/** A Hop-by-Hop header with a Router Alert for MLD, padded to 8 octets; its first octet is the next header. */
const ALERT: Uint8Array = Uint8Array.of(0, 0, 5, 2, 0, 0, 1, 0)

/** Packets to ourselves that wait for the end of the batch. */
const MOST_LOOPED = 1024

/** A packet to ourselves, from its IP header on. */
export interface Looped {
  readonly iface: number
  readonly bytes: Uint8Array
  readonly cast: Cast
}

/** What the output needs to know of the rest of a host. */
export interface OutputParts {
  readonly sourceFor: (index: number, destination: IpAddress) => IpAddress | undefined
  /** One of our addresses, everybody's on an interface, or a group's; undefined: somebody else's. */
  readonly castOf: (iface: NetInterface, destination: IpAddress) => Cast | undefined
  /** Octets that a packet may have, where a path takes less than its first link. */
  readonly pathMtu: (destination: IpAddress, iface: number, now: Micros) => number
  /** Of the next datagram between two addresses that may come in fragments: 32 bits, of which IPv4 takes the lower half. */
  readonly identification: (source: IpAddress, destination: IpAddress, protocol: number) => number
  readonly counters: Counters
}

/** A segment whose maker leaves its link address to be filled in: nobody else has seen it. */
export type Unaddressed = SendSegment & { nextHop: MacAddress }

/** The way out of the network layer: packets get their headers, and their frames a link address. */
export class Output {
  private looped: Array<Looped> = []

  constructor(
    private readonly interfaces: ReadonlyArray<NetInterface>,
    private readonly caches: ReadonlyArray<Neighbours<Packet>>,
    private readonly routes: Routes,
    private readonly parts: OutputParts,
    private readonly emit: (effect: HostEffect) => void,
  ) {}

  /** A TCP segment to `neighbour`, at once when its link address is known. */
  segment(effect: Unaddressed, neighbour: IpAddress, now: Micros): void {
    this.parts.counters.ip[neighbour.family].outRequests++
    const cache = this.caches[effect.interface]
    if (cache === undefined || this.interfaces[effect.interface]?.config.layer === "ip") return this.emit(effect)
    const mac = cache.ready(neighbour)
    if (mac === undefined) return cache.send(neighbour, effect, now)
    effect.nextHop = mac
    this.emit(effect)
  }

  /**
   * A datagram of the destination's family, whose payload `write` fills in, in fragments where it is
   * longer than the MTU. Without a `source`: RFC 6724's.
   */
  datagramTo(
    destination: IpAddress,
    source: IpAddress | undefined,
    protocol: number,
    length: number,
    write: (out: Uint8Array, offset: number, source: IpAddress) => void,
    why: SendFrame["why"],
    now: Micros,
    how: DatagramOptions = {},
  ): void {
    const hop = this.routes.hop(destination, how.interface)
    const iface = hop === undefined ? undefined : this.interfaces[hop.interface]
    const counts = this.parts.counters.ip[destination.family]
    if (hop === undefined || iface === undefined) {
      counts.outNoRoutes++
      return this.drop("ip:no-route")
    }
    const from = source ?? this.parts.sourceFor(hop.interface, destination)
    if (from === undefined) return this.drop("ip:no-source-address")
    const { family } = destination
    const headers = headersLength(family, how)
    const start = iface.isEthernet ? ETHERNET_HEADER : 0
    const bytes = new Uint8Array(start + headers + length)
    // RFC 6864 section 4: only what may be fragmented has need of one.
    const isAtomic = family === 6 || how.dontFragment === true
    const identification = isAtomic ? 0 : this.parts.identification(from, destination, protocol)
    writeIp(bytes, start, { source: from, destination, protocol, length, identification }, how)
    write(bytes, start + headers, from)
    counts.outRequests++
    if (protocol === (family === 4 ? PROTOCOL_ICMP : NEXT_HEADER_ICMPV6)) {
      this.parts.counters.addAll(icmpCounters(family, "Out", getU8(bytes, start + headers)))
    }
    const cast = this.parts.castOf(iface, destination)
    if (cast === "unicast") return this.loop(iface.index, bytes.subarray(start), cast)
    if (cast !== undefined && (how.loop ?? cast === "broadcast")) this.loop(iface.index, bytes.slice(start), cast)
    const mtu = this.parts.pathMtu(destination, iface.index, now)
    const isWhole = headers + length <= mtu
    const mayCut = how.dontFragment !== true
    const frames = isWhole ? [bytes] : this.cut(bytes, start, mtu, mayCut, from, destination, protocol)
    const [first, ...following] = frames
    if (first === undefined) {
      counts.outDiscards++
      return this.drop("ip:too-long-to-send-whole")
    }
    this.frame(iface, first, hop.neighbour, how.mac, why, now, following)
  }

  get hasLooped(): boolean {
    return this.looped.length > 0
  }

  /** What was sent to ourselves before this call: it must not arrive inside of what it answers. */
  takeLooped(): ReadonlyArray<Looped> {
    const { looped } = this
    this.looped = []
    return looped
  }

  /** A packet that has its IP header, and room for a link header before it, to a neighbour. */
  frame(
    iface: NetInterface,
    bytes: Uint8Array,
    neighbour: IpAddress,
    mac: MacAddress | undefined,
    why: SendFrame["why"],
    now: Micros,
    following: ReadonlyArray<Uint8Array> = [],
  ): void {
    const frame: QueuedFrame = { _tag: "SendFrame", interface: iface.index, bytes, why, following }
    if (!iface.isEthernet) return this.send(frame, undefined)
    const known = mac ?? groupMac(iface, neighbour)
    const etherType = neighbour.family === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6
    for (const each of [bytes, ...following]) {
      writeEthernet(each, 0, { destination: NO_MAC, source: iface.config.mac, etherType })
    }
    if (known !== undefined) this.send(frame, known)
    else this.caches[iface.index]?.send(neighbour, frame, now)
  }

  /** A packet's neighbour is known: it leaves. */
  forward(packet: Packet, mac: MacAddress): void {
    if (packet._tag === "SendSegment") this.emit({ ...packet, nextHop: mac })
    else this.send(packet, mac)
  }

  drop(why: string): void {
    this.emit({ _tag: "Dropped", why })
  }

  private send({ following = [], ...frame }: QueuedFrame, mac: MacAddress | undefined): void {
    for (const bytes of [frame.bytes, ...following]) {
      if (mac !== undefined) setMac(bytes, 0, mac)
      this.emit({ ...frame, bytes })
    }
  }

  private cut(
    bytes: Uint8Array,
    start: number,
    mtu: number,
    mayCut: boolean,
    source: IpAddress,
    destination: IpAddress,
    protocol: number,
  ): ReadonlyArray<Uint8Array> {
    // An IPv4 header has its own by now.
    const identification = source.family === 4 ? 0 : this.parts.identification(source, destination, protocol)
    const frames = (mayCut ? fragment(bytes, start, mtu, identification) : undefined) ?? []
    countFragments(this.parts.counters, source.family, frames.length)
    return frames
  }

  private loop(iface: number, bytes: Uint8Array, cast: Cast): void {
    if (this.looped.length >= MOST_LOOPED) this.drop("netfold:loopback-full")
    else this.looped.push({ iface, bytes, cast })
  }
}

/** A datagram was longer than the MTU: how many fragments were made of it, 0 where none may be. */
export const countFragments = (counters: Counters, family: 4 | 6, made: number): void => {
  counters.add(ipCounter(family, made === 0 ? "FragFails" : "FragOKs"), 1)
  counters.add(ipCounter(family, "FragCreates"), made)
}

interface IpFields {
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly protocol: number
  readonly length: number
  readonly identification: number
}

const writeIp = (out: Uint8Array, at: number, fields: IpFields, how: DatagramOptions): void => {
  const { source, destination, protocol, length, identification } = fields
  const { tos = 0, routerAlert = false, dontFragment = false, flowLabel = 0 } = how
  const ttl = how.ttl ?? (isMulticast(destination) ? DEFAULT_MULTICAST_TTL : DEFAULT_TTL)
  if (destination.family === 4) {
    writeIpv4(out, at, {
      tos,
      payloadLength: length,
      identification,
      dontFragment,
      moreFragments: false,
      fragmentOffset: 0,
      ttl,
      protocol,
      source,
      destination,
      options: routerAlert ? ROUTER_ALERT : EMPTY,
    })
    return
  }
  writeIpv6(out, at, {
    trafficClass: tos,
    flowLabel,
    payloadLength: length + (routerAlert ? ALERT.length : 0),
    hopLimit: ttl,
    nextHeader: routerAlert ? HOP_BY_HOP : protocol,
    source,
    destination,
  })
  if (!routerAlert) return
  out.set(ALERT, at + IPV6_HEADER)
  setU8(out, at + IPV6_HEADER, protocol)
}

/** The link address of what is addressed to many (RFC 1112 section 6.4, RFC 2464 section 7). */
const groupMac = (iface: NetInterface, neighbour: IpAddress): MacAddress | undefined => {
  if (isMulticast(neighbour)) return multicastMac(neighbour)
  return iface.isBroadcast(neighbour) ? BROADCAST_MAC : undefined
}

const headersLength = (family: 4 | 6, { routerAlert: alert = false }: DatagramOptions): number => {
  if (family === 4) return IPV4_HEADER + (alert ? ROUTER_ALERT.length : 0)
  return IPV6_HEADER + (alert ? ALERT.length : 0)
}
