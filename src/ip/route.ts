import { type IpAddress, inPrefix, isUnspecified } from "../wire/address.ts"

/** Where packets for a prefix go; on-link when `via` is absent. */
export interface Route {
  readonly prefix: IpAddress
  readonly prefixLength: number
  readonly via: IpAddress | undefined
  readonly interface: number
  /** Among routes of one length the smallest wins. Default 0. */
  readonly metric?: number
}

/** The interface and the neighbour for a destination. */
export interface Hop {
  readonly interface: number
  readonly neighbour: IpAddress
}

/** The longest prefix that holds `destination`, of those the smallest metric, of those the first. */
export const lookup = (routes: ReadonlyArray<Route>, destination: IpAddress): Hop | undefined => {
  let best: Route | undefined
  for (const route of routes) {
    if (!inPrefix(destination, route.prefix, route.prefixLength)) continue
    if (best === undefined || isBetter(route, best)) best = route
  }
  if (best === undefined || isUnspecified(destination)) return undefined
  return { interface: best.interface, neighbour: best.via ?? destination }
}

const isBetter = (x: Route, y: Route): boolean =>
  x.prefixLength !== y.prefixLength ? x.prefixLength > y.prefixLength : (x.metric ?? 0) < (y.metric ?? 0)
