import type { DhcpClient } from "../ip/dhcpClient.ts"
import type { DhcpLease } from "../ip/dhcpLease.ts"
import type { Origin } from "../ip/ownAddress.ts"
import type { Candidate } from "../ip/sourceAddress.ts"
import type { CloseReason, IcmpErrno, Refused, Transmit, Why } from "../tcp/effect.ts"
import type { TcpSettings } from "../tcp/settings.ts"
import type { SocketOptions, State, Tcb } from "../tcp/tcb.ts"
import type { Micros } from "../tcp/time.ts"
import type { Endpoint, IpAddress, MacAddress } from "../wire/address.ts"
import type { AuthenticationStatus } from "./authentication/session.ts"
import type { Signature } from "./authentication/signature.ts"
import type { EchoApi } from "./echo/types.ts"
import type { Notice, Watch } from "./notices.ts"
import type { TcpInfo } from "./tcpInfo.ts"
import type { Totals } from "./totals.ts"
import type { UdpApi } from "./udp/types.ts"

/** The two ends of a connection. */
export interface Ends {
  readonly local: Endpoint
  readonly remote: Endpoint
}

/** A socket of a host. Never used again after it is closed, so a late event cannot reach another. */
export type SocketId = number & { readonly SocketId: unique symbol }

export interface InterfaceConfig {
  readonly name: string
  readonly mac: MacAddress
  readonly layer: "ethernet" | "ip"
  /** Octets of the largest IP packet. */
  readonly mtu: number
  /** Largest TCP payload of one SendSegment effect; 0: one MSS (see Capabilities.segmentationOffload). */
  readonly burst: number
  readonly addresses: ReadonlyArray<InterfaceAddress>
  /** Take an IPv4 address from a DHCP server (RFC 2131), perhaps under a name. Default false. */
  readonly dhcp?: boolean | { readonly hostName: string }
  /**
   * Frames stay where they are until the batch's `flush`, so that what they bring can be lent to its reader, and
   * single ones of a connection can be handled as one. joined: the device has done the latter. Default: they do not stay.
   */
  readonly framesStay?: "joined" | "single"
  /**
   * off: no IPv6. static: the addresses given, and a link-local one. auto: also those that routers
   * advertise prefixes for (RFC 4862). Default: static where an IPv6 address is given, else off.
   */
  readonly ipv6?: "auto" | "static" | "off"
  /** Questions before an IPv6 address is used (RFC 4862 section 5.1: DupAddrDetectTransmits). Default 1. */
  readonly dadTransmits?: number
  /** Ask before an IPv4 address is used (RFC 5227). Default false. */
  readonly arpProbe?: boolean
}

export interface InterfaceAddress {
  readonly address: IpAddress
  readonly prefixLength: number
}

/** Where packets for a prefix go; on-link when `via` is absent. Interface prefixes are routes by themselves. */
export interface RouteConfig {
  readonly prefix: IpAddress
  readonly prefixLength: number
  readonly via: IpAddress | undefined
  readonly interface: number
  /** Among routes of one length the smallest wins. Default 0. */
  readonly metric?: number
}

/** An address of an interface, as `ip addr` shows it. Times are the host's; OFF: for ever. */
export interface AddressView extends InterfaceAddress {
  readonly interface: number
  readonly origin: Origin
  /** tentative: nobody else may have it. deprecated: for what uses it already. duplicated: somebody else has it. */
  readonly state: "tentative" | "preferred" | "deprecated" | "duplicated"
  readonly preferredUntil: Micros
  readonly validUntil: Micros
}

/** A route, as `ip route` shows it. */
export interface RouteView extends RouteConfig {
  readonly metric: number
  /** Given, of an interface's address, or from a router's advertisement. */
  readonly origin: "static" | "connected" | "advertised"
  /** Of a router that advertises itself (RFC 4191 section 2.1). */
  readonly preference?: "high" | "medium" | "low"
  readonly until: Micros
}

/** An entry of a neighbour cache, as `ip neigh` shows it. */
export interface NeighbourView {
  readonly interface: number
  readonly address: IpAddress
  readonly mac: MacAddress | undefined
  readonly state: "INCOMPLETE" | "REACHABLE" | "STALE" | "DELAY" | "PROBE"
  readonly isRouter: boolean
}

/** What DHCP has come to on an interface. */
export interface LeaseView {
  readonly interface: number
  readonly state: DhcpClient["state"]
  readonly lease: DhcpLease | undefined
}

/** An address for an interface that runs. */
export interface NewAddress extends InterfaceAddress {
  /** Times; OFF, the default: for ever. */
  readonly preferredUntil?: Micros
  readonly validUntil?: Micros
  /** Ask first whether somebody has it (RFC 4862, RFC 5227). Default: as the interface is configured. */
  readonly detect?: boolean
  /** How we came by it. Default static. */
  readonly origin?: "static" | "dynamic"
}

export interface HostConfig {
  readonly interfaces: ReadonlyArray<InterfaceConfig>
  readonly routes: ReadonlyArray<RouteConfig>
  readonly settings: TcpSettings
  /** 16 octets or more: ISNs, timestamp offsets, port choice and hash seeds come from it. */
  readonly secret: Uint8Array
}

export interface ListenCall {
  /** UNSPECIFIED4: every local address of IPv4; UNSPECIFIED6: of both families, unless the options say `ipv6Only`. */
  readonly address: IpAddress
  /** 0: a free one is chosen. "every": all ports of the address that nothing else listens on. */
  readonly port: number | "every"
  /** Clamped to `somaxconn`. */
  readonly backlog: number
  readonly options: SocketOptions
}

export interface ConnectCall {
  readonly remote: Endpoint
  /** Absent: the route's source address, and a port from `ipLocalPortRange`. */
  readonly local: { readonly address?: IpAddress; readonly port?: number }
  /** Data for the SYN (RFC 7413): it goes along where the server gave us a cookie before, else after the handshake. */
  readonly fastOpen?: Uint8Array
  readonly options: SocketOptions
}

/** A call that the host does not carry out. */
export interface HostRefusal {
  readonly _tag: "Refused"
  readonly errno:
    | Refused["errno"]
    | "EADDRINUSE"
    | "EADDRNOTAVAIL"
    | "EACCES"
    | "ENETUNREACH"
    | "EBADF"
    | "EMSGSIZE"
    | "EDESTADDRREQ"
    | "EAFNOSUPPORT"
    | "ENODEV"
  readonly why: Why
}

/** A change of addresses or routes that the host does not make. */
export interface ConfigRefusal {
  readonly _tag: "Refused"
  readonly errno: "EEXIST" | "EINVAL" | "ENODEV" | "ENOENT" | "EADDRNOTAVAIL"
  readonly why: Why
}

/** What a host wants done, in order. */
export type HostEffect = SendSegment | SendFrame | SocketEvent | Dropped

/** A TCP segment for the wire: the runtime writes headers and payload straight into device memory. */
export interface SendSegment {
  readonly _tag: "SendSegment"
  readonly interface: number
  readonly nextHop: MacAddress
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly sourcePort: number
  readonly destinationPort: number
  readonly ttl: number
  readonly tos: number
  readonly identification: number
  /** Of IPv6: the same for all packets of a connection (RFC 6437). Default 0. */
  readonly flowLabel?: number
  readonly segment: Transmit
  /** Its options have room for the signature, which is made when its octets are written. */
  readonly signature?: Signature | undefined
}

/** A whole frame (ARP, ICMP, ...), from the link header on. */
export interface SendFrame {
  readonly _tag: "SendFrame"
  readonly interface: number
  readonly bytes: Uint8Array
  readonly why: Why
}

/**
 * Something an application waits for. Level, not count: `readable` may cover many segments.
 * connected: an active open completed. finished: the peer has acknowledged our FIN, and all before it. acceptable: a listener has a connection waiting.
 * readable: data or end of data. urgent: data ahead is urgent (RFC 9293 section 3.8.5). error: an ICMP error about a datagram, or a notice about what was written, waits. writable: room in the send buffer again. closed: the connection
 * is over, `status` says why.
 */
export interface SocketEvent {
  readonly _tag: "SocketEvent"
  readonly socket: SocketId
  readonly event: "connected" | "acceptable" | "readable" | "urgent" | "writable" | "finished" | "closed" | "error"
}

export interface Dropped {
  readonly _tag: "Dropped"
  readonly why: string
}

/** Outcome of a read: octets, or why there are none. */
export type ReadResult = Uint8Array | "empty" | "end" | HostRefusal

export interface SocketStatus {
  readonly socket: SocketId
  readonly state: State
  readonly local: Endpoint
  readonly remote: Endpoint | undefined
  /** Unread octets; of a listener: connections waiting to be accepted. */
  readonly recvQ: number
  /** Unacknowledged and unsent octets; of a listener: its backlog. */
  readonly sendQ: number
  /** Octets that `write` would take now. */
  readonly room: number
  /** Set once the connection is over. */
  readonly closed:
    | { readonly reason: CloseReason; readonly errno?: IcmpErrno | undefined; readonly why: Why }
    | undefined
  /** How its segments are signed; absent where they are not. */
  readonly authentication?: AuthenticationStatus | undefined
  readonly tcb: Tcb
  /** What the connection has done so far; absent where no application holds it. */
  readonly totals?: Totals | undefined
  /** Of a listener: SYNs and ACKs that it had no room for. */
  readonly drops?: number
  /** `takeNotice` has something. */
  readonly notices?: boolean
}

/**
 * One host without I/O. Inputs (`frame`, `advance`, the calls) change its state and leave effects;
 * `flush` ends a batch of inputs: only then do owed ACKs and new data leave, so that one ACK
 * answers a burst and a reply carries it. `take` hands the effects over.
 */
export interface HostApi {
  /** A frame from an interface; the memory may be reused after the call, or after `flush` where the interface says `framesStay`. */
  frame(iface: number, bytes: Uint8Array, offset: number, length: number, checksumVouched: boolean, now: Micros): void
  /** Fires the timers that are due. */
  advance(now: Micros): void
  flush(now: Micros): void
  /** The next time `advance` has something to do, or OFF. */
  nextDeadline(): Micros
  take(): ReadonlyArray<HostEffect>
  /** An accept queue has filled: `take` and accept before the next frame, or those that follow are refused together. */
  readonly crowded: boolean
  /** Connections that have been put to rest so far (see rest.ts): the records that they were made of are garbage. */
  readonly rested: number

  /** A socket that is neither bound nor connected. */
  socket(options: SocketOptions): SocketId
  /** Port 0: a free one. EINVAL when bound already, EADDRNOTAVAIL, EACCES, EADDRINUSE (Linux's inet_bind). */
  bind(socket: SocketId, local: Endpoint): HostRefusal | undefined
  /** Begins to listen, on a free port where none was bound; again: changes the backlog (Linux's inet_listen). */
  startListening(socket: SocketId, backlog: number): HostRefusal | undefined
  /** Begins to connect, from where the socket is bound. */
  startConnecting(socket: SocketId, remote: Endpoint, now: Micros, fastOpen?: Uint8Array): HostRefusal | undefined
  /** socket, bind and startListening at once. */
  listen(call: ListenCall, now: Micros): SocketId | HostRefusal
  /** socket, bind where asked for, and startConnecting at once. */
  connect(call: ConnectCall, now: Micros): SocketId | HostRefusal
  /** Whether data for a SYN would go along with it (RFC 7413): a cookie of the peer's is known, or none is needed. */
  mayOpenFast(remote: IpAddress, options: SocketOptions): boolean
  accept(listener: SocketId): SocketId | undefined
  /** The next octets in order, at most `max`; the array is the caller's. */
  read(socket: SocketId, max: number, now: Micros): ReadResult
  /** As `read`, but the array may be a device's memory: it is the caller's only until the next call of any kind. */
  borrow(socket: SocketId, max: number, now: Micros): ReadResult
  /** MSG_PEEK: as `read`, and they stay. */
  peek(socket: SocketId, max: number): ReadResult
  /** SIOCATMARK: the next octet is the last of the urgent data (RFC 6093). `read` stops before it. */
  atMark(socket: SocketId): boolean
  /** SO_ERROR: why the connection ended, told once; undefined: in order, or not at all. */
  takeError(socket: SocketId): CloseReason | undefined
  /** Queues as many octets as the send buffer has room for and says how many; the array must not change afterwards. `more`: MSG_MORE; `record`: MSG_EOR, where all of them are taken. */
  write(
    socket: SocketId,
    bytes: Uint8Array,
    now: Micros,
    urgent?: boolean,
    more?: boolean,
    record?: boolean,
  ): number | HostRefusal
  /** Notices are to follow about what has just been written (MSG_ZEROCOPY, SO_TIMESTAMPING): before it is flushed. */
  watch(socket: SocketId, watch: Watch): HostRefusal | undefined
  /** The next notice, oldest first; an "error" event says that there is one. */
  takeNotice(socket: SocketId): Notice | undefined
  /** Half-close: FIN after what is queued (RFC 9293 CLOSE). Reading goes on. */
  shutdown(socket: SocketId, now: Micros): HostRefusal | undefined
  /** SHUT_RD: reading gives what is queued, then the end; data that comes after our FIN is answered with a RST. */
  shutdownRead(socket: SocketId, now: Micros): HostRefusal | undefined
  /** Gives the socket up as close(2) does: FIN in order, RST where unread data is thrown away or SO_LINGER is 0. The id is dead afterwards. */
  close(socket: SocketId, now: Micros): void
  /** RST (RFC 9293 ABORT). The id is dead afterwards. */
  abort(socket: SocketId, now: Micros): void
  /** What `write` would take now; 0 makes a `writable` event follow once a third of the send buffer is free. */
  room(socket: SocketId): number
  setOptions(socket: SocketId, options: Partial<SocketOptions>, now: Micros): HostRefusal | undefined
  status(socket: SocketId): SocketStatus | undefined
  /** Between whom a connection is; undefined: there is none behind the socket any more. */
  ends(socket: SocketId): Ends | undefined
  /** TCP_INFO. */
  info(socket: SocketId, now: Micros): TcpInfo | undefined
  sockets(): ReadonlyArray<SocketStatus>

  /** EEXIST, ENODEV. Tentative at first where others are to be asked; see `addresses`. */
  addAddress(iface: number, address: NewAddress, now: Micros): ConfigRefusal | undefined
  /** EADDRNOTAVAIL. Connections of the address go on unheard. */
  removeAddress(iface: number, address: IpAddress, now: Micros): ConfigRefusal | undefined
  /** Other lifetimes: a lease was renewed. EADDRNOTAVAIL. */
  extendAddress(
    iface: number,
    address: IpAddress,
    preferredUntil: Micros,
    validUntil: Micros,
    now: Micros,
  ): ConfigRefusal | undefined
  /** EEXIST, ENODEV. */
  addRoute(route: RouteConfig): ConfigRefusal | undefined
  /** ENOENT. */
  removeRoute(route: RouteConfig): ConfigRefusal | undefined
  addresses(): ReadonlyArray<AddressView>
  routes(): ReadonlyArray<RouteView>
  neighbours(): ReadonlyArray<NeighbourView>
  /** The address that would speak for us to a destination (RFC 6724 section 5); undefined: no way leads there. */
  sourceFor(destination: IpAddress): Candidate | undefined
  /** Octets of the largest packet that the way to an address carries, as far as is known; undefined: there is none. */
  pathMtu(destination: IpAddress, now: Micros): number | undefined
  /** Recursive resolvers that routers (RFC 8106) and DHCP servers have named. */
  resolvers(): ReadonlyArray<IpAddress>
  /** DHCP's state, of each interface that has a client. */
  leases(): ReadonlyArray<LeaseView>
  /** Gives leases back: the last call before a host is left alone. */
  release(now: Micros): void
  readonly counters: Readonly<Record<string, number>>
  readonly settings: TcpSettings
  /**
   * Changes settings of the running host, as sysctl(8) does: connections that exist obey from their
   * next step on, and keep what their handshake agreed. EINVAL: another option layout.
   */
  configure(changed: Partial<TcpSettings>): HostRefusal | undefined
  /** Datagram sockets have calls of their own; `close` is the same for all. */
  readonly udp: UdpApi
  readonly echo: EchoApi
}
