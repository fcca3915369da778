import { AddressMap } from "../ip/addressMap.ts"
import { type PathMtu, tooBig } from "../ip/pathMtu.ts"
import type { Micros } from "../tcp/time.ts"
import type { IpAddress } from "../wire/address.ts"
import { IPV4_HEADER } from "../wire/ipv4.ts"
import { IPV6_HEADER, IPV6_MIN_MTU } from "../wire/ipv6.ts"
import type { Link } from "./link.ts"

/** Destinations remembered at most; the oldest gives way. */
const MOST = 1024
/** RFC 1122 section 3.3.2, RFC 8200 section 5. */
const SMALLEST_MTU = { 4: 576, 6: IPV6_MIN_MTU } as const
const HEADER = { 4: IPV4_HEADER, 6: IPV6_HEADER } as const

/** What the paths to destinations carry, where that is less than their first link does. */
export class PathMtus {
  private readonly known: AddressMap<PathMtu>

  constructor(
    private readonly link: Pick<Link, "mtu" | "route" | "isLocal">,
    seed: number,
  ) {
    this.known = new AddressMap(seed)
  }

  get isEmpty(): boolean {
    return this.known.size === 0
  }

  /** Octets of the largest packet that leaves by the interface. */
  mtu(destination: IpAddress, iface: number, now: Micros): number {
    const first = this.link.mtu(iface, destination.family) ?? SMALLEST_MTU[destination.family]
    if (this.known.size === 0) return first
    const path = this.known.get(destination)
    return path === undefined || path.until <= now ? first : Math.min(first, path.mtu)
  }

  /** Whether `length` octets of payload leave in one piece. */
  fits(destination: IpAddress, length: number, mtu: number): boolean {
    return this.link.isLocal(destination) || HEADER[destination.family] + length <= mtu
  }

  /**
   * A router says that a packet was too big for a link of `reported`; 0: it does not say, and the packet
   * had `length` octets. What the path carries then; undefined: the report says nothing.
   */
  learn(destination: IpAddress, reported: number, now: Micros, length = 0): number | undefined {
    const hop = this.link.route(destination)
    const first = hop === undefined ? undefined : this.link.mtu(hop.interface, destination.family)
    if (first === undefined) return undefined
    const after = tooBig(this.known.get(destination), destination.family, reported, length, first, now)
    if (after === undefined) return undefined
    if (this.known.size >= MOST && this.known.get(destination) === undefined) this.forgetOldest()
    this.known.set(destination, after)
    return after.mtu
  }

  private forgetOldest(): void {
    for (const [address] of this.known.entries()) return this.known.delete(address)
  }
}
