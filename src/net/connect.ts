import { Effect, Either } from "effect"
import type { HostRefusal } from "../host/types.ts"
import type { SocketOwner, Sockets } from "../runtime/sockets.ts"
import type { StackService } from "../runtime/stack.ts"
import { type Endpoint, UNSPECIFIED4 } from "../wire/address.ts"
import { formatEndpoint } from "../wire/addressText.ts"
import { type Connection, fromPlain } from "./connection.ts"
import { type InvalidArgument, refusalError, StackFailed, type TcpError } from "./errors.ts"
import { addressOf, type ConnectOptions, portOf, socketOptions } from "./options.ts"
import { type Handlers, PlainConnection } from "./plain.ts"

/** A connection in callbacks: returns at once, `onConnect` or `onClose` follows. Nobody closes it but its owner, or the stack's end. */
export const connectPlain = (
  stack: StackService,
  options: ConnectOptions,
  handlers: Handlers,
): Either.Either<PlainConnection, TcpError> =>
  Either.gen(function* () {
    const address = yield* addressOf(options.host, stack)
    const port = yield* portOf(options.port, 1)
    const local = yield* localOf(options.local, stack)
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
export const opened = (stack: StackService, options: ConnectOptions): Effect.Effect<Connection, TcpError> =>
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

type LocalEnd = Parameters<Sockets["connect"]>[0]["local"]

const localOf = (local: ConnectOptions["local"], stack: StackService): Either.Either<LocalEnd, InvalidArgument> =>
  Either.gen(function* () {
    const address = local?.host === undefined ? undefined : yield* addressOf(local.host, stack)
    const port = local?.port === undefined ? undefined : yield* portOf(local.port, 1)
    return { ...(address === undefined ? {} : { address }), ...(port === undefined ? {} : { port }) }
  })

/** Which end a refused connect is about: a port in use is one of ours. */
const culprit = ({ errno }: HostRefusal, local: LocalEnd, remote: Endpoint): Endpoint =>
  (errno === "EADDRINUSE" || errno === "EADDRNOTAVAIL" || errno === "EACCES") && local.port !== undefined
    ? { address: local.address ?? UNSPECIFIED4, port: local.port }
    : remote

export const refused = (sockets: Sockets, refusal: HostRefusal, endpoint: Endpoint): TcpError => {
  const failure = sockets.failure()
  return failure === undefined
    ? refusalError(refusal, formatEndpoint(endpoint))
    : new StackFailed({ device: failure.device, errno: failure.errno, reason: failure.message })
}
