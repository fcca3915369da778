import type { CloseReason } from "../tcp/effect.ts"
import type { Micros } from "../tcp/time.ts"
import { isDrop } from "../wire/drop.ts"
import {
  decodeIcmp,
  encodeIcmp,
  FRAGMENTATION_NEEDED,
  ICMP_HEADER,
  type IcmpMessage,
  LONGEST_QUOTE,
  PORT_UNREACHABLE,
  PROTOCOL_UNREACHABLE,
  REASSEMBLY_TIME_EXCEEDED,
} from "../wire/icmp.ts"
import type { IpPacket } from "../wire/ip.ts"
import { decodeQuotedIpv4, PROTOCOL_ICMP } from "../wire/ipv4.ts"
import type { Cast, Link } from "./link.ts"
import type { SendFrame } from "./types.ts"

/** ICMP errors per second and at once, as Linux's icmp_msgs_per_sec and icmp_msgs_burst (RFC 1812 section 4.3.2.8). */
const ERRORS_PER_SECOND = 1000
const ERRORS_AT_ONCE = 50

/** ICMP of a host: answers to echo, errors about what nobody takes. */
export class IcmpHost {
  private tokens = ERRORS_AT_ONCE
  private refilledAt: Micros = 0

  constructor(
    private readonly link: Link,
    private readonly onError: (quoted: Uint8Array, reason: CloseReason, now: Micros) => void,
    /** A packet was too big for a link of `mtu` on its way; 0: the router does not say. */
    private readonly onTooBig: (quoted: Uint8Array, mtu: number, now: Micros) => void,
    /** Echo replies, and errors about what was not TCP: true where somebody took it. */
    private readonly taker: (packet: IpPacket, message: IcmpMessage, now: Micros) => boolean,
  ) {}

  input(packet: IpPacket, bytes: Uint8Array, cast: Cast, now: Micros): void {
    const message = decodeIcmp(bytes, packet.payloadOffset, packet.payloadLength)
    if (isDrop(message)) return this.link.drop(message)
    if (this.taker(packet, message, now)) return
    switch (message._tag) {
      case "EchoRequest":
        // RFC 1122 section 3.2.2.6 allows silence to those who ask everybody; a smurf would have it otherwise.
        if (cast !== "unicast") return this.link.drop("icmp:echo-to-everybody")
        return this.send(packet, { ...message, _tag: "EchoReply" }, "RFC1122-3.2.2.6:echo-reply", now)
      case "DestinationUnreachable":
        if (message.code === FRAGMENTATION_NEEDED) {
          return this.onTooBig(message.quoted, message.nextHopMtu, now)
        }
        return this.onError(message.quoted, refusal(message.code) ? "ConnectionRefused" : "HostUnreachable", now)
      case "TimeExceeded":
      case "ParameterProblem":
        return this.onError(message.quoted, "HostUnreachable", now)
      case "EchoReply":
      case "Other":
        return this.link.drop("icmp:nobody-asked")
    }
  }

  /** Protocol or port unreachable (RFC 1122 section 3.2.2.1), only for what was sent to us alone. */
  unreachable(packet: IpPacket, bytes: Uint8Array, what: "protocol" | "port", cast: Cast, now: Micros): void {
    if (cast !== "unicast") return this.link.drop("icmp:no-error-about-broadcast")
    if (!this.allow(now)) return this.link.drop("icmp:rate-limit")
    const start = packet.headerOffset
    const end = Math.min(packet.payloadOffset + packet.payloadLength, start + LONGEST_QUOTE)
    const code = what === "protocol" ? PROTOCOL_UNREACHABLE : PORT_UNREACHABLE
    const message: IcmpMessage = {
      _tag: "DestinationUnreachable",
      code,
      nextHopMtu: 0,
      quoted: bytes.subarray(start, end),
    }
    this.send(packet, message, `RFC1122-3.2.2.1:${what}-unreachable`, now)
  }

  /** Fragments were missing when their time was over (RFC 792); `first` is the one that began the datagram. */
  reassemblyExpired(first: Uint8Array, now: Micros): void {
    const packet = decodeQuotedIpv4(first, 0, first.length)
    if (isDrop(packet)) return
    if (!this.link.isLocal(packet.destination)) return this.link.drop("icmp:no-error-about-broadcast")
    if (!this.allow(now)) return this.link.drop("icmp:rate-limit")
    const quoted = first.subarray(0, LONGEST_QUOTE)
    const message: IcmpMessage = { _tag: "TimeExceeded", code: REASSEMBLY_TIME_EXCEEDED, quoted }
    this.send(packet, message, "RFC792:reassembly-time-exceeded", now)
  }

  private send(cause: IpPacket, message: IcmpMessage, why: SendFrame["why"], now: Micros): void {
    const body = "quoted" in message ? message.quoted.length : message.payload.length
    this.link.datagramTo(
      cause.source,
      cause.destination,
      PROTOCOL_ICMP,
      ICMP_HEADER + body,
      (out, offset) => encodeIcmp(out, offset, message),
      why,
      now,
    )
  }

  private allow(now: Micros): boolean {
    const refill = Math.floor(((now - this.refilledAt) * ERRORS_PER_SECOND) / 1_000_000)
    if (refill > 0) {
      this.tokens = Math.min(ERRORS_AT_ONCE, this.tokens + refill)
      this.refilledAt = now
    }
    if (this.tokens === 0) return false
    this.tokens--
    return true
  }
}

/** Nobody listens there, as opposed to nobody can be reached there. */
const refusal = (code: number): boolean => code === PORT_UNREACHABLE || code === PROTOCOL_UNREACHABLE
