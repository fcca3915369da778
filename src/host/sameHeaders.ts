import { getU8, getU16, getU32 } from "../wire/bytes.ts"
import { finish, pseudoHeader, sum } from "../wire/checksum.ts"
import { IPV4_HEADER, PROTOCOL_TCP } from "../wire/ipv4.ts"
import { IPV6_HEADER } from "../wire/ipv6.ts"
import { TCP_HEADER } from "../wire/tcp.ts"
import { ACK, PSH, type TcpPacket } from "../wire/tcpSegment.ts"

/** Where fields are: RFC 791 section 3.1, RFC 8200 section 3, RFC 9293 section 3.1. */
const TOTAL_LENGTH = 2
const FRAGMENT = 6
const CHECKSUM = 10
const ADDRESSES = 12
const PAYLOAD_LENGTH = 4
const NEXT_HEADER = 6
const SEQ = 4
const ACKNOWLEDGED = 8
const FLAGS = 13
const WND = 14
const UP = 18
/** Version 4 without options. */
const PLAIN_IPV4 = 0x45
/** A sum over octets with a right checksum among them. */
const RIGHT = 0xffff

/**
 * The headers of a frame with plain data, to compare the next frame's with: who sends much sends the same ones
 * again, but for lengths, identification, sequence number, window, PSH and checksums. To compare is a fraction of
 * the work of parsing. What is not quite the same is left to be parsed.
 */
export class SameHeaders {
  private readonly octets: Uint8Array
  private readonly isIpv4: boolean
  private readonly tcpStart: number
  /** The pseudo-header's sum without the length. */
  private readonly addresses: number

  /** `headers`: octets before the payload. Undefined: not of a shape that is compared. */
  static of(
    packet: TcpPacket,
    bytes: Uint8Array,
    offset: number,
    ipStart: number,
    headers: number,
  ): SameHeaders | undefined {
    const { family } = packet.source
    const tcpStart = ipStart + (family === 4 ? IPV4_HEADER : IPV6_HEADER)
    const isPlain =
      family === 4
        ? getU8(bytes, offset + ipStart) === PLAIN_IPV4
        : getU8(bytes, offset + ipStart + NEXT_HEADER) === PROTOCOL_TCP
    return isPlain && headers >= tcpStart + TCP_HEADER
      ? new SameHeaders(packet, bytes, offset, ipStart, tcpStart, headers)
      : undefined
  }

  private constructor(
    { source, destination }: TcpPacket,
    bytes: Uint8Array,
    offset: number,
    private readonly ipStart: number,
    tcpStart: number,
    readonly headers: number,
  ) {
    this.octets = bytes.slice(offset, offset + headers)
    this.isIpv4 = source.family === 4
    this.tcpStart = tcpStart
    this.addresses = pseudoHeader(source, destination, PROTOCOL_TCP, 0)
  }

  /** The frame holds the octets of the stream that begin at `seq`, with the same headers and right checksums. */
  matches(bytes: Uint8Array, offset: number, length: number, seq: number, vouched: boolean): boolean {
    const { octets, isIpv4, ipStart, tcpStart, headers } = this
    if (length <= headers || offset + length > bytes.length) return false
    const ip = offset + ipStart
    const tcp = offset + tcpStart
    return (
      getU32(bytes, tcp + SEQ) === seq &&
      (getU8(bytes, tcp + FLAGS) & ~PSH) === ACK &&
      (isIpv4
        ? getU16(bytes, ip + TOTAL_LENGTH) === length - ipStart &&
          isSame(octets, 0, bytes, offset, ipStart + TOTAL_LENGTH) &&
          isSame(octets, ipStart + FRAGMENT, bytes, ip + FRAGMENT, CHECKSUM - FRAGMENT) &&
          isSame(octets, ipStart + ADDRESSES, bytes, ip + ADDRESSES, IPV4_HEADER - ADDRESSES + SEQ) &&
          sum(bytes, ip, IPV4_HEADER) === RIGHT
        : getU16(bytes, ip + PAYLOAD_LENGTH) === length - tcpStart &&
          isSame(octets, 0, bytes, offset, ipStart + PAYLOAD_LENGTH) &&
          isSame(octets, ipStart + NEXT_HEADER, bytes, ip + NEXT_HEADER, IPV6_HEADER - NEXT_HEADER + SEQ)) &&
      isSame(octets, tcpStart + ACKNOWLEDGED, bytes, tcp + ACKNOWLEDGED, FLAGS - ACKNOWLEDGED) &&
      isSame(octets, tcpStart + UP, bytes, tcp + UP, headers - tcpStart - UP) &&
      (vouched || finish(this.addresses + (length - tcpStart) + sum(bytes, tcp, length - tcpStart)) === 0)
    )
  }

  flags(bytes: Uint8Array, offset: number): number {
    return getU8(bytes, offset + this.tcpStart + FLAGS)
  }

  wnd(bytes: Uint8Array, offset: number): number {
    return getU16(bytes, offset + this.tcpStart + WND)
  }
}

const isSame = (x: Uint8Array, from: number, y: Uint8Array, at: number, length: number): boolean => {
  for (let i = 0; i < length; i++) if (x[from + i] !== y[at + i]) return false
  return true
}
