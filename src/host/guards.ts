import { type Authentication, NO_AUTHENTICATION, problemOf } from "../tcp/authentication/keys.ts"
import type { Octets } from "../tcp/authentication/octets.ts"
import type { Transmit } from "../tcp/effect.ts"
import type { Seq } from "../tcp/seq.ts"
import type { SocketOptions, Tcb } from "../tcp/tcb.ts"
import type { Endpoint } from "../wire/address.ts"
import type { OptionLayout } from "../wire/tcpOptionLayout.ts"
import { SYN, type TcpOptions, type TcpPacket } from "../wire/tcpSegment.ts"
import { accepting, check, listening, opening, rekeyed, type Session, signing } from "./authentication/session.ts"
import { octetsOf, type Signature, signedPacket } from "./authentication/signature.ts"
import type { Counters } from "./counters.ts"
import type { Link } from "./link.ts"

/** The datagram that brought a segment: an IPv4 packet's record is one. */
export interface Carrier {
  readonly ttl: number
  readonly headerOffset: number
  readonly payloadOffset: number
  readonly payloadLength: number
}

/** What stands between a block and the network. Most blocks have none. */
export class Guard {
  constructor(
    readonly minTtl: number,
    /** Of what leaves; 0: the default. */
    readonly ttl: number,
    /** Its DSCP, in place in the octet whose other two bits are ECN's. */
    readonly tos: number,
    readonly authentication: Authentication | undefined,
    /** What the peer's segments are held to; undefined: they are not signed. */
    public session: Session | undefined,
  ) {}
}

/** Signed, or with a TTL or TOS of its own: none of this costs the others more than one look. */
const isGuarded = ({ minTtl, ttl, tos, authentication }: Demands): boolean =>
  minTtl > 0 || ttl > 0 || tos > ECN || authentication !== undefined

/** The bits that are not the application's (RFC 3168 section 5). */
const ECN = 3

type Demands = Pick<SocketOptions, "minTtl" | "ttl" | "tos" | "authentication">

export const isUsable = ({ authentication }: Partial<SocketOptions>): boolean =>
  authentication === undefined || problemOf(authentication) === undefined

export const isSigned = (options: TcpOptions): boolean => options.md5 !== undefined || options.ao !== undefined

/** The guard of an active open, whose block has just been made. */
export const guardOfOpen = (options: SocketOptions, iss: Seq, local: Endpoint, remote: Endpoint): Guard | undefined =>
  isGuarded(options) ? guardOf(options, opening(options.authentication, local, remote, iss)) : undefined

/** The guard of a block that a listener has spawned for the peer whose segment had `option`. */
export const guardOfSpawned = (
  options: SocketOptions,
  tcb: Tcb,
  local: Endpoint,
  remote: Endpoint,
  option: TcpOptions["ao"],
): Guard | undefined => {
  if (!isGuarded(options)) return undefined
  const isns = isnsOf(tcb)
  const session =
    isns === undefined ? undefined : accepting(options.authentication, local, remote, isns.iss, isns.irs, option)
  return guardOf(options, session)
}

/** For what a listener itself answers to a segment: cookies and resets. */
export const guardOfAnswer = (
  options: SocketOptions,
  { source, destination, sourcePort, destinationPort, segment }: TcpPacket,
  answer: Transmit,
): Guard | undefined => {
  if (!isGuarded(options)) return undefined
  const local = { address: destination, port: destinationPort }
  const remote = { address: source, port: sourcePort }
  const { authentication } = options
  return guardOf(
    options,
    (answer.flags & SYN) === 0
      ? listening(authentication, local, remote, segment)
      : accepting(authentication, local, remote, answer.seq, segment.seq, segment.options.ao),
  )
}

/** The guard after an application has changed the options; undefined: they are not for this connection. */
export const guardAfter = (
  guard: Guard | undefined,
  remote: Endpoint,
  changed: Partial<SocketOptions>,
): { readonly guard: Guard | undefined } | undefined => {
  if (!GUARDED.some((name) => name in changed)) return { guard }
  const { minTtl = 0, ttl = 0, tos = 0, authentication } = guard ?? {}
  const options = { minTtl, ttl, tos, authentication, ...changed }
  const session =
    "authentication" in changed
      ? rekeyed(guard?.session, remote, authentication, options.authentication)
      : (guard?.session ?? "none")
  if (session === undefined) return undefined
  return { guard: isGuarded(options) ? guardOf(options, session === "none" ? undefined : session) : undefined }
}

const GUARDED: ReadonlyArray<keyof Demands> = ["authentication", "minTtl", "ttl", "tos"]

const guardOf = ({ minTtl, ttl, tos, authentication }: Demands, session: Session | undefined): Guard =>
  new Guard(minTtl, ttl, tos & ~ECN, authentication, session)

const isnsOf = (tcb: Tcb): { readonly iss: Seq; readonly irs: Seq } | undefined => {
  if ("link" in tcb) return tcb.link
  if (tcb._tag !== "SYN-RECEIVED") return undefined
  if (tcb.open === "active") return { iss: tcb.sent.iss, irs: tcb.irs }
  return tcb.open === "fast" ? tcb.request : tcb
}

/** Applies guards to what comes and what leaves (the checks of Linux's tcp_v4_rcv before the state machine). */
export class Guards {
  constructor(
    private readonly counters: Counters,
    private readonly link: Link,
    private readonly layout: OptionLayout,
  ) {}

  /** A segment for a connection must not reach it: it is dropped here, and never answered. */
  refuses(
    guard: Guard | undefined,
    tcb: Tcb,
    packet: TcpPacket,
    bytes: Uint8Array | undefined,
    carrier: Carrier | undefined,
  ): boolean {
    if (guard === undefined && !isSigned(packet.segment.options)) return false
    return this.inspect(guard, guard?.session, tcb._tag === "SYN-SENT", packet, bytes, carrier)
  }

  /** The same for a listener. */
  refusesForListener(
    options: SocketOptions,
    packet: TcpPacket,
    bytes: Uint8Array | undefined,
    carrier: Carrier | undefined,
  ): boolean {
    const { source, destination, sourcePort, destinationPort, segment } = packet
    if (!isGuarded(options)) {
      return isSigned(segment.options) && this.inspect(undefined, undefined, false, packet, bytes, carrier)
    }
    const local = { address: destination, port: destinationPort }
    const remote = { address: source, port: sourcePort }
    const session = listening(options.authentication, local, remote, segment)
    return this.inspect(guardOf(options, session), session, false, packet, bytes, carrier)
  }

  /**
   * How a signed segment to nobody may be answered: with the key of whoever listens on the peer's
   * port, if it is right by that key (Linux's tcp_v4_send_reset), or not at all. TCP-AO's keys need
   * the ISNs of a connection, which nobody knows (RFC 5925 section 7.7).
   */
  ofNobody(
    packet: TcpPacket,
    listener: SocketOptions | undefined,
    bytes: Uint8Array | undefined,
    carrier: Carrier | undefined,
  ): Guard | "silence" {
    const { source, destination, sourcePort, destinationPort, segment } = packet
    const local = { address: destination, port: destinationPort }
    const remote = { address: source, port: sourcePort }
    const session = listener === undefined ? undefined : listening(listener.authentication, local, remote, segment)
    if (listener === undefined || session?._tag !== "md5") {
      this.link.drop("RFC5925-7.7:no-key-for-a-reset")
      return "silence"
    }
    const guard = guardOf(listener, session)
    return this.inspect(guard, session, false, packet, bytes, carrier) ? "silence" : guard
  }

  /** TCP-AO does not believe that a synchronized connection's port or protocol is unreachable (RFC 5925 section 7.8). */
  ignoresIcmp(guard: Guard | undefined, tcb: Tcb, ttl: number, hard: boolean): boolean {
    if (guard === undefined) return false
    // As Linux's tcp_v4_err: what we sent to a neighbour it quotes with the TTL that we gave it.
    if (ttl < guard.minTtl) return this.tooFar()
    if (guard.session?._tag !== "ao" || !hard || tcb._tag === "SYN-SENT" || tcb._tag === "SYN-RECEIVED") return false
    this.counters.add("TCPAODroppedIcmps", 1)
    this.link.drop("RFC5925-7.8:ICMP-hard-error")
    return true
  }

  /** The signature that a segment leaves with; "unsignable": it must not leave. */
  sign(guard: Guard, segment: Transmit): Signature | undefined | "unsignable" {
    if (guard.session === undefined) return undefined
    const signed = signing(guard.session, segment)
    if (signed === undefined) {
      this.link.drop("RFC5925-7.7:ISN-unknown")
      return "unsignable"
    }
    guard.session = signed.session
    return signed.signature
  }

  /** A segment to ourselves. */
  signed(packet: TcpPacket, signature: Signature): TcpPacket {
    return signedPacket(packet, signature, this.layout)
  }

  private tooFar(): true {
    this.counters.add("TCPMinTTLDrop", 1)
    this.link.drop("RFC5082-3:TTL-below-minimum")
    return true
  }

  private inspect(
    guard: Guard | undefined,
    session: Session | undefined,
    synSent: boolean,
    packet: TcpPacket,
    bytes: Uint8Array | undefined,
    carrier: Carrier | undefined,
  ): boolean {
    // RFC 5082 section 3. Linux asks full sockets only; half-open ones and TIME-WAIT are worth as much.
    if (guard !== undefined && carrier !== undefined && carrier.ttl < guard.minTtl) return this.tooFar()
    const { authentication = NO_AUTHENTICATION } = guard ?? {}
    const octets = this.octets(packet, bytes, carrier)
    const verdict = check(session, octets, packet.segment, synSent, authentication.unmatchedAo)
    if (verdict.counter !== undefined) this.counters.add(verdict.counter, 1)
    if (verdict._tag === "Passed") {
      if (guard !== undefined) guard.session = verdict.session
      return false
    }
    this.link.drop(verdict.why)
    return true
  }

  /** As they came; what we sent to ourselves never was on a wire. */
  private octets(packet: TcpPacket, bytes: Uint8Array | undefined, carrier: Carrier | undefined): Octets {
    if (bytes === undefined || carrier === undefined) return octetsOf(packet, this.layout)
    const { source, destination } = packet
    return { bytes, offset: carrier.payloadOffset, length: carrier.payloadLength, source, destination }
  }
}
