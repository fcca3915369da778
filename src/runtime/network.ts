import type {
  AddressView,
  ConfigRefusal,
  HostApi,
  LeaseView,
  NeighbourView,
  NewAddress,
  RouteConfig,
  RouteView,
} from "../host/types.ts"
import type { Candidate } from "../ip/sourceAddress.ts"
import type { Micros } from "../tcp/time.ts"
import type { IpAddress } from "../wire/address.ts"

/** What a stack knows of its network, and how that is changed while it runs. Times are the stack's own: see `now`. */
export interface Network {
  /** An interface has IPv6: a listener of all addresses listens to both versions. */
  readonly hasIpv6: boolean
  /** Microseconds: what lifetimes are compared with. */
  readonly now: () => Micros
  readonly addresses: () => ReadonlyArray<AddressView>
  readonly routes: () => ReadonlyArray<RouteView>
  readonly neighbours: () => ReadonlyArray<NeighbourView>
  /** The address that would speak for us to a destination; undefined: no way leads there. */
  readonly sourceFor: (destination: IpAddress) => Candidate | undefined
  /** Octets of the largest packet that the way to an address carries, as far as is known; undefined: there is none. */
  readonly pathMtu: (destination: IpAddress) => number | undefined
  /** DHCP's state, of each interface that has a client. */
  readonly leases: () => ReadonlyArray<LeaseView>
  /** Resolvers that routers (RFC 8106) and DHCP servers have named. */
  readonly resolvers: () => ReadonlyArray<IpAddress>
  readonly addAddress: (iface: number, address: NewAddress) => ConfigRefusal | undefined
  readonly removeAddress: (iface: number, address: IpAddress) => ConfigRefusal | undefined
  readonly extendAddress: (
    iface: number,
    address: IpAddress,
    preferredUntil: Micros,
    validUntil: Micros,
  ) => ConfigRefusal | undefined
  readonly addRoute: (route: RouteConfig) => ConfigRefusal | undefined
  readonly removeRoute: (route: RouteConfig) => ConfigRefusal | undefined
}

/** `called`: what the host has to say about it must be carried out soon. */
export const networkCalls = (host: HostApi, now: () => Micros, called: () => void, hasIpv6: boolean): Network => {
  const then = <A>(result: A): A => {
    called()
    return result
  }
  return {
    hasIpv6,
    now,
    addresses: () => host.addresses(),
    routes: () => host.routes(),
    neighbours: () => host.neighbours(),
    sourceFor: (destination) => host.sourceFor(destination),
    pathMtu: (destination) => host.pathMtu(destination, now()),
    leases: () => host.leases(),
    resolvers: () => host.resolvers(),
    addAddress: (iface, address) => then(host.addAddress(iface, address, now())),
    removeAddress: (iface, address) => then(host.removeAddress(iface, address, now())),
    extendAddress: (iface, address, preferredUntil, validUntil) =>
      then(host.extendAddress(iface, address, preferredUntil, validUntil, now())),
    addRoute: (route) => then(host.addRoute(route)),
    removeRoute: (route) => then(host.removeRoute(route)),
  }
}
