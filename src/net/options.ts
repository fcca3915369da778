import { Duration, Either } from "effect"
import { defaultSocketOptions, type SocketOptions } from "../tcp/tcb.ts"
import type { Micros } from "../tcp/time.ts"
import { type IpAddress, UNSPECIFIED4 } from "../wire/address.ts"
import { parseAddress } from "../wire/addressText.ts"
import { type AuthenticationOptions, authenticationOf } from "./authentication.ts"
import { InvalidArgument } from "./errors.ts"

/** What an application chooses for its connections; a listener's are inherited by what it accepts. */
export interface ConnectionOptions extends AuthenticationOptions {
  /** Send small segments at once instead of waiting for an acknowledgment (Nagle's algorithm off). Default false. */
  readonly noDelay?: boolean
  /** Octets of received data held unread; fixes the size that `tcpRmem` would let grow. */
  readonly receiveBuffer?: number
  /** Octets of sent data held unacknowledged; fixes the size that `tcpWmem` would let grow. */
  readonly sendBuffer?: number
  /** Give up when sent data stays unacknowledged this long (RFC 5482). Default: by `tcpRetries2`. */
  readonly userTimeout?: Duration.DurationInput
  /** TTL of what is sent, 1 to 255. Default 64; 255 for a peer that has `minTtl` (RFC 5082). */
  readonly ttl?: number
  /** Drop what comes with a smaller TTL, 1 to 255: 255 takes the peer for a neighbour. Default: take anything. */
  readonly minTtl?: number
}

export interface ListenOptions extends ConnectionOptions {
  /** One of the stack's addresses. Default: all of them. */
  readonly host?: string | IpAddress
  /** 0, the default: a free port. */
  readonly port?: number
  /** All ports that nothing else listens on; `port` is then not looked at. */
  readonly allPorts?: boolean
  /** Connections that may wait to be accepted; the stack's `somaxconn` at most, which is also the default. */
  readonly backlog?: number
  /** Share the port with connections that linger on it, as servers that restart must. Default true. */
  readonly reuseAddress?: boolean
  /** Share the port with other listeners that ask for it too. Default false. */
  readonly reusePort?: boolean
  /** Hand a connection over only with its first data, or after so long without. Default: at once. */
  readonly deferAccept?: Duration.DurationInput
  /** Accept data in SYNs (TCP Fast Open, RFC 7413): so many connections at once whose handshake is not complete. Needs `tcpFastopen` 2. Default 0. */
  readonly fastOpen?: number
}

export interface ConnectOptions extends ConnectionOptions {
  /** An IPv4 or IPv6 address. Names are not resolved. */
  readonly host: string | IpAddress
  readonly port: number
  /** Default: the address that the route to `host` leaves by, and a free port. */
  readonly local?: { readonly host?: string | IpAddress; readonly port?: number }
  /**
   * The first octets to send: in the SYN itself where the server has given us a cookie before (TCP
   * Fast Open, RFC 7413), else after the handshake. They may arrive twice, so a request must bear that.
   */
  readonly fastOpen?: Uint8Array
}

const LARGEST_PORT = 65535
const LARGEST_TTL = 255

/** Both families' word for "any address of ours" is the unspecified address. */
export const addressOf = (host: string | IpAddress | undefined): Either.Either<IpAddress, InvalidArgument> => {
  if (host === undefined) return Either.right(UNSPECIFIED4)
  if (typeof host !== "string") return Either.right(host)
  const address = parseAddress(host)
  return address === undefined
    ? invalid("host", `"${host}" is not an IP address, and names are not resolved here`)
    : Either.right(address)
}

export const portOf = (port: number, smallest: 0 | 1): Either.Either<number, InvalidArgument> =>
  Number.isInteger(port) && port >= smallest && port <= LARGEST_PORT
    ? Either.right(port)
    : invalid("port", `${port} is not in ${smallest} to ${LARGEST_PORT}`)

export const socketOptions = (options: ConnectionOptions): Either.Either<SocketOptions, InvalidArgument> =>
  Either.gen(function* () {
    return {
      ...defaultSocketOptions,
      noDelay: options.noDelay ?? false,
      receiveBuffer: options.receiveBuffer ?? 0,
      sendBuffer: options.sendBuffer ?? 0,
      userTimeout: micros(options.userTimeout),
      authentication: yield* authenticationOf(options),
      ttl: yield* ttlOf("ttl", options.ttl),
      minTtl: yield* ttlOf("minTtl", options.minTtl),
    }
  })

export const listenerOptions = (options: ListenOptions): Either.Either<SocketOptions, InvalidArgument> =>
  Either.map(socketOptions(options), (common) => ({
    ...common,
    reuseAddress: options.reuseAddress ?? true,
    reusePort: options.reusePort ?? false,
    deferAccept: micros(options.deferAccept),
    fastOpen: options.fastOpen ?? 0,
  }))

/** 0 for what is not given. */
const ttlOf = (argument: string, ttl: number | undefined): Either.Either<number, InvalidArgument> => {
  if (ttl === undefined) return Either.right(0)
  return Number.isInteger(ttl) && ttl >= 1 && ttl <= LARGEST_TTL
    ? Either.right(ttl)
    : invalid(argument, `${ttl} is not in 1 to ${LARGEST_TTL}`)
}

/** 0 for what is not given. */
const micros = (duration: Duration.DurationInput | undefined): Micros =>
  duration === undefined ? 0 : Math.round(Duration.toMillis(duration) * 1000)

const invalid = (argument: string, reason: string): Either.Either<never, InvalidArgument> =>
  Either.left(new InvalidArgument({ argument, reason }))
