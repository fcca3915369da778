import type { Micros } from "../../tcp/time.ts"
import type { IpAddress } from "../../wire/address.ts"
import type { IcmpReport } from "../icmpReport.ts"
import type { HostRefusal, SocketId } from "../types.ts"

/** An echo request (RFC 792, RFC 4443 section 4.1). */
export interface EchoRequestCall {
  readonly to: IpAddress
  /** 16 bits. */
  readonly sequence: number
  readonly payload: Uint8Array
  /** 0: the default. */
  readonly ttl: number
  readonly tos: number
  readonly dontFragment: boolean
  /** One of our addresses; undefined: the route's. */
  readonly source: IpAddress | undefined
}

/** What came of a request. The payload is the receiver's. */
export type EchoAnswer = EchoReply | EchoFailure

export interface EchoReply {
  readonly _tag: "Reply"
  readonly from: IpAddress
  readonly sequence: number
  readonly payload: Uint8Array
  readonly ttl: number
  readonly tos: number
  /** When the batch that brought it began. */
  readonly at: Micros
}

export interface EchoFailure {
  readonly _tag: "Failure"
  readonly sequence: number
  /** Where the request was sent to. */
  readonly to: IpAddress
  readonly report: IcmpReport
  readonly payload: Uint8Array
  readonly at: Micros
}

export interface EchoStatus {
  readonly socket: SocketId
  readonly identifier: number
  readonly recvQ: number
  readonly drops: number
}

/** Echo sockets of a host, as Linux's ping sockets: each has an identifier, and hears what is about its own requests only. */
export interface EchoApi {
  /** Identifier 0: a free one that nobody can guess. EADDRINUSE, EINVAL. */
  open(identifier: number, receiveBuffer: number): SocketId | HostRefusal
  /** EMSGSIZE, ENETUNREACH, EADDRNOTAVAIL, EACCES (IPv4's broadcast and multicast addresses are not asked), EINVAL. */
  send(socket: SocketId, request: EchoRequestCall, now: Micros): HostRefusal | undefined
  receive(socket: SocketId): EchoAnswer | "empty" | HostRefusal
  status(socket: SocketId): EchoStatus | undefined
}
