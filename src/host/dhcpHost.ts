import * as dhcp from "../ip/dhcpClient.ts"
import type { DhcpLease } from "../ip/dhcpLease.ts"
import { type Micros, OFF } from "../tcp/time.ts"
import { BROADCAST4, type IpAddress, isUnspecified, sameAddress } from "../wire/address.ts"
import { DHCP_CLIENT_PORT, DHCP_SERVER_PORT, decodeDhcp, encodeDhcp } from "../wire/dhcp.ts"
import { isDrop } from "../wire/drop.ts"
import { BROADCAST_MAC } from "../wire/ethernet.ts"
import type { IpPacket } from "../wire/ip.ts"
import { PROTOCOL_UDP } from "../wire/ipv4.ts"
import { decodeUdp, encodeUdp, UDP_HEADER } from "../wire/udp.ts"
import type { Deadlines, Scheduled } from "./deadlines.ts"
import type { HostKeys } from "./keyedHash.ts"
import type { Link } from "./link.ts"
import { Task } from "./task.ts"
import type { InterfaceConfig, LeaseView } from "./types.ts"

/** Where a client's numbers begin among those that are drawn for an interface. */
const DRAWS = 2 ** 31

/** An MTU below what every host must take (RFC 1122 section 3.3.2) is a mistake, and passed over as ISC's client does. */
const SMALLEST_MTU = 576

/** The client of one interface, and when it is asked again. */
interface Running {
  readonly index: number
  readonly context: dhcp.DhcpClientContext
  readonly task: Task
  /** Undefined before the host knows the time, and after the lease was given back. */
  client: dhcp.DhcpClient | undefined
  /** Whose address and routes the interface has. */
  lease: DhcpLease | undefined
}

/** DHCP clients of a host's interfaces (RFC 2131): what they learn becomes addresses and routes. */
export class DhcpHost {
  private readonly running = new Map<number, Running>()

  constructor(
    interfaces: ReadonlyArray<InterfaceConfig>,
    keys: HostKeys,
    private readonly link: Link,
    private readonly deadlines: Deadlines<Scheduled>,
  ) {
    for (const [index, { dhcp, mac, layer }] of interfaces.entries()) {
      if (dhcp === undefined || dhcp === false || layer !== "ethernet") continue
      const context: dhcp.DhcpClientContext = {
        mac,
        hostName: dhcp === true ? undefined : dhcp.hostName,
        draw: (n) => Math.floor(keys.chance(mac, DRAWS + n) * 2 ** 32),
      }
      const task = new Task((now) => this.timeout(index, now))
      this.running.set(index, { index, context, task, client: undefined, lease: undefined })
      deadlines.schedule(task, 0)
    }
  }

  /** True: it was for a client of ours, whatever became of it. */
  input(index: number, packet: IpPacket, bytes: Uint8Array, vouched: boolean, now: Micros): boolean {
    const running = this.running.get(index)
    if (running?.client === undefined || packet.source.family !== 4) return false
    const { payloadOffset, payloadLength, source, destination } = packet
    const udp = decodeUdp(bytes, payloadOffset, payloadLength, source, destination, !vouched)
    if (isDrop(udp) || udp.destinationPort !== DHCP_CLIENT_PORT) return false
    const message = decodeDhcp(udp.payload)
    if (isDrop(message)) this.link.drop(message)
    else this.take(running, dhcp.arrives(running.context, running.client, message, now), now)
    return true
  }

  /** An address is ours no longer: perhaps because somebody else has it. */
  addressLost(index: number, address: IpAddress, now: Micros): void {
    const running = this.running.get(index)
    if (running?.client === undefined || !("lease" in running.client)) return
    const { lease } = running.client
    if (!sameAddress(lease.address, address)) return
    const claimed = this.link
      .addressViews()
      .some((view) => view.interface === index && view.state === "duplicated" && sameAddress(view.address, address))
    if (!claimed) return
    this.take(running, dhcp.conflict(running.context, running.client, now), now)
  }

  /** The host is to end: leases are given back. */
  release(now: Micros): void {
    for (const running of this.running.values()) {
      const { client, context } = running
      if (client === undefined) continue
      running.client = undefined
      this.deadlines.forget(running.task)
      this.carryOut(running, dhcp.release(context, client), now)
    }
  }

  leases(): ReadonlyArray<LeaseView> {
    return [...this.running.values()].map(({ index, client }) => ({
      interface: index,
      state: client?.state ?? "INIT",
      lease: client !== undefined && "lease" in client ? client.lease : undefined,
    }))
  }

  private timeout(index: number, now: Micros): void {
    const running = this.running.get(index)
    if (running === undefined) return
    const { client, context } = running
    if (client === undefined) return this.take(running, dhcp.start(context, undefined, now), now)
    if (client.deadline === OFF) return
    if (client.deadline > now) return this.deadlines.schedule(running.task, client.deadline)
    this.take(running, dhcp.timeout(context, client, now), now)
  }

  private take(running: Running, { client, effects }: dhcp.DhcpStep, now: Micros): void {
    // Before the effects: losing an address on purpose must not look like a conflict.
    running.client = client
    if (client.deadline !== OFF) this.deadlines.schedule(running.task, client.deadline)
    this.carryOut(running, effects, now)
  }

  private carryOut(running: Running, effects: ReadonlyArray<dhcp.DhcpEffect>, now: Micros): void {
    for (const effect of effects) {
      switch (effect._tag) {
        case "Send":
          this.send(running.index, effect, now)
          break
        case "Configure":
          this.configure(running, effect.lease, now)
          break
        case "Deconfigure":
          this.deconfigure(running, effect.lease, now)
          break
      }
    }
  }

  private send(index: number, { message, to, from, why }: Extract<dhcp.DhcpEffect, { _tag: "Send" }>, now: Micros) {
    const payload = encodeDhcp(message)
    const destination = to ?? BROADCAST4
    const write = (out: Uint8Array, offset: number): void => {
      const ends = { sourcePort: DHCP_CLIENT_PORT, destinationPort: DHCP_SERVER_PORT, payload }
      encodeUdp(out, offset, { source: from, destination, ...ends })
    }
    const how = { interface: index, loop: false, ...(to === undefined ? { mac: BROADCAST_MAC } : {}) }
    this.link.datagramTo(destination, from, PROTOCOL_UDP, UDP_HEADER + payload.length, write, why, now, how)
  }

  private configure(running: Running, lease: DhcpLease, now: Micros): void {
    const iface = this.link.netInterface(running.index)
    if (iface === undefined) return
    const { address, prefixLength, expiresAt, mtu = 0 } = lease
    const { lease: before } = running
    running.lease = lease
    iface.leasedMtu = mtu < SMALLEST_MTU ? 0 : mtu
    const times = { preferredUntil: expiresAt, validUntil: expiresAt }
    if (!this.link.addresses.extend(iface, address, expiresAt, expiresAt, now)) {
      this.link.addresses.add(iface, { address, prefixLength, origin: "dynamic", ...times }, now)
    }
    // A renewal may bring other routes than there were (RFC 2131 section 4.4.5).
    if (before !== undefined) for (const route of routesOf(running.index, before)) this.link.routes.remove(route)
    for (const route of routesOf(running.index, lease)) this.link.routes.add(route)
  }

  private deconfigure(running: Running, lease: DhcpLease, now: Micros): void {
    const iface = this.link.netInterface(running.index)
    if (iface === undefined) return
    running.lease = undefined
    iface.leasedMtu = 0
    for (const route of routesOf(running.index, lease)) this.link.routes.remove(route)
    this.link.addresses.remove(iface, lease.address, now)
  }
}

const routesOf = (index: number, { routes }: DhcpLease) =>
  routes.map(({ prefix, prefixLength, via }) => ({
    prefix,
    prefixLength,
    via: isUnspecified(via) ? undefined : via,
    interface: index,
  }))
