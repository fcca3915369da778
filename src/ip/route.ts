import { type IpAddress, inPrefix, isUnspecified } from "../wire/address.ts"

/** Where packets for a prefix go; on-link when `via` is absent. */
export interface Route {
  readonly prefix: IpAddress
  readonly prefixLength: number
  readonly via: IpAddress | undefined
  readonly interface: number
}

/** The interface and the neighbour for a destination. */
export interface Hop {
  readonly interface: number
  readonly neighbour: IpAddress
}

/** The longest prefix that holds `destination`; among equals the first. */
export const lookup = (routes: ReadonlyArray<Route>, destination: IpAddress): Hop | undefined => {
  let best: Route | undefined
  for (const route of routes) {
    if (!inPrefix(destination, route.prefix, route.prefixLength)) continue
    if (best === undefined || route.prefixLength > best.prefixLength) best = route
  }
  if (best === undefined || isUnspecified(destination)) return undefined
  return { interface: best.interface, neighbour: best.via ?? destination }
}
