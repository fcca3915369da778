import type { Micros } from "../../tcp/time.ts"
import type { Endpoint, IpAddress } from "../../wire/address.ts"
import type { IcmpReport } from "../icmpReport.ts"
import type { HostRefusal, SocketId } from "../types.ts"

/** Octets of payload in one datagram at most: what IPv4's total length, or IPv6's payload length, leaves. */
export const LARGEST_DATAGRAM = { 4: 65507, 6: 65527 } as const

/** What an application chooses for a UDP socket, under the names of socket(7) and ip(7) where they have one. */
export interface UdpOptions {
  /** SO_REUSEADDR: share an address and port with others that ask for it; of unicast the last one bound gets all. */
  readonly reuseAddress: boolean
  /** SO_REUSEPORT: share the load of a port; each flow goes to one of them. */
  readonly reusePort: boolean
  /** SO_BROADCAST */
  readonly broadcast: boolean
  /** SO_RCVBUF: octets that wait unread, each datagram charged DATAGRAM_OVERHEAD too. 0: `rmemDefault`. */
  readonly receiveBuffer: number
  /** IP_FREEBIND */
  readonly freeBind: boolean
  /** SO_BINDTODEVICE: send and hear by this interface only, an index; undefined: by all. */
  readonly boundInterface: number | undefined
  /** IPV6_V6ONLY of a socket that is bound to "::"; undefined: as the setting `bindv6only` says. */
  readonly ipv6Only: boolean | undefined
  /** IP_TTL, IPV6_UNICAST_HOPS: of unicast and broadcast; 0: the default. */
  readonly ttl: number
  /** IP_TOS, IPV6_TCLASS */
  readonly tos: number
  /** IP_MTU_DISCOVER, IPV6_DONTFRAG: set DF, and refuse what is longer than the path takes (EMSGSIZE). */
  readonly dontFragment: boolean
  /** UDP_SEGMENT: what one `send` is given is cut into datagrams of so many octets of payload, 1 to 65535; 0: it is one datagram. */
  readonly gsoSize: number
  /** IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS */
  readonly multicastTtl: number
  /** IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP */
  readonly multicastLoop: boolean
  /** IP_MULTICAST_IF, IPV6_MULTICAST_IF: an index into the host's interfaces; undefined: by the route, else the first. */
  readonly multicastInterface: number | undefined
}

export const defaultUdpOptions: UdpOptions = {
  reuseAddress: false,
  reusePort: false,
  broadcast: false,
  receiveBuffer: 0,
  freeBind: false,
  boundInterface: undefined,
  ipv6Only: undefined,
  ttl: 0,
  tos: 0,
  dontFragment: false,
  gsoSize: 0,
  multicastTtl: 1,
  multicastLoop: true,
  multicastInterface: undefined,
}

/** A datagram as it came. The payload is the receiver's. */
export interface UdpDatagram {
  readonly payload: Uint8Array
  readonly source: Endpoint
  /** Where it was sent to: one of our addresses, a broadcast address or a group (IP_PKTINFO). */
  readonly destination: Endpoint
  readonly interface: number
  readonly ttl: number
  readonly tos: number
  /** When the batch that brought it began. */
  readonly at: Micros
}

/** How one `send` differs from what the socket's options say. */
export interface SendHow {
  /** As UDP_SEGMENT in a control message. */
  readonly gsoSize?: number
}

/** An ICMP error about a datagram that a socket has sent. */
export interface UdpError extends IcmpReport {
  /** Where that was sent to. */
  readonly destination: Endpoint
  /** When the batch that brought it began. */
  readonly at: Micros
}

export interface UdpStatus {
  readonly socket: SocketId
  readonly local: Endpoint
  readonly remote: Endpoint | undefined
  readonly ipv6Only: boolean
  /** Octets that wait to be read, as charged. */
  readonly recvQ: number
  /** Datagrams thrown away because the queue was full. */
  readonly drops: number
  readonly groups: ReadonlyArray<{ readonly group: IpAddress; readonly interface: number }>
}

/** UDP sockets of a host. */
export interface UdpApi {
  /** Neither bound nor connected. Bound to "::", it hears and speaks IPv4 too, by IPv4's own addresses. */
  socket(options: UdpOptions): SocketId
  /** Port 0: a free one that nobody can guess. EINVAL when bound already, EADDRNOTAVAIL, EACCES, EADDRINUSE. */
  bind(socket: SocketId, local: Endpoint): HostRefusal | undefined
  /** Sends to, and hears, only `remote` from here on; undefined: everybody again. */
  connect(socket: SocketId, remote: Endpoint | undefined): HostRefusal | undefined
  /**
   * One datagram, at once, or with `gsoSize` at most MAX_SEGMENTS of that size, of which the last may be
   * shorter. A socket that is not bound is bound to a free port. Refused: EDESTADDRREQ, EMSGSIZE, EACCES
   * (broadcast), ENETUNREACH, EINVAL (port 0, too many segments, no such size), EAFNOSUPPORT.
   */
  send(
    socket: SocketId,
    payload: Uint8Array,
    to: Endpoint | undefined,
    now: Micros,
    how?: SendHow,
  ): HostRefusal | undefined
  receive(socket: SocketId): UdpDatagram | "empty" | HostRefusal
  /** The oldest error that has not been asked for. */
  takeError(socket: SocketId): UdpError | undefined
  /** `iface`: an index; undefined: that of the group's zone, of the route to it, else the first. EINVAL, EADDRINUSE, ENOBUFS. */
  join(socket: SocketId, group: IpAddress, iface: number | undefined, now: Micros): HostRefusal | undefined
  leave(socket: SocketId, group: IpAddress, iface: number | undefined, now: Micros): HostRefusal | undefined
  setOptions(socket: SocketId, options: Partial<UdpOptions>): HostRefusal | undefined
  status(socket: SocketId): UdpStatus | undefined
  sockets(): ReadonlyArray<UdpStatus>
}
