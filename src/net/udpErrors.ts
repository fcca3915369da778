import type { IcmpReport } from "../host/icmpReport.ts"
import type { HostRefusal } from "../host/types.ts"
import type { UdpError as IcmpError } from "../host/udp/types.ts"
import { formatEndpoint } from "../wire/addressText.ts"
import {
  type AddressInUse,
  type AddressNotAvailable,
  ConnectionAborted,
  ConnectionRefused,
  HostUnreachable,
  InvalidArgument,
  MessageTooLong,
  NetworkUnreachable,
  type NoBuffers,
  type NotConnected,
  PermissionDenied,
  ProtocolUnreachable,
  refusalError,
  type StackFailed,
  type TcpError,
} from "./errors.ts"

/** What an ICMP error does to a connected socket. */
export type UnreachableError =
  | ConnectionRefused
  | HostUnreachable
  | NetworkUnreachable
  | PermissionDenied
  | MessageTooLong
  | ProtocolUnreachable

/** How receiving can end: the socket, or the stack under it, is over; a connected one says what ICMP says, and goes on. */
export type ReceiveError = ConnectionAborted | StackFailed | UnreachableError

/** Everything that `Udp` can fail with. */
export type UdpError = ReceiveError | AddressInUse | AddressNotAvailable | NoBuffers | NotConnected | InvalidArgument

export const unreachableError = ({ errno, problem, mtu }: IcmpReport, endpoint: string): UnreachableError => {
  const detail = { endpoint, why: `RFC1122-4.1.3.3:${problem}` } as const
  switch (errno) {
    case "ECONNREFUSED":
      return new ConnectionRefused(detail)
    case "EHOSTDOWN":
    case "EHOSTUNREACH":
    case "ENONET":
      return new HostUnreachable(detail)
    case "ENETUNREACH":
      return new NetworkUnreachable(detail)
    case "EMSGSIZE":
      return new MessageTooLong({ ...detail, mtu: mtu === 0 ? undefined : mtu })
    case "EACCES":
      return new PermissionDenied(detail)
    case "ENOPROTOOPT":
    case "EOPNOTSUPP":
    case "EPROTO":
      return new ProtocolUnreachable({ ...detail, errno })
  }
}

export const icmpError = (error: IcmpError): UnreachableError =>
  unreachableError(error, formatEndpoint(error.destination))

/** The error for a call that the host did not carry out. */
export const udpRefusal = (refusal: HostRefusal, endpoint: string): UdpError => {
  const { errno, why } = refusal
  switch (errno) {
    case "EMSGSIZE":
      return new MessageTooLong({ endpoint, why, mtu: undefined })
    case "EDESTADDRREQ":
      return new InvalidArgument({ argument: "to", reason: `needed on a socket without a peer (${why})` })
    case "EAFNOSUPPORT":
      return new InvalidArgument({ argument: endpoint, reason: `not of the family of the socket's address (${why})` })
    case "ENODEV":
      return new InvalidArgument({ argument: "interface", reason: `no such interface (${why})` })
    default:
      return tcpToo(refusalError(refusal, endpoint))
  }
}

/** The errors that both share; the others belong to connections and are not made from a refusal. */
const tcpToo = (error: TcpError): UdpError =>
  error._tag === "ConnectionReset" || error._tag === "ConnectionTimedOut"
    ? new ConnectionAborted({ endpoint: error.endpoint, why: error.why })
    : error
