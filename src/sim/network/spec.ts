import type { HostApi, HostConfig } from "../../host/types.ts"
import type { TcpSettings } from "../../tcp/settings.ts"
import { parseCidr } from "../../wire/addressText.ts"
import { type Impairment, impairmentProblem, PERFECT } from "../../wire/impairment/spec.ts"
import type { Micros } from "../../wire/time.ts"

/** A network as data: hosts and switches, and the links between them. The seed decides all chance in it. */
export interface NetworkSpec {
  readonly seed: number
  readonly hosts: Readonly<Record<string, HostSpec>>
  readonly switches?: Readonly<Record<string, SwitchSpec>>
  readonly links: ReadonlyArray<LinkSpec>
}

export interface HostSpec {
  /** The first interface's; see `interfaces` for more than one. "198.18.0.1/24". */
  readonly addresses?: ReadonlyArray<string>
  readonly interfaces?: ReadonlyArray<InterfaceSpec>
  readonly routes?: HostConfig["routes"]
  readonly settings?: Partial<TcpSettings>
  /** In place of the real host: to record what goes into it, say. */
  readonly makeHost?: (config: HostConfig) => HostApi
}

export interface InterfaceSpec {
  readonly addresses: ReadonlyArray<string>
  /** Octets of the largest IP packet. Default 1500. */
  readonly mtu?: number
  /**
   * How long the first frame that arrives waits for others before the host hears of them together, as
   * network cards have it (Linux's rx-usecs). Default 0.
   */
  readonly coalesce?: Micros
}

export interface SwitchSpec {
  /** Addresses that it remembers at most; the one seen longest ago makes room. Default 1024. */
  readonly tableSize?: number
}

/**
 * A cable with two ends: "client" is a host's first interface or a switch, "router:1" a host's second.
 * `there` is the way from the first end to the second.
 */
export interface LinkSpec {
  readonly ends: readonly [string, string]
  readonly there?: Partial<Impairment>
  /** Default: as `there`. */
  readonly back?: Partial<Impairment>
}

export interface LinkEnd {
  readonly node: string
  readonly port: number
}

export const DEFAULT_MTU = 1500

/** "router:1": the second interface of `router`. */
export const linkEnd = (text: string): LinkEnd => {
  const colon = text.lastIndexOf(":")
  const port = colon < 0 ? "" : text.slice(colon + 1)
  return /^\d+$/.test(port) ? { node: text.slice(0, colon), port: Number(port) } : { node: text, port: 0 }
}

export const directionsOf = (link: LinkSpec): readonly [there: Impairment, back: Impairment] => {
  const there = { ...PERFECT, ...link.there }
  return [there, link.back === undefined ? there : { ...PERFECT, ...link.back }]
}

export const interfacesOf = (host: HostSpec): ReadonlyArray<InterfaceSpec> =>
  host.interfaces ?? [{ addresses: host.addresses ?? [] }]

/** What is wrong with a network, or undefined. */
export const networkProblem = (spec: NetworkSpec): string | undefined => {
  const switches = spec.switches ?? {}
  const taken = new Set<string>()
  for (const [name, host] of Object.entries(spec.hosts)) {
    if (name in switches) return `"${name}" is a host and a switch`
    const bad = interfacesOf(host)
      .flatMap(({ addresses }) => addresses)
      .find((address) => parseCidr(address) === undefined)
    if (interfacesOf(host).some(({ coalesce = 0 }) => !(coalesce >= 0 && Number.isFinite(coalesce)))) {
      return `host ${name}: what arrives is kept for a finite time that is not negative`
    }
    if (bad !== undefined) return `host ${name}: "${bad}" is no address with a prefix length, as 198.18.0.1/24`
  }
  for (const [name, { tableSize = 1 }] of Object.entries(switches)) {
    if (!(tableSize >= 1)) return `switch ${name}: its table needs room for an address`
  }
  for (const link of spec.links) {
    const name = link.ends.join(" - ")
    for (const end of link.ends) {
      const { node, port } = linkEnd(end)
      if (node in switches) continue
      const host = spec.hosts[node]
      if (host === undefined) return `link ${name}: there is no host or switch "${node}"`
      if (interfacesOf(host)[port] === undefined) return `link ${name}: ${node} has no interface ${port}`
      if (taken.has(`${node}:${port}`)) return `link ${name}: interface ${port} of ${node} has a link already`
      taken.add(`${node}:${port}`)
    }
    for (const direction of directionsOf(link)) {
      const problem = impairmentProblem(direction)
      if (problem !== undefined) return `link ${name}: ${problem}`
    }
  }
  return loopProblem(spec)
}

/** A loop of switches would carry a broadcast round for ever: there is no spanning tree here. */
const loopProblem = (spec: NetworkSpec): string | undefined => {
  const parent = new Map<string, string>()
  const root = (name: string): string => {
    const above = parent.get(name)
    return above === undefined ? name : root(above)
  }
  for (const { ends } of spec.links) {
    const [near, far] = [linkEnd(ends[0]).node, linkEnd(ends[1]).node]
    if (!(near in (spec.switches ?? {}) && far in (spec.switches ?? {}))) continue
    if (root(near) === root(far)) return `link ${ends.join(" - ")}: it closes a loop of switches`
    parent.set(root(near), root(far))
  }
  return undefined
}
