import { type IpAddress, ipv4, ipv6, isMulticast, type MacAddress } from "./address.ts"

/** ff02::1, ff02::2 and ff02::16 (RFC 4291 section 2.7.1, RFC 3810 section 5.2.14). */
export const ALL_NODES: IpAddress = ipv6(0xff020000, 0, 0, 1)
export const ALL_ROUTERS: IpAddress = ipv6(0xff020000, 0, 0, 2)
export const ALL_MLD_ROUTERS: IpAddress = ipv6(0xff020000, 0, 0, 0x16)
/** 224.0.0.1, 224.0.0.2 and 224.0.0.22 (RFC 1112 section 4, RFC 3376 section 4.2.14). */
export const ALL_SYSTEMS4: IpAddress = ipv4(0xe0000001)
export const ALL_ROUTERS4: IpAddress = ipv4(0xe0000002)
export const ALL_IGMP_ROUTERS: IpAddress = ipv4(0xe0000016)

/** The group in which whoever has an address hears of it (RFC 4291 section 2.7.1). */
export const solicitedNode = (address: IpAddress): IpAddress =>
  ipv6(0xff020000, 0, 1, (0xff000000 | (address.d & 0xffffff)) >>> 0)

/** The Ethernet group of a multicast address: RFC 1112 section 6.4 and RFC 2464 section 7. */
export const multicastMac = (group: IpAddress): MacAddress =>
  (group.family === 4 ? 0x01005e000000 + (group.d & 0x7fffff) : 0x333300000000 + group.d) as MacAddress

/** A scope's number as in a multicast address (RFC 4291 section 2.7): 1 interface, 2 link, 5 site, 14 global. */
export type Scope = number

export const LINK_SCOPE: Scope = 2
export const SITE_SCOPE: Scope = 5
export const GLOBAL_SCOPE: Scope = 14

/** RFC 6724 section 3.1 (multicast), 3.2 (IPv4), and RFC 4291. */
export const scopeOf = (address: IpAddress): Scope => {
  if (address.family === 4) {
    const first = address.d >>> 24
    return first === 127 || address.d >>> 16 === 0xa9fe ? LINK_SCOPE : GLOBAL_SCOPE
  }
  if (isMulticast(address)) return (address.a >>> 16) & 0xf
  const { a, b, c, d } = address
  if (a >>> 22 === 0xfe80 >>> 6 || (a === 0 && b === 0 && c === 0 && d === 1)) return LINK_SCOPE
  return a >>> 22 === 0xfec0 >>> 6 ? SITE_SCOPE : GLOBAL_SCOPE
}
