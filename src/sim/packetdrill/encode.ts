import type { Endpoint, IpAddress } from "../../wire/address.ts"
import { setU16, setU32 } from "../../wire/bytes.ts"
import { finish, pseudoHeader, sum } from "../../wire/checksum.ts"
import { IPV4_HEADER, PROTOCOL_ICMP, PROTOCOL_TCP, writeIpv4 } from "../../wire/ipv4.ts"
import { IPV6_HEADER, NEXT_HEADER_ICMPV6, writeIpv6 } from "../../wire/ipv6.ts"
import { finishTcp } from "../../wire/tcp.ts"
import { ACK, CWR, EMPTY, FIN, PSH, RST, SYN } from "../../wire/tcpSegment.ts"
import type { IcmpAction, IpSpec, TcpAction } from "./ast.ts"
import { signInbound } from "./digests.ts"
import { cookieToWire, type Flow, toWire } from "./flow.ts"
import { icmpNumbers } from "./icmpNames.ts"
import { encodeOptions, type Numbering } from "./options.ts"
import { ecnBits } from "./packet.ts"
import { unsupported } from "./scriptError.ts"

const TCP_HEADER = 20
/** What packetdrill gives to packets that it injects. */
const TTL = 255

/** An inbound TCP packet as the wire would bring it. */
export const encodeTcp = (action: TcpAction, flow: Flow, md5Key?: Uint8Array): Uint8Array => {
  const options = encodeOptions(
    action.options === "any" ? [] : action.options,
    inboundNumbering(flow, (action.flags & SYN) !== 0),
  )
  const headerLength = TCP_HEADER + options.length
  const length = headerLength + action.length
  const { bytes, offset } = ipPacket(flow.remote.address, flow.local.address, PROTOCOL_TCP, length, action.ip)
  setU16(bytes, offset, flow.remote.port)
  setU16(bytes, offset + 2, flow.local.port)
  const syn = (action.flags & SYN) !== 0
  setU32(bytes, offset + 4, toWire(flow, "peers", action.seq, syn))
  // Without the flag the field is no number of ours, and stays as written.
  const { ack: acked } = action
  const ack = acked === undefined ? 0 : (action.flags & ACK) !== 0 ? toWire(flow, "ours", acked, syn) : acked.value
  setU32(bytes, offset + 8, ack)
  setU16(bytes, offset + 12, (headerLength << 10) | action.flags)
  setU16(bytes, offset + 14, action.window ?? 0)
  setU16(bytes, offset + 18, action.urgent ?? 0)
  bytes.set(options, offset + TCP_HEADER)
  const [source, destination] = [flow.remote.address, flow.local.address]
  signInbound(action, { bytes, offset, length, source, destination }, md5Key)
  finishTcp(bytes, offset, length, source, destination)
  return bytes
}

/** The segments of `mss` octets that a device has joined to one packet; 0: it is none. */
export const piecesOf = (action: TcpAction, mss: number): ReadonlyArray<TcpAction> => {
  const { flags, length, seq } = action
  if (mss <= 0 || length <= mss || (flags & (SYN | RST)) !== 0) return [action]
  return Array.from({ length: Math.ceil(length / mss) }, (_, i) => {
    const from = i * mss
    // What Linux leaves to the first and to the last of them (tcp_gso_segment).
    const not = (i === 0 ? 0 : CWR) | (from + mss < length ? FIN | PSH : 0)
    return {
      ...action,
      seq: { ...seq, value: (seq.value + from) >>> 0 },
      length: Math.min(mss, length - from),
      flags: flags & ~not,
    }
  })
}

/** SACK blocks and echoed timestamps of the peer speak of our numbers. */
const inboundNumbering = (flow: Flow, syn: boolean): Numbering => ({
  sack: (edge) => toWire(flow, "ours", edge, syn),
  cookie: (cookie) => cookieToWire(flow, cookie),
  val: (val) => val.value,
  ecr: (ecr) => {
    if (ecr.kind === "absolute") return ecr.value
    return flow.stamps.get(ecr.value) ?? (ecr.value === 0 ? 0 : (flow.unwritten ?? ecr.value))
  },
})

/** An inbound ICMP message: an error quotes a segment that we sent, as far as RFC 792 promises. */
export const encodeIcmp = (action: IcmpAction, flow: Flow): Uint8Array => {
  const { family } = flow.local.address
  const numbers =
    icmpNumbers(family, action.type, action.code) ??
    unsupported(action.at, `icmp ${action.type}${action.code === undefined ? "" : ` ${action.code}`}`)
  const quoted = action.quoted === undefined ? EMPTY : quote(flow, action.quoted)
  const protocol = family === 4 ? PROTOCOL_ICMP : NEXT_HEADER_ICMPV6
  const length = 8 + quoted.length
  // A router between the two answers; packetdrill sends from the remote address.
  const { bytes, offset } = ipPacket(flow.remote.address, flow.local.address, protocol, length, action.ip)
  bytes[offset] = numbers.type
  bytes[offset + 1] = numbers.code
  setU32(bytes, offset + 4, action.mtu ?? 0)
  bytes.set(quoted, offset + 8)
  const pseudo = family === 4 ? 0 : pseudoHeader(flow.remote.address, flow.local.address, protocol, length)
  setU16(bytes, offset + 2, finish(pseudo + sum(bytes, offset, length)))
  return bytes
}

const quote = (flow: Flow, quoted: NonNullable<IcmpAction["quoted"]>): Uint8Array => {
  const whole = segmentHead(flow.local, flow.remote, toWire(flow, "ours", quoted.seq, false), quoted.length)
  const ipHeader = flow.local.address.family === 4 ? IPV4_HEADER : IPV6_HEADER
  return whole.slice(0, ipHeader + 8)
}

const segmentHead = (from: Endpoint, to: Endpoint, seq: number, length: number): Uint8Array => {
  const { bytes, offset } = ipPacket(from.address, to.address, PROTOCOL_TCP, TCP_HEADER + length, undefined)
  setU16(bytes, offset, from.port)
  setU16(bytes, offset + 2, to.port)
  setU32(bytes, offset + 4, seq)
  return bytes
}

/** An IP packet whose payload is still to be written, at `offset`. */
const ipPacket = (
  source: IpAddress,
  destination: IpAddress,
  protocol: number,
  payloadLength: number,
  spec: IpSpec | undefined,
): { readonly bytes: Uint8Array; readonly offset: number } => {
  const tos = spec?.tos ?? ecnBits(spec?.ecn)
  const ttl = spec?.ttl ?? TTL
  if (source.family === 4) {
    const bytes = new Uint8Array(IPV4_HEADER + payloadLength)
    const header = { source, destination, protocol, ttl, tos, identification: 0, payloadLength }
    const rest = { dontFragment: false, moreFragments: false, fragmentOffset: 0, options: EMPTY }
    return { bytes, offset: writeIpv4(bytes, 0, { ...header, ...rest }) }
  }
  const bytes = new Uint8Array(IPV6_HEADER + payloadLength)
  const flowLabel = spec?.flowLabel ?? 0
  const header = { source, destination, nextHeader: protocol, hopLimit: ttl, trafficClass: tos, flowLabel }
  return { bytes, offset: writeIpv6(bytes, 0, { ...header, payloadLength }) }
}
