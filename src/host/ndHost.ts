import { LONGEST_DELAY } from "../ip/detection.ts"
import { DEFAULT_TIMES } from "../ip/neighbour.ts"
import * as own from "../ip/ownAddress.ts"
import * as discovery from "../ip/routerDiscovery.ts"
import { type Micros, OFF } from "../tcp/time.ts"
import {
  type IpAddress,
  inZone,
  isLinkLocal,
  isUnspecified,
  type MacAddress,
  sameAddress,
  UNSPECIFIED6,
} from "../wire/address.ts"
import type { IpPacket } from "../wire/ip.ts"
import { NEXT_HEADER_ICMPV6 } from "../wire/ipv6.ts"
import { ALL_NODES, ALL_ROUTERS, solicitedNode } from "../wire/multicast.ts"
import {
  encodeNdp,
  NDP_HOP_LIMIT,
  type NdpMessage,
  type NeighbourAdvertisement,
  type NeighbourSolicitation,
  ndpLength,
  type Redirect,
  type RouterAdvertisement,
} from "../wire/ndp.ts"
import type { Addresses } from "./addresses.ts"
import type { Deadlines, Scheduled } from "./deadlines.ts"
import type { Neighbours } from "./neighbours.ts"
import type { NetInterface } from "./netInterface.ts"
import type { Output, Packet } from "./output.ts"
import type { Routes } from "./routes.ts"
import { Task } from "./task.ts"
import type { SendFrame } from "./types.ts"

/** What an interface knows from routers is theirs to say only where we are none ourselves (Linux's accept_ra 1). */
export interface NdRole {
  readonly isRouter: boolean
}

/** Neighbour Discovery of a host (RFC 4861): neighbours, duplicate addresses, routers. */
export class NdHost {
  private readonly tasks: ReadonlyArray<Task>

  constructor(
    interfaces: ReadonlyArray<NetInterface>,
    private readonly role: NdRole,
    private readonly addresses: Addresses,
    private readonly caches: ReadonlyArray<Neighbours<Packet>>,
    private readonly routes: Routes,
    private readonly output: Output,
    private readonly deadlines: Deadlines<Scheduled>,
  ) {
    this.tasks = interfaces.map((iface) => new Task((now) => this.timeout(iface, now)))
  }

  input(iface: NetInterface, message: NdpMessage, packet: IpPacket, now: Micros): void {
    switch (message._tag) {
      case "NeighbourSolicitation":
        return this.solicitation(iface, message, packet, now)
      case "NeighbourAdvertisement":
        return this.advertisement(iface, message, now)
      case "RouterAdvertisement":
        return this.routerAdvertisement(iface, message, packet.source, now)
      case "Redirect":
        return this.redirect(iface, message, packet.source, now)
      case "RouterSolicitation":
        // Section 6.2.6 is for routers that advertise; this one leaves that to a daemon.
        return this.output.drop("ndp:not-an-advertising-router")
    }
  }

  /** Where is `target`? Everyone with its last octets is asked, or the one that should be it (section 7.2.2). */
  solicit(iface: NetInterface, source: IpAddress, target: IpAddress, to: MacAddress | "everyone", now: Micros): void {
    const message: NdpMessage = { _tag: "NeighbourSolicitation", target, sourceMac: iface.config.mac }
    const destination = to === "everyone" ? solicitedNode(target) : target
    this.send(iface, message, source, destination, to === "everyone" ? undefined : to, "RFC4861-7.2.2:resolve", now)
  }

  /** RFC 4862 section 5.4.2: who has it is to speak up, and cannot know whom to. */
  probe(iface: NetInterface, target: IpAddress, now: Micros): void {
    const message: NdpMessage = { _tag: "NeighbourSolicitation", target, sourceMac: undefined }
    this.send(iface, message, UNSPECIFIED6, solicitedNode(target), undefined, "RFC4862-5.4.2:probe", now)
  }

  /** An address can be used: with the first one of the link, the routers are asked for (section 6.3.7). */
  assigned(iface: NetInterface, address: IpAddress, now: Micros): void {
    if (iface.ipv6 !== "auto" || this.role.isRouter || !isLinkLocal(address)) return
    const delay = Math.floor(LONGEST_DELAY * this.addresses.chance(iface))
    iface.discovery = discovery.solicit(iface.discovery, delay, now)
    this.arm(iface)
  }

  /** A neighbour has said that it is no router any more (section 7.2.5). */
  noRouter(iface: NetInterface, address: IpAddress): void {
    iface.discovery = discovery.withoutRouter(iface.discovery, address)
    this.routes.rebuild()
  }

  private solicitation(iface: NetInterface, message: NeighbourSolicitation, packet: IpPacket, now: Micros): void {
    const target = inZone(message.target, iface.zone)
    const known = own.find(iface.owns, target)
    const fromNobody = isUnspecified(packet.source)
    if (known?.state === "tentative") {
      // RFC 4862 section 5.4.3: another one detects the same, or somebody asks for who is not there yet.
      const isConflict = fromNobody && this.addresses.conflict(iface, target, now)
      return this.output.drop(isConflict ? "RFC4862-5.4.3:duplicate-address" : "RFC4862-5.4.3:tentative-address")
    }
    if (known === undefined || !own.isUsable(known)) return this.output.drop("ndp:not-for-us")
    if (!fromNobody && message.sourceMac !== undefined) {
      this.caches[iface.index]?.hear(packet.source, message.sourceMac, true, now)
    }
    const reply: NdpMessage = {
      _tag: "NeighbourAdvertisement",
      target: message.target,
      isRouter: this.role.isRouter,
      solicited: !fromNobody,
      override: true,
      targetMac: iface.config.mac,
    }
    // Section 7.2.4: to who asked, or, where that has no address, to all.
    const to = fromNobody ? ALL_NODES : packet.source
    this.send(iface, reply, target, to, undefined, "RFC4861-7.2.4:solicited", now)
  }

  private advertisement(iface: NetInterface, message: NeighbourAdvertisement, now: Micros): void {
    const target = inZone(message.target, iface.zone)
    if (this.addresses.conflict(iface, target, now)) return this.output.drop("RFC4862-5.4.4:duplicate-address")
    if (this.addresses.isLocal(target)) return this.output.drop("ndp:our-address-is-claimed")
    const { targetMac: mac, solicited, override, isRouter } = message
    this.caches[iface.index]?.advertised(target, { mac, solicited, override, isRouter }, now)
  }

  /** Section 6.3.4, and what it says about addresses (RFC 4862 section 5.5.3). */
  private routerAdvertisement(iface: NetInterface, ra: RouterAdvertisement, router: IpAddress, now: Micros): void {
    if (iface.ipv6 !== "auto" || this.role.isRouter) return this.output.drop("ndp:advertisements-not-wanted")
    iface.discovery = discovery.advertised(iface.discovery, router, ra, iface.config.mtu, now)
    const cache = this.caches[iface.index]
    if (cache !== undefined) {
      const { reachableTime, retransTimer } = iface.discovery
      cache.times = {
        reachableTime: reachableTime === 0 ? DEFAULT_TIMES.reachableTime : reachableTime,
        retransTimer: retransTimer === 0 ? DEFAULT_TIMES.retransTimer : retransTimer,
      }
      if (ra.sourceMac !== undefined) cache.hear(router, ra.sourceMac, true, now, true)
    }
    for (const prefix of ra.prefixes) this.addresses.prefix(iface, prefix, now)
    this.routes.rebuild()
    this.arm(iface)
  }

  /** Section 8.3: believed of the router that the packet went to, and of no other. */
  private redirect(iface: NetInterface, message: Redirect, source: IpAddress, now: Micros): void {
    if (this.role.isRouter) return this.output.drop("ndp:redirect-for-a-router")
    const destination = inZone(message.destination, iface.zone)
    const hop = this.routes.hop(destination)
    if (hop === undefined || hop.interface !== iface.index || !sameAddress(hop.neighbour, source)) {
      return this.output.drop("RFC4861-8.1:redirect-not-from-the-first-hop")
    }
    const neighbour = inZone(message.target, iface.zone)
    if (this.addresses.isLocal(neighbour)) return this.output.drop("ndp:bad-target")
    this.routes.redirect(destination, { interface: iface.index, neighbour })
    const isRouter = !sameAddress(message.target, message.destination)
    if (message.targetMac === undefined) return
    this.caches[iface.index]?.hear(neighbour, message.targetMac, true, now, isRouter ? true : undefined)
  }

  private timeout(iface: NetInterface, now: Micros): void {
    const before = iface.discovery
    const step = discovery.timeout(before, this.addresses.chance(iface), now)
    iface.discovery = step.discovery
    const { routers, prefixes } = step.discovery
    if (routers.length !== before.routers.length || prefixes.length !== before.prefixes.length) this.routes.rebuild()
    if (step.asks) this.askRouters(iface, now)
    this.arm(iface)
  }

  private askRouters(iface: NetInterface, now: Micros): void {
    const source = iface.local.find((address) => address.family === 6 && isLinkLocal(address))
    if (source === undefined) return
    const message: NdpMessage = { _tag: "RouterSolicitation", sourceMac: linkAddress(iface) }
    this.send(iface, message, source, ALL_ROUTERS, undefined, "RFC4861-6.3.7:solicit", now)
  }

  private arm(iface: NetInterface): void {
    const at = discovery.deadlineOf(iface.discovery)
    const task = this.tasks[iface.index]
    if (at !== OFF && task !== undefined) this.deadlines.schedule(task, at)
  }

  private send(
    iface: NetInterface,
    message: NdpMessage,
    source: IpAddress,
    destination: IpAddress,
    mac: MacAddress | undefined,
    why: SendFrame["why"],
    now: Micros,
  ): void {
    this.output.datagramTo(
      inZone(destination, iface.zone),
      source,
      NEXT_HEADER_ICMPV6,
      ndpLength(message),
      (out, at) => encodeNdp(out, at, message, source, destination),
      why,
      now,
      { interface: iface.index, ttl: NDP_HOP_LIMIT, ...(mac === undefined ? {} : { mac }) },
    )
  }
}

const linkAddress = (iface: NetInterface): MacAddress | undefined => (iface.isEthernet ? iface.config.mac : undefined)
