import { type IpAddress, inPrefix, sameAddress } from "../wire/address.ts"
import { IPV6_MIN_MTU } from "../wire/ipv6.ts"
import { FOREVER, type PrefixInformation, type RouterAdvertisement } from "../wire/ndp.ts"
import { type Micros, OFF } from "../wire/time.ts"
import { until } from "./ownAddress.ts"

/** What an interface knows from router advertisements (RFC 4861 section 5.1), and how it asks for them. */
export interface Discovery {
  readonly solicitation: Solicitation | undefined
  readonly routers: ReadonlyArray<DefaultRouter>
  readonly prefixes: ReadonlyArray<OnLinkPrefix>
  readonly resolvers: ReadonlyArray<Resolver>
  /** 0: nobody has said. */
  readonly hopLimit: number
  readonly mtu: number
  readonly reachableTime: Micros
  readonly retransTimer: Micros
}

/** RFC 7559: intervals that double, for as long as no router answers. */
export interface Solicitation {
  readonly interval: Micros
  readonly deadline: Micros
}

export interface DefaultRouter {
  readonly address: IpAddress
  readonly preference: RouterAdvertisement["preference"]
  readonly until: Micros
}

export interface OnLinkPrefix {
  readonly prefix: IpAddress
  readonly prefixLength: number
  readonly until: Micros
}

/** A recursive resolver (RFC 8106). */
export interface Resolver {
  readonly address: IpAddress
  readonly until: Micros
}

/** What a link may make us remember of each kind. */
export const MOST_ROUTERS = 8
export const MOST_PREFIXES = 32
export const MOST_RESOLVERS = 8

const SECOND: Micros = 1_000_000
/** RFC 4861 section 10, RFC 7559 section 2. */
const INITIAL_INTERVAL: Micros = 4 * SECOND
const LONGEST_INTERVAL: Micros = 3600 * SECOND

export const SILENT: Discovery = {
  solicitation: undefined,
  routers: [],
  prefixes: [],
  resolvers: [],
  hopLimit: 0,
  mtu: 0,
  reachableTime: 0,
  retransTimer: 0,
}

/** Begins to ask, after `delay` (RFC 4861 section 6.3.7). */
export const solicit = (discovery: Discovery, delay: Micros, now: Micros): Discovery => ({
  ...discovery,
  solicitation: { interval: 0, deadline: now + delay },
})

/** What has run out goes; `asks`: a solicitation is due. `chance` is from 0 to below 1. */
export const timeout = (
  discovery: Discovery,
  chance: number,
  now: Micros,
): { readonly discovery: Discovery; readonly asks: boolean } => {
  const alive = ({ until: at }: { readonly until: Micros }): boolean => at === OFF || at > now
  const { solicitation, routers, prefixes, resolvers } = discovery
  const asks = solicitation !== undefined && solicitation.deadline <= now
  const left: Discovery = {
    ...discovery,
    solicitation: asks ? next(solicitation, chance, now) : solicitation,
    routers: routers.filter(alive),
    prefixes: prefixes.filter(alive),
    resolvers: resolvers.filter(alive),
  }
  return { discovery: left, asks }
}

/** RFC 8415 section 15's arithmetic: the double, give or take a tenth. */
const next = ({ interval }: Solicitation, chance: number, now: Micros): Solicitation => {
  const jitter = 0.2 * chance - 0.1
  const doubled = interval === 0 ? INITIAL_INTERVAL * (1 + jitter) : interval * (2 + jitter)
  const bounded = Math.floor(doubled > LONGEST_INTERVAL ? LONGEST_INTERVAL * (1 + jitter) : doubled)
  return { interval: bounded, deadline: now + bounded }
}

/** An advertisement of `router` on a link that carries `linkMtu` (RFC 4861 section 6.3.4). */
export const advertised = (
  discovery: Discovery,
  router: IpAddress,
  ra: RouterAdvertisement,
  linkMtu: number,
  now: Micros,
): Discovery => ({
  // RFC 7559 section 2.1: one from a router that leads further ends the asking.
  solicitation: ra.lifetime > 0 ? undefined : discovery.solicitation,
  routers: routersAfter(discovery.routers, router, ra, now),
  prefixes: ra.prefixes.reduce((known, prefix) => prefixesAfter(known, prefix, now), discovery.prefixes),
  resolvers: ra.resolvers.reduce((known, resolver) => resolversAfter(known, resolver, now), discovery.resolvers),
  hopLimit: ra.hopLimit === 0 ? discovery.hopLimit : ra.hopLimit,
  mtu: ra.mtu >= IPV6_MIN_MTU && ra.mtu <= linkMtu ? ra.mtu : discovery.mtu,
  reachableTime: ra.reachableTime === 0 ? discovery.reachableTime : ra.reachableTime * 1000,
  retransTimer: ra.retransTimer === 0 ? discovery.retransTimer : ra.retransTimer * 1000,
})

const routersAfter = (
  known: ReadonlyArray<DefaultRouter>,
  address: IpAddress,
  { lifetime, preference }: RouterAdvertisement,
  now: Micros,
): ReadonlyArray<DefaultRouter> => {
  const entry = { address, preference, until: now + lifetime * SECOND }
  return updated(known, entry, (other) => sameAddress(other.address, address), lifetime > 0, MOST_ROUTERS)
}

const prefixesAfter = (
  known: ReadonlyArray<OnLinkPrefix>,
  { prefix, prefixLength, onLink, validLifetime }: PrefixInformation,
  now: Micros,
): ReadonlyArray<OnLinkPrefix> => {
  if (!onLink || prefix.a >>> 22 === 0xfe80 >>> 6 || prefix.a >>> 24 === 0xff) return known
  const entry = { prefix, prefixLength, until: until(validLifetime, now) }
  const same = (other: OnLinkPrefix): boolean =>
    other.prefixLength === prefixLength && inPrefix(prefix, other.prefix, prefixLength)
  return updated(known, entry, same, validLifetime > 0, MOST_PREFIXES)
}

const resolversAfter = (
  known: ReadonlyArray<Resolver>,
  { address, lifetime }: RouterAdvertisement["resolvers"][number],
  now: Micros,
): ReadonlyArray<Resolver> => {
  const entry = { address, until: lifetime === FOREVER ? OFF : now + lifetime * SECOND }
  return updated(known, entry, (other) => sameAddress(other.address, address), lifetime > 0, MOST_RESOLVERS)
}

/** In its place, or at the end while there is room; gone when its lifetime is 0. */
const updated = <T>(
  known: ReadonlyArray<T>,
  entry: T,
  same: (other: T) => boolean,
  lives: boolean,
  most: number,
): ReadonlyArray<T> => {
  if (!lives) return known.filter((other) => !same(other))
  if (known.some(same)) return known.map((other) => (same(other) ? entry : other))
  return known.length < most ? [...known, entry] : known
}

/** A router that has said of itself that it is none any more (RFC 4861 section 7.2.5). */
export const withoutRouter = (discovery: Discovery, address: IpAddress): Discovery => ({
  ...discovery,
  routers: discovery.routers.filter((router) => !sameAddress(router.address, address)),
})

export const deadlineOf = ({ solicitation, routers, prefixes, resolvers }: Discovery): Micros => {
  let first = solicitation?.deadline ?? OFF
  for (const list of [routers, prefixes, resolvers]) {
    for (const { until: at } of list) if (at !== OFF && (first === OFF || at < first)) first = at
  }
  return first
}
