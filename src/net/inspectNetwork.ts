import type { AddressView, LeaseView, NeighbourView, RouteView } from "../host/types.ts"
import type { StackService } from "../runtime/stack.ts"
import { type Micros, OFF } from "../tcp/time.ts"
import {
  type IpAddress,
  inPrefix,
  ipv4,
  isLinkLocal,
  isLoopback,
  isUnspecified,
  networkOf,
  sameAddress,
  withoutZone,
} from "../wire/address.ts"
import { formatAddress, formatMac } from "../wire/addressText.ts"
import type { InterfaceAddress, InterfaceRow, NeighbourRow, RouteRow, Scope } from "./inspectNetworkSchema.ts"

const MICROS = 1_000_000
/** A /31 or /32 has no broadcast address (RFC 3021 section 2.2). */
const LONGEST_WITH_BROADCAST = 30

/** The interfaces of a stack, in their order, each with its addresses. */
export const interfaceRows = ({ devices, network }: StackService): ReadonlyArray<InterfaceRow> => {
  const addresses = network.addresses()
  const now = network.now()
  return devices.map(({ name, mac, capabilities: { layer, mtu } }, index) => ({
    index: index + 1,
    name,
    layer,
    mtu,
    ...(layer === "ethernet" ? { mac: formatMac(mac) } : {}),
    addresses: addresses.filter((view) => view.interface === index).map((view) => addressOf(view, now)),
  }))
}

const addressOf = (view: AddressView, now: Micros): InterfaceAddress => {
  const { address, prefixLength, origin, state } = view
  return {
    family: address.family,
    address: plain(address),
    prefixLength,
    ...(address.family === 4 && prefixLength <= LONGEST_WITH_BROADCAST
      ? { broadcast: plain(ipv4((address.d | (0xffffffff >>> prefixLength)) >>> 0)) }
      : {}),
    scope: scopeOf(address),
    origin,
    state,
    preferred: left(view.preferredUntil, now),
    valid: left(view.validUntil, now),
  }
}

/** As iproute2's tables: IPv4 link-local addresses are as global as they were given. */
const scopeOf = (address: IpAddress): Scope => {
  if (isLoopback(address)) return "host"
  if (address.family === 4) return "global"
  if (isLinkLocal(address)) return "link"
  return address.a >>> 22 === 0xfec0 >>> 6 ? "site" : "global"
}

/** All routes of a stack: IPv4 first, each family by prefix, so that the default routes lead it. */
export const routeRows = ({ devices, network }: StackService): ReadonlyArray<RouteRow> => {
  const leases = network.leases()
  const own = network.addresses()
  const now = network.now()
  return [...network.routes()].sort(compareRoutes).map((route) => {
    const { prefix, prefixLength, via, metric, interface: index, preference } = route
    return {
      family: prefix.family,
      prefix: plain(networkOf(prefix, prefixLength)),
      prefixLength,
      ...(via === undefined ? {} : { via: plain(via) }),
      device: nameOf(devices, index),
      protocol: protocolOf(route, leases),
      metric,
      ...sourceOf(route, own),
      ...(preference === undefined ? {} : { preference }),
      expires: left(route.until, now),
    }
  })
}

const compareRoutes = (x: RouteView, y: RouteView): number =>
  x.prefix.family - y.prefix.family ||
  compareAddresses(networkOf(x.prefix, x.prefixLength), networkOf(y.prefix, y.prefixLength)) ||
  x.prefixLength - y.prefixLength ||
  x.metric - y.metric

const compareAddresses = (x: IpAddress, y: IpAddress): number => x.a - y.a || x.b - y.b || x.c - y.c || x.d - y.d

const protocolOf = (route: RouteView, leases: ReadonlyArray<LeaseView>): RouteRow["protocol"] => {
  switch (route.origin) {
    case "connected":
      return "kernel"
    case "advertised":
      return "ra"
    case "static":
      return leases.some((view) => isLeased(route, view)) ? "dhcp" : "static"
  }
}

const isLeased = (route: RouteView, { interface: index, lease }: LeaseView): boolean =>
  route.interface === index &&
  (lease?.routes ?? []).some(
    ({ prefix, prefixLength, via }) =>
      prefixLength === route.prefixLength &&
      inPrefix(prefix, route.prefix, prefixLength) &&
      (route.via === undefined ? isUnspecified(via) : sameAddress(via, route.via)),
  )

/** An address's own route is known by it. */
const sourceOf = (route: RouteView, own: ReadonlyArray<AddressView>): Pick<RouteRow, "source"> => {
  if (route.origin !== "connected" || route.prefix.family === 6) return {}
  const found = own.find(
    (view) => view.interface === route.interface && inPrefix(view.address, route.prefix, route.prefixLength),
  )
  return found === undefined ? {} : { source: plain(found.address) }
}

/** Every entry of a stack's neighbour caches. */
export const neighbourRows = ({ devices, network }: StackService): ReadonlyArray<NeighbourRow> =>
  network.neighbours().map((view: NeighbourView) => ({
    family: view.address.family,
    address: plain(view.address),
    device: nameOf(devices, view.interface),
    ...(view.mac === undefined ? {} : { mac: formatMac(view.mac) }),
    router: view.isRouter,
    state: view.state,
  }))

const nameOf = (devices: StackService["devices"], index: number): string => devices[index]?.name ?? String(index + 1)

/** The device says which link it is on. */
const plain = (address: IpAddress): string => formatAddress(withoutZone(address))

/** Whole seconds. */
const left = (until: Micros, now: Micros): number | undefined =>
  until === OFF ? undefined : Math.max(0, Math.floor((until - now) / MICROS))
