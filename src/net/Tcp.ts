import { type Duration, Effect, Either, type Scope } from "effect"
import { Stack, type StackService } from "../runtime/stack.ts"
import type { Endpoint, IpAddress } from "../wire/address.ts"
import { formatAddress } from "../wire/addressText.ts"
import { opened, refused } from "./connect.ts"
import type { Connection } from "./connection.ts"
import { lookupOn, type ResolveError } from "./Dns.ts"
import { ConnectionTimedOut, InvalidArgument, type TcpError } from "./errors.ts"
import { happyEyeballs } from "./happyEyeballs.ts"
import { type Listener, ListenerSocket, listenerOf } from "./listener.ts"
import { addressOf, type ConnectOptions, type ListenOptions, listenerOptions, portOf } from "./options.ts"

export type { TcpInfo } from "../host/tcpInfo.ts"
export type { Endpoint, IpAddress } from "../wire/address.ts"
export { formatAddress, formatEndpoint, parseAddress } from "../wire/addressText.ts"
export { connectPlain } from "./connect.ts"
export { type Connection, fromPlain } from "./connection.ts"
export { HostNotFound, type ResolveError, ResolverFailed } from "./Dns.ts"
export * from "./errors.ts"
export type { AcceptError, Listener } from "./listener.ts"
export type { ConnectionOptions, ConnectOptions, KeepAlive, ListenOptions, LiveOptions } from "./options.ts"
export { type Handlers, type PlainConnection, READ_SIZE } from "./plain.ts"

const TIMEOUT_WHY = "netfold:connect-timeout"

/** Listens on an address of the stack until the scope ends. */
export const listen = (options: ListenOptions = {}): Effect.Effect<Listener, TcpError, Stack | Scope.Scope> =>
  Effect.flatMap(Stack, (stack) =>
    Effect.map(
      Effect.acquireRelease(openListener(stack, options), ({ socket }) => Effect.sync(() => socket.close())),
      ({ socket, address }) => listenerOf(socket, address),
    ),
  )

/**
 * Connects, and closes the connection with the scope. A name's addresses are tried by turns of their
 * families (RFC 8305): the first that answers wins. `timeout` gives up early; the stack itself
 * does after `tcpSynRetries`, some two minutes. Interruption resets the attempt.
 */
export const connect = (
  options: ConnectOptions & { readonly timeout?: Duration.DurationInput },
): Effect.Effect<Connection, TcpError | ResolveError, Stack | Scope.Scope> =>
  Effect.flatMap(Stack, (stack) => {
    const attempt = (host: IpAddress): Effect.Effect<Connection, TcpError, Scope.Scope> =>
      Effect.acquireRelease(Effect.interruptible(opened(stack, { ...options, host })), ({ close }) => close)
    const opening = Effect.flatMap(lookupOn(stack, options.host), ([first, ...others]) =>
      first === undefined
        ? new InvalidArgument({ argument: "host", reason: `this stack has no address for ${target(options)}` })
        : happyEyeballs([first, ...others], attempt),
    )
    if (options.timeout === undefined) return opening
    return Effect.timeoutFail(opening, {
      duration: options.timeout,
      onTimeout: () => new ConnectionTimedOut({ endpoint: target(options), why: TIMEOUT_WHY }),
    })
  })

interface OpenListener {
  readonly socket: ListenerSocket
  readonly address: Endpoint
}

const openListener = (stack: StackService, options: ListenOptions): Effect.Effect<OpenListener, TcpError> =>
  Effect.suspend(() =>
    Either.gen(function* () {
      const address = yield* addressOf(options.host, stack)
      const port = options.allPorts === true ? "every" : yield* portOf(options.port ?? 0, 0)
      const wanted: Endpoint = { address, port: port === "every" ? 0 : port }
      const socket = new ListenerSocket(stack.sockets)
      const backlog = options.backlog ?? stack.settings.somaxconn
      const id = stack.sockets.listen({ address, port, backlog, options: yield* listenerOptions(options) }, socket)
      if (typeof id !== "number") return yield* Either.left(refused(stack.sockets, id, wanted))
      const opened: OpenListener = { socket, address: stack.sockets.status(id)?.local ?? wanted }
      socket.opened(id, opened.address)
      return opened
    }),
  )

const target = ({ host, port }: ConnectOptions): string =>
  `${typeof host === "string" ? host : formatAddress(host)}:${port}`
