import { type Duration, Effect, Either, type Scope } from "effect"
import type { HostRefusal } from "../host/types.ts"
import type { SocketOwner, Sockets } from "../runtime/sockets.ts"
import { Stack, type StackService } from "../runtime/stack.ts"
import { type Endpoint, UNSPECIFIED4 } from "../wire/address.ts"
import { formatAddress, formatEndpoint } from "../wire/addressText.ts"
import { type Connection, fromPlain } from "./connection.ts"
import { ConnectionTimedOut, type InvalidArgument, refusalError, StackFailed, type TcpError } from "./errors.ts"
import { type Listener, ListenerSocket, listenerOf } from "./listener.ts"
import {
  addressOf,
  type ConnectOptions,
  type ListenOptions,
  listenerOptions,
  portOf,
  socketOptions,
} from "./options.ts"
import { type Handlers, PlainConnection } from "./plain.ts"

export type { TcpInfo } from "../host/tcpInfo.ts"
export type { Endpoint, IpAddress } from "../wire/address.ts"
export { formatAddress, formatEndpoint, parseAddress } from "../wire/addressText.ts"
export { type Connection, fromPlain } from "./connection.ts"
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
 * Connects, and closes the connection with the scope. `timeout` gives up early; the stack itself
 * does after `tcpSynRetries`, some two minutes. Interruption resets the attempt.
 */
export const connect = (
  options: ConnectOptions & { readonly timeout?: Duration.DurationInput },
): Effect.Effect<Connection, TcpError, Stack | Scope.Scope> =>
  Effect.flatMap(Stack, (stack) => {
    const opening = opened(stack, options)
    const limited =
      options.timeout === undefined
        ? opening
        : Effect.timeoutFail(opening, {
            duration: options.timeout,
            onTimeout: () => new ConnectionTimedOut({ endpoint: target(options), why: TIMEOUT_WHY }),
          })
    return Effect.acquireRelease(Effect.interruptible(limited), (connection) => connection.close)
  })

/** A connection in callbacks: returns at once, `onConnect` or `onClose` follows. Nobody closes it but its owner, or the stack's end. */
export const connectPlain = (
  stack: StackService,
  options: ConnectOptions,
  handlers: Handlers,
): Either.Either<PlainConnection, TcpError> =>
  Either.gen(function* () {
    const address = yield* addressOf(options.host)
    const port = yield* portOf(options.port, 1)
    const local = yield* localOf(options.local)
    const remote: Endpoint = { address, port }
    // The host names the socket only once it has an owner, and the owner is made with the name.
    let connection: PlainConnection | undefined
    const owner: SocketOwner = { onEvent: (event) => connection?.onEvent(event) }
    const early = options.fastOpen === undefined ? {} : { fastOpen: options.fastOpen.slice() }
    const call = { remote, local, options: yield* socketOptions(options), ...early }
    const id = stack.sockets.connect(call, owner)
    if (typeof id !== "number") return yield* Either.left(refused(stack.sockets, id, culprit(id, local, remote)))
    const at = stack.sockets.status(id)?.local ?? { address, port: 0 }
    connection = new PlainConnection(stack.sockets, id, at, remote)
    stack.sockets.own(id, connection)
    connection.on(handlers)
    return connection
  })

/** Waits for `onConnect`; the handlers after it are those of the Effects. */
const opened = (stack: StackService, options: ConnectOptions): Effect.Effect<Connection, TcpError> =>
  Effect.async<Connection, TcpError>((resume) => {
    const attempt = connectPlain(stack, options, {
      onConnect: (plain) => resume(Effect.succeed(fromPlain(plain))),
      // Without `onReadable` an early FIN would close the connection.
      onReadable: () => {},
      onClose: (plain, error) => resume(error === undefined ? Effect.succeed(fromPlain(plain)) : Effect.fail(error)),
    })
    if (Either.isLeft(attempt)) return resume(Effect.fail(attempt.left))
    return Effect.sync(() => attempt.right.abort())
  })

interface OpenListener {
  readonly socket: ListenerSocket
  readonly address: Endpoint
}

const openListener = (stack: StackService, options: ListenOptions): Effect.Effect<OpenListener, TcpError> =>
  Effect.suspend(() =>
    Either.gen(function* () {
      const address = yield* addressOf(options.host)
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

type LocalEnd = Parameters<Sockets["connect"]>[0]["local"]

const localOf = (local: ConnectOptions["local"]): Either.Either<LocalEnd, InvalidArgument> =>
  Either.gen(function* () {
    const address = local?.host === undefined ? undefined : yield* addressOf(local.host)
    const port = local?.port === undefined ? undefined : yield* portOf(local.port, 1)
    return { ...(address === undefined ? {} : { address }), ...(port === undefined ? {} : { port }) }
  })

/** Which end a refused connect is about: a port in use is one of ours. */
const culprit = ({ errno }: HostRefusal, local: LocalEnd, remote: Endpoint): Endpoint =>
  (errno === "EADDRINUSE" || errno === "EADDRNOTAVAIL" || errno === "EACCES") && local.port !== undefined
    ? { address: local.address ?? UNSPECIFIED4, port: local.port }
    : remote

const refused = (sockets: Sockets, refusal: HostRefusal, endpoint: Endpoint): TcpError => {
  const failure = sockets.failure()
  return failure === undefined
    ? refusalError(refusal, formatEndpoint(endpoint))
    : new StackFailed({ device: failure.device, errno: failure.errno, reason: failure.message })
}

const target = ({ host, port }: ConnectOptions): string =>
  `${typeof host === "string" ? host : formatAddress(host)}:${port}`
