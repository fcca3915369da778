import type { Micros } from "../tcp/time.ts"
import {
  BROADCAST4,
  type IpAddress,
  isLoopback,
  isMapped,
  isMulticast,
  isUnspecified,
  sameAddress,
  withoutZone,
} from "../wire/address.ts"
import { getU8 } from "../wire/bytes.ts"
import { isDrop } from "../wire/drop.ts"
import type { IpPacket } from "../wire/ip.ts"
import { decodeIpv4, IPV4_HEADER, type Ipv4Packet, isFragment } from "../wire/ipv4.ts"
import { decodeIpv6, type Ipv6Packet, NEXT_HEADER_ICMPV6, NEXT_HEADER_NONE, zoned } from "../wire/ipv6.ts"
import { type Fragment, inspectHopByHop, type Problem, walkExtensions } from "../wire/ipv6Extension.ts"
import { scopeOf } from "../wire/multicast.ts"
import { isNdp } from "../wire/ndp.ts"
import type { Addresses } from "./addresses.ts"
import type { Forwarder } from "./forwarder.ts"
import type { BothIpCounts } from "./ipCounts.ts"
import type { ReportProblem } from "./ipErrors.ts"
import type { NetInterface } from "./netInterface.ts"
import type { Looped } from "./output.ts"

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

/** Puts pieces of datagrams for us together: the whole packet, from its IP header on, with the last piece. */
export interface FragmentInput {
  readonly v4: (iface: number, packet: Ipv4Packet, bytes: Uint8Array, now: Micros) => Uint8Array | undefined
  readonly v6: (iface: number, fragment: Fragment, bytes: Uint8Array, now: Micros) => Uint8Array | Problem | undefined
}

/** The checks of both IP versions on what comes: whose it is, and whether it may be believed. */
export class IpReceiver {
  constructor(
    private readonly addresses: Addresses,
    /** Undefined: the host is no router. */
    private readonly forwarder: () => Forwarder | undefined,
    private readonly input: IpInput,
    private readonly fragments: FragmentInput,
    private readonly report: ReportProblem,
    private readonly counts: BothIpCounts,
    private readonly drop: (why: string) => void,
  ) {}

  /** `group`: the frame came to everyone on the link. */
  ipv4(
    iface: NetInterface,
    bytes: Uint8Array,
    offset: number,
    length: number,
    vouched: boolean,
    group: boolean,
    now: Micros,
  ): void {
    this.counts[4].inReceives++
    const packet = decodeIpv4(bytes, offset, length)
    if (isDrop(packet)) return this.badHeader(4, packet)
    const { source, destination } = packet
    const cast = this.castOf4(iface, destination)
    // A group that nobody joined is no business of a router's here: multicast is not forwarded.
    if (cast === undefined && (isMulticast(destination) || this.forwarder() === undefined)) {
      return this.badAddress(4, "ipv4:not-for-us")
    }
    // RFC 1122 section 3.3.6: what came to everyone on the link must be addressed to everyone.
    if (group && (cast ?? "unicast") === "unicast") return this.badAddress(4, "ipv4:unicast-in-link-broadcast")
    // RFC 1122 section 3.2.1.3, BCP 38: nobody on the wire speaks as us.
    // Who has no address yet may ask everyone on the link for one (RFC 1122 section 3.2.1.3, case (a)).
    const isSound = isUnspecified(source) ? sameAddress(destination, BROADCAST4) : isSource4(iface, source)
    if (!isSound || this.addresses.isLocal(source)) return this.badAddress(4, "ipv4:bad-source")
    if (packet.options.length > 0) {
      const bad = inspectOptions4(packet.options)
      if (bad === "source-route") return this.badHeader(4, "Linux:accept_source_route")
      if (bad !== undefined) {
        this.counts[4].inHdrErrors++
        const problem = { _tag: "BadParameter", code: 0, pointer: bad, evenAboutMulticast: false } as const
        return this.report(problem, packet, bytes, cast ?? "unicast", "RFC1122-3.2.2.5:bad-option", now)
      }
    }
    if (cast === undefined) return this.forwarder()?.ipv4(iface, packet, bytes, now)
    if (isFragment(packet)) {
      const whole = this.fragments.v4(iface.index, packet, bytes, now)
      return whole === undefined ? undefined : this.whole4(iface, whole, cast, now)
    }
    this.input(iface.index, packet, bytes, vouched, cast, now)
  }

  ipv6(
    iface: NetInterface,
    bytes: Uint8Array,
    offset: number,
    length: number,
    vouched: boolean,
    group: boolean,
    now: Micros,
  ): void {
    if (iface.ipv6 === "off") return this.drop("ipv6:off")
    this.counts[6].inReceives++
    const decoded = decodeIpv6(bytes, offset, length)
    if (isDrop(decoded)) return this.badHeader(6, decoded)
    const packet = zoned(decoded, iface.zone)
    const { source, destination } = packet
    const bad = badAddress6(source, destination)
    if (bad !== undefined) return this.badAddress(6, bad)
    if (group && !isMulticast(destination)) return this.badAddress(6, "ipv6:unicast-in-link-multicast")
    if (this.addresses.isLocal(source)) return this.badAddress(6, "ipv6:bad-source")
    const cast = this.castOf6(iface, destination)
    if (cast === undefined) {
      const forwarder = this.forwarder()
      if (forwarder === undefined || isMulticast(destination)) return this.badAddress(6, "ipv6:not-for-us")
      const wrong = inspectHopByHop(bytes, packet)
      if (wrong === undefined) return forwarder.ipv6(iface, packet, bytes, now)
      return typeof wrong === "string" ? this.badHeader(6, wrong) : this.problem(wrong, packet, bytes, "unicast", now)
    }
    this.walk(iface, packet, bytes, vouched, cast, now)
  }

  /** What was sent to ourselves: nothing of it needs to be doubted. */
  looped({ iface: index, bytes, cast }: Looped, now: Micros): void {
    const iface = this.addresses.interfaces[index]
    if (iface === undefined) return
    const packet = (bytes[0] ?? 0) >>> 4 === 6 ? decodeIpv6(bytes, 0, bytes.length) : decodeIpv4(bytes, 0, bytes.length)
    if (isDrop(packet)) return this.drop(packet)
    this.counts[packet.source.family].inReceives++
    if ("flowLabel" in packet) this.walk(iface, zoned(packet, iface.zone), bytes, false, cast, now)
    else this.input(index, packet, bytes, false, cast, now)
  }

  /** One of our addresses, everybody's on an interface, or a group's; undefined: somebody else's. */
  castOf(iface: NetInterface, destination: IpAddress): Cast | undefined {
    return destination.family === 4 ? this.castOf4(iface, destination) : this.castOf6(iface, destination)
  }

  /** From the first extension header on. */
  private walk(
    iface: NetInterface,
    packet: Ipv6Packet,
    bytes: Uint8Array,
    vouched: boolean,
    cast: Cast,
    now: Micros,
    wasFragmented = false,
  ): void {
    const walk = walkExtensions(bytes, packet)
    if (isDrop(walk)) return this.badHeader(6, walk)
    switch (walk._tag) {
      case "Problem":
        return this.problem(walk, packet, bytes, cast, now)
      case "Fragment": {
        const whole = this.fragments.v6(iface.index, walk, bytes, now)
        if (whole === undefined) return
        if (!(whole instanceof Uint8Array)) return this.problem(whole, packet, bytes, cast, now)
        return this.whole6(iface, whole, cast, now)
      }
      case "Upper": {
        const upper = walk.packet
        if (upper.protocol === NEXT_HEADER_NONE) return this.drop("RFC8200-4.7:no-next-header")
        // RFC 4291 section 2.5.2: who has no address yet has only Neighbour Discovery to do.
        if (isUnspecified(upper.source) && upper.protocol !== NEXT_HEADER_ICMPV6) return this.drop("ipv6:bad-source")
        // RFC 6980 section 5: what looks into frames for Neighbour Discovery does not see it in fragments.
        if ((wasFragmented || walk.isAtomicFragment) && isDiscovery(upper, bytes))
          return this.drop("RFC6980-5:fragment")
        return this.input(iface.index, upper, bytes, vouched, cast, now)
      }
    }
  }

  private badHeader(family: 4 | 6, why: string): void {
    this.counts[family].inHdrErrors++
    this.drop(why)
  }

  private badAddress(family: 4 | 6, why: string): void {
    this.counts[family].inAddrErrors++
    this.drop(why)
  }

  /** Its fragments have been through the checks: the options and addresses are theirs. */
  private whole4(iface: NetInterface, bytes: Uint8Array, cast: Cast, now: Micros): void {
    const packet = decodeIpv4(bytes, 0, bytes.length)
    if (isDrop(packet)) this.drop(packet)
    else this.input(iface.index, packet, bytes, false, cast, now)
  }

  private whole6(iface: NetInterface, bytes: Uint8Array, cast: Cast, now: Micros): void {
    const packet = decodeIpv6(bytes, 0, bytes.length)
    if (isDrop(packet)) this.drop(packet)
    else this.walk(iface, zoned(packet, iface.zone), bytes, false, cast, now, true)
  }

  private problem(
    { code, pointer, evenAboutMulticast }: Problem,
    packet: IpPacket,
    bytes: Uint8Array,
    cast: Cast,
    now: Micros,
  ): void {
    this.counts[6].inHdrErrors++
    const problem = { _tag: "BadParameter", code, pointer, evenAboutMulticast } as const
    this.report(problem, packet, bytes, cast, "RFC8200-4:bad-header", now)
  }

  private castOf4(iface: NetInterface, destination: IpAddress): Cast | undefined {
    if (this.addresses.isLocal(destination)) return "unicast"
    if (isMulticast(destination)) return iface.listensTo(destination) ? "multicast" : undefined
    return iface.isBroadcast(destination) ? "broadcast" : undefined
  }

  private castOf6(iface: NetInterface, destination: IpAddress): Cast | undefined {
    if (this.addresses.isLocal(destination)) return "unicast"
    return iface.listensTo(withoutZone(destination)) ? "multicast" : undefined
  }
}

/** RFC 1122 section 3.2.1.3: no one may speak as a broadcast or multicast address, nor as loopback on a wire. */
const isSource4 = (iface: NetInterface, source: IpAddress): boolean =>
  !isMulticast(source) &&
  !isLoopback(source) &&
  source.d >>> 24 !== 0 &&
  source.d >>> 28 !== 0xf &&
  !iface.broadcasts.some((broadcast) => sameAddress(source, broadcast))

/**
 * RFC 4291 sections 2.5.2, 2.5.3 and 2.7: what no packet on a wire may have. Mapped addresses among it:
 * here they would be IPv4's, and around its checks.
 */
const badAddress6 = (source: IpAddress, destination: IpAddress): string | undefined => {
  if (isMulticast(source) || isLoopback(source) || isMapped(source)) return "ipv6:bad-source"
  if (isLoopback(destination) || isUnspecified(destination) || isMapped(destination)) return "ipv6:bad-destination"
  // Scope 0 is reserved, scope 1 stays within a host.
  return isMulticast(destination) && scopeOf(destination) <= 1 ? "ipv6:bad-destination" : undefined
}

const isDiscovery = ({ protocol, payloadOffset }: IpPacket, bytes: Uint8Array): boolean =>
  protocol === NEXT_HEADER_ICMPV6 && isNdp(getU8(bytes, payloadOffset))

const LOOSE_SOURCE_ROUTE = 131
const STRICT_SOURCE_ROUTE = 137
const NO_OPERATION = 1

/** RFC 1122 section 3.2.1.8: tolerated; `undefined` when all is well, else where the bad octet is. */
const inspectOptions4 = (options: Uint8Array): number | "source-route" | undefined => {
  for (let at = 0; at < options.length; ) {
    const type = getU8(options, at)
    if (type === 0) return undefined
    if (type === NO_OPERATION) {
      at++
      continue
    }
    const length = getU8(options, at + 1)
    if (length < 2 || at + length > options.length) return IPV4_HEADER + at
    if (type === LOOSE_SOURCE_ROUTE || type === STRICT_SOURCE_ROUTE) return "source-route"
    at += length
  }
  return undefined
}
