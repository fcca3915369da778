import type { IpAddress } from "./address.ts"
import { getU8, getU32, setU8, setU16 } from "./bytes.ts"
import { finish, pseudoHeader, sum } from "./checksum.ts"
import type { WireDrop } from "./drop.ts"
import {
  cut,
  type Echo,
  echoWord,
  MESSAGE_HEADER,
  type ParameterProblem,
  readEcho,
  type TimeExceeded,
  writeMessage,
} from "./icmpMessage.ts"
import { IPV6_HEADER, IPV6_MIN_MTU, NEXT_HEADER_ICMPV6 } from "./ipv6.ts"
import { EMPTY } from "./tcpSegment.ts"

/** ICMP for IPv6 (RFC 4443). `payload` and `quoted` are views. */
export type Icmpv6Message = Echo | Unreachable6 | PacketTooBig | TimeExceeded | ParameterProblem | OtherIcmpv6

export interface Unreachable6 {
  readonly _tag: "DestinationUnreachable"
  readonly code: number
  readonly quoted: Uint8Array
}

export interface PacketTooBig {
  readonly _tag: "PacketTooBig"
  /** Of the link that could not carry the packet. */
  readonly mtu: number
  readonly quoted: Uint8Array
}

/** Neighbour Discovery (`ndp.ts`), Multicast Listener Discovery (`mld.ts`), and what nobody here knows. */
export interface OtherIcmpv6 {
  readonly _tag: "Other"
  readonly type: number
  readonly code: number
  /** Behind the checksum. */
  readonly payload: Uint8Array
}

/** Type, code and checksum. */
export const ICMPV6_HEAD = 4
/** Of echoes and errors. */
export const ICMPV6_HEADER = MESSAGE_HEADER

/** RFC 4443 section 3.1: as much of the packet as fits the smallest MTU. */
export const LONGEST_QUOTE6 = IPV6_MIN_MTU - IPV6_HEADER - ICMPV6_HEADER

/** Codes of Destination Unreachable. */
export const NO_ROUTE6 = 0
export const PROHIBITED6 = 1
export const BEYOND_SCOPE6 = 2
export const ADDRESS_UNREACHABLE6 = 3
export const PORT_UNREACHABLE6 = 4
export const POLICY_FAILED6 = 5
export const REJECTED_ROUTE6 = 6

const DESTINATION_UNREACHABLE = 1
const PACKET_TOO_BIG = 2
const TIME_EXCEEDED = 3
const PARAMETER_PROBLEM = 4
const ECHO_REQUEST = 128
const ECHO_REPLY = 129

/** Types below this one are errors (RFC 4443 section 2.1). */
export const FIRST_INFORMATIONAL = 128

/** A smaller message than its type needs is truncated. */
export const decodeIcmpv6 = (
  bytes: Uint8Array,
  offset: number,
  length: number,
  source: IpAddress,
  destination: IpAddress,
): Icmpv6Message | WireDrop => {
  if (length < ICMPV6_HEAD) return "icmpv6:truncated"
  if (checksum(bytes, offset, length, source, destination) !== 0) return "icmpv6:bad-checksum"
  const type = getU8(bytes, offset)
  const code = getU8(bytes, offset + 1)
  if (type > PARAMETER_PROBLEM && type !== ECHO_REQUEST && type !== ECHO_REPLY) {
    return { _tag: "Other", type, code, payload: bytes.subarray(offset + ICMPV6_HEAD, offset + length) }
  }
  if (length < ICMPV6_HEADER) return "icmpv6:truncated"
  const body = length === ICMPV6_HEADER ? EMPTY : bytes.subarray(offset + ICMPV6_HEADER, offset + length)
  switch (type) {
    case DESTINATION_UNREACHABLE:
      return { _tag: "DestinationUnreachable", code, quoted: body }
    case PACKET_TOO_BIG:
      return { _tag: "PacketTooBig", mtu: getU32(bytes, offset + 4), quoted: body }
    case TIME_EXCEEDED:
      return { _tag: "TimeExceeded", code, quoted: body }
    case PARAMETER_PROBLEM:
      return { _tag: "ParameterProblem", code, pointer: getU32(bytes, offset + 4), quoted: body }
    case ECHO_REQUEST:
      return readEcho("EchoRequest", bytes, offset, body)
    case ECHO_REPLY:
      return readEcho("EchoReply", bytes, offset, body)
    default:
      return { _tag: "Other", type, code, payload: bytes.subarray(offset + ICMPV6_HEAD, offset + length) }
  }
}

/** Octets that `encodeIcmpv6` will take. */
export const icmpv6Length = (message: Icmpv6Message): number => {
  if ("quoted" in message) return ICMPV6_HEADER + Math.min(message.quoted.length, LONGEST_QUOTE6)
  return (message._tag === "Other" ? ICMPV6_HEAD : ICMPV6_HEADER) + message.payload.length
}

/** Writes the message with its checksum, an error's quotation cut to `LONGEST_QUOTE6`; returns its octets. */
export const encodeIcmpv6 = (
  out: Uint8Array,
  offset: number,
  message: Icmpv6Message,
  source: IpAddress,
  destination: IpAddress,
): number => {
  const length = icmpv6Length(message)
  writeBody(out, offset, message)
  finishIcmpv6(out, offset, length, source, destination)
  return length
}

/** The checksum over `length` octets that are in place (RFC 4443 section 2.3). */
export const finishIcmpv6 = (
  out: Uint8Array,
  offset: number,
  length: number,
  source: IpAddress,
  destination: IpAddress,
): void => {
  setU16(out, offset + 2, 0)
  setU16(out, offset + 2, checksum(out, offset, length, source, destination))
}

const writeBody = (out: Uint8Array, offset: number, message: Icmpv6Message): void => {
  const write = (type: number, code: number, word: number, body: Uint8Array): void =>
    void writeMessage(out, offset, type, code, word, body)
  switch (message._tag) {
    case "EchoRequest":
      return write(ECHO_REQUEST, 0, echoWord(message), message.payload)
    case "EchoReply":
      return write(ECHO_REPLY, 0, echoWord(message), message.payload)
    case "DestinationUnreachable":
      return write(DESTINATION_UNREACHABLE, message.code, 0, cut(message.quoted, LONGEST_QUOTE6))
    case "PacketTooBig":
      return write(PACKET_TOO_BIG, 0, message.mtu, cut(message.quoted, LONGEST_QUOTE6))
    case "TimeExceeded":
      return write(TIME_EXCEEDED, message.code, 0, cut(message.quoted, LONGEST_QUOTE6))
    case "ParameterProblem":
      return write(PARAMETER_PROBLEM, message.code, message.pointer, cut(message.quoted, LONGEST_QUOTE6))
    case "Other":
      setU8(out, offset, message.type)
      setU8(out, offset + 1, message.code)
      out.set(message.payload, offset + ICMPV6_HEAD)
  }
}

/** 0 when a right checksum is among the octets. */
const checksum = (
  bytes: Uint8Array,
  offset: number,
  length: number,
  source: IpAddress,
  destination: IpAddress,
): number => finish(pseudoHeader(source, destination, NEXT_HEADER_ICMPV6, length) + sum(bytes, offset, length))
