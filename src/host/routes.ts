import { AddressMap } from "../ip/addressMap.ts"
import { isUsable } from "../ip/ownAddress.ts"
import { type Hop, lookup, type Route } from "../ip/route.ts"
import { type Micros, OFF } from "../tcp/time.ts"
import {
  BROADCAST4,
  type IpAddress,
  inPrefix,
  isMulticast,
  sameAddress,
  UNSPECIFIED6,
  withoutZone,
} from "../wire/address.ts"
import type { NetInterface } from "./netInterface.ts"
import type { RouteConfig } from "./types.ts"

/** A route with where it comes from, for those who look. */
export interface KnownRoute extends Route {
  readonly origin: "static" | "connected" | "advertised"
  readonly preference?: "high" | "medium" | "low"
  /** OFF: for ever. */
  readonly until: Micros
}

/** Routes that were given, at most; and destinations that a router has sent elsewhere. */
const MOST_ROUTES = 4096
const MOST_REDIRECTS = 256

/** Linux's IP6_RT_PRIO_USER and IP6_RT_PRIO_ADDRCONF. */
const CONNECTED_METRIC = 256
const ADVERTISED_METRIC = 1024
const PREFERENCE = { high: -1, medium: 0, low: 1 } as const

/** Where packets go: given routes, the interfaces' own prefixes, what routers advertise and redirect. */
export class Routes {
  private table: ReadonlyArray<Route> = []
  private given: ReadonlyArray<RouteConfig>
  private readonly redirects: AddressMap<Hop>
  /** The destination that was last looked up, and what was found. */
  private last: IpAddress | undefined = undefined
  private lastHop: Hop | undefined = undefined

  constructor(
    private readonly interfaces: ReadonlyArray<NetInterface>,
    given: ReadonlyArray<RouteConfig>,
    seed: number,
    /** A neighbour that is known, and was there when last asked. */
    private readonly isPromising: (hop: Hop) => boolean,
  ) {
    this.given = given
    this.redirects = new AddressMap(seed)
  }

  /** Addresses, prefixes or routers have changed. */
  rebuild(): void {
    this.table = [...this.connected(), ...this.given]
    this.redirects.clear()
    this.last = undefined
  }

  /** The way to a destination; `iface` where the sender has chosen one. */
  hop(destination: IpAddress, iface?: number): Hop | undefined {
    if (destination.zone !== undefined) return { interface: destination.zone - 1, neighbour: destination }
    // RFC 1112 section 6.1: a group is on the link itself.
    if (isMulticast(destination) || sameAddress(destination, BROADCAST4)) return this.onLink(destination, iface)
    if (this.redirects.size > 0) {
      const redirected = this.redirects.get(destination)
      if (redirected !== undefined) return redirected
    }
    if (iface === undefined) return this.byTable(destination) ?? this.byDefault(destination, iface)
    const table = this.table.filter((route) => route.interface === iface)
    // A sender that has chosen the link means its neighbours where no route says otherwise (Linux's SO_BINDTODEVICE).
    return (
      lookup(table, destination) ?? this.byDefault(destination, iface) ?? { interface: iface, neighbour: destination }
    )
  }

  /** Packets that follow each other mostly go to the same destination. */
  private byTable(destination: IpAddress): Hop | undefined {
    if (this.last === undefined || !sameAddress(this.last, destination)) {
      this.last = destination
      this.lastHop = lookup(this.table, destination)
    }
    return this.lastHop
  }

  /** A router has said so (RFC 1122 section 3.2.2.2, RFC 4861 section 8.3). */
  redirect(destination: IpAddress, hop: Hop): void {
    if (this.redirects.size >= MOST_REDIRECTS) this.redirects.clear()
    this.redirects.set(destination, hop)
  }

  /** Nobody answers there: what was sent that way by a redirect goes its old way again (RFC 1122 section 3.3.1.4, RFC 4861 section 7.3.3). */
  lost({ interface: index, neighbour }: Hop): void {
    if (this.redirects.size === 0) return
    for (const [destination, hop] of [...this.redirects.entries()]) {
      if (hop.interface === index && sameAddress(hop.neighbour, neighbour)) this.redirects.delete(destination)
    }
  }

  /** False: it is there, or there is no room. */
  add(route: RouteConfig): boolean {
    if (this.given.length >= MOST_ROUTES || this.given.some((other) => same(other, route))) return false
    this.given = [...this.given, route]
    this.rebuild()
    return true
  }

  remove(route: RouteConfig): boolean {
    const left = this.given.filter((other) => !same(other, route))
    if (left.length === this.given.length) return false
    this.given = left
    this.rebuild()
    return true
  }

  all(): ReadonlyArray<KnownRoute> {
    return [
      ...this.connected(),
      ...this.given.map((route): KnownRoute => ({ ...route, origin: "static", until: OFF })),
      ...this.advertised(),
    ]
  }

  /** A route to the link of every address, and of every prefix that a router says is on it. */
  private connected(): ReadonlyArray<KnownRoute> {
    return this.interfaces.flatMap(({ index, owns, discovery }) => [
      ...owns
        // RFC 5942 section 4: an address that was made says nothing about what else is on the link.
        .filter((each) => isUsable(each) && each.origin !== "autoconf" && each.origin !== "link-local")
        .map(
          ({ address, prefixLength, validUntil }): KnownRoute => ({
            prefix: withoutZone(address),
            prefixLength,
            via: undefined,
            interface: index,
            origin: "connected",
            until: validUntil,
          }),
        ),
      ...discovery.prefixes.map(
        ({ prefix, prefixLength, until }): KnownRoute => ({
          prefix,
          prefixLength,
          via: undefined,
          interface: index,
          metric: CONNECTED_METRIC,
          origin: "advertised",
          until,
        }),
      ),
    ])
  }

  private advertised(): ReadonlyArray<KnownRoute> {
    return this.interfaces.flatMap(({ index, discovery }) =>
      discovery.routers.map(
        ({ address, preference, until }): KnownRoute => ({
          prefix: UNSPECIFIED6,
          prefixLength: 0,
          via: address,
          interface: index,
          metric: ADVERTISED_METRIC + PREFERENCE[preference],
          origin: "advertised",
          preference,
          until,
        }),
      ),
    )
  }

  /** RFC 4861 section 6.3.6, RFC 4191 section 3.2: a router that seems to be there before any other, then by preference. */
  private byDefault(destination: IpAddress, iface: number | undefined): Hop | undefined {
    if (destination.family === 4) return undefined
    let best: { readonly hop: Hop; readonly rank: number } | undefined
    for (const { interface: index, via, metric = 0 } of this.advertised()) {
      if (via === undefined || (iface !== undefined && iface !== index)) continue
      const hop = { interface: index, neighbour: via }
      const rank = metric + (this.isPromising(hop) ? 0 : ADVERTISED_METRIC)
      if (best === undefined || rank < best.rank) best = { hop, rank }
    }
    return best?.hop
  }

  private onLink(destination: IpAddress, iface: number | undefined): Hop | undefined {
    const index =
      iface ??
      lookup(this.table, destination)?.interface ??
      this.interfaces.find(({ local }) => local.some(({ family }) => family === destination.family))?.index ??
      // A host that has no address yet speaks to everybody all the same (RFC 2131 section 4.1).
      this.interfaces[0]?.index
    return index === undefined ? undefined : { interface: index, neighbour: destination }
  }
}

const same = (x: RouteConfig, y: RouteConfig): boolean =>
  x.prefixLength === y.prefixLength &&
  inPrefix(x.prefix, y.prefix, x.prefixLength) &&
  x.interface === y.interface &&
  (x.via === undefined || y.via === undefined ? x.via === y.via : sameAddress(x.via, y.via))
