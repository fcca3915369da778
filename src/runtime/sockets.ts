import type { DeviceFailure } from "../device/device.ts"
import type { TcpInfo } from "../host/tcpInfo.ts"
import type {
  ConnectCall,
  Ends,
  HostRefusal,
  ListenCall,
  ReadResult,
  SocketEvent,
  SocketId,
  SocketStatus,
} from "../host/types.ts"
import type { Why } from "../tcp/effect.ts"
import type { SocketOptions } from "../tcp/tcb.ts"
import type { EchoSockets, UdpSockets } from "./datagramCalls.ts"

/** What happens to a socket, for its owner. `ended`: the stack is over, by itself (see `failure`) or because its scope closes. */
export type SocketHappening = SocketEvent["event"] | "ended"

/** Who is told what happens to a socket. Called synchronously, between a batch's frames and its replies. */
export interface SocketOwner {
  onEvent(event: SocketHappening): void
}

/**
 * The user calls of one stack, for code that runs on its thread: synchronous, no Effect, no fiber.
 * Whatever they leave to be sent leaves together, at the end of the batch or of the microtask.
 */
export interface Sockets {
  listen(call: ListenCall, owner: SocketOwner): SocketId | HostRefusal
  connect(call: ConnectCall, owner: SocketOwner): SocketId | HostRefusal
  /** The next connection that waits at a listener; it has no owner until `own` gives it one. */
  accept(listener: SocketId): SocketId | undefined
  own(socket: SocketId, owner: SocketOwner): void
  /** Tells the owner of `readable` once more, soon: for one that has begun to listen, or stopped pausing. */
  remind(socket: SocketId): void
  /** The next octets in order, `max` at most; the array is the caller's. */
  read(socket: SocketId, max: number): ReadResult
  /** The same without a copy where that can be: the array is the caller's until it returns to the stack. */
  borrow(socket: SocketId, max: number): ReadResult
  /** Octets taken; the array must not change afterwards. */
  write(socket: SocketId, bytes: Uint8Array, urgent?: boolean, more?: boolean): number | HostRefusal
  /** MSG_PEEK. */
  peek(socket: SocketId, max: number): ReadResult
  /** SIOCATMARK. */
  atMark(socket: SocketId): boolean
  /** Octets that `write` would take now; 0 makes a `writable` event follow. */
  room(socket: SocketId): number
  setOptions(socket: SocketId, options: Partial<SocketOptions>): HostRefusal | undefined
  shutdown(socket: SocketId): HostRefusal | undefined
  /** SHUT_RD. */
  shutdownRead(socket: SocketId): HostRefusal | undefined
  /** After these two the owner hears nothing more. */
  close(socket: SocketId): void
  abort(socket: SocketId): void
  status(socket: SocketId): SocketStatus | undefined
  /** Between whom a connection is. */
  ends(socket: SocketId): Ends | undefined
  /** TCP_INFO. */
  info(socket: SocketId): TcpInfo | undefined
  readonly udp: UdpSockets
  readonly echo: EchoSockets
  /** Why the stack has ended by itself, once it has. */
  failure(): DeviceFailure | undefined
}

const DEVICE_GONE: Why = "netfold:device-gone"
/** The answer to every call on a stack that has ended. */
export const STACK_ENDED: HostRefusal = { _tag: "Refused", errno: "EBADF", why: DEVICE_GONE }
