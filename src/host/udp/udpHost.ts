import type { Micros } from "../../tcp/time.ts"
import {
  BROADCAST4,
  type Endpoint,
  type IpAddress,
  inZone,
  isMapped,
  isMulticast,
  isUnspecified,
  lacksZone,
  sameAddress,
  UNSPECIFIED4,
  UNSPECIFIED6,
  unmapped,
} from "../../wire/address.ts"
import { isDrop } from "../../wire/drop.ts"
import type { IpPacket } from "../../wire/ip.ts"
import { PROTOCOL_UDP } from "../../wire/ipv4.ts"
import type { Quote } from "../../wire/quote.ts"
import { decodeUdp, encodeUdp, UDP_HEADER, type UdpPacket } from "../../wire/udp.ts"
import { type UdpCounter, udpCounter } from "../datagramCounters.ts"
import type { DatagramShell } from "../datagramShell.ts"
import type { IcmpReport } from "../icmpReport.ts"
import type { Cast } from "../link.ts"
import { type PortOwner, PortTable } from "../portTable.ts"
import { BAD_ID, refuse } from "../refusal.ts"
import type { HostRefusal, SocketId } from "../types.ts"
import { Memberships } from "./memberships.ts"
import { BAD_GSO_SIZE, isGsoSize, refuseSegments, segmentsOf } from "./segments.ts"
import { UdpSocket } from "./socket.ts"
import { UdpTable } from "./table.ts"
import {
  LARGEST_DATAGRAM,
  type SendHow,
  type UdpApi,
  type UdpDatagram,
  type UdpError,
  type UdpOptions,
  type UdpStatus,
} from "./types.ts"

/** The UDP side of a host (RFC 768, RFC 1122 section 4.1): sockets, who gets which datagram, and the way out. */
export class UdpHost implements UdpApi {
  private readonly all = new Map<SocketId, UdpSocket>()
  private readonly table = new UdpTable()
  private readonly ports = new PortTable()
  private readonly memberships: Memberships
  private binds = 0

  constructor(private readonly shell: DatagramShell) {
    this.memberships = new Memberships(shell.link)
  }

  socket(options: UdpOptions): SocketId {
    const id = this.shell.nextId()
    this.all.set(id, new UdpSocket(id, this.withDefaults(options), UNSPECIFIED4))
    return id
  }

  bind(id: SocketId, local: Endpoint): HostRefusal | undefined {
    const socket = this.all.get(id)
    if (socket === undefined) return BAD_ID
    if (socket.bound !== undefined) return refuse("EINVAL", "Linux:inet_bind:already-bound")
    const { options } = socket
    if (isMapped(local.address) && options.ipv6Only === true) return refuse("EINVAL", "Linux:inet6_bind:v6only")
    const address = zonedBy(unmapped(local.address), options.boundInterface)
    if (lacksZone(address)) return refuse("EINVAL", "RFC4007-6:no-zone")
    const { link, context } = this.shell
    const { settings } = context
    const isOurs = isUnspecified(address) || link.addresses.isOwn(address) || link.reachOf(address) !== undefined
    if (!isOurs && !options.freeBind && !settings.ipNonlocalBind) {
      return refuse("EADDRNOTAVAIL", "Linux:inet_bind:not-a-local-address")
    }
    if (!isPort(local.port)) return refuse("EINVAL", "Linux:inet_bind:port-out-of-range")
    if (local.port !== 0 && local.port < settings.ipUnprivilegedPortStart) {
      return refuse("EACCES", "Linux:ip_unprivileged_port_start")
    }
    const port = local.port === 0 ? this.freePort(address, options.ipv6Only === true) : local.port
    if (port === undefined) return refuse("EADDRINUSE", "RFC6056-3.3:no-free-port")
    if (this.ports.conflicts(port, address, options)) return refuse("EADDRINUSE", "Linux:udp_lib_get_port:conflict")
    const { reuseAddress, reusePort, ipv6Only } = options
    const owner: PortOwner = { address, reuseAddress, reusePort, ipv6Only, listening: false }
    this.ports.add(port, owner)
    socket.bound = { address, port, owner }
    socket.local = { address, port }
    socket.age = ++this.binds
    this.table.add(socket)
    return undefined
  }

  connect(id: SocketId, to: Endpoint | undefined): HostRefusal | undefined {
    const socket = this.all.get(id)
    if (socket === undefined) return BAD_ID
    if (to === undefined) {
      socket.remote = undefined
      if (socket.bound !== undefined) socket.local = { address: socket.bound.address, port: socket.bound.port }
      return undefined
    }
    const remote = meant(to, socket)
    if (!isPort(remote.port) || remote.port === 0) return refuse("EINVAL", "RFC768:port-0")
    const refusal = this.sendable(socket, remote) ?? this.autobind(socket, remote)
    if (refusal !== undefined) return refusal
    const { link } = this.shell
    const hop = link.wayTo(remote.address, this.leaving(socket, remote))
    if (hop === undefined) return link.noRoute(remote.address, "Linux:ip_route_connect:no-route")
    const own = link.isLocal(remote.address) ? remote.address : link.sourceFor(hop.interface, remote.address)
    const address = isUnspecified(socket.local.address) ? own : socket.local.address
    if (address === undefined) return refuse("EADDRNOTAVAIL", "RFC6724:no-source-address")
    socket.local = { address, port: socket.local.port }
    socket.remote = remote
    return undefined
  }

  send(
    id: SocketId,
    payload: Uint8Array,
    to: Endpoint | undefined,
    now: Micros,
    how: SendHow = {},
  ): HostRefusal | undefined {
    const socket = this.all.get(id)
    if (socket === undefined) return BAD_ID
    const { gsoSize = socket.options.gsoSize } = how
    if (!isGsoSize(gsoSize)) return BAD_GSO_SIZE
    const remote = to === undefined ? socket.remote : meant(to, socket)
    if (remote === undefined) return refuse("EDESTADDRREQ", "Linux:udp_sendmsg:no-destination")
    if (!isPort(remote.port) || remote.port === 0) return refuse("EINVAL", "RFC768:port-0")
    const { family } = remote.address
    if (payload.length > LARGEST_DATAGRAM[family]) return refuse("EMSGSIZE", "RFC768:longer-than-a-datagram")
    const refusal = this.sendable(socket, remote) ?? this.autobind(socket, remote)
    return refusal ?? this.transmit(socket, payload, remote, now, gsoSize)
  }

  receive(id: SocketId): UdpDatagram | "empty" | HostRefusal {
    const socket = this.all.get(id)
    return socket === undefined ? BAD_ID : (socket.queue.shift() ?? "empty")
  }

  takeError(id: SocketId): UdpError | undefined {
    return this.all.get(id)?.errors.shift()
  }

  join(id: SocketId, group: IpAddress, iface: number | undefined, now: Micros): HostRefusal | undefined {
    const socket = this.all.get(id)
    return socket === undefined ? BAD_ID : this.memberships.join(socket, group, iface, now)
  }

  leave(id: SocketId, group: IpAddress, iface: number | undefined, now: Micros): HostRefusal | undefined {
    const socket = this.all.get(id)
    return socket === undefined ? BAD_ID : this.memberships.leave(socket, group, iface, now)
  }

  setOptions(id: SocketId, options: Partial<UdpOptions>): HostRefusal | undefined {
    const socket = this.all.get(id)
    if (socket === undefined) return BAD_ID
    if (options.gsoSize !== undefined && !isGsoSize(options.gsoSize)) return BAD_GSO_SIZE
    socket.options = { ...socket.options, ...options }
    return undefined
  }

  status(id: SocketId): UdpStatus | undefined {
    return this.all.get(id)?.status
  }

  sockets(): ReadonlyArray<UdpStatus> {
    return [...this.all.values()].map(({ status }) => status)
  }

  /** False where there is no such UDP socket. What waits unread is thrown away. */
  close(id: SocketId, now: Micros): boolean {
    const socket = this.all.get(id)
    if (socket === undefined) return false
    this.all.delete(id)
    this.table.remove(socket)
    if (socket.bound !== undefined) this.ports.remove(socket.bound.port, socket.bound.owner)
    this.memberships.leaveAll(socket, now)
    return true
  }

  /** A datagram for one of our addresses, a broadcast address or a group; false: nobody takes what was for us alone. */
  input(
    iface: number,
    packet: IpPacket,
    bytes: Uint8Array,
    vouched: boolean,
    cast: Cast,
    now: Micros,
  ): "taken" | "dropped" | "nobody" {
    const { source, destination, payloadOffset, payloadLength, ttl, tos } = packet
    const udp = decodeUdp(bytes, payloadOffset, payloadLength, source, destination, !vouched)
    if (isDrop(udp)) {
      this.count(source.family, "InErrors")
      if (udp === "udp:bad-checksum") this.count(source.family, "InCsumErrors")
      this.shell.link.drop(udp)
      return "dropped"
    }
    const arrival = { interface: iface, ttl, tos, at: now }
    const local = { address: udp.destination, port: udp.destinationPort }
    const remote = { address: udp.source, port: udp.sourcePort }
    if (cast !== "unicast") return this.everybody(udp, local, remote, arrival, cast)
    const socket = this.table.find(local, remote, iface, () => this.shell.flowHash(local, remote))
    if (socket === undefined) {
      this.count(source.family, "NoPorts")
      return "nobody"
    }
    this.deliver(socket, udp, local, remote, arrival)
    return "taken"
  }

  /** An ICMP error about a datagram that went out; false: no socket of ours could have sent it (RFC 5927 section 4). */
  icmpError(quote: Quote, report: IcmpReport, now: Micros): boolean {
    const local = { address: quote.ip.source, port: quote.sourcePort }
    const remote = { address: quote.ip.destination, port: quote.destinationPort }
    const socket = this.table.find(local, remote, undefined, () => this.shell.flowHash(local, remote))
    if (socket === undefined) return false
    socket.report({ ...report, destination: remote, at: now })
    this.shell.notify(socket.id, "error")
    return true
  }

  /** RFC 1122 section 4.1.3.5 and RFC 1112 section 6.2: all sockets that want it get a copy. */
  private everybody(
    udp: UdpPacket,
    local: Endpoint,
    remote: Endpoint,
    arrival: Arrival,
    cast: "broadcast" | "multicast",
  ): "taken" | "dropped" {
    const hearing = this.table.hearing(
      local,
      remote,
      arrival.interface,
      (socket) => cast === "broadcast" || socket.isMember(local.address, arrival.interface),
    )
    for (const socket of hearing) this.deliver(socket, udp, local, remote, arrival)
    if (hearing.length > 0) return "taken"
    this.count(udp.source.family, "IgnoredMulti")
    this.shell.link.drop("udp:nobody-hears-the-group")
    return "dropped"
  }

  private deliver(socket: UdpSocket, udp: UdpPacket, local: Endpoint, remote: Endpoint, arrival: Arrival): void {
    const { rmemDefault, rmemMax } = this.shell.context.settings
    const limit = Math.min(socket.options.receiveBuffer || rmemDefault, rmemMax)
    const datagram: UdpDatagram = { payload: udp.payload.slice(), source: remote, destination: local, ...arrival }
    const { family } = udp.source
    if (!socket.queue.push(datagram, limit)) {
      this.count(family, "RcvbufErrors")
      this.count(family, "InErrors")
      return this.shell.link.drop("Linux:udp_queue_rcv_skb:receive-buffer-full")
    }
    this.count(family, "InDatagrams")
    this.shell.notify(socket.id, "readable")
  }

  private transmit(
    socket: UdpSocket,
    payload: Uint8Array,
    remote: Endpoint,
    now: Micros,
    gsoSize: number,
  ): HostRefusal | undefined {
    const { link } = this.shell
    const { options, local } = socket
    const chosen = this.leaving(socket, remote)
    const hop = link.wayTo(remote.address, chosen)
    if (hop === undefined) return link.noRoute(remote.address, "Linux:ip_route_output:no-route")
    const own = link.isLocal(remote.address) ? remote.address : link.sourceFor(hop.interface, remote.address)
    // A group cannot speak: a socket that is bound to one speaks as its interface.
    const named = isUnspecified(local.address) || link.reachOf(local.address) !== "unicast" ? undefined : local.address
    const foreign = options.freeBind && !isUnspecified(local.address) ? local.address : undefined
    // RFC 1122 section 3.2.1.3: who has no address yet says 0.0.0.0, to everybody.
    const nobody = sameAddress(remote.address, BROADCAST4) ? UNSPECIFIED4 : undefined
    const source = named ?? foreign ?? own ?? nobody
    if (source === undefined) return refuse("EADDRNOTAVAIL", "RFC6724:no-source-address")
    const mtu = link.pathMtus.mtu(remote.address, hop.interface, now)
    const fits = (octets: number): boolean => link.pathMtus.fits(remote.address, UDP_HEADER + octets, mtu)
    if (gsoSize > 0) {
      const refusal = refuseSegments(payload.length, gsoSize, fits)
      if (refusal !== undefined) return refusal
    } else if (options.dontFragment && !fits(payload.length)) {
      return refuse("EMSGSIZE", "RFC1191-6.2:longer-than-the-path-takes")
    }
    const isGroup = isMulticast(remote.address)
    const ttl = isGroup ? options.multicastTtl : options.ttl
    const how = {
      ...(isGroup || ttl > 0 ? { ttl } : {}),
      tos: options.tos,
      dontFragment: options.dontFragment,
      interface: chosen,
      ...(isGroup ? { loop: options.multicastLoop } : {}),
      ...(source.family === 6 ? { flowLabel: this.flowLabel({ address: source, port: local.port }, remote) } : {}),
    }
    for (const octets of segmentsOf(payload, gsoSize)) {
      const packet: UdpPacket = {
        source,
        destination: remote.address,
        sourcePort: local.port,
        destinationPort: remote.port,
        payload: octets,
      }
      this.count(remote.address.family, "OutDatagrams")
      link.datagramTo(
        remote.address,
        source,
        PROTOCOL_UDP,
        UDP_HEADER + octets.length,
        (out, offset) => void encodeUdp(out, offset, packet),
        "RFC768:send",
        now,
        how,
      )
    }
    return undefined
  }

  /** Whether the socket may speak to `remote` at all. */
  private sendable(socket: UdpSocket, { address }: Endpoint): HostRefusal | undefined {
    const { family } = address
    if (socket.bound !== undefined && !socket.speaks(family)) return refuse("EAFNOSUPPORT", "Linux:udp_sendmsg:family")
    if (lacksZone(address)) return refuse("EINVAL", "RFC4007-6:no-zone")
    if (isUnspecified(address)) return refuse("EINVAL", "RFC1122-3.2.1.3:unspecified-destination")
    return this.shell.link.reachOf(address) === "broadcast" && !socket.options.broadcast
      ? refuse("EACCES", "Linux:udp_sendmsg:SO_BROADCAST")
      : undefined
  }

  private autobind(socket: UdpSocket, { address }: Endpoint): HostRefusal | undefined {
    if (socket.bound !== undefined) return undefined
    return this.bind(socket.id, { address: address.family === 4 ? UNSPECIFIED4 : UNSPECIFIED6, port: 0 })
  }

  /** The interface that a socket has chosen, for all or for groups. */
  private leaving(socket: UdpSocket, { address }: Endpoint): number | undefined {
    const { boundInterface, multicastInterface } = socket.options
    return boundInterface ?? (isMulticast(address) ? multicastInterface : undefined)
  }

  /** RFC 6056 section 3.3.1: a port that says nothing about the next, because answers are believed by it (RFC 5452). */
  private freePort(address: IpAddress, ipv6Only: boolean): number | undefined {
    const [low, high] = this.shell.context.settings.ipLocalPortRange
    const count = high - low + 1
    const start = this.shell.chances.next() % count
    for (let tries = 0; tries < count; tries++) {
      const port = low + ((start + tries) % count)
      if (!this.ports.isTaken(port, address, ipv6Only)) return port
    }
    return undefined
  }

  private withDefaults(options: UdpOptions): UdpOptions {
    if (options.ipv6Only !== undefined || !this.shell.context.settings.bindv6only) return options
    return { ...options, ipv6Only: true }
  }

  /** RFC 6437 section 3: one for all datagrams of a flow, that nobody outside can foresee. */
  private flowLabel(local: Endpoint, remote: Endpoint): number {
    return this.shell.flowHash(local, remote) & 0xf_ffff
  }

  private count(family: 4 | 6, name: UdpCounter): void {
    this.shell.counters.add(udpCounter(family, name), 1)
  }
}

type Arrival = Pick<UdpDatagram, "interface" | "ttl" | "tos" | "at">

const isPort = (port: number): boolean => Number.isInteger(port) && port >= 0 && port <= 65535

/** A link-local address without a zone is on the link that the socket has chosen, if it has (RFC 4007 section 6). */
const zonedBy = (address: IpAddress, iface: number | undefined): IpAddress =>
  iface === undefined || address.zone !== undefined ? address : inZone(address, iface + 1)

/** Whom a socket means by `to`: IPv4 where it is mapped, on its own link where that is not said. */
const meant = (to: Endpoint, { options }: UdpSocket): Endpoint => {
  const { boundInterface, multicastInterface } = options
  const chosen = boundInterface ?? (isMulticast(to.address) ? multicastInterface : undefined)
  const address = zonedBy(unmapped(to.address), chosen)
  return address === to.address ? to : { address, port: to.port }
}
