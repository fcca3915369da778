import type { IpAddress } from "./address.ts"

/** A packet of either IP version, as the layers above see it. Both codecs' packets have this shape. */
export interface IpPacket {
  readonly source: IpAddress
  readonly destination: IpAddress
  /** The upper layer's number: IPv4's protocol field, the last Next Header of an IPv6 header chain. */
  readonly protocol: number
  /** Time to live, or hop limit. */
  readonly ttl: number
  /** DSCP and, in the two last bits, ECN: the TOS octet, or the traffic class. */
  readonly tos: number
  /** Where the IP header begins: what an ICMP error quotes from. */
  readonly headerOffset: number
  readonly payloadOffset: number
  /** Link padding cut off. */
  readonly payloadLength: number
}
