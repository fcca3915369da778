import { Data } from "effect"
import type { HostRefusal } from "../host/types.ts"
import type { StackFailed } from "../runtime/errors.ts"
import { InvalidArgument } from "../runtime/errors.ts"
import type { CloseReason, Why } from "../tcp/effect.ts"

export { InvalidArgument, StackFailed } from "../runtime/errors.ts"

/** What every error of a connection or a listener says beside its tag. */
interface Detail {
  /** Whom it is about: "198.18.0.2:7". */
  readonly endpoint: string
  /** The clause or rule that decided. */
  readonly why: Why
}

/** A RST answered our SYN: the host is there and nothing listens on the port. */
export class ConnectionRefused extends Data.TaggedError("ConnectionRefused")<Detail> {
  readonly errno = "ECONNREFUSED"
  override get message(): string {
    return `${this.endpoint} refused the connection: nothing listens there (${this.why})`
  }
}

/** The peer reset an open connection. */
export class ConnectionReset extends Data.TaggedError("ConnectionReset")<Detail> {
  readonly errno = "ECONNRESET"
  override get message(): string {
    return `the connection with ${this.endpoint} was reset by the peer (${this.why})`
  }
}

/** Retransmissions, or the time allowed, ran out without an answer. */
export class ConnectionTimedOut extends Data.TaggedError("ConnectionTimedOut")<Detail> {
  readonly errno = "ETIMEDOUT"
  override get message(): string {
    return `${this.endpoint} does not answer: is it up, and is there a route both ways? (${this.why})`
  }
}

/** Given up on our own side: by `abort`, or because the stack ended. */
export class ConnectionAborted extends Data.TaggedError("ConnectionAborted")<Detail> {
  readonly errno = "ECONNABORTED"
  override get message(): string {
    return `the connection with ${this.endpoint} was aborted on this side (${this.why})`
  }
}

/** The link layer found nobody at the address, or a router said so. */
export class HostUnreachable extends Data.TaggedError("HostUnreachable")<Detail> {
  readonly errno = "EHOSTUNREACH"
  override get message(): string {
    return `nobody answers at ${this.endpoint}: check the address and that the host is up (${this.why})`
  }
}

/** No interface prefix and no route covers the address. */
export class NetworkUnreachable extends Data.TaggedError("NetworkUnreachable")<Detail> {
  readonly errno = "ENETUNREACH"
  override get message(): string {
    return `no route to ${this.endpoint}: give the stack an address in its network, or a route (${this.why})`
  }
}

/** Another socket of this stack has the address and port. */
export class AddressInUse extends Data.TaggedError("AddressInUse")<Detail> {
  readonly errno = "EADDRINUSE"
  override get message(): string {
    return `${this.endpoint} is in use on this stack: choose another port, or 0 for a free one (${this.why})`
  }
}

/** Not an address of this stack, or no free port. */
export class AddressNotAvailable extends Data.TaggedError("AddressNotAvailable")<Detail> {
  readonly errno = "EADDRNOTAVAIL"
  override get message(): string {
    return `${this.endpoint} is not available: use an address of this stack, or 0.0.0.0 for all of them (${this.why})`
  }
}

/** A policy of the stack forbids it. */
export class PermissionDenied extends Data.TaggedError("PermissionDenied")<Detail> {
  readonly errno = "EACCES"
  override get message(): string {
    return `not permitted on ${this.endpoint}: see ipUnprivilegedPortStart, broadcast for UDP, and filters on the way (${this.why})`
  }
}

/** Our direction of the connection, or all of it, is closed already. */
export class NotConnected extends Data.TaggedError("NotConnected")<
  Detail & { readonly errno: "EPIPE" | "ENOTCONN" | "ESHUTDOWN" | "EBADF" }
> {
  override get message(): string {
    return `the connection with ${this.endpoint} takes no more data: it was shut down or closed (${this.why})`
  }
}

/** The stack has no room for what the call needs. */
export class NoBuffers extends Data.TaggedError("NoBuffers")<Detail> {
  readonly errno = "ENOBUFS"
  override get message(): string {
    return `no buffer space for ${this.endpoint}: try again later (${this.why})`
  }
}

/** A datagram is longer than one can be, or than the path takes where it may not be fragmented. */
export class MessageTooLong extends Data.TaggedError("MessageTooLong")<
  Detail & {
    /** Octets of a whole packet that the path takes, where a router has said so. */
    readonly mtu: number | undefined
  }
> {
  readonly errno = "EMSGSIZE"
  override get message(): string {
    const takes = this.mtu === undefined ? "" : `: the path takes packets of ${this.mtu} octets`
    return `too long for ${this.endpoint}${takes} (${this.why})`
  }
}

/** How an open connection ends when it does not end in order. */
export type ConnectionError =
  | ConnectionRefused
  | ConnectionReset
  | ConnectionTimedOut
  | ConnectionAborted
  | HostUnreachable
  | NotConnected
  | StackFailed

/** The destination does not know the protocol, or what the datagram's header asks for. */
export class ProtocolUnreachable extends Data.TaggedError("ProtocolUnreachable")<
  Detail & { readonly errno: "ENOPROTOOPT" | "EOPNOTSUPP" | "EPROTO" }
> {
  override get message(): string {
    return `${this.endpoint} does not speak the protocol (${this.why})`
  }
}

/** Everything that `Tcp` can fail with. */
export type TcpError =
  | ConnectionError
  | NetworkUnreachable
  | AddressInUse
  | AddressNotAvailable
  | PermissionDenied
  | NoBuffers
  | InvalidArgument

/** The error for the way a connection ended; undefined when it ended in order. */
export const closedError = (reason: CloseReason, endpoint: string, why: Why): ConnectionError | undefined => {
  const detail = { endpoint, why }
  switch (reason) {
    case "done":
      return undefined
    case "ConnectionRefused":
      return new ConnectionRefused(detail)
    case "ConnectionReset":
      return new ConnectionReset(detail)
    case "ConnectionTimedOut":
      return new ConnectionTimedOut(detail)
    case "ConnectionAborted":
      return new ConnectionAborted(detail)
    case "HostUnreachable":
      return new HostUnreachable(detail)
  }
}

/** The error for a call that the host did not carry out. */
export const refusalError = ({ errno, why }: HostRefusal, endpoint: string): TcpError => {
  const detail = { endpoint, why }
  switch (errno) {
    case "EADDRINUSE":
      return new AddressInUse(detail)
    case "EADDRNOTAVAIL":
      return new AddressNotAvailable(detail)
    case "EACCES":
      return new PermissionDenied(detail)
    case "ENETUNREACH":
      return new NetworkUnreachable(detail)
    case "ENOBUFS":
      return new NoBuffers(detail)
    case "EPIPE":
    case "ENOTCONN":
    case "ESHUTDOWN":
    case "EBADF":
      return new NotConnected({ ...detail, errno })
    case "EISCONN":
    case "EMSGSIZE":
    case "EDESTADDRREQ":
    case "EAFNOSUPPORT":
    case "ENODEV":
    case "ENOENT":
    case "EALREADY":
    case "EINVAL":
      return new InvalidArgument({ argument: endpoint, reason: `the call is not for this state (${errno}, ${why})` })
  }
}
