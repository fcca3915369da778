import { type Micros, OFF } from "../tcp/time.ts"
import { type IpAddress, inZone } from "../wire/address.ts"
import type { Link } from "./link.ts"
import type { ConfigRefusal, NewAddress, RouteConfig } from "./types.ts"

/** Addresses and routes of a host that runs, with the refusals of Linux's rtnetlink. */
export class ConfigCalls {
  constructor(private readonly link: Link) {}

  addAddress(index: number, given: NewAddress, now: Micros): ConfigRefusal | undefined {
    const iface = this.link.netInterface(index)
    if (iface === undefined) return NO_DEVICE
    const { address, prefixLength, preferredUntil = OFF, validUntil = OFF, origin = "static", detect } = given
    if (prefixLength < 0 || prefixLength > (address.family === 4 ? 32 : 128)) return BAD_PREFIX
    if (address.family === 6 && iface.ipv6 === "off") return NO_IPV6
    const zoned = inZone(address, iface.zone)
    const assignment = { address: zoned, prefixLength, origin, preferredUntil, validUntil, detect }
    return this.link.addresses.add(iface, assignment, now) === undefined ? ADDRESS_EXISTS : undefined
  }

  removeAddress(index: number, address: IpAddress, now: Micros): ConfigRefusal | undefined {
    const iface = this.link.netInterface(index)
    if (iface === undefined) return NO_DEVICE
    return this.link.addresses.remove(iface, inZone(address, iface.zone), now) ? undefined : NO_ADDRESS
  }

  extendAddress(
    index: number,
    address: IpAddress,
    preferredUntil: Micros,
    validUntil: Micros,
    now: Micros,
  ): ConfigRefusal | undefined {
    const iface = this.link.netInterface(index)
    if (iface === undefined) return NO_DEVICE
    const zoned = inZone(address, iface.zone)
    return this.link.addresses.extend(iface, zoned, preferredUntil, validUntil, now) ? undefined : NO_ADDRESS
  }

  addRoute(route: RouteConfig): ConfigRefusal | undefined {
    const iface = this.link.netInterface(route.interface)
    if (iface === undefined) return NO_DEVICE
    const via = route.via === undefined ? undefined : inZone(route.via, iface.zone)
    return this.link.routes.add({ ...route, via }) ? undefined : ROUTE_EXISTS
  }

  removeRoute(route: RouteConfig): ConfigRefusal | undefined {
    const via = route.via === undefined ? undefined : inZone(route.via, route.interface + 1)
    return this.link.routes.remove({ ...route, via }) ? undefined : NO_ROUTE
  }
}

const refuse = (errno: ConfigRefusal["errno"], why: ConfigRefusal["why"]): ConfigRefusal => ({
  _tag: "Refused",
  errno,
  why,
})

const NO_DEVICE = refuse("ENODEV", "netfold:no-such-interface")
const BAD_PREFIX = refuse("EINVAL", "Linux:rtm_to_ifaddr:prefix-length")
const NO_IPV6 = refuse("EINVAL", "netfold:IPv6-is-off")
const ADDRESS_EXISTS = refuse("EEXIST", "Linux:inet_insert_ifa:address-exists")
const NO_ADDRESS = refuse("EADDRNOTAVAIL", "Linux:inet_rtm_deladdr:no-such-address")
const ROUTE_EXISTS = refuse("EEXIST", "Linux:fib_table_insert:route-exists")
const NO_ROUTE = refuse("ENOENT", "Linux:fib_table_delete:no-such-route")
