import type { DeviceFailure } from "../device/device.ts"
import type { HostApi } from "../host/types.ts"
import type { Micros } from "../tcp/time.ts"
import { echoCalls, udpCalls } from "./datagramCalls.ts"
import type { Owners } from "./owners.ts"
import { type Sockets, STACK_ENDED } from "./sockets.ts"

/** What the calls of applications need of the loop. */
export interface CallContext {
  readonly host: HostApi
  readonly owners: Owners
  readonly now: () => Micros
  readonly failure: () => DeviceFailure | undefined
  /** A call was made: what it leads to leaves at the end of the batch, or of the microtask. */
  readonly called: () => void
  readonly remind: Sockets["remind"]
}

/** The user calls: on to the host, and a note for the loop that there may be something to send. */
export const socketCalls = ({ host, owners, now, failure, called, remind }: CallContext): Sockets => ({
  listen: (call, owner) => {
    if (failure() !== undefined) return STACK_ENDED
    const socket = host.listen(call, now())
    if (typeof socket === "number") owners.ownListener(socket, owner)
    called()
    return socket
  },
  connect: (call, owner) => {
    if (failure() !== undefined) return STACK_ENDED
    const socket = host.connect(call, now())
    if (typeof socket === "number") owners.own(socket, owner)
    called()
    return socket
  },
  accept: (listener) => (failure() === undefined ? host.accept(listener) : undefined),
  own: (socket, owner) => owners.own(socket, owner),
  remind: (socket) => {
    remind(socket)
    called()
  },
  read: (socket, max) => {
    if (failure() !== undefined) return STACK_ENDED
    const result = host.read(socket, max, now())
    // The window may have opened.
    if (typeof result === "object") called()
    return result
  },
  borrow: (socket, max) => {
    if (failure() !== undefined) return STACK_ENDED
    const result = host.borrow(socket, max, now())
    if (typeof result === "object") called()
    return result
  },
  write: (socket, bytes, urgent, more) => {
    if (failure() !== undefined) return STACK_ENDED
    called()
    return host.write(socket, bytes, now(), urgent, more)
  },
  peek: (socket, max) => (failure() === undefined ? host.peek(socket, max) : STACK_ENDED),
  atMark: (socket) => failure() === undefined && host.atMark(socket),
  room: (socket) => (failure() === undefined ? host.room(socket) : 0),
  setOptions: (socket, options) => {
    if (failure() !== undefined) return STACK_ENDED
    called()
    return host.setOptions(socket, options, now())
  },
  shutdown: (socket) => {
    if (failure() !== undefined) return STACK_ENDED
    called()
    return host.shutdown(socket, now())
  },
  shutdownRead: (socket) => {
    if (failure() !== undefined) return STACK_ENDED
    called()
    return host.shutdownRead(socket, now())
  },
  close: (socket) => {
    owners.disown(socket)
    host.close(socket, now())
    called()
  },
  abort: (socket) => {
    owners.disown(socket)
    host.abort(socket, now())
    called()
  },
  status: (socket) => host.status(socket),
  ends: (socket) => host.ends(socket),
  info: (socket) => host.info(socket, now()),
  failure,
  udp: udpCalls({ host, owners, now, failure, called }),
  echo: echoCalls({ host, owners, now, failure, called }),
})
