import { Either } from "effect"
import { defaultUdpOptions, type UdpOptions } from "../host/udp/types.ts"
import type { StackService } from "../runtime/stack.ts"
import type { IpAddress } from "../wire/address.ts"
import { InvalidArgument } from "./errors.ts"

/** What an application chooses for a UDP socket. */
export interface SocketOptions {
  /** Share the address and port with other sockets that ask for it, as listeners of a group do. Default false. */
  readonly reuseAddress?: boolean
  /** Share the load of the port: each flow goes to one of the sockets. Default false. */
  readonly reusePort?: boolean
  /** Send to broadcast addresses. Default false: PermissionDenied. */
  readonly broadcast?: boolean
  /** Octets held unread, overhead included. Default `rmemDefault`, at most `rmemMax`. */
  readonly receiveBuffer?: number
  /** Send and hear by this interface only, by its name. Default: by all. */
  readonly interface?: string
  /** TTL or hop limit of unicast and broadcast, 1 to 255. Default 64. */
  readonly ttl?: number
  /** DSCP and ECN, which IPv6 calls the traffic class, 0 to 255. Default 0. */
  readonly tos?: number
  /** Do not fragment: what the path does not take in one piece fails with MessageTooLong. Default false. */
  readonly dontFragment?: boolean
  /**
   * Cut what one `send` is given into datagrams of so many octets, the last of which may be shorter, at most 64
   * of them: Linux's UDP_SEGMENT. None of them is fragmented: MessageTooLong. A device that cuts datagrams itself
   * takes them as one frame. Default 0: what is given is one datagram.
   */
  readonly gsoSize?: number
  /** TTL or hop limit of what is sent to groups, 0 to 255. Default 1: the link. */
  readonly multicastTtl?: number
  /** What is sent to a group reaches members of this stack too. Default true. */
  readonly multicastLoop?: boolean
  /** The name of the interface that groups are sent to. Default: the route's, else the first. */
  readonly multicastInterface?: string
}

export interface BindOptions extends SocketOptions {
  /** One of the stack's addresses, a broadcast address or a group. Default: all of them, of both IP versions where the stack has IPv6. */
  readonly host?: string | IpAddress
  /** On any IPv6 address ("::"), leave IPv4 to others. Default: the setting `bindv6only`, false. */
  readonly ipv6Only?: boolean
  /** 0, the default: a free port that nobody can guess. */
  readonly port?: number
}

export interface ConnectOptions extends SocketOptions {
  /** An IPv4 or IPv6 address. Names are not resolved. */
  readonly host: string | IpAddress
  readonly port: number
  /** Default: the address that the route to `host` leaves by, and a free port. */
  readonly local?: { readonly host?: string | IpAddress; readonly port?: number }
}

/** What one `send` may say for itself. */
export interface SendOptions {
  /** In place of the socket's; 0: one datagram. */
  readonly gsoSize?: number
}

const LARGEST_OCTET = 255
const LARGEST_U16 = 65_535

export const gsoSizeOf = (size: number | undefined): Either.Either<number, InvalidArgument> =>
  within("gsoSize", size, 0, LARGEST_U16, 0)

export const udpOptions = (
  stack: StackService,
  options: SocketOptions & Pick<BindOptions, "ipv6Only">,
): Either.Either<UdpOptions, InvalidArgument> =>
  Either.gen(function* () {
    return {
      ...defaultUdpOptions,
      reuseAddress: options.reuseAddress ?? false,
      reusePort: options.reusePort ?? false,
      broadcast: options.broadcast ?? false,
      receiveBuffer: yield* within("receiveBuffer", options.receiveBuffer, 1, Number.MAX_SAFE_INTEGER, 0),
      boundInterface: yield* interfaceOf(stack, options.interface),
      ipv6Only: options.ipv6Only,
      ttl: yield* within("ttl", options.ttl, 1, LARGEST_OCTET, 0),
      tos: yield* within("tos", options.tos, 0, LARGEST_OCTET, 0),
      dontFragment: options.dontFragment ?? false,
      gsoSize: yield* gsoSizeOf(options.gsoSize),
      multicastTtl: yield* within("multicastTtl", options.multicastTtl, 0, LARGEST_OCTET, 1),
      multicastLoop: options.multicastLoop ?? true,
      multicastInterface: yield* interfaceOf(stack, options.multicastInterface),
    }
  })

/** The index of an interface; undefined where none is named. */
export const interfaceOf = (
  { devices }: Pick<StackService, "devices">,
  name: string | undefined,
): Either.Either<number | undefined, InvalidArgument> => {
  if (name === undefined) return Either.right(undefined)
  const index = devices.findIndex((device) => device.name === name)
  return index < 0
    ? invalid("interface", `"${name}" is none of ${devices.map((device) => device.name).join(", ")}`)
    : Either.right(index)
}

export const within = (
  argument: string,
  value: number | undefined,
  low: number,
  high: number,
  fallback: number,
): Either.Either<number, InvalidArgument> => {
  if (value === undefined) return Either.right(fallback)
  return Number.isInteger(value) && value >= low && value <= high
    ? Either.right(value)
    : invalid(argument, `${value} is not in ${low} to ${high}`)
}

const invalid = (argument: string, reason: string): Either.Either<never, InvalidArgument> =>
  Either.left(new InvalidArgument({ argument, reason }))
