import { neverAbout } from "../ip/icmpRule.ts"
import { type Bucket, full, take } from "../ip/rateLimit.ts"
import type { Micros } from "../tcp/time.ts"
import { type IpAddress, ipv4, withoutZone } from "../wire/address.ts"
import { getU8 } from "../wire/bytes.ts"
import { isDrop } from "../wire/drop.ts"
import * as v4 from "../wire/icmp.ts"
import type { Echo } from "../wire/icmpMessage.ts"
import * as v6 from "../wire/icmpv6.ts"
import type { IpPacket } from "../wire/ip.ts"
import { PROTOCOL_ICMP } from "../wire/ipv4.ts"
import { NEXT_HEADER_ICMPV6 } from "../wire/ipv6.ts"
import { nextHeaderPointer, UNKNOWN_NEXT_HEADER, UNKNOWN_OPTION } from "../wire/ipv6Extension.ts"
import { MLD_QUERY } from "../wire/mld.ts"
import { decodeNdp, isNdp } from "../wire/ndp.ts"
import { decodeQuote, type Quote } from "../wire/quote.ts"
import type { Counters } from "./counters.ts"
import { icmpCounters, icmpInErrors } from "./icmpCounters.ts"
import { type IcmpReport, reportOf, reportOf6 } from "./icmpReport.ts"
import type { IpProblem } from "./ipErrors.ts"
import type { Cast, Link } from "./link.ts"
import type { SendFrame } from "./types.ts"

/** ICMP errors per second and at once, as Linux's icmp_msgs_per_sec and icmp_msgs_burst (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4(f)). */
const ERRORS = { perSecond: 1000, burst: 50 } as const

/** Who hears of what comes back about packets that we have sent. */
export interface IcmpUpper {
  /** False: nobody asked. */
  readonly onEchoReply: (packet: IpPacket, reply: Echo, now: Micros) => boolean
  readonly onError: (quote: Quote, report: IcmpReport, now: Micros) => void
}

/** ICMP and ICMPv6 of a host: answers to echo, errors about what nobody takes, errors about what was sent. */
export class IcmpHost {
  private bucket: Bucket = full(ERRORS, 0)

  constructor(
    private readonly link: Link,
    private readonly counters: Counters,
    private readonly upper: IcmpUpper,
  ) {}

  input(packet: IpPacket, bytes: Uint8Array, cast: Cast, now: Micros): void {
    const message = v4.decodeIcmp(bytes, packet.payloadOffset, packet.payloadLength)
    if (isDrop(message)) return this.bad(4, message, message === "icmp:bad-checksum")
    this.counters.addAll(icmpCounters(4, "In", getU8(bytes, packet.payloadOffset)))
    switch (message._tag) {
      case "EchoRequest":
        // RFC 1122 section 3.2.2.6 allows silence to those who ask everybody; a smurf would have it otherwise.
        if (cast !== "unicast") return this.link.drop("icmp:echo-to-everybody")
        return this.send4(
          packet,
          packet.destination,
          { ...message, _tag: "EchoReply" },
          "RFC1122-3.2.2.6:echo-reply",
          now,
        )
      case "DestinationUnreachable":
      case "TimeExceeded":
      case "ParameterProblem":
        return this.failed(message.quoted, reportOf(message, packet.source), 4, NO_ZONE, now)
      case "EchoReply":
        return this.replied(packet, message, now)
      case "Other":
        if (message.type !== v4.REDIRECT) return this.link.drop("icmp:nobody-asked")
        return this.redirected(packet.source, message)
    }
  }

  inputV6(iface: number, packet: IpPacket, bytes: Uint8Array, cast: Cast, now: Micros): void {
    const { payloadOffset, payloadLength, source, destination } = packet
    const message = v6.decodeIcmpv6(bytes, payloadOffset, payloadLength, source, destination)
    if (isDrop(message)) return this.bad(6, message, message === "icmpv6:bad-checksum")
    this.counters.addAll(icmpCounters(6, "In", getU8(bytes, payloadOffset)))
    switch (message._tag) {
      case "EchoRequest": {
        // RFC 4443 section 4.2 lets a group be pinged; a smurf would use that, so only the link may.
        if (cast !== "unicast" && source.zone === undefined) return this.link.drop("icmp:echo-to-everybody")
        const from = cast === "unicast" ? destination : undefined
        return this.send6(packet, from, { ...message, _tag: "EchoReply" }, "RFC4443-4.2:echo-reply", now)
      }
      case "DestinationUnreachable":
      case "PacketTooBig":
      case "TimeExceeded":
      case "ParameterProblem":
        return this.failed(message.quoted, reportOf6(message, source), 6, iface + 1, now)
      case "EchoReply":
        return this.replied(packet, message, now)
      case "Other": {
        if (message.type === MLD_QUERY) return this.link.mld(iface, message.payload, packet, bytes, now)
        if (!isNdp(message.type)) return this.link.drop("icmp:nobody-asked")
        const carrier = { source, destination: withoutZone(destination), hopLimit: packet.ttl }
        const ndp = decodeNdp(message.type, message.code, message.payload, carrier)
        return isDrop(ndp) ? this.link.drop(ndp) : this.link.discover(iface, ndp, packet, now)
      }
    }
  }

  /** Protocol or port unreachable (RFC 1122 section 3.2.2.1, RFC 4443 section 3.1), only for what was sent to us alone. */
  unreachable(packet: IpPacket, bytes: Uint8Array, what: "protocol" | "port", cast: Cast, now: Micros): void {
    const problem = { _tag: what === "port" ? "PortUnreachable" : "ProtocolUnreachable" } as const
    this.report(problem, packet, bytes, cast, `RFC1122-3.2.2.1:${what}-unreachable`, now)
  }

  /** Tells a packet's sender what is wrong, where that may be told and not too often. */
  report(
    problem: IpProblem,
    packet: IpPacket,
    bytes: Uint8Array,
    cast: Cast,
    why: SendFrame["why"],
    now: Micros,
  ): void {
    // RFC 4443 section 2.4(e.3): a group's packet may be told of as too big, or for an option that says so.
    const evenToMany = problem._tag === "BadParameter" && problem.code === UNKNOWN_OPTION && problem.evenAboutMulticast
    if (cast !== "unicast" && !evenToMany) return this.link.drop("icmp:no-error-about-broadcast")
    const never = neverAbout(packet, bytes)
    if (never !== undefined) return this.link.drop(never)
    if (!this.allow(now)) return this.link.drop("icmp:rate-limit")
    // About what was for us we speak as who it was for; a router by the address of the way back.
    const from = this.link.isLocal(packet.destination) ? packet.destination : undefined
    const end = packet.payloadOffset + packet.payloadLength
    const longest = packet.source.family === 4 ? v4.LONGEST_QUOTE : v6.LONGEST_QUOTE6
    const quoted = bytes.subarray(packet.headerOffset, Math.min(end, packet.headerOffset + longest))
    if (packet.source.family === 4) this.send4(packet, from, message4(problem, quoted), why, now)
    else this.send6(packet, from, message6(problem, packet, bytes, quoted), why, now)
  }

  private bad(family: 4 | 6, why: string, isSum: boolean): void {
    const { counters } = this
    // What has no right checksum is counted among all messages too (RFC 2011: icmpInMsgs).
    if (isSum) counters.addAll(icmpCounters(family, "In", NO_TYPE))
    counters.addAll(icmpInErrors(family, isSum))
    this.link.drop(why)
  }

  private replied(packet: IpPacket, reply: Echo, now: Micros): void {
    if (!this.upper.onEchoReply(packet, reply, now)) this.link.drop("icmp:nobody-asked")
  }

  /** Of a host or of a network: believed of the host alone (RFC 1122 section 3.2.2.2). */
  private redirected(source: IpAddress, { code, rest, payload }: v4.OtherIcmp): void {
    if (code > LAST_REDIRECT) return this.link.drop("icmp:nobody-asked")
    const quote = decodeQuote(payload)
    if (isDrop(quote)) return this.bad(4, quote, false)
    if (quote.ip.source.family !== 4) return this.link.drop("icmp:quote-of-another-version")
    this.link.redirected(source, ipv4(rest), quote.ip)
  }

  private failed(quoted: Uint8Array, report: IcmpReport | undefined, family: 4 | 6, zone: number, now: Micros): void {
    if (report === undefined) return
    const quote = decodeQuote(quoted, zone)
    if (isDrop(quote)) return this.bad(family, quote, false)
    // RFC 5927 section 4: an error quotes the version that brought it.
    if (quote.ip.source.family !== family) return this.link.drop("icmp:quote-of-another-version")
    this.upper.onError(quote, report, now)
  }

  private send4(
    cause: IpPacket,
    from: IpAddress | undefined,
    message: v4.IcmpMessage,
    why: SendFrame["why"],
    now: Micros,
  ): void {
    const body = "quoted" in message ? message.quoted.length : message.payload.length
    this.link.datagramTo(
      cause.source,
      from,
      PROTOCOL_ICMP,
      v4.ICMP_HEADER + body,
      (out, offset) => v4.encodeIcmp(out, offset, message),
      why,
      now,
    )
  }

  private send6(
    cause: IpPacket,
    from: IpAddress | undefined,
    message: v6.Icmpv6Message,
    why: SendFrame["why"],
    now: Micros,
  ): void {
    const to = cause.source
    this.link.datagramTo(
      to,
      from,
      NEXT_HEADER_ICMPV6,
      v6.icmpv6Length(message),
      (out, offset, source) => v6.encodeIcmpv6(out, offset, message, source, to),
      why,
      now,
    )
  }

  private allow(now: Micros): boolean {
    const after = take(this.bucket, ERRORS, now)
    if (after !== undefined) this.bucket = after
    return after !== undefined
  }
}

/** Codes of a redirect: for a network or a host, of one type of service or of all. */
const LAST_REDIRECT = 3

/** Nobody's: its message is counted in all alone. */
const NO_TYPE = 256

/** IPv4 has none. */
const NO_ZONE = 0

const message4 = (problem: IpProblem, quoted: Uint8Array): v4.IcmpMessage => {
  const unreachable = (code: number, nextHopMtu = 0) =>
    ({ _tag: "DestinationUnreachable", code, nextHopMtu, quoted }) as const
  switch (problem._tag) {
    case "NoRoute":
      return unreachable(v4.NET_UNREACHABLE)
    case "HostUnreachable":
    case "BeyondScope":
      return unreachable(v4.HOST_UNREACHABLE)
    case "ProtocolUnreachable":
      return unreachable(v4.PROTOCOL_UNREACHABLE)
    case "PortUnreachable":
      return unreachable(v4.PORT_UNREACHABLE)
    case "TooBig":
      return unreachable(v4.FRAGMENTATION_NEEDED, problem.mtu)
    case "TimeExceeded":
      return { _tag: "TimeExceeded", code: v4.TTL_EXCEEDED, quoted }
    case "ReassemblyTimeExceeded":
      return { _tag: "TimeExceeded", code: v4.REASSEMBLY_TIME_EXCEEDED, quoted }
    case "BadParameter":
      return { _tag: "ParameterProblem", code: problem.code, pointer: problem.pointer, quoted }
  }
}

const message6 = (problem: IpProblem, packet: IpPacket, bytes: Uint8Array, quoted: Uint8Array): v6.Icmpv6Message => {
  const unreachable = (code: number) => ({ _tag: "DestinationUnreachable", code, quoted }) as const
  switch (problem._tag) {
    case "NoRoute":
      return unreachable(v6.NO_ROUTE6)
    case "HostUnreachable":
      return unreachable(v6.ADDRESS_UNREACHABLE6)
    case "BeyondScope":
      return unreachable(v6.BEYOND_SCOPE6)
    case "PortUnreachable":
      return unreachable(v6.PORT_UNREACHABLE6)
    case "ProtocolUnreachable": {
      // RFC 8200 section 4: a next header that nobody knows is a problem of that field.
      const pointer = nextHeaderPointer(bytes, packet)
      return { _tag: "ParameterProblem", code: UNKNOWN_NEXT_HEADER, pointer, quoted }
    }
    case "TooBig":
      return { _tag: "PacketTooBig", mtu: problem.mtu, quoted }
    case "TimeExceeded":
      return { _tag: "TimeExceeded", code: v4.TTL_EXCEEDED, quoted }
    case "ReassemblyTimeExceeded":
      return { _tag: "TimeExceeded", code: v4.REASSEMBLY_TIME_EXCEEDED, quoted }
    case "BadParameter":
      return { _tag: "ParameterProblem", code: problem.code, pointer: problem.pointer, quoted }
  }
}
