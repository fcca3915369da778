import { Duration, Either } from "effect"
import type { StackService } from "../runtime/stack.ts"
import type { CcName } from "../tcp/congestion/control.ts"
import { outOfRange } from "../tcp/setOptions.ts"
import { defaultSocketOptions, type SocketOptions } from "../tcp/tcb.ts"
import type { Micros } from "../tcp/time.ts"
import { type IpAddress, UNSPECIFIED4, UNSPECIFIED6 } from "../wire/address.ts"
import { parseAddress, parseScoped } from "../wire/addressText.ts"
import { type AuthenticationOptions, authenticationOf } from "./authentication.ts"
import { InvalidArgument } from "./errors.ts"

/** What an application chooses for its connections; a listener's are inherited by what it accepts. */
export interface ConnectionOptions extends AuthenticationOptions {
  /** Send small segments at once instead of waiting for an acknowledgment (Nagle's algorithm off). Default false. */
  readonly noDelay?: boolean
  /** Hold back what does not fill a segment, some 200 ms at most (TCP_CORK). Default false. */
  readonly cork?: boolean
  /** False: let ACKs wait for data to go with, from the first on (TCP_QUICKACK). Default true. */
  readonly quickAck?: boolean
  /** Octets of received data held unread; fixes the size that `tcpRmem` would let grow. All of it is data: nothing is doubled as Linux's SO_RCVBUF is. */
  readonly receiveBuffer?: number
  /** Octets of sent data held unacknowledged; fixes the size that `tcpWmem` would let grow. */
  readonly sendBuffer?: number
  /** Octets that must be there before a reader is told of them (SO_RCVLOWAT). Default 1. */
  readonly receiveLowWater?: number
  /** Take no more than so many octets that cannot be sent yet (TCP_NOTSENT_LOWAT). Default: the stack's `tcpNotsentLowat`. */
  readonly notSentLowWater?: number
  /** Largest window announced, in octets (TCP_WINDOW_CLAMP). */
  readonly windowClamp?: number
  /** Largest segment announced and sent, 88 to 32767 octets (TCP_MAXSEG); heeded when the connection opens. Default: what the path carries. */
  readonly maxSegment?: number
  /** What governs the sending rate (TCP_CONGESTION); it may change while the connection runs. Default: the stack's `tcpCongestionControl`. */
  readonly congestion?: CcName
  /** Octets per second at most, spread evenly (SO_MAX_PACING_RATE). Default: no limit. */
  readonly maxPacingRate?: number
  /** Bounds of the retransmission timer's interval: 2 to 200 ms (TCP_RTO_MIN_US), 1 to 120 seconds (TCP_RTO_MAX_MS). Default: the stack's, 200 ms and 120 seconds. */
  readonly minRto?: Duration.DurationInput
  readonly maxRto?: Duration.DurationInput
  /** How long an acknowledgment may wait for data to go with, 2 to 200 ms (TCP_DELACK_MAX_US); what is more than the stack's 40 ms changes nothing. */
  readonly maxDelayedAck?: Duration.DurationInput
  /** Give up when sent data, or a closed window, stays unanswered this long (RFC 5482). Default: by `tcpRetries2`. */
  readonly userTimeout?: Duration.DurationInput
  /** Probe a silent peer, and reset the connection if it has gone. True: after the stack's `tcpKeepaliveTime`. Default false. */
  readonly keepAlive?: boolean | KeepAlive
  /** What closing does: "reset" throws away what is not sent, a duration is how long `close` waits until the peer has everything. Default: neither; all is sent in the background. */
  readonly linger?: Duration.DurationInput | "reset"
  /** How long a closed connection waits for the peer's FIN (TCP_LINGER2), 2 minutes at most; "none": not at all. Default: the stack's `tcpFinTimeout`. */
  readonly finTimeout?: Duration.DurationInput | "none"
  /** TTL of what is sent, 1 to 255. Default 64; 255 for a peer that has `minTtl` (RFC 5082). */
  readonly ttl?: number
  /** The octet that was the type of service (IP_TOS, IPV6_TCLASS): a DSCP times 4 (RFC 2474), 255 at most; the last two bits are ECN's. Default 0. */
  readonly tos?: number
  /** Drop what comes with a smaller TTL, 1 to 255: 255 takes the peer for a neighbour. Default: take anything. */
  readonly minTtl?: number
}

/** Durations of one second or more; absent: the stack's `tcpKeepaliveTime`, `tcpKeepaliveIntvl`, `tcpKeepaliveProbes`. */
export interface KeepAlive {
  /** Silence before the first probe. */
  readonly idle?: Duration.DurationInput
  readonly interval?: Duration.DurationInput
  /** Probes without an answer before the connection is reset. */
  readonly count?: number
}

export interface ListenOptions extends ConnectionOptions {
  /** One of the stack's addresses. Default: all of them, of both IP versions where the stack has IPv6. */
  readonly host?: string | IpAddress
  /** On any IPv6 address ("::"), leave IPv4 to others. Default: the setting `bindv6only`, false. */
  readonly ipv6Only?: boolean
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
  /** SYN-ACKs sent again before a half-open request is given up (TCP_SYNCNT), 127 at most. Default: the stack's `tcpSynackRetries`. */
  readonly synCount?: number
}

export interface ConnectOptions extends ConnectionOptions {
  /** An address, or a name for the stack's name servers (see `Dns`); callbacks take addresses only. */
  readonly host: string | IpAddress
  readonly port: number
  /** SYNs sent again before the attempt is given up (TCP_SYNCNT), 127 at most. Default: the stack's `tcpSynRetries`. */
  readonly synCount?: number
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

/**
 * Both families' word for "any address of ours" is the unspecified address; IPv6's stands for both. A
 * link-local address names its interface behind a percent sign, as fe80::1%tap0.
 */
export const addressOf = (
  host: string | IpAddress | undefined,
  stack?: Pick<StackService, "devices" | "network">,
): Either.Either<IpAddress, InvalidArgument> => {
  if (host === undefined) return Either.right(stack?.network.hasIpv6 === true ? UNSPECIFIED6 : UNSPECIFIED4)
  if (typeof host !== "string") return Either.right(host)
  const zoneOf = (name: string): number => (stack?.devices.findIndex((device) => device.name === name) ?? -1) + 1
  const address = parseAddress(host) ?? parseScoped(host, (name) => zoneOf(name) || undefined)
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
    return yield* inRange({
      ...defaultSocketOptions,
      ...changeOf(options),
      authentication: yield* authenticationOf(options),
      ttl: yield* ttlOf("ttl", options.ttl),
      minTtl: yield* ttlOf("minTtl", options.minTtl),
    })
  })

/** What can be chosen anew while a connection is open. */
export type LiveOptions = Omit<ConnectionOptions, keyof AuthenticationOptions | "ttl" | "minTtl" | "maxSegment">

/** For `setOptions`: only what is given. */
export const liveOptions = (options: LiveOptions): Either.Either<Partial<SocketOptions>, InvalidArgument> =>
  inRange(changeOf(options))

/** The part of the options that is only renamed. */
const changeOf = (
  options: LiveOptions & Pick<ConnectionOptions, "maxSegment"> & Pick<Partial<ConnectOptions>, "synCount">,
): Partial<SocketOptions> => {
  const { keepAlive, linger, finTimeout, userTimeout, minRto, maxRto, maxDelayedAck } = options
  const change: { -readonly [K in keyof SocketOptions]?: SocketOptions[K] } = {}
  for (const name of SAME_NAME) {
    const value = options[name]
    if (value !== undefined) Object.assign(change, { [name]: value })
  }
  if (userTimeout !== undefined) change.userTimeout = micros(userTimeout)
  if (minRto !== undefined) change.minRto = atLeastOne(minRto)
  if (maxRto !== undefined) change.maxRto = atLeastOne(maxRto)
  if (maxDelayedAck !== undefined) change.maxDelayedAck = atLeastOne(maxDelayedAck)
  if (linger !== undefined) change.linger = linger === "reset" ? 0 : Math.max(1, micros(linger))
  if (finTimeout !== undefined) change.linger2 = finTimeout === "none" ? -1 : Math.max(1, micros(finTimeout))
  if (keepAlive !== undefined) {
    change.keepAlive = keepAlive !== false
    if (typeof keepAlive === "object") {
      if (keepAlive.idle !== undefined) change.keepIdle = micros(keepAlive.idle)
      if (keepAlive.interval !== undefined) change.keepInterval = micros(keepAlive.interval)
      if (keepAlive.count !== undefined) change.keepCount = keepAlive.count
    }
  }
  return change
}

const SAME_NAME = [
  "tos",
  "noDelay",
  "cork",
  "quickAck",
  "receiveBuffer",
  "sendBuffer",
  "receiveLowWater",
  "notSentLowWater",
  "windowClamp",
  "maxSegment",
  "synCount",
  "congestion",
  "maxPacingRate",
] as const

/** What a socket would answer with EINVAL, before there is one. */
const inRange = <A extends Partial<SocketOptions>>(options: A): Either.Either<A, InvalidArgument> => {
  const wrong = outOfRange(options)
  return wrong === undefined
    ? Either.right(options)
    : invalid(
        wrong.name,
        `${wrong.value} is not in ${wrong.least} to ${wrong.most}${DURATIONS.has(wrong.name) ? " microseconds" : ""}`,
      )
}

const DURATIONS = new Set<string>(["keepIdle", "keepInterval", "userTimeout", "minRto", "maxRto", "maxDelayedAck"])

export const listenerOptions = (options: ListenOptions): Either.Either<SocketOptions, InvalidArgument> =>
  Either.map(socketOptions(options), (common) => ({
    ...common,
    reuseAddress: options.reuseAddress ?? true,
    reusePort: options.reusePort ?? false,
    deferAccept: micros(options.deferAccept),
    fastOpen: options.fastOpen ?? 0,
    ipv6Only: options.ipv6Only,
  }))

/** 0 for what is not given. */
const ttlOf = (argument: string, ttl: number | undefined): Either.Either<number, InvalidArgument> => {
  if (ttl === undefined) return Either.right(0)
  return Number.isInteger(ttl) && ttl >= 1 && ttl <= LARGEST_TTL
    ? Either.right(ttl)
    : invalid(argument, `${ttl} is not in 1 to ${LARGEST_TTL}`)
}

/** 0 would stand for the default: it is out of range. */
const atLeastOne = (duration: Duration.DurationInput): Micros => Math.max(1, micros(duration))

/** 0 for what is not given. */
const micros = (duration: Duration.DurationInput | undefined): Micros =>
  duration === undefined ? 0 : Math.round(Duration.toMillis(duration) * 1000)

const invalid = (argument: string, reason: string): Either.Either<never, InvalidArgument> =>
  Either.left(new InvalidArgument({ argument, reason }))
