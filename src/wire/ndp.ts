import { type IpAddress, isLinkLocal, isMulticast, isUnspecified, type MacAddress, sameAddress } from "./address.ts"
import { getIpv6, getMac, setIpv6, setMac } from "./addressBytes.ts"
import { getU8, getU16, getU32, setU8, setU16, setU32 } from "./bytes.ts"
import type { WireDrop } from "./drop.ts"
import { isGroupMac } from "./ethernet.ts"
import { finishIcmpv6, ICMPV6_HEAD } from "./icmpv6.ts"
import { solicitedNode } from "./multicast.ts"

/**
 * Neighbour Discovery (RFC 4861 section 4). Addresses are as on the wire, without zones; times are
 * in the units of the wire: seconds for lifetimes, milliseconds for timers.
 */
export type NdpMessage =
  | RouterSolicitation
  | RouterAdvertisement
  | NeighbourSolicitation
  | NeighbourAdvertisement
  | Redirect

export interface RouterSolicitation {
  readonly _tag: "RouterSolicitation"
  readonly sourceMac: MacAddress | undefined
}

export interface RouterAdvertisement {
  readonly _tag: "RouterAdvertisement"
  /** 0: not said. */
  readonly hopLimit: number
  readonly managed: boolean
  readonly other: boolean
  /** RFC 4191 section 2.1. */
  readonly preference: "low" | "medium" | "high"
  /** Seconds; 0: not a default router. */
  readonly lifetime: number
  /** Milliseconds; 0: not said. */
  readonly reachableTime: number
  readonly retransTimer: number
  readonly sourceMac: MacAddress | undefined
  /** 0: not said. */
  readonly mtu: number
  readonly prefixes: ReadonlyArray<PrefixInformation>
  /** RFC 8106 section 5.1. */
  readonly resolvers: ReadonlyArray<{ readonly address: IpAddress; readonly lifetime: number }>
}

/** RFC 4861 section 4.6.2. Lifetimes are seconds; `FOREVER` is without end. */
export interface PrefixInformation {
  readonly prefix: IpAddress
  readonly prefixLength: number
  readonly onLink: boolean
  readonly autonomous: boolean
  readonly validLifetime: number
  readonly preferredLifetime: number
}

export const FOREVER = 0xffffffff

export interface NeighbourSolicitation {
  readonly _tag: "NeighbourSolicitation"
  readonly target: IpAddress
  readonly sourceMac: MacAddress | undefined
}

export interface NeighbourAdvertisement {
  readonly _tag: "NeighbourAdvertisement"
  readonly target: IpAddress
  readonly isRouter: boolean
  readonly solicited: boolean
  readonly override: boolean
  readonly targetMac: MacAddress | undefined
}

export interface Redirect {
  readonly _tag: "Redirect"
  /** The better first hop; the destination itself when that is on-link. */
  readonly target: IpAddress
  readonly destination: IpAddress
  readonly targetMac: MacAddress | undefined
}

/** How a message came: all of them must have come from this link. */
export interface NdpCarrier {
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly hopLimit: number
}

const ROUTER_SOLICITATION = 133
const ROUTER_ADVERTISEMENT = 134
const NEIGHBOUR_SOLICITATION = 135
const NEIGHBOUR_ADVERTISEMENT = 136
const REDIRECT = 137

/** A router further away would have counted it down (RFC 4861 section 3.1). */
export const NDP_HOP_LIMIT = 255

export const isNdp = (type: number): boolean => type >= ROUTER_SOLICITATION && type <= REDIRECT

/** Options at most, of one message and of one kind. */
const MOST_OPTIONS = 32

const SOURCE_LINK = 1
const TARGET_LINK = 2
const PREFIX = 3
const MTU = 5
const RDNSS = 25

/** An ICMPv6 message of a type that `isNdp`, `payload` behind its checksum, with the checks of RFC 4861 sections 6.1, 7.1 and 8.1. */
export const decodeNdp = (
  type: number,
  code: number,
  payload: Uint8Array,
  carrier: NdpCarrier,
): NdpMessage | WireDrop => {
  if (carrier.hopLimit !== NDP_HOP_LIMIT) return "ndp:bad-hop-limit"
  if (code !== 0) return "ndp:bad-code"
  switch (type) {
    case ROUTER_SOLICITATION:
      return routerSolicitation(payload, carrier)
    case ROUTER_ADVERTISEMENT:
      return routerAdvertisement(payload, carrier)
    case NEIGHBOUR_SOLICITATION:
      return neighbourSolicitation(payload, carrier)
    case NEIGHBOUR_ADVERTISEMENT:
      return neighbourAdvertisement(payload, carrier)
    default:
      return redirect(payload, carrier)
  }
}

interface Options {
  sourceMac: MacAddress | undefined
  targetMac: MacAddress | undefined
  mtu: number
  readonly prefixes: Array<PrefixInformation>
  readonly resolvers: Array<{ readonly address: IpAddress; readonly lifetime: number }>
}

/** Section 4.6: all of them have a length greater than zero; the unknown ones are passed over. */
const readOptions = (payload: Uint8Array, from: number): Options | WireDrop => {
  const options: Options = { sourceMac: undefined, targetMac: undefined, mtu: 0, prefixes: [], resolvers: [] }
  let count = 0
  for (let at = from; at < payload.length; ) {
    const length = getU8(payload, at + 1) << 3
    if (length === 0 || at + length > payload.length || ++count > MOST_OPTIONS) return "ndp:bad-option"
    readOption(payload, at, length, options)
    at += length
  }
  return options
}

const readOption = (payload: Uint8Array, at: number, length: number, options: Options): void => {
  switch (getU8(payload, at)) {
    case SOURCE_LINK:
      options.sourceMac ??= linkAddress(payload, at, length)
      return
    case TARGET_LINK:
      options.targetMac ??= linkAddress(payload, at, length)
      return
    case PREFIX:
      if (length === 32) options.prefixes.push(prefixInformation(payload, at))
      return
    case MTU:
      if (length === 8) options.mtu = getU32(payload, at + 4)
      return
    case RDNSS: {
      const lifetime = getU32(payload, at + 4)
      for (let each = at + 8; each + 16 <= at + length; each += 16) {
        options.resolvers.push({ address: getIpv6(payload, each), lifetime })
      }
      return
    }
    default:
  }
}

/** RFC 2464 section 6; a group's address is nobody's. */
const linkAddress = (payload: Uint8Array, at: number, length: number): MacAddress | undefined => {
  const mac = length === 8 ? getMac(payload, at + 2) : undefined
  return mac === undefined || mac === 0 || isGroupMac(mac) ? undefined : mac
}

const prefixInformation = (payload: Uint8Array, at: number): PrefixInformation => {
  const flags = getU8(payload, at + 3)
  return {
    prefix: getIpv6(payload, at + 16),
    prefixLength: Math.min(128, getU8(payload, at + 2)),
    onLink: (flags & 0x80) !== 0,
    autonomous: (flags & 0x40) !== 0,
    validLifetime: getU32(payload, at + 4),
    preferredLifetime: getU32(payload, at + 8),
  }
}

const routerSolicitation = (payload: Uint8Array, { source }: NdpCarrier): RouterSolicitation | WireDrop => {
  if (payload.length < 4) return "ndp:truncated"
  const options = readOptions(payload, 4)
  if (typeof options === "string") return options
  const { sourceMac } = options
  // Section 6.1.1: who has no address yet has none to be told either.
  if (isUnspecified(source) && sourceMac !== undefined) return "ndp:bad-option"
  return { _tag: "RouterSolicitation", sourceMac }
}

const PREFERENCES = ["medium", "high", "medium", "low"] as const

const routerAdvertisement = (payload: Uint8Array, { source }: NdpCarrier): RouterAdvertisement | WireDrop => {
  if (payload.length < 12) return "ndp:truncated"
  if (!isLinkLocal(source)) return "ndp:bad-source"
  const options = readOptions(payload, 12)
  if (typeof options === "string") return options
  const flags = getU8(payload, 1)
  return {
    _tag: "RouterAdvertisement",
    hopLimit: getU8(payload, 0),
    managed: (flags & 0x80) !== 0,
    other: (flags & 0x40) !== 0,
    preference: PREFERENCES[(flags >>> 3) & 3] ?? "medium",
    lifetime: getU16(payload, 2),
    reachableTime: getU32(payload, 4),
    retransTimer: getU32(payload, 8),
    sourceMac: options.sourceMac,
    mtu: options.mtu,
    prefixes: options.prefixes,
    resolvers: options.resolvers,
  }
}

const neighbourSolicitation = (
  payload: Uint8Array,
  { source, destination }: NdpCarrier,
): NeighbourSolicitation | WireDrop => {
  if (payload.length < 20) return "ndp:truncated"
  const target = getIpv6(payload, 4)
  if (isMulticast(target)) return "ndp:bad-target"
  const options = readOptions(payload, 20)
  if (typeof options === "string") return options
  if (isUnspecified(source)) {
    // Section 7.1.1: duplicate address detection asks the group, and has no address to be answered at.
    if (!sameAddress(destination, solicitedNode(target))) return "ndp:bad-destination"
    if (options.sourceMac !== undefined) return "ndp:bad-option"
  }
  return { _tag: "NeighbourSolicitation", target, sourceMac: options.sourceMac }
}

const neighbourAdvertisement = (
  payload: Uint8Array,
  { destination }: NdpCarrier,
): NeighbourAdvertisement | WireDrop => {
  if (payload.length < 20) return "ndp:truncated"
  const target = getIpv6(payload, 4)
  if (isMulticast(target)) return "ndp:bad-target"
  const flags = getU8(payload, 0)
  const solicited = (flags & 0x40) !== 0
  if (solicited && isMulticast(destination)) return "ndp:solicited-multicast"
  const options = readOptions(payload, 20)
  if (typeof options === "string") return options
  return {
    _tag: "NeighbourAdvertisement",
    target,
    isRouter: (flags & 0x80) !== 0,
    solicited,
    override: (flags & 0x20) !== 0,
    targetMac: options.targetMac,
  }
}

const redirect = (payload: Uint8Array, { source }: NdpCarrier): Redirect | WireDrop => {
  if (payload.length < 36) return "ndp:truncated"
  if (!isLinkLocal(source)) return "ndp:bad-source"
  const target = getIpv6(payload, 4)
  const destination = getIpv6(payload, 20)
  // Section 8.1: to a router by its link-local address, or to the destination itself.
  if (isMulticast(destination)) return "ndp:bad-destination"
  if (!isLinkLocal(target) && !sameAddress(target, destination)) return "ndp:bad-target"
  const options = readOptions(payload, 36)
  if (typeof options === "string") return options
  return { _tag: "Redirect", target, destination, targetMac: options.targetMac }
}

/** Octets that `encodeNdp` will take. */
export const ndpLength = (message: NdpMessage): number => ICMPV6_HEAD + bodyLength(message)

const bodyLength = (message: NdpMessage): number => {
  const link = (mac: MacAddress | undefined): number => (mac === undefined ? 0 : 8)
  switch (message._tag) {
    case "RouterSolicitation":
      return 4 + link(message.sourceMac)
    case "RouterAdvertisement": {
      const { sourceMac, mtu, prefixes, resolvers } = message
      return 12 + link(sourceMac) + (mtu > 0 ? 8 : 0) + 32 * prefixes.length + 24 * resolvers.length
    }
    case "NeighbourSolicitation":
      return 20 + link(message.sourceMac)
    case "NeighbourAdvertisement":
      return 20 + link(message.targetMac)
    case "Redirect":
      return 36 + link(message.targetMac)
  }
}

/** Writes the message with its checksum; returns its octets. */
export const encodeNdp = (
  out: Uint8Array,
  offset: number,
  message: NdpMessage,
  source: IpAddress,
  destination: IpAddress,
): number => {
  const length = ndpLength(message)
  out.fill(0, offset, offset + length)
  setU8(out, offset, TYPES[message._tag])
  writeNdp(out, offset + ICMPV6_HEAD, message)
  finishIcmpv6(out, offset, length, source, destination)
  return length
}

const TYPES: Readonly<Record<NdpMessage["_tag"], number>> = {
  RouterSolicitation: ROUTER_SOLICITATION,
  RouterAdvertisement: ROUTER_ADVERTISEMENT,
  NeighbourSolicitation: NEIGHBOUR_SOLICITATION,
  NeighbourAdvertisement: NEIGHBOUR_ADVERTISEMENT,
  Redirect: REDIRECT,
}

const writeNdp = (out: Uint8Array, at: number, message: NdpMessage): void => {
  switch (message._tag) {
    case "RouterSolicitation":
      writeLink(out, at + 4, SOURCE_LINK, message.sourceMac)
      return
    case "RouterAdvertisement":
      return writeAdvertisement(out, at, message)
    case "NeighbourSolicitation":
      setIpv6(out, at + 4, message.target)
      writeLink(out, at + 20, SOURCE_LINK, message.sourceMac)
      return
    case "NeighbourAdvertisement": {
      const { isRouter, solicited, override } = message
      setU8(out, at, (isRouter ? 0x80 : 0) | (solicited ? 0x40 : 0) | (override ? 0x20 : 0))
      setIpv6(out, at + 4, message.target)
      writeLink(out, at + 20, TARGET_LINK, message.targetMac)
      return
    }
    case "Redirect":
      setIpv6(out, at + 4, message.target)
      setIpv6(out, at + 20, message.destination)
      writeLink(out, at + 36, TARGET_LINK, message.targetMac)
  }
}

const PREFERENCE_BITS = { medium: 0, high: 1, low: 3 } as const

const writeAdvertisement = (out: Uint8Array, at: number, message: RouterAdvertisement): void => {
  const { managed, other, preference } = message
  setU8(out, at, message.hopLimit)
  setU8(out, at + 1, (managed ? 0x80 : 0) | (other ? 0x40 : 0) | (PREFERENCE_BITS[preference] << 3))
  setU16(out, at + 2, message.lifetime)
  setU32(out, at + 4, message.reachableTime)
  setU32(out, at + 8, message.retransTimer)
  let next = at + 12 + writeLink(out, at + 12, SOURCE_LINK, message.sourceMac)
  if (message.mtu > 0) {
    setU16(out, next, (MTU << 8) | 1)
    setU32(out, next + 4, message.mtu)
    next += 8
  }
  for (const each of message.prefixes) {
    setU16(out, next, (PREFIX << 8) | 4)
    setU8(out, next + 2, each.prefixLength)
    setU8(out, next + 3, (each.onLink ? 0x80 : 0) | (each.autonomous ? 0x40 : 0))
    setU32(out, next + 4, each.validLifetime)
    setU32(out, next + 8, each.preferredLifetime)
    setIpv6(out, next + 16, each.prefix)
    next += 32
  }
  for (const { address, lifetime } of message.resolvers) {
    setU16(out, next, (RDNSS << 8) | 3)
    setU32(out, next + 4, lifetime)
    setIpv6(out, next + 8, address)
    next += 24
  }
}

const writeLink = (out: Uint8Array, at: number, type: number, mac: MacAddress | undefined): number => {
  if (mac === undefined) return 0
  setU16(out, at, (type << 8) | 1)
  setMac(out, at + 2, mac)
  return 8
}
