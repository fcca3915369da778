import type { Micros } from "../tcp/time.ts"
import type { IpAddress } from "../wire/address.ts"
import type { Link } from "./link.ts"
import { Remembered } from "./remembered.ts"

/** Linux's mtu_expires, RFC 1191 section 6.3: how long a smaller path MTU is believed. */
const LIFETIME: Micros = 600_000_000
/** Linux's min_pmtu, and IPv6's smallest MTU (RFC 8200 section 5): no router is believed that says less. */
const SMALLEST = { 4: 552, 6: 1280 } as const
const HEADER = { 4: 20, 6: 40 } as const

/** What paths take, where a router has said that it is less than the first link's MTU (RFC 1191, RFC 8201). */
export class PathMtus {
  private readonly known = new Remembered<{ readonly mtu: number; readonly until: Micros }>()

  constructor(private readonly link: Link) {}

  /** Octets of a whole packet that leaves by the interface. */
  mtu(destination: IpAddress, iface: number, now: Micros): number {
    const first = this.link.interface(iface)?.mtu ?? SMALLEST[destination.family]
    const known = this.known.get(destination)
    return known === undefined || known.until <= now ? first : Math.min(first, known.mtu)
  }

  /** Whether `length` octets of payload leave in one piece. */
  fits(destination: IpAddress, length: number, mtu: number): boolean {
    return this.link.isLocal(destination) || HEADER[destination.family] + length <= mtu
  }

  /** A router takes `mtu` octets at most; 0: it did not say, and the smallest is assumed. */
  learn(destination: IpAddress, mtu: number, now: Micros): void {
    const believed = Math.max(SMALLEST[destination.family], mtu)
    const known = this.known.get(destination)
    if (known !== undefined && known.until > now && known.mtu <= believed) return
    this.known.set(destination, { mtu: believed, until: now + LIFETIME })
  }
}
