import type { Octets } from "../../tcp/authentication/octets.ts"
import type { Micros } from "../../tcp/time.ts"
import type { Endpoint, IpAddress } from "../../wire/address.ts"
import { getIpv4, getIpv6 } from "../../wire/addressBytes.ts"
import { getU16, getU32 } from "../../wire/bytes.ts"
import { finish, pseudoHeader, sum } from "../../wire/checksum.ts"
import { decodeIpv4, PROTOCOL_ICMP, PROTOCOL_TCP } from "../../wire/ipv4.ts"
import { decodeIpv6, IPV6_HEADER, NEXT_HEADER_ICMPV6 } from "../../wire/ipv6.ts"
import { ACK, AE, CWR, ECE, FIN, PSH, RST, SYN, URG } from "../../wire/tcpSegment.ts"
import type { IpSpec, OptionSpec } from "./ast.ts"
import { decodeOptions, formatOptions } from "./options.ts"

/** A packet that the stack has sent, read from its octets. */
export interface Seen {
  readonly at: Micros
  /** The stack's reason for it. */
  readonly why: string
  readonly bytes: Uint8Array
  readonly source: IpAddress
  readonly destination: IpAddress
  /** Where the IP header ends in `bytes`. */
  readonly payloadAt: number
  readonly ttl: number
  readonly tos: number
  readonly flowLabel: number
  readonly body: SeenTcp | SeenIcmp | SeenOther
  /** Payload octets of the segments that a device would cut it into; 0: it is one. */
  readonly segmentSize: number
  /** What no valid packet has: wrong lengths or checksums. */
  readonly faults: ReadonlyArray<string>
}

export interface SeenTcp {
  readonly _tag: "Tcp"
  readonly from: Endpoint
  readonly to: Endpoint
  readonly seq: number
  readonly ack: number
  readonly flags: number
  readonly wnd: number
  readonly up: number
  readonly options: ReadonlyArray<OptionSpec>
  readonly length: number
}

export interface SeenIcmp {
  readonly _tag: "Icmp"
  readonly type: number
  readonly code: number
  /** The header's second word. */
  readonly rest: number
  /** The TCP ports and sequence number in the quoted packet, where one is quoted. */
  readonly quoted: { readonly from: Endpoint; readonly to: Endpoint; readonly seq: number } | undefined
}

export interface SeenOther {
  readonly _tag: "Other"
  readonly protocol: number
}

/** Reads an IP packet. What is wrong with it becomes `faults`, for the report. */
export const see = (bytes: Uint8Array, at: Micros, why: string, segmentSize = 0): Seen => {
  const v4 = (bytes[0] ?? 0) >>> 4 === 4
  const ip = v4 ? decodeIpv4(bytes, 0, bytes.length) : decodeIpv6(bytes, 0, bytes.length)
  if (typeof ip === "string") return { ...UNREADABLE, at, why, bytes, segmentSize, faults: [ip] }
  const faults: Array<string> = []
  const total = ip.payloadOffset + ip.payloadLength
  if (total !== bytes.length) faults.push(`${bytes.length} octets sent, and the IP header says ${total}`)
  const { protocol } = ip
  const rest = bytes.subarray(ip.payloadOffset, total)
  const { source, destination } = ip
  const body =
    protocol === PROTOCOL_TCP
      ? seeTcp(rest, source, destination, faults)
      : protocol === PROTOCOL_ICMP || protocol === NEXT_HEADER_ICMPV6
        ? seeIcmp(rest, source, destination, faults)
        : { _tag: "Other" as const, protocol }
  return {
    at,
    why,
    bytes,
    source,
    destination,
    payloadAt: ip.payloadOffset,
    ttl: ip.ttl,
    tos: ip.tos,
    flowLabel: "flowLabel" in ip ? ip.flowLabel : 0,
    body,
    segmentSize,
    faults,
  }
}

const NOWHERE: IpAddress = { family: 4, a: 0, b: 0, c: 0, d: 0 }

const UNREADABLE = {
  source: NOWHERE,
  destination: NOWHERE,
  payloadAt: 0,
  ttl: 0,
  tos: 0,
  flowLabel: 0,
  body: { _tag: "Other" as const, protocol: 0 },
}

/** The transport's octets in a packet, as checksums and signatures take them. */
export const octetsOf = ({ bytes, source, destination, payloadAt }: Seen): Octets => ({
  bytes,
  offset: payloadAt,
  length: bytes.length - payloadAt,
  source,
  destination,
})

const HEADER = 20

const seeTcp = (
  bytes: Uint8Array,
  source: IpAddress,
  destination: IpAddress,
  faults: Array<string>,
): SeenTcp | SeenOther => {
  const headerLength = ((bytes[12] ?? 0) >>> 4) * 4
  if (bytes.length < HEADER || headerLength < HEADER || headerLength > bytes.length) {
    faults.push("tcp:bad-data-offset")
    return { _tag: "Other", protocol: PROTOCOL_TCP }
  }
  if (finish(pseudoHeader(source, destination, PROTOCOL_TCP, bytes.length) + sum(bytes, 0, bytes.length)) !== 0) {
    faults.push("tcp:bad-checksum")
  }
  if ((getU16(bytes, 12) & 0x0e00) !== 0) faults.push("tcp:reserved-bits-set")
  return {
    _tag: "Tcp",
    from: { address: source, port: getU16(bytes, 0) },
    to: { address: destination, port: getU16(bytes, 2) },
    seq: getU32(bytes, 4),
    ack: getU32(bytes, 8),
    flags: getU16(bytes, 12) & 0x1ff,
    wnd: getU16(bytes, 14),
    up: getU16(bytes, 18),
    options: decodeOptions(bytes.subarray(HEADER, headerLength)),
    length: bytes.length - headerLength,
  }
}

const seeIcmp = (
  bytes: Uint8Array,
  source: IpAddress,
  destination: IpAddress,
  faults: Array<string>,
): SeenIcmp | SeenOther => {
  const v4 = source.family === 4
  const pseudo = v4 ? 0 : pseudoHeader(source, destination, NEXT_HEADER_ICMPV6, bytes.length)
  if (finish(pseudo + sum(bytes, 0, bytes.length)) !== 0) faults.push("icmp:bad-checksum")
  return {
    _tag: "Icmp",
    type: bytes[0] ?? 0,
    code: bytes[1] ?? 0,
    rest: getU32(bytes, 4),
    quoted: quotedIn(bytes.subarray(8)),
  }
}

const quotedIn = (bytes: Uint8Array): SeenIcmp["quoted"] => {
  const v4 = (bytes[0] ?? 0) >>> 4 === 4
  const inner = v4 ? ((bytes[0] ?? 0) & 0xf) * 4 : IPV6_HEADER
  if (bytes.length < inner + 8) return undefined
  return {
    from: { address: v4 ? getIpv4(bytes, 12) : getIpv6(bytes, 8), port: getU16(bytes, inner) },
    to: { address: v4 ? getIpv4(bytes, 16) : getIpv6(bytes, 24), port: getU16(bytes, inner + 2) },
    seq: getU32(bytes, inner + 4),
  }
}

const LETTERS: ReadonlyArray<readonly [number, string]> = [
  [SYN, "S"],
  [FIN, "F"],
  [RST, "R"],
  [PSH, "P"],
  [URG, "U"],
  [ECE, "E"],
  [CWR, "W"],
  [AE, "A"],
  [ACK, "."],
]

/** Flags as scripts write them. */
export const formatFlags = (flags: number): string =>
  LETTERS.filter(([bit]) => (flags & bit) !== 0)
    .map(([, letter]) => letter)
    .join("") || "-"

/** What a TCP packet's line in a script says, whether expected or seen. */
export interface TcpLine {
  readonly ip: string
  readonly flags: number
  readonly seq: string
  readonly end: string
  readonly length: number
  readonly ack: string | undefined
  readonly window: number | undefined
  readonly urgent: number
  readonly options: ReadonlyArray<OptionSpec> | "any"
}

export const formatLine = (line: TcpLine): string =>
  [
    line.ip,
    formatFlags(line.flags),
    `${line.seq}:${line.end}(${line.length})`,
    line.ack === undefined ? "" : `ack ${line.ack}`,
    line.window === undefined ? "" : `win ${line.window}`,
    line.urgent === 0 ? "" : `urg ${line.urgent}`,
    formatOptions(line.options),
  ]
    .filter((part) => part !== "")
    .join(" ")

const ECN_NAMES = ["noecn", "ect1", "ect0", "ce"] as const

/** The two ECN bits (RFC 3168 section 5) by packetdrill's names. */
export const ecnOf = (tos: number): (typeof ECN_NAMES)[number] => ECN_NAMES[tos & 3] ?? "noecn"

export const ecnBits = (ecn: IpSpec["ecn"]): number =>
  ecn === undefined ? 0 : ecn === "ect01" ? 2 : ECN_NAMES.indexOf(ecn)

export const formatIp = (ip: IpSpec): string => {
  const parts = [
    ip.ecn,
    ip.tos === undefined ? undefined : `tos 0x${ip.tos.toString(16)}`,
    ip.ttl === undefined ? undefined : `ttl ${ip.ttl}`,
    ip.flowLabel === undefined ? undefined : `flowlabel 0x${ip.flowLabel.toString(16)}`,
  ].filter((part) => part !== undefined)
  return parts.length === 0 ? "" : `[${parts.join(", ")}]`
}

/** Two packets as the one that their data would have made together; undefined: the second is no continuation. */
export const join = (first: Seen, second: Seen): SeenTcp | undefined => {
  const [a, b] = [first.body, second.body]
  if (a._tag !== "Tcp" || b._tag !== "Tcp" || first.faults.length + second.faults.length > 0) return undefined
  const follows =
    b.seq === (a.seq + a.length) >>> 0 &&
    b.ack === a.ack &&
    b.wnd === a.wnd &&
    b.up === a.up &&
    first.tos === second.tos
  // Only the first says CWR, only the last FIN, and the last PSH at least.
  const allowed = (b.flags & ~(PSH | FIN)) === (a.flags & ~(PSH | CWR)) && (a.flags & FIN) === 0
  const options = a.options.map(({ _tag }) => _tag).join() === b.options.map(({ _tag }) => _tag).join()
  return follows && allowed && options && b.length > 0
    ? { ...a, flags: a.flags | b.flags, length: a.length + b.length }
    : undefined
}

/**
 * A packet as the two that a device may make of it, the first of `length` octets; undefined: no device cuts there.
 * PSH goes with the last segment (Linux's tcp_gso_segment): `push` says whether the first is to have it all the same.
 */
export const cut = (whole: Seen, length: number, push: boolean): readonly [first: Seen, rest: Seen] | undefined => {
  const { body, segmentSize } = whole
  if (body._tag !== "Tcp" || segmentSize === 0 || length % segmentSize !== 0 || length >= body.length) return undefined
  const flags = (body.flags & ~(PSH | FIN)) | (push ? body.flags & PSH : 0)
  const rest = { ...body, seq: (body.seq + length) >>> 0, flags: body.flags & ~CWR, length: body.length - length }
  return [
    { ...whole, body: { ...body, flags, length } },
    { ...whole, body: rest },
  ]
}
