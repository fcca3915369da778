import { getU8, getU16, getU32, setU16 } from "./bytes.ts"
import { finish, sum } from "./checksum.ts"
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
import { IPV4_HEADER } from "./ipv4.ts"
import { EMPTY } from "./tcpSegment.ts"

/** ICMP for IPv4 (RFC 792). `payload` and `quoted` are views. */
export type IcmpMessage = Echo | DestinationUnreachable | TimeExceeded | ParameterProblem | OtherIcmp

export interface DestinationUnreachable {
  readonly _tag: "DestinationUnreachable"
  readonly code: number
  /** With `FRAGMENTATION_NEEDED` (RFC 1191 section 4); 0 from a router that does not say. */
  readonly nextHopMtu: number
  /** The head of the packet that could not be delivered: see `decodeQuotedIpv4`. */
  readonly quoted: Uint8Array
}

/** Source quench (ignored by RFC 6633), redirects, timestamps and the rest. */
export interface OtherIcmp {
  readonly _tag: "Other"
  readonly type: number
  readonly code: number
  /** The header's second word. */
  readonly rest: number
  readonly payload: Uint8Array
}

export const ICMP_HEADER = MESSAGE_HEADER

/** RFC 1812 section 4.3.2.3: an error's whole datagram has at most 576 octets. */
export const LONGEST_QUOTE = 576 - IPV4_HEADER - ICMP_HEADER

/** Codes of Destination Unreachable. */
export const NET_UNREACHABLE = 0
export const HOST_UNREACHABLE = 1
export const PROTOCOL_UNREACHABLE = 2
export const PORT_UNREACHABLE = 3
export const FRAGMENTATION_NEEDED = 4
export const SOURCE_ROUTE_FAILED = 5
/** RFC 1812 section 5.2.7.1. */
export const ADMINISTRATIVELY_PROHIBITED = 13
/** Codes of Time Exceeded. */
export const TTL_EXCEEDED = 0
export const REASSEMBLY_TIME_EXCEEDED = 1

/** Its second word is the better router's address, behind it stands the packet that it is about. */
export const REDIRECT = 5

const ECHO_REPLY = 0
const DESTINATION_UNREACHABLE = 3
const ECHO_REQUEST = 8
const TIME_EXCEEDED = 11
const PARAMETER_PROBLEM = 12

export const decodeIcmp = (bytes: Uint8Array, offset: number, length: number): IcmpMessage | WireDrop => {
  if (length < ICMP_HEADER) return "icmp:truncated"
  if (finish(sum(bytes, offset, length)) !== 0) return "icmp:bad-checksum"
  const type = getU8(bytes, offset)
  const code = getU8(bytes, offset + 1)
  const body = length === ICMP_HEADER ? EMPTY : bytes.subarray(offset + ICMP_HEADER, offset + length)
  switch (type) {
    case ECHO_REQUEST:
      return readEcho("EchoRequest", bytes, offset, body)
    case ECHO_REPLY:
      return readEcho("EchoReply", bytes, offset, body)
    case DESTINATION_UNREACHABLE:
      return { _tag: "DestinationUnreachable", code, nextHopMtu: getU16(bytes, offset + 6), quoted: body }
    case TIME_EXCEEDED:
      return { _tag: "TimeExceeded", code, quoted: body }
    case PARAMETER_PROBLEM:
      return { _tag: "ParameterProblem", code, pointer: getU8(bytes, offset + 4), quoted: body }
    default:
      return { _tag: "Other", type, code, rest: getU32(bytes, offset + 4), payload: body }
  }
}

/** Writes the message with its checksum, an error's quotation cut to `LONGEST_QUOTE`; returns its octets. */
export const encodeIcmp = (out: Uint8Array, offset: number, message: IcmpMessage): number => {
  switch (message._tag) {
    case "EchoRequest":
      return write(out, offset, ECHO_REQUEST, 0, echoWord(message), message.payload)
    case "EchoReply":
      return write(out, offset, ECHO_REPLY, 0, echoWord(message), message.payload)
    case "DestinationUnreachable":
      return write(
        out,
        offset,
        DESTINATION_UNREACHABLE,
        message.code,
        message.nextHopMtu,
        cut(message.quoted, LONGEST_QUOTE),
      )
    case "TimeExceeded":
      return write(out, offset, TIME_EXCEEDED, message.code, 0, cut(message.quoted, LONGEST_QUOTE))
    case "ParameterProblem":
      return write(
        out,
        offset,
        PARAMETER_PROBLEM,
        message.code,
        message.pointer << 24,
        cut(message.quoted, LONGEST_QUOTE),
      )
    case "Other":
      return write(out, offset, message.type, message.code, message.rest, message.payload)
  }
}

const write = (out: Uint8Array, offset: number, type: number, code: number, rest: number, body: Uint8Array): number => {
  const length = writeMessage(out, offset, type, code, rest, body)
  setU16(out, offset + 2, finish(sum(out, offset, length)))
  return length
}
