import type { EchoAnswer, EchoRequestCall, EchoStatus } from "../host/echo/types.ts"
import type { HostRefusal, SocketId } from "../host/types.ts"
import type { SendHow, UdpDatagram, UdpError, UdpOptions, UdpStatus } from "../host/udp/types.ts"
import type { Endpoint, IpAddress } from "../wire/address.ts"
import type { CallContext } from "./calls.ts"
import { type SocketOwner, STACK_ENDED } from "./sockets.ts"

/** The user calls of UDP sockets; see `UdpApi` for what each refuses. Synchronous, as all of `Sockets`. */
export interface UdpSockets {
  /** A socket that is bound where `local` says; port 0: a free one. */
  open(options: UdpOptions, local: Endpoint | undefined, owner: SocketOwner): SocketId | HostRefusal
  connect(socket: SocketId, remote: Endpoint | undefined): HostRefusal | undefined
  /** The octets have left, or are lost, when this returns: they may change afterwards. */
  send(socket: SocketId, payload: Uint8Array, to: Endpoint | undefined, how?: SendHow): HostRefusal | undefined
  receive(socket: SocketId): UdpDatagram | "empty" | HostRefusal
  takeError(socket: SocketId): UdpError | undefined
  join(socket: SocketId, group: IpAddress, iface: number | undefined): HostRefusal | undefined
  leave(socket: SocketId, group: IpAddress, iface: number | undefined): HostRefusal | undefined
  setOptions(socket: SocketId, options: Partial<UdpOptions>): HostRefusal | undefined
  status(socket: SocketId): UdpStatus | undefined
}

/** The same of echo sockets; see `EchoApi`. */
export interface EchoSockets {
  open(identifier: number, receiveBuffer: number, owner: SocketOwner): SocketId | HostRefusal
  send(socket: SocketId, request: EchoRequestCall): HostRefusal | undefined
  receive(socket: SocketId): EchoAnswer | "empty" | HostRefusal
  status(socket: SocketId): EchoStatus | undefined
}

type Context = Omit<CallContext, "remind">

export const udpCalls = ({ host, owners, now, failure, called }: Context): UdpSockets => ({
  open: (options, local, owner) => {
    if (failure() !== undefined) return STACK_ENDED
    const socket = host.udp.socket(options)
    const refusal = local === undefined ? undefined : host.udp.bind(socket, local)
    if (refusal !== undefined) {
      host.close(socket, now())
      return refusal
    }
    owners.ownListener(socket, owner)
    return socket
  },
  connect: (socket, remote) => (failure() === undefined ? host.udp.connect(socket, remote) : STACK_ENDED),
  send: (socket, payload, to, how) => {
    if (failure() !== undefined) return STACK_ENDED
    called()
    return host.udp.send(socket, payload, to, now(), how)
  },
  receive: (socket) => (failure() === undefined ? host.udp.receive(socket) : STACK_ENDED),
  takeError: (socket) => host.udp.takeError(socket),
  join: (socket, group, iface) => {
    if (failure() !== undefined) return STACK_ENDED
    called()
    return host.udp.join(socket, group, iface, now())
  },
  leave: (socket, group, iface) => {
    if (failure() !== undefined) return STACK_ENDED
    called()
    return host.udp.leave(socket, group, iface, now())
  },
  setOptions: (socket, options) => (failure() === undefined ? host.udp.setOptions(socket, options) : STACK_ENDED),
  status: (socket) => host.udp.status(socket),
})

export const echoCalls = ({ host, owners, now, failure, called }: Context): EchoSockets => ({
  open: (identifier, receiveBuffer, owner) => {
    if (failure() !== undefined) return STACK_ENDED
    const socket = host.echo.open(identifier, receiveBuffer)
    if (typeof socket === "number") owners.ownListener(socket, owner)
    return socket
  },
  send: (socket, request) => {
    if (failure() !== undefined) return STACK_ENDED
    called()
    return host.echo.send(socket, request, now())
  },
  receive: (socket) => (failure() === undefined ? host.echo.receive(socket) : STACK_ENDED),
  status: (socket) => host.echo.status(socket),
})
