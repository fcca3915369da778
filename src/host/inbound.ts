import type { Micros } from "../tcp/time.ts"
import { isDrop } from "../wire/drop.ts"
import { codepointOf } from "../wire/ecn.ts"
import type { IpPacket } from "../wire/ip.ts"
import { PROTOCOL_ICMP, PROTOCOL_IGMP, PROTOCOL_TCP, PROTOCOL_UDP } from "../wire/ipv4.ts"
import { NEXT_HEADER_ICMPV6 } from "../wire/ipv6.ts"
import { decodeQuoted, type Quote } from "../wire/quote.ts"
import { decodeTcp } from "../wire/tcp.ts"
import type { Counters } from "./counters.ts"
import type { Datagrams } from "./datagrams.ts"
import type { DhcpHost } from "./dhcpHost.ts"
import type { IcmpHost } from "./icmpHost.ts"
import type { IcmpReport } from "./icmpReport.ts"
import type { Cast, Link } from "./link.ts"
import type { TcpHost } from "./tcpHost.ts"

/** Above IP. */
export interface Upper {
  readonly icmp: IcmpHost
  readonly tcp: TcpHost
  readonly datagrams: Datagrams
  readonly dhcp: DhcpHost
}

/** What the upper layers of a host get of what arrives. */
export class Inbound {
  constructor(
    private readonly link: Link,
    private readonly upper: Upper,
    private readonly count: Counters,
  ) {}

  /** Fragments were missing when their time was over (RFC 792, RFC 4443 section 3.3); `first` is the one that began the datagram. */
  reassemblyExpired(iface: number, first: Uint8Array, now: Micros): void {
    const packet = decodeQuoted(first, iface + 1)
    if (isDrop(packet)) return this.link.drop(packet)
    const cast = this.link.reachOf(packet.destination) ?? "unicast"
    this.upper.icmp.report(REASSEMBLY_EXPIRED, packet, first, cast, "RFC792:reassembly-time-exceeded", now)
  }

  /** An ICMP error about a packet of ours. */
  icmpError(quote: Quote, report: IcmpReport, now: Micros): void {
    if (quote.ip.protocol !== PROTOCOL_TCP) {
      if (!this.upper.datagrams.icmpError(quote, report, now)) this.link.drop("icmp:nobody-asked")
    } else if (report.problem === "MessageTooBig") this.upper.tcp.icmpTooBig(quote, report.mtu, now)
    else this.upper.tcp.icmpError(quote, report.errno, now)
  }

  /** A whole datagram, to its protocol; the sender of one that nobody takes is told. */
  datagram(iface: number, packet: IpPacket, bytes: Uint8Array, vouched: boolean, cast: Cast, now: Micros): void {
    const { family } = packet.source
    const counts = this.count.ip[family]
    // Each version has its own: the other's number is one that nobody speaks (RFC 8200 section 4, RFC 4443 section 1).
    if (!isSpoken(packet.protocol, family)) {
      counts.inUnknownProtos++
      return this.upper.icmp.unreachable(packet, bytes, "protocol", cast, now)
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
          return this.upper.tcp.segment(tcp, now, bytes, packet, this.link.interface(iface)?.framesStay)
        }
        this.count.add("InErrs", 1)
        if (tcp === "tcp:bad-checksum") this.count.add("InCsumErrors", 1)
        return this.link.drop(tcp)
      }
      case PROTOCOL_ICMP:
        return this.upper.icmp.input(packet, bytes, cast, now)
      case NEXT_HEADER_ICMPV6:
        return this.upper.icmp.inputV6(iface, packet, bytes, cast, now)
      case PROTOCOL_IGMP:
        return this.link.igmp(iface, packet, bytes, now)
      case PROTOCOL_UDP:
        if (this.upper.dhcp.input(iface, packet, bytes, vouched, now)) return
        // RFC 1122 section 4.1.3.1: nobody listens, and only a sound one is told so.
        if (this.upper.datagrams.udp.input(iface, packet, bytes, vouched, cast, now) !== "nobody") return
        return this.upper.icmp.unreachable(packet, bytes, "port", cast, now)
    }
  }
}

const isSpoken = (protocol: number, family: 4 | 6): boolean =>
  protocol === PROTOCOL_TCP ||
  protocol === PROTOCOL_UDP ||
  (family === 4 ? protocol === PROTOCOL_ICMP || protocol === PROTOCOL_IGMP : protocol === NEXT_HEADER_ICMPV6)

const REASSEMBLY_EXPIRED = { _tag: "ReassemblyTimeExceeded" } as const
