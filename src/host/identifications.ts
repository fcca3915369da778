import type { IpAddress } from "../wire/address.ts"
import type { HostKeys } from "./keyedHash.ts"

/** Counters, shared by the pairs of addresses that fall on the same one. */
const COUNTERS = 2048

/**
 * Identifications of datagrams that may be fragmented: one after the other between two addresses,
 * from a place that nobody else knows (RFC 7739 section 5.3, RFC 6864 section 4.3).
 */
export class Identifications {
  private readonly counters = new Uint32Array(COUNTERS)

  constructor(private readonly keys: HostKeys) {}

  /** 32 bits; an IPv4 header takes the lower half. */
  next(source: IpAddress, destination: IpAddress, protocol: number): number {
    const [start, which] = this.keys.identification(source, destination, protocol)
    const index = which % COUNTERS
    const count = this.counters[index] ?? 0
    this.counters[index] = count + 1
    return (start + count) >>> 0
  }
}
