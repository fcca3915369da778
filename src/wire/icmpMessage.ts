import { getU16, setU8, setU16, setU32 } from "./bytes.ts"

/**
 * What ICMP and ICMPv6 messages have in common: type, code and checksum, four octets of the type's own, and a
 * body. `payload` and `quoted` are views.
 */
export interface Echo {
  readonly _tag: "EchoRequest" | "EchoReply"
  readonly identifier: number
  readonly sequence: number
  readonly payload: Uint8Array
}

export interface TimeExceeded {
  readonly _tag: "TimeExceeded"
  readonly code: number
  readonly quoted: Uint8Array
}

export interface ParameterProblem {
  readonly _tag: "ParameterProblem"
  readonly code: number
  /** The octet of the quoted packet at fault. */
  readonly pointer: number
  readonly quoted: Uint8Array
}

export const MESSAGE_HEADER = 8

export const readEcho = (_tag: Echo["_tag"], bytes: Uint8Array, offset: number, payload: Uint8Array): Echo => ({
  _tag,
  identifier: getU16(bytes, offset + 4),
  sequence: getU16(bytes, offset + 6),
  payload,
})

/** An echo's own four octets. */
export const echoWord = ({ identifier, sequence }: Echo): number => (identifier << 16) | sequence

/** As much of a packet as an error may quote. */
export const cut = (packet: Uint8Array, longest: number): Uint8Array =>
  packet.length <= longest ? packet : packet.subarray(0, longest)

/** Writes a message with a checksum of 0; `word`: the type's own four octets. Returns its octets. */
export const writeMessage = (
  out: Uint8Array,
  offset: number,
  type: number,
  code: number,
  word: number,
  body: Uint8Array,
): number => {
  setU8(out, offset, type)
  setU8(out, offset + 1, code)
  setU16(out, offset + 2, 0)
  setU32(out, offset + 4, word)
  out.set(body, offset + MESSAGE_HEADER)
  return MESSAGE_HEADER + body.length
}
