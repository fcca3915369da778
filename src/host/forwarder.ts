import { fragment } from "../ip/fragments.ts"
import type { Micros } from "../tcp/time.ts"
import { type IpAddress, isLinkLocal, isLoopback, isUnspecified, withoutZone } from "../wire/address.ts"
import { getU16, setU8, setU16 } from "../wire/bytes.ts"
import { update16 } from "../wire/checksum.ts"
import { ETHERNET_HEADER } from "../wire/ethernet.ts"
import type { IpPacket } from "../wire/ip.ts"
import { IPV4_HEADER, type Ipv4Packet, PROTOCOL_TCP } from "../wire/ipv4.ts"
import { IPV6_HEADER, type Ipv6Packet } from "../wire/ipv6.ts"
import { TCP_HEADER } from "../wire/tcp.ts"
import type { Counters } from "./counters.ts"
import type { IpProblem, ReportProblem } from "./ipErrors.ts"
import { clampMss } from "./mssClamp.ts"
import type { NetInterface } from "./netInterface.ts"
import { countFragments, type Output } from "./output.ts"
import type { Routes } from "./routes.ts"

/** A host as a router (RFC 1812, RFC 8200): what is for others goes on, one hop older. It sends no redirects. */
export class Forwarder {
  constructor(
    private readonly interfaces: ReadonlyArray<NetInterface>,
    private readonly routes: Routes,
    private readonly output: Output,
    private readonly report: ReportProblem,
    private readonly counters: Counters,
    private readonly clamps: () => boolean,
  ) {}

  ipv4(from: NetInterface, packet: Ipv4Packet, bytes: Uint8Array, now: Micros): void {
    const { destination } = packet
    // RFC 1812 section 5.3.7, and RFC 2644 for other links' directed broadcasts.
    if (
      destination.d >>> 24 === 0 ||
      isLoopback(destination) ||
      isLinkLocal(destination) ||
      isLinkLocal(packet.source)
    ) {
      return this.output.drop("RFC1812-5.3.7:martian")
    }
    if (this.interfaces.some((iface) => iface.isBroadcast(destination))) {
      return this.output.drop("RFC2644-4:directed-broadcast")
    }
    const hop = this.wayOn(packet, bytes, now)
    if (hop === undefined) return
    const { iface, neighbour } = hop
    const length = packet.payloadOffset + packet.payloadLength - packet.headerOffset
    const mtu = iface.mtu(4)
    const copy = aged4(copied(iface, packet, bytes, length))
    if (packet.fragmentOffset === 0) this.clamp(packet, copy, Math.min(from.mtu(4), mtu) - IPV4_HEADER)
    if (length <= mtu) return this.send(iface, neighbour, copy.bytes, now)
    const frames = fragment(copy.bytes, copy.at, mtu, packet.identification)
    countFragments(this.counters, 4, frames?.length ?? 0)
    if (frames === undefined) {
      return this.report({ _tag: "TooBig", mtu }, packet, bytes, "unicast", "RFC1812-5.2.7.1:too-big", now)
    }
    const [first, ...following] = frames
    if (first !== undefined) this.send(iface, neighbour, first, now, following)
  }

  ipv6(from: NetInterface, packet: Ipv6Packet, bytes: Uint8Array, now: Micros): void {
    const { source, destination } = packet
    // RFC 4291 sections 2.5.2, 2.5.6: what is for one link stays there.
    if (isUnspecified(source)) return this.output.drop("ipv6:bad-source")
    if (isLinkLocal(destination)) return this.output.drop("RFC4291-2.5.6:link-local")
    const hop = this.wayOn(packet, bytes, now)
    if (hop === undefined) return
    const { iface, neighbour } = hop
    if (isLinkLocal(source) && iface !== from) {
      return this.report({ _tag: "BeyondScope" }, packet, bytes, "unicast", "RFC4443-3.1:beyond-scope", now)
    }
    const length = packet.payloadOffset + packet.payloadLength - packet.headerOffset
    const mtu = iface.mtu(6)
    if (length > mtu) {
      return this.report({ _tag: "TooBig", mtu }, packet, bytes, "unicast", "RFC4443-3.2:too-big", now)
    }
    const copy = aged6(copied(iface, packet, bytes, length), packet.ttl)
    this.clamp(packet, copy, Math.min(from.mtu(6), mtu) - IPV6_HEADER)
    this.send(iface, neighbour, copy.bytes, now)
  }

  /** `most`: octets of a TCP segment. */
  private clamp({ protocol, headerOffset, payloadOffset }: IpPacket, { bytes, at }: Copy, most: number): void {
    if (protocol !== PROTOCOL_TCP || !this.clamps()) return
    clampMss(bytes, at + payloadOffset - headerOffset, bytes.length, most - TCP_HEADER)
  }

  /** RFC 1812 section 5.2.1, RFC 8200 section 3: there is a way, and the packet is young enough for it. */
  private wayOn(
    packet: IpPacket,
    bytes: Uint8Array,
    now: Micros,
  ): { readonly iface: NetInterface; readonly neighbour: IpAddress } | undefined {
    const tell = (problem: IpProblem, why: `${string}:${string}`): undefined => {
      this.report(problem, packet, bytes, "unicast", why, now)
      return undefined
    }
    const counts = this.counters.ip[packet.source.family]
    if (packet.ttl <= 1) {
      counts.inHdrErrors++
      return tell({ _tag: "TimeExceeded" }, "RFC1812-5.3.1:TTL-exceeded")
    }
    const hop = this.routes.hop(withoutZone(packet.destination))
    const iface = hop === undefined ? undefined : this.interfaces[hop.interface]
    if (hop === undefined || iface === undefined) {
      counts.inNoRoutes++
      return tell({ _tag: "NoRoute" }, "RFC1812-5.2.7.1:no-route")
    }
    return { iface, neighbour: hop.neighbour }
  }

  private send(
    iface: NetInterface,
    neighbour: IpAddress,
    bytes: Uint8Array,
    now: Micros,
    following: ReadonlyArray<Uint8Array> = [],
  ): void {
    this.counters.ip[neighbour.family].forwDatagrams++
    this.output.frame(iface, bytes, neighbour, undefined, "RFC1812-5.2.1:forward", now, following)
  }
}

/** A packet with room for a link header before it. */
interface Copy {
  readonly bytes: Uint8Array
  readonly at: number
}

const linkHeader = (iface: NetInterface): number => (iface.isEthernet ? ETHERNET_HEADER : 0)

const copied = (iface: NetInterface, { headerOffset }: IpPacket, from: Uint8Array, length: number): Copy => {
  const at = linkHeader(iface)
  const bytes = new Uint8Array(at + length)
  bytes.set(from.subarray(headerOffset, headerOffset + length), at)
  return { bytes, at }
}

/** One hop older, and the checksum with it (RFC 1624). */
const aged4 = (copy: Copy): Copy => {
  const { bytes, at } = copy
  const word = getU16(bytes, at + 8)
  setU16(bytes, at + 8, word - 0x100)
  setU16(bytes, at + 10, update16(getU16(bytes, at + 10), word, word - 0x100))
  return copy
}

const aged6 = (copy: Copy, hopLimit: number): Copy => {
  setU8(copy.bytes, copy.at + 7, hopLimit - 1)
  return copy
}
