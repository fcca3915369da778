import type { InterfaceAddress, InterfaceRow, NeighbourRow, RouteRow } from "../net/Inspect.ts"

/** Lines and records of ip(8): what a stack has no notion of (queues, groups) is left out. */

/** ip's number for a lifetime without end. */
const FOR_EVER = 0xffffffff
/** As the kernel says of links without a carrier to look at. */
const OPERSTATE = "UNKNOWN"
const NAME_WIDTH = 16
const STATE_WIDTH = 14

const flagsOf = ({ layer }: InterfaceRow): ReadonlyArray<string> =>
  layer === "ethernet"
    ? ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"]
    : ["POINTOPOINT", "MULTICAST", "NOARP", "UP", "LOWER_UP"]

/** An interface and its addresses. `link`: with the link's own line, which `ip -4` and `ip -6` leave out. */
export const interfaceText = (row: InterfaceRow, link: boolean): ReadonlyArray<string> => [
  `${row.index}: ${row.name}: <${flagsOf(row).join(",")}> mtu ${row.mtu} state ${OPERSTATE}`,
  ...(link ? [row.mac === undefined ? "    link/none" : `    link/ether ${row.mac} brd ff:ff:ff:ff:ff:ff`] : []),
  ...row.addresses.flatMap((address) => addressText(address, row.name)),
]

const addressText = (address: InterfaceAddress, name: string): ReadonlyArray<string> => [
  [
    `    ${familyOf(address)} ${address.address}/${address.prefixLength}`,
    ...(address.broadcast === undefined ? [] : [`brd ${address.broadcast}`]),
    `scope ${address.scope}`,
    ...addressFlags(address),
    ...(address.family === 4 ? [name] : []),
  ].join(" "),
  `       valid_lft ${lifetime(address.valid)} preferred_lft ${lifetime(address.preferred)}`,
]

const familyOf = ({ family }: Pick<InterfaceAddress, "family">): string => (family === 4 ? "inet" : "inet6")

/** In the order of iproute2's table. */
const addressFlags = ({ state, valid, origin }: InterfaceAddress): ReadonlyArray<string> => [
  ...(state === "duplicated" ? ["dadfailed"] : []),
  ...(state === "deprecated" ? ["deprecated"] : []),
  ...(state === "tentative" || state === "duplicated" ? ["tentative"] : []),
  ...(valid === undefined ? [] : ["dynamic"]),
  // RFC 7217, as all that is made here.
  ...(origin === "link-local" || origin === "autoconf" ? ["stable-privacy"] : []),
]

const lifetime = (seconds: number | undefined): string => (seconds === undefined ? "forever" : `${seconds}sec`)

/** `ip -br addr` */
export const briefText = ({ name, addresses }: InterfaceRow): string =>
  [
    name.padEnd(NAME_WIDTH),
    OPERSTATE.padEnd(STATE_WIDTH),
    ...addresses.map(({ address, prefixLength }) => `${address}/${prefixLength}`),
  ].join(" ")

export const interfaceRecord = (row: InterfaceRow): object => ({
  ifindex: row.index,
  ifname: row.name,
  flags: flagsOf(row),
  mtu: row.mtu,
  operstate: OPERSTATE,
  link_type: row.mac === undefined ? "none" : "ether",
  ...(row.mac === undefined ? {} : { address: row.mac, broadcast: "ff:ff:ff:ff:ff:ff" }),
  addr_info: row.addresses.map((address) => ({
    family: familyOf(address),
    local: address.address,
    prefixlen: address.prefixLength,
    ...(address.broadcast === undefined ? {} : { broadcast: address.broadcast }),
    scope: address.scope,
    ...Object.fromEntries(addressFlags(address).map((flag) => [flag, true])),
    ...(address.family === 4 ? { label: row.name } : {}),
    valid_life_time: address.valid ?? FOR_EVER,
    preferred_life_time: address.preferred ?? FOR_EVER,
  })),
})

export const briefRecord = ({ name, addresses }: InterfaceRow): object => ({
  ifname: name,
  operstate: OPERSTATE,
  addr_info: addresses.map(({ address, prefixLength }) => ({ local: address, prefixlen: prefixLength })),
})

/** A line of `ip route`; `named`: the device stands in it, as it does where none was asked for. */
export const routeText = (row: RouteRow, named: boolean): string =>
  [
    destinationOf(row),
    ...(row.via === undefined ? [] : [`via ${row.via}`]),
    ...(named ? [`dev ${row.device}`] : []),
    `proto ${row.protocol}`,
    ...(isOnLink(row) ? ["scope link"] : []),
    ...(row.source === undefined ? [] : [`src ${row.source}`]),
    ...(row.metric === 0 ? [] : [`metric ${row.metric}`]),
    ...(row.expires === undefined ? [] : [`expires ${row.expires}sec`]),
    ...(row.family === 6 ? [`pref ${row.preference ?? "medium"}`] : []),
  ].join(" ")

/** "default", or a network; the length of a single address goes without saying. */
const destinationOf = ({ family, prefix, prefixLength }: RouteRow): string => {
  if (prefixLength === 0) return "default"
  return prefixLength === (family === 4 ? 32 : 128) ? prefix : `${prefix}/${prefixLength}`
}

/** IPv6's routes have no scope. */
const isOnLink = ({ family, via }: RouteRow): boolean => family === 4 && via === undefined

export const routeRecord = (row: RouteRow): object => ({
  dst: destinationOf(row),
  ...(row.via === undefined ? {} : { gateway: row.via }),
  dev: row.device,
  protocol: row.protocol,
  ...(isOnLink(row) ? { scope: "link" } : {}),
  ...(row.source === undefined ? {} : { prefsrc: row.source }),
  ...(row.metric === 0 ? {} : { metric: row.metric }),
  flags: [],
  ...(row.expires === undefined ? {} : { expires: row.expires }),
  ...(row.family === 6 ? { pref: row.preference ?? "medium" } : {}),
})

/** A line of `ip neigh`. */
export const neighbourText = (row: NeighbourRow, named: boolean): string =>
  [
    row.address,
    ...(named ? [`dev ${row.device}`] : []),
    ...(row.mac === undefined ? [] : [`lladdr ${row.mac}`]),
    ...(row.router ? ["router"] : []),
    row.state,
  ].join(" ")

/** ip(8) says of a router that "router" is null. */
export const neighbourRecord = (row: NeighbourRow): object => ({
  dst: row.address,
  dev: row.device,
  ...(row.mac === undefined ? {} : { lladdr: row.mac }),
  ...(row.router ? { router: null } : {}),
  state: [row.state],
})
