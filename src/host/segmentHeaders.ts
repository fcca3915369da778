import type { Transmit } from "../tcp/effect.ts"
import type { MacAddress } from "../wire/address.ts"
import { ETHERNET_HEADER, ETHERTYPE_IPV4, ETHERTYPE_IPV6, writeEthernet } from "../wire/ethernet.ts"
import { IPV4_HEADER, PROTOCOL_TCP, writeIpv4 } from "../wire/ipv4.ts"
import { IPV6_HEADER, writeIpv6 } from "../wire/ipv6.ts"
import { TCP_HEADER, writeTcpHeader } from "../wire/tcp.ts"
import { type OptionLayout, optionsLength } from "../wire/tcpOptionLayout.ts"
import { CWR, EMPTY, FIN, PSH, SYN, URG } from "../wire/tcpSegment.ts"
import type { SendSegment } from "./types.ts"

/** Where the parts of one segment's frames begin: the same for all pieces that it is cut into. */
export interface FrameLayout {
  readonly options: OptionLayout
  /** The device's own address; 0 where frames have no link header. */
  readonly mac: MacAddress
  readonly ipStart: number
  readonly tcpStart: number
  readonly payloadStart: number
  /** What the last piece's flags get beside the segment's own. */
  readonly lastFlags: number
}

/** What the headers depend on of whoever they are written for. */
export interface FrameMaker {
  readonly mac: MacAddress
  readonly capabilities: {
    readonly layer: "ethernet" | "ip"
    /** Full segments may be held back until one comes with PSH. */
    readonly gathers?: boolean
  }
}

export const frameLayout = (
  { mac, capabilities }: FrameMaker,
  options: OptionLayout,
  effect: SendSegment,
): FrameLayout => {
  const { layer, gathers } = capabilities
  const ipStart = layer === "ethernet" ? ETHERNET_HEADER : 0
  const tcpStart = ipStart + (effect.source.family === 4 ? IPV4_HEADER : IPV6_HEADER)
  return {
    options,
    mac,
    ipStart,
    tcpStart,
    payloadStart: tcpStart + TCP_HEADER + optionsLength(effect.segment.options, options),
    // A sender may push whenever it likes (RFC 9293 section 3.9.1.2): nobody knows when the next piece comes.
    lastFlags: gathers === true && effect.segment.length > 0 ? PSH : 0,
  }
}

/** All headers of the piece of `n` octets from `from` on; the TCP checksum is left 0. */
export const writeHeaders = (
  out: Uint8Array,
  layout: FrameLayout,
  effect: SendSegment,
  from: number,
  n: number,
  identification: number,
): void => {
  if (layout.ipStart > 0) {
    const etherType = effect.source.family === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6
    writeEthernet(out, 0, { destination: effect.nextHop, source: layout.mac, etherType })
  }
  writeIp(out, layout.ipStart, effect, layout.payloadStart - layout.tcpStart + n, identification)
  writeTcp(out, layout, effect, from, n)
}

const writeIp = (
  out: Uint8Array,
  offset: number,
  effect: SendSegment,
  payloadLength: number,
  identification: number,
): void => {
  const { source, destination, ttl, tos } = effect
  if (source.family === 4) {
    writeIpv4(out, offset, {
      source,
      destination,
      protocol: PROTOCOL_TCP,
      ttl,
      tos,
      identification,
      dontFragment: true,
      moreFragments: false,
      fragmentOffset: 0,
      options: EMPTY,
      payloadLength,
    })
  } else {
    writeIpv6(out, offset, {
      source,
      destination,
      nextHeader: PROTOCOL_TCP,
      hopLimit: ttl,
      trafficClass: tos,
      flowLabel: effect.flowLabel ?? 0,
      payloadLength,
    })
  }
}

const writeTcp = (out: Uint8Array, layout: FrameLayout, effect: SendSegment, from: number, n: number): void => {
  const { segment } = effect
  const { ack, wnd, options } = segment
  const header = {
    sourcePort: effect.sourcePort,
    destinationPort: effect.destinationPort,
    seq: seqOf(segment, from),
    ack,
    flags: pieceFlags(layout, segment, from, n),
    wnd,
    up: Math.max(0, segment.up - from),
    options,
  }
  writeTcpHeader(out, layout.tcpStart, header, layout.options)
}

/** A SYN stands before the payload, so it is in the first piece or in none. */
export const seqOf = (segment: Transmit, from: number): number =>
  from === 0 ? segment.seq : (payloadSeq(segment) + from) >>> 0

export const payloadSeq = (segment: Transmit): number => segment.seq + (segment.flags & SYN ? 1 : 0)

/** FIN and PSH belong to the last piece; SYN, and CWR (RFC 3168 section 6.1.2), to the first; URG to those before its pointer. */
export const pieceFlags = (layout: FrameLayout, segment: Transmit, from: number, n: number): number => {
  let { flags } = segment
  if (from > 0) {
    flags &= ~(SYN | CWR)
    if (segment.up <= from) flags &= ~URG
  }
  return from + n < segment.length ? flags & ~(FIN | PSH) : flags | layout.lastFlags
}
