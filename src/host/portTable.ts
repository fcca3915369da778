import { type IpAddress, isUnspecified, sameAddress } from "../wire/address.ts"

/** What a socket says about sharing its port. */
export interface Sharing {
  /** SO_REUSEADDR. */
  readonly reuseAddress: boolean
  /** SO_REUSEPORT. */
  readonly reusePort: boolean
  /** IPV6_V6ONLY: on any IPv6 address, and on none of IPv4. */
  readonly ipv6Only?: boolean | undefined
}

/** A socket that holds a port by name: bound, listening, or connected after a bind. */
export interface PortOwner extends Sharing {
  readonly address: IpAddress
  listening: boolean
}

/** Connections on a port and one local address, which nobody looks at one by one. */
interface Crowd {
  readonly address: IpAddress
  /** How many there are of each kind of sharing: see `kindOf`. */
  readonly counts: [number, number, number, number]
}

interface Bucket {
  readonly owners: Set<PortOwner>
  readonly crowds: Array<Crowd>
}

/**
 * Ports and who holds them, with the rules of Linux's inet_csk_bind_conflict: two sockets whose
 * addresses overlap may share a port when both set SO_REUSEADDR and the older one does not listen,
 * or when both set SO_REUSEPORT. Connections count too, those in TIME-WAIT among them.
 */
export class PortTable {
  private readonly buckets = new Map<number, Bucket>()

  conflicts(port: number, address: IpAddress, sharing: Sharing, self?: PortOwner): boolean {
    const bucket = this.buckets.get(port)
    if (bucket === undefined) return false
    for (const other of bucket.owners) {
      if (other !== self && overlap(address, sharing, other.address, other) && !mayShare(sharing, other)) return true
    }
    return bucket.crowds.some((crowd) => overlap(address, sharing, crowd.address, ALONE) && stranger(crowd, sharing))
  }

  /** A port that somebody has bound is not given to others as an ephemeral one. */
  isBound(port: number, address: IpAddress): boolean {
    for (const other of this.buckets.get(port)?.owners ?? []) {
      if (overlap(address, ALONE, other.address, other)) return true
    }
    return false
  }

  add(port: number, owner: PortOwner): void {
    this.bucket(port).owners.add(owner)
  }

  remove(port: number, owner: PortOwner): void {
    const bucket = this.buckets.get(port)
    if (bucket === undefined) return
    bucket.owners.delete(owner)
    this.discard(port, bucket)
  }

  /** Whether anybody at all uses the port on an overlapping address: what an ephemeral bind must avoid. */
  isTaken(port: number, address: IpAddress, ipv6Only: boolean): boolean {
    return this.conflicts(port, address, ipv6Only ? ALONE_IN_IPV6 : ALONE)
  }

  /** A connection begins to use a port. */
  join(port: number, address: IpAddress, sharing: Sharing): void {
    const { crowds } = this.bucket(port)
    let crowd = crowds.find((one) => sameAddress(one.address, address))
    if (crowd === undefined) {
      crowd = { address, counts: [0, 0, 0, 0] }
      crowds.push(crowd)
    }
    crowd.counts[kindOf(sharing)]++
  }

  leave(port: number, address: IpAddress, sharing: Sharing): void {
    const bucket = this.buckets.get(port)
    const index = bucket?.crowds.findIndex((one) => sameAddress(one.address, address)) ?? -1
    const crowd = bucket?.crowds[index]
    if (bucket === undefined || crowd === undefined) return
    crowd.counts[kindOf(sharing)]--
    if (crowd.counts.every((count) => count === 0)) bucket.crowds.splice(index, 1)
    this.discard(port, bucket)
  }

  private bucket(port: number): Bucket {
    const known = this.buckets.get(port)
    if (known !== undefined) return known
    const fresh: Bucket = { owners: new Set(), crowds: [] }
    this.buckets.set(port, fresh)
    return fresh
  }

  private discard(port: number, bucket: Bucket): void {
    if (bucket.owners.size === 0 && bucket.crowds.length === 0) this.buckets.delete(port)
  }
}

/** Nobody may share. */
export const ALONE: Sharing = { reuseAddress: false, reusePort: false }
const ALONE_IN_IPV6: Sharing = { ...ALONE, ipv6Only: true }

/** 0: shares with nobody, 1: SO_REUSEADDR, 2: SO_REUSEPORT, 3: both. */
const kindOf = ({ reuseAddress, reusePort }: Sharing): 0 | 1 | 2 | 3 => {
  if (reuseAddress) return reusePort ? 3 : 1
  return reusePort ? 2 : 0
}

/** A connection that has no kind of sharing in common. */
const stranger = ({ counts }: Crowd, mine: Sharing): boolean =>
  counts[0] > 0 ||
  (counts[1] > 0 && !mine.reuseAddress) ||
  (counts[2] > 0 && !mine.reusePort) ||
  (counts[3] > 0 && !mine.reuseAddress && !mine.reusePort)

const mayShare = (mine: Sharing, other: PortOwner): boolean =>
  (mine.reuseAddress && other.reuseAddress && !other.listening) || (mine.reusePort && other.reusePort)

/**
 * The same address, or one of them stands for all of its family, or that of IPv6 for all of both
 * (Linux's ipv6_rcv_saddr_equal).
 */
const overlap = (x: IpAddress, ofX: Sharing, y: IpAddress, ofY: Sharing): boolean => {
  if (x.family === y.family) return isUnspecified(x) || isUnspecified(y) || sameAddress(x, y)
  return x.family === 6 ? isUnspecified(x) && ofX.ipv6Only !== true : isUnspecified(y) && ofY.ipv6Only !== true
}
