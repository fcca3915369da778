import * as Socket from "@effect/platform/Socket"
import * as SocketServer from "@effect/platform/SocketServer"
import { Effect, Layer, type Scope } from "effect"
import type { Stack } from "../runtime/stack.ts"
import { formatAddress } from "../wire/addressText.ts"
import type { PlainConnection } from "./plain.ts"
import { CurrentConnection, fromPlain, NORMAL_CLOSURE, type SocketOptions } from "./Socket.ts"
import * as Tcp from "./Tcp.ts"

/**
 * A SocketServer of @effect/platform: `run` serves until it is interrupted, each connection in a
 * fiber of its own, and closes it when the handler is done. What comes while nobody runs it waits
 * in the accept queue.
 */
export const make = (
  options: Tcp.ListenOptions & SocketOptions = {},
): Effect.Effect<SocketServer.SocketServer["Type"], SocketServer.SocketServerError, Stack | Scope.Scope> =>
  Effect.map(
    Effect.mapError(Tcp.listen(options), (cause) => new SocketServer.SocketServerError({ reason: "Open", cause })),
    (listener) =>
      SocketServer.SocketServer.of({
        address: {
          _tag: "TcpAddress",
          hostname: formatAddress(listener.address.address),
          port: listener.address.port,
        },
        run: <R, E, _>(handler: (socket: Socket.Socket) => Effect.Effect<_, E, R>) =>
          Effect.mapError(
            serve(listener, handler, options),
            (cause) => new SocketServer.SocketServerError({ reason: "Unknown", cause }),
          ),
      }),
  )

export const layer = (
  options: Tcp.ListenOptions & SocketOptions = {},
): Layer.Layer<SocketServer.SocketServer, SocketServer.SocketServerError, Stack> =>
  Layer.scoped(SocketServer.SocketServer, make(options))

const serve = <R, E, _>(
  listener: Tcp.Listener,
  handler: (socket: Socket.Socket) => Effect.Effect<_, E, R>,
  options: SocketOptions,
): Effect.Effect<never, Tcp.AcceptError, R> =>
  listener.run(({ plain }) =>
    Effect.flatMap(fromPlain(opened(plain), options), handler).pipe(Effect.provideService(CurrentConnection, plain)),
  )

/** The accepted connection for a `run`; it is over with the first. */
const opened = (plain: PlainConnection): Effect.Effect<PlainConnection, Socket.SocketError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.suspend((): Effect.Effect<PlainConnection, Socket.SocketError> => {
      if (!plain.over) return Effect.succeed(plain)
      return plain.error === undefined
        ? Effect.fail(new Socket.SocketCloseError({ reason: "Close", code: NORMAL_CLOSURE }))
        : Effect.fail(new Socket.SocketGenericError({ reason: "Open", cause: plain.error }))
    }),
    () => Effect.sync(() => plain.close()),
  )
