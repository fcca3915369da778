import { signatureOctets } from "../tcp/authentication/keys.ts"
import { TFO_CLIENT, TFO_CLIENT_WITHOUT_COOKIE } from "../tcp/fastOpen.ts"
import { activeOpen, backlogOf, type FastConnect, passiveOpen } from "../tcp/open.ts"
import { add } from "../tcp/seq.ts"
import type { PathLimits, SocketOptions, TcpContext } from "../tcp/tcb.ts"
import type { Micros } from "../tcp/time.ts"
import {
  type Endpoint,
  type IpAddress,
  isMapped,
  isUnspecified,
  lacksZone,
  UNSPECIFIED4,
  unmapped,
} from "../wire/address.ts"
import { EMPTY } from "../wire/tcpSegment.ts"
import { Flow } from "./flow.ts"
import { guardOfOpen, isUsable } from "./guards.ts"
import type { Link } from "./link.ts"
import type { Ports } from "./ports.ts"
import type { PortOwner } from "./portTable.ts"
import { BAD_ID, BAD_KEYS, refuse } from "./refusal.ts"
import { type Bound, ConnectionSocket, IdleSocket, ListenerSocket } from "./socket.ts"
import type { TcpHost } from "./tcpHost.ts"
import { Totals } from "./totals.ts"
import type { HostRefusal, SocketId } from "./types.ts"

/** All that options may take in a header. */
const OPTION_SPACE = 40

/** socket, bind, listen and connect, with the refusals of Linux's inet_bind, inet_listen and tcp_v4_connect. */
export class SocketCalls {
  constructor(
    private readonly context: TcpContext,
    private readonly link: Link,
    private readonly tcp: TcpHost,
    private readonly ports: Ports,
    private readonly nextId: () => SocketId,
  ) {}

  socket(options: SocketOptions): SocketId {
    const id = this.nextId()
    this.tcp.sockets.set(id, new IdleSocket(id, this.withDefaults(options)))
    return id
  }

  bind(id: SocketId, local: Endpoint): HostRefusal | undefined {
    const socket = this.tcp.sockets.get(id)
    if (socket === undefined) return BAD_ID
    if (socket.kind !== "idle" || socket.bound !== undefined) return refuse("EINVAL", "Linux:inet_bind:already-bound")
    const bound = this.take(local, socket.options)
    if ("_tag" in bound) return bound
    socket.bound = bound
    return undefined
  }

  listen(id: SocketId, backlog: number): HostRefusal | undefined {
    const socket = this.tcp.sockets.get(id)
    if (socket === undefined) return BAD_ID
    if (socket.kind === "connection") return refuse("EINVAL", "Linux:inet_listen:connected")
    if (socket.kind === "listener") {
      socket.tcb = { ...socket.tcb, backlog: backlogOf(this.context, backlog) }
      return undefined
    }
    if (!isUsable(socket.options)) return BAD_KEYS
    const bound = socket.bound ?? this.take({ address: UNSPECIFIED4, port: 0 }, socket.options)
    if ("_tag" in bound) return bound
    const { owner, address, port } = bound
    // The port is asked for once more, now as a listener: two that share it may not both listen.
    if (this.tcp.ports.conflicts(port, address, socket.options, owner)) {
      if (socket.bound === undefined) this.tcp.ports.remove(port, owner)
      return refuse("EADDRINUSE", "Linux:inet_csk_listen_start:conflict")
    }
    owner.listening = true
    this.enter(id, address, port, backlog, socket.options, bound)
    return undefined
  }

  /** A listener on all ports of an address that nothing else listens on. */
  listenEverywhere(address: IpAddress, backlog: number, options: SocketOptions): SocketId | HostRefusal {
    const foreign = this.notOurs(address, options)
    if (foreign !== undefined) return foreign
    if (!isUsable(options)) return BAD_KEYS
    if (this.tcp.listening.listeners.takesEvery(address)) return refuse("EADDRINUSE", "netfold:every-port-taken")
    const id = this.nextId()
    this.enter(id, address, "every", backlog, this.withDefaults(options), undefined)
    return id
  }

  connect(id: SocketId, to: Endpoint, now: Micros, data?: Uint8Array): HostRefusal | undefined {
    const remote = isMapped(to.address) ? { ...to, address: unmapped(to.address) } : to
    const socket = this.tcp.sockets.get(id)
    if (socket === undefined) return BAD_ID
    if (socket.kind === "listener") return refuse("EISCONN", "Linux:inet_stream_connect:listening")
    if (socket.kind === "connection") {
      return socket.flow.tcb._tag === "SYN-SENT"
        ? refuse("EALREADY", "Linux:inet_stream_connect:connecting")
        : refuse("EISCONN", "Linux:inet_stream_connect:connected")
    }
    if (!isPort(remote.port) || remote.port === 0) return refuse("EADDRNOTAVAIL", "Linux:tcp_v4_connect:port-0")
    const unfit = this.unfitFor(remote.address, socket)
    if (unfit !== undefined) return unfit
    const own = this.link.isLocal(remote.address)
    const hop = this.link.route(remote.address)
    if (hop === undefined) return this.link.noRoute(remote.address, "Linux:tcp_v4_connect:no-route")
    const { bound, options } = socket
    if (!isUsable(options)) return BAD_KEYS
    const named = bound !== undefined && !isUnspecified(bound.address) ? bound.address : undefined
    const address = named ?? (own ? remote.address : this.link.sourceFor(hop.interface, remote.address))
    if (address === undefined) return refuse("EADDRNOTAVAIL", "RFC6724:no-source-address")
    const port = bound?.port ?? this.ports.forPeer(address, remote)
    if (port === undefined) return refuse("EADDRNOTAVAIL", "RFC6056-3.3:no-free-port")
    if (bound !== undefined && this.tcp.isTaken(address, port, remote)) {
      return refuse("EADDRNOTAVAIL", "Linux:inet_hash_connect:tuple-in-use")
    }
    const local = { address, port }
    const path = this.tcp.pathTo(hop.interface, remote, now)
    const fast = this.fastConnect(remote, path, options, data)
    const step = activeOpen(this.context, options, path, local, remote, now, fast)
    const flow = new Flow(id, step.tcb, local, remote, hop.interface)
    flow.sharing = options
    flow.guard = guardOfOpen(options, step.tcb.iss, local, remote)
    const connection = new ConnectionSocket(id, flow, new Totals(add(step.tcb.iss, 1), now))
    connection.held = true
    connection.lowWater = options.receiveLowWater
    flow.socket = connection
    this.forget(id)
    this.tcp.sockets.set(id, connection)
    this.tcp.open(flow, step, now)
    return undefined
  }

  /** Linux's tcp_v4_connect and tcp_v6_connect: to one host, on a link that is known, from an address of its family. */
  private unfitFor(remote: IpAddress, { bound, options }: IdleSocket): HostRefusal | undefined {
    if (lacksZone(remote)) return refuse("EINVAL", "RFC4007-6:no-zone")
    if (this.link.isForMany(remote)) return refuse("ENETUNREACH", "RFC1122-4.2.3.10:not-unicast")
    if (bound === undefined || bound.address.family === remote.family) return undefined
    if (!isUnspecified(bound.address) || bound.address.family === 4) {
      return refuse("EINVAL", "Linux:tcp_v6_connect:other-family")
    }
    return options.ipv6Only === true ? refuse("ENETUNREACH", "Linux:tcp_v6_connect:v6only") : undefined
  }

  private withDefaults(options: SocketOptions): SocketOptions {
    if (options.ipv6Only !== undefined || !this.context.settings.bindv6only) return options
    return { ...options, ipv6Only: true }
  }

  /** RFC 7413 section 4.2.1: data goes with the SYN when we have the server's cookie, else we ask for one. */
  private fastConnect(
    remote: Endpoint,
    path: PathLimits,
    options: SocketOptions,
    data: Uint8Array | undefined,
  ): FastConnect | undefined {
    if (data === undefined) return undefined
    // Beside a signature a SYN has no room for a cookie.
    const signed = signatureOctets(options.authentication, remote.address) > 0
    if (signed || (this.context.settings.tcpFastopen & TFO_CLIENT) === 0) return { data, option: undefined, most: 0 }
    const known = this.tcp.cookies.get(remote.address)
    const option = this.needsNoCookie(options) ? undefined : (known?.option ?? { cookie: EMPTY, experimental: false })
    return { data, option, most: Math.max(0, Math.min(path.mss, known?.mss ?? path.mss) - OPTION_SPACE) }
  }

  private needsNoCookie({ fastOpenNoCookie }: SocketOptions): boolean {
    return fastOpenNoCookie || (this.context.settings.tcpFastopen & TFO_CLIENT_WITHOUT_COOKIE) !== 0
  }

  /** Whether data for a SYN to this peer would go along with it. */
  mayOpenFast(remote: IpAddress, options: SocketOptions): boolean {
    if ((this.context.settings.tcpFastopen & TFO_CLIENT) === 0) return false
    return this.needsNoCookie(options) || this.tcp.cookies.has(remote)
  }

  /** Takes back what an idle socket holds, and the socket. */
  forget(id: SocketId): void {
    const socket = this.tcp.sockets.get(id)
    if (socket?.kind !== "idle") return
    if (socket.bound !== undefined) this.tcp.ports.remove(socket.bound.port, socket.bound.owner)
    this.tcp.sockets.delete(id)
  }

  /** Linux's inet_bind: is the address ours, the port allowed, and free? */
  private take(local: Endpoint, options: SocketOptions): Bound | HostRefusal {
    if (isMapped(local.address) && options.ipv6Only === true) return refuse("EINVAL", "Linux:inet6_bind:v6only")
    const address = unmapped(local.address)
    if (lacksZone(address)) return refuse("EINVAL", "RFC4007-6:no-zone")
    const foreign = this.notOurs(address, options)
    if (foreign !== undefined) return foreign
    if (!isPort(local.port)) return refuse("EINVAL", "Linux:inet_bind:port-out-of-range")
    if (local.port !== 0 && local.port < this.context.settings.ipUnprivilegedPortStart) {
      return refuse("EACCES", "Linux:ip_unprivileged_port_start")
    }
    const port = local.port === 0 ? this.ports.forBind(address, options.ipv6Only === true) : local.port
    if (port === undefined) return refuse("EADDRINUSE", "RFC6056-3.3:no-free-port")
    if (this.tcp.ports.conflicts(port, address, options))
      return refuse("EADDRINUSE", "Linux:inet_csk_get_port:conflict")
    const { reuseAddress, reusePort, ipv6Only } = options
    const owner: PortOwner = { address, reuseAddress, reusePort, ipv6Only, listening: false }
    this.tcp.ports.add(port, owner)
    return { address, port, owner }
  }

  private notOurs(address: IpAddress, options: SocketOptions): HostRefusal | undefined {
    return isUnspecified(address) ||
      this.link.addresses.isOwn(address) ||
      options.freeBind ||
      this.context.settings.ipNonlocalBind
      ? undefined
      : refuse("EADDRNOTAVAIL", "Linux:inet_bind:not-a-local-address")
  }

  private enter(
    id: SocketId,
    address: IpAddress,
    port: number | "every",
    backlog: number,
    options: SocketOptions,
    bound: Bound | undefined,
  ): void {
    const path = this.tcp.path(0, address.family)
    const tcb = passiveOpen(this.context, options, path, backlog)
    const listener = new ListenerSocket(id, tcb, address, port, bound)
    this.tcp.listening.add(listener)
    this.tcp.sockets.set(id, listener)
  }
}

const isPort = (port: number): boolean => Number.isInteger(port) && port >= 0 && port <= 65535
