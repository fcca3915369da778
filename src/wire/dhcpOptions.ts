import type { IpAddress } from "./address.ts"
import { getIpv4, setIpv4 } from "./addressBytes.ts"
import { getU8, getU16, getU32, setU16, setU32 } from "./bytes.ts"
import type { WireDrop } from "./drop.ts"
import type { RawOption } from "./tcpSegment.ts"

/** RFC 2132 section 9.6. */
export const DHCP_MESSAGE_TYPES = [
  "DISCOVER",
  "OFFER",
  "REQUEST",
  "DECLINE",
  "ACK",
  "NAK",
  "RELEASE",
  "INFORM",
] as const

export type DhcpMessageType = (typeof DHCP_MESSAGE_TYPES)[number]

/** A route of RFC 3442; `via` 0.0.0.0: on the link. */
export interface ClasslessRoute {
  readonly prefix: IpAddress
  readonly prefixLength: number
  readonly via: IpAddress
}

/** The options that a host acts upon; `undefined` (or an empty list): not there. Times in seconds. */
export interface DhcpOptions {
  readonly messageType: DhcpMessageType
  readonly subnetMask: IpAddress | undefined
  readonly routers: ReadonlyArray<IpAddress>
  readonly classlessRoutes: ReadonlyArray<ClasslessRoute>
  readonly dnsServers: ReadonlyArray<IpAddress>
  readonly hostName: string | undefined
  readonly domainName: string | undefined
  readonly interfaceMtu: number | undefined
  readonly broadcastAddress: IpAddress | undefined
  readonly requestedAddress: IpAddress | undefined
  readonly leaseTime: number | undefined
  readonly serverIdentifier: IpAddress | undefined
  readonly parameterRequestList: ReadonlyArray<number>
  readonly message: string | undefined
  readonly maximumMessageSize: number | undefined
  readonly renewalTime: number | undefined
  readonly rebindingTime: number | undefined
  readonly clientIdentifier: Uint8Array | undefined
  /** Kinds that nobody here acts upon, in the order of arrival. */
  readonly unknown: ReadonlyArray<RawOption>
}

export const dhcpOptions = (
  messageType: DhcpMessageType,
  given: Partial<Omit<DhcpOptions, "messageType">> = {},
): DhcpOptions => ({
  messageType,
  subnetMask: undefined,
  routers: [],
  classlessRoutes: [],
  dnsServers: [],
  hostName: undefined,
  domainName: undefined,
  interfaceMtu: undefined,
  broadcastAddress: undefined,
  requestedAddress: undefined,
  leaseTime: undefined,
  serverIdentifier: undefined,
  parameterRequestList: [],
  message: undefined,
  maximumMessageSize: undefined,
  renewalTime: undefined,
  rebindingTime: undefined,
  clientIdentifier: undefined,
  unknown: [],
  ...given,
})

/** Codes of RFC 2132, and RFC 3442's. */
export const DHCP_OPTION = {
  subnetMask: 1,
  routers: 3,
  dnsServers: 6,
  hostName: 12,
  domainName: 15,
  interfaceMtu: 26,
  broadcastAddress: 28,
  requestedAddress: 50,
  leaseTime: 51,
  overload: 52,
  messageType: 53,
  serverIdentifier: 54,
  parameterRequestList: 55,
  message: 56,
  maximumMessageSize: 57,
  renewalTime: 58,
  rebindingTime: 59,
  clientIdentifier: 61,
  classlessRoutes: 121,
} as const

const PAD = 0
const END = 255
const LONGEST = 255

/** `options`, then `file` and `sname` where the overload option says that they go on there (RFC 2131 section 4.1). */
export const decodeDhcpOptions = (options: Uint8Array, file: Uint8Array, sname: Uint8Array): DhcpOptions | WireDrop => {
  const found = new Map<number, Uint8Array>()
  if (!collect(options, found)) return "dhcp:truncated-option"
  const overload = getU8(found.get(DHCP_OPTION.overload) ?? NOTHING, 0)
  if ((overload & 1) !== 0 && !collect(file, found)) return "dhcp:truncated-option"
  if ((overload & 2) !== 0 && !collect(sname, found)) return "dhcp:truncated-option"
  const messageType = DHCP_MESSAGE_TYPES[getU8(found.get(DHCP_OPTION.messageType) ?? NOTHING, 0) - 1]
  if (messageType === undefined) return "dhcp:no-message-type"
  return read(messageType, found)
}

const NOTHING = new Uint8Array(0)

/** An option that comes in parts is one (RFC 3396). False: the last one is cut short. */
const collect = (bytes: Uint8Array, found: Map<number, Uint8Array>): boolean => {
  let at = 0
  while (at < bytes.length) {
    const code = getU8(bytes, at)
    if (code === END) return true
    if (code === PAD) {
      at++
      continue
    }
    const end = at + 2 + getU8(bytes, at + 1)
    if (end > bytes.length) return false
    const part = bytes.subarray(at + 2, end)
    const before = found.get(code)
    found.set(code, before === undefined ? part : joined(before, part))
    at = end
  }
  return true
}

const joined = (x: Uint8Array, y: Uint8Array): Uint8Array => {
  const all = new Uint8Array(x.length + y.length)
  all.set(x)
  all.set(y, x.length)
  return all
}

const read = (messageType: DhcpMessageType, found: ReadonlyMap<number, Uint8Array>): DhcpOptions => {
  const address = (code: number): IpAddress | undefined => addresses(found.get(code))[0]
  const seconds = (code: number): number | undefined => fixed(found.get(code), 4, getU32)
  const words = (code: number): number | undefined => fixed(found.get(code), 2, getU16)
  return {
    messageType,
    subnetMask: address(DHCP_OPTION.subnetMask),
    routers: addresses(found.get(DHCP_OPTION.routers)),
    classlessRoutes: routes(found.get(DHCP_OPTION.classlessRoutes)),
    dnsServers: addresses(found.get(DHCP_OPTION.dnsServers)),
    hostName: text(found.get(DHCP_OPTION.hostName)),
    domainName: text(found.get(DHCP_OPTION.domainName)),
    interfaceMtu: words(DHCP_OPTION.interfaceMtu),
    broadcastAddress: address(DHCP_OPTION.broadcastAddress),
    requestedAddress: address(DHCP_OPTION.requestedAddress),
    leaseTime: seconds(DHCP_OPTION.leaseTime),
    serverIdentifier: address(DHCP_OPTION.serverIdentifier),
    parameterRequestList: [...(found.get(DHCP_OPTION.parameterRequestList) ?? [])],
    message: text(found.get(DHCP_OPTION.message)),
    maximumMessageSize: words(DHCP_OPTION.maximumMessageSize),
    renewalTime: seconds(DHCP_OPTION.renewalTime),
    rebindingTime: seconds(DHCP_OPTION.rebindingTime),
    clientIdentifier: found.get(DHCP_OPTION.clientIdentifier),
    unknown: [...found].filter(([kind]) => !KNOWN.has(kind)).map(([kind, data]) => ({ kind, data })),
  }
}

const KNOWN: ReadonlySet<number> = new Set<number>(Object.values(DHCP_OPTION))

const fixed = (
  data: Uint8Array | undefined,
  length: number,
  get: (bytes: Uint8Array, at: number) => number,
): number | undefined => (data?.length === length ? get(data, 0) : undefined)

const addresses = (data: Uint8Array | undefined): ReadonlyArray<IpAddress> =>
  Array.from({ length: Math.floor((data?.length ?? 0) / 4) }, (_, index) => getIpv4(data ?? NOTHING, index * 4))

/** Eight bits each; zeros at the end are not part of it (RFC 2132 section 2). */
const text = (data: Uint8Array | undefined): string | undefined =>
  data === undefined ? undefined : String.fromCharCode(...data).replace(/\0+$/, "")

/** RFC 3442: the significant octets of each destination only. */
const routes = (data: Uint8Array | undefined): ReadonlyArray<ClasslessRoute> => {
  const found: Array<ClasslessRoute> = []
  for (let at = 0; data !== undefined && at < data.length; ) {
    const prefixLength = getU8(data, at)
    const octets = Math.ceil(prefixLength / 8)
    if (prefixLength > 32 || at + 1 + octets + 4 > data.length) return found
    const prefix = new Uint8Array(4)
    prefix.set(data.subarray(at + 1, at + 1 + octets))
    found.push({ prefix: getIpv4(prefix, 0), prefixLength, via: getIpv4(data, at + 1 + octets) })
    at += 1 + octets + 4
  }
  return found
}

/** The options, their message type first, with the end mark. */
export const encodeDhcpOptions = (options: DhcpOptions): Uint8Array => {
  const out: Array<number> = []
  const add = (code: number, data: Uint8Array | undefined): void => {
    if (data === undefined || data.length === 0) return
    for (let at = 0; at < data.length; at += LONGEST) {
      const part = data.subarray(at, at + LONGEST)
      out.push(code, part.length, ...part)
    }
  }
  const { unknown, messageType } = options
  add(DHCP_OPTION.messageType, Uint8Array.of(DHCP_MESSAGE_TYPES.indexOf(messageType) + 1))
  add(DHCP_OPTION.clientIdentifier, options.clientIdentifier)
  add(DHCP_OPTION.requestedAddress, some(options.requestedAddress, octetsOf))
  add(DHCP_OPTION.serverIdentifier, some(options.serverIdentifier, octetsOf))
  add(DHCP_OPTION.leaseTime, some(options.leaseTime, long))
  add(DHCP_OPTION.renewalTime, some(options.renewalTime, long))
  add(DHCP_OPTION.rebindingTime, some(options.rebindingTime, long))
  add(DHCP_OPTION.subnetMask, some(options.subnetMask, octetsOf))
  // RFC 3442: a client that asked for the classless routes takes these before the routers.
  add(DHCP_OPTION.classlessRoutes, octetsOfRoutes(options.classlessRoutes))
  add(DHCP_OPTION.routers, octetsOfAll(options.routers))
  add(DHCP_OPTION.dnsServers, octetsOfAll(options.dnsServers))
  add(DHCP_OPTION.hostName, some(options.hostName, octetsOfText))
  add(DHCP_OPTION.domainName, some(options.domainName, octetsOfText))
  add(DHCP_OPTION.interfaceMtu, some(options.interfaceMtu, short))
  add(DHCP_OPTION.broadcastAddress, some(options.broadcastAddress, octetsOf))
  add(DHCP_OPTION.maximumMessageSize, some(options.maximumMessageSize, short))
  add(DHCP_OPTION.message, some(options.message, octetsOfText))
  add(DHCP_OPTION.parameterRequestList, Uint8Array.from(options.parameterRequestList))
  for (const { kind, data } of unknown) add(kind, data)
  out.push(END)
  return Uint8Array.from(out)
}

const some = <T>(value: T | undefined, octets: (value: T) => Uint8Array): Uint8Array | undefined =>
  value === undefined ? undefined : octets(value)

const written = (length: number, write: (out: Uint8Array) => void): Uint8Array => {
  const out = new Uint8Array(length)
  write(out)
  return out
}

const short = (value: number): Uint8Array => written(2, (out) => setU16(out, 0, value))
const long = (value: number): Uint8Array => written(4, (out) => setU32(out, 0, value))
const octetsOf = (address: IpAddress): Uint8Array => written(4, (out) => setIpv4(out, 0, address))

const octetsOfAll = (all: ReadonlyArray<IpAddress>): Uint8Array =>
  written(4 * all.length, (out) => {
    for (const [index, address] of all.entries()) setIpv4(out, 4 * index, address)
  })

const octetsOfText = (value: string): Uint8Array => Uint8Array.from(value, (character) => character.charCodeAt(0))

const octetsOfRoutes = (all: ReadonlyArray<ClasslessRoute>): Uint8Array =>
  Uint8Array.from(
    all.flatMap(({ prefix, prefixLength, via }) => [
      prefixLength,
      ...octetsOf(prefix).subarray(0, Math.ceil(prefixLength / 8)),
      ...octetsOf(via),
    ]),
  )
