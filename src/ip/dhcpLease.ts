import { type IpAddress, ipv4 } from "../wire/address.ts"
import type { DhcpMessage } from "../wire/dhcp.ts"
import type { ClasslessRoute } from "../wire/dhcpOptions.ts"
import { type Micros, OFF } from "../wire/time.ts"

/** What a server has given us, and until when. */
export interface DhcpLease {
  readonly address: IpAddress
  readonly prefixLength: number
  readonly server: IpAddress
  readonly routes: ReadonlyArray<ClasslessRoute>
  readonly dnsServers: ReadonlyArray<IpAddress>
  readonly domainName: string | undefined
  readonly mtu: number | undefined
  /** T1, T2 and the end (RFC 2131 section 4.4.5); OFF for a lease without end. */
  readonly renewAt: Micros
  readonly rebindAt: Micros
  readonly expiresAt: Micros
}

const SECOND: Micros = 1_000_000
const FOR_EVER = 0xffffffff
const ANYWHERE = ipv4(0)

/**
 * The lease of an ACK to a request that left at `since`: its times count from there (RFC 2131
 * section 4.4.1). `server`: who gave it before, where the message does not say. Undefined: not a usable one.
 */
export const leaseOf = (message: DhcpMessage, server: IpAddress | undefined, since: Micros): DhcpLease | undefined => {
  const { options, yiaddr } = message
  const by = options.serverIdentifier ?? server
  const { leaseTime } = options
  if (yiaddr.d === 0 || by === undefined || leaseTime === undefined) return undefined
  const prefixLength = lengthOf(options.subnetMask) ?? classOf(yiaddr)
  return {
    address: yiaddr,
    prefixLength,
    server: by,
    // Where there are classless routes the routers are not for us (RFC 3442).
    routes:
      options.classlessRoutes.length > 0
        ? options.classlessRoutes
        : options.routers.slice(0, 1).map((via) => ({ prefix: ANYWHERE, prefixLength: 0, via })),
    dnsServers: options.dnsServers,
    domainName: options.domainName,
    mtu: options.interfaceMtu,
    ...timesOf(leaseTime, options.renewalTime, options.rebindingTime, since),
  }
}

const timesOf = (
  lease: number,
  t1: number | undefined,
  t2: number | undefined,
  since: Micros,
): Pick<DhcpLease, "renewAt" | "rebindAt" | "expiresAt"> => {
  if (lease === FOR_EVER) return { renewAt: OFF, rebindAt: OFF, expiresAt: OFF }
  const rebind = t2 !== undefined && t2 < lease ? t2 : lease * 0.875
  const renew = t1 !== undefined && t1 <= rebind ? t1 : Math.min(lease * 0.5, rebind)
  const at = (seconds: number): Micros => since + Math.round(seconds * SECOND)
  return { renewAt: at(renew), rebindAt: at(rebind), expiresAt: at(lease) }
}

/** Undefined for a mask with holes. */
const lengthOf = (mask: IpAddress | undefined): number | undefined => {
  if (mask === undefined) return undefined
  const length = Math.clz32(~mask.d)
  return mask.d === (length === 0 ? 0 : (0xffffffff << (32 - length)) >>> 0) ? length : undefined
}

/** Without a mask only the address's class is left (RFC 1122 section 3.2.1.3). */
const classOf = ({ d }: IpAddress): number => {
  if (d >>> 31 === 0) return 8
  return d >>> 30 === 2 ? 16 : 24
}
