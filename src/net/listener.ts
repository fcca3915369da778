import {
  Cause,
  Deferred,
  Effect,
  Exit,
  FiberId,
  FiberRef,
  FiberSet,
  LogLevel,
  Option,
  type Scope,
  Stream,
} from "effect"
import type { SocketId } from "../host/types.ts"
import type { SocketHappening, SocketOwner, Sockets } from "../runtime/sockets.ts"
import type { Endpoint } from "../wire/address.ts"
import { formatEndpoint } from "../wire/addressText.ts"
import { type Connection, fromPlain, type MaybeEffect } from "./connection.ts"
import { ConnectionAborted, StackFailed } from "./errors.ts"
import { PlainConnection } from "./plain.ts"

/** How accepting can end. */
export type AcceptError = ConnectionAborted | StackFailed

/**
 * A listening socket. Connections are taken from the accept queue by whatever asks for them:
 * `onConnection` or `run` at once, `accept` and `connections` one for each pull; meanwhile they
 * wait in the backlog. Closing the listener leaves accepted connections alone.
 */
export interface Listener {
  readonly address: Endpoint
  /** The next connection; it is closed with the scope. */
  readonly accept: Effect.Effect<Connection, AcceptError, Scope.Scope>
  /** The connections as they come; each is the receiver's to close. */
  readonly connections: Stream.Stream<Connection, AcceptError>
  /**
   * Handles each connection in a fiber of its own, and closes it when the handler is done: with a
   * FIN after success or interruption, with a RST after a failure, which is logged. A handler that
   * returns no Effect runs synchronously, and the connection stays open for its callbacks.
   */
  readonly run: <E = never, R = never>(
    handler: (connection: Connection) => MaybeEffect<unknown, E, R>,
  ) => Effect.Effect<never, AcceptError, R>
  /** Every connection from now on, synchronously; undefined: none any more. Replaces the previous taker, as `run` does. */
  readonly onConnection: (taker: ((connection: PlainConnection) => void) | undefined) => void
}

type Taker = (connection: PlainConnection) => void

const STACK_CLOSED = "netfold:stack-closed"
const LISTENER_CLOSED = "netfold:listener-closed"

export class ListenerSocket implements SocketOwner {
  readonly #sockets: Sockets
  /** Set once the host has given the listener its number. */
  #id: SocketId | undefined
  #address: Endpoint | undefined
  #taker: Taker | undefined
  readonly #waiting: Array<(outcome: Exit.Exit<PlainConnection, AcceptError>) => void> = []
  #error: AcceptError | undefined
  readonly #ended = Deferred.unsafeMake<never, AcceptError>(FiberId.none)

  constructor(sockets: Sockets) {
    this.#sockets = sockets
  }

  /** Fails when the listener is over. */
  get ended(): Effect.Effect<never, AcceptError> {
    return Deferred.await(this.#ended)
  }

  opened(id: SocketId, address: Endpoint): void {
    this.#id = id
    this.#address = address
  }

  onEvent(event: SocketHappening): void {
    if (event === "ended") this.#end(this.#stackError())
    else this.#handOver()
  }

  /** Connections that wait already are handed over soon, not during this call. */
  take(taker: Taker | undefined): void {
    this.#taker = taker
    this.#remind()
  }

  get taker(): Taker | undefined {
    return this.#taker
  }

  close(): void {
    if (this.#id !== undefined && this.#error === undefined) this.#sockets.close(this.#id)
    this.#end(new ConnectionAborted({ endpoint: this.#name(), why: LISTENER_CLOSED }))
  }

  /** The next connection: now, or when one comes. */
  readonly next: Effect.Effect<PlainConnection, AcceptError> = Effect.suspend(() => {
    if (this.#error !== undefined) return Effect.fail(this.#error)
    const connection = this.#waiting.length === 0 ? this.#accept() : undefined
    if (connection !== undefined) return Effect.succeed(connection)
    return Effect.async<PlainConnection, AcceptError>((resume) => {
      this.#waiting.push(resume)
      return Effect.sync(() => {
        const index = this.#waiting.indexOf(resume)
        if (index >= 0) this.#waiting.splice(index, 1)
      })
    })
  })

  #handOver(): void {
    while (this.#taker !== undefined || this.#waiting.length > 0) {
      const connection = this.#accept()
      if (connection === undefined) return
      if (this.#taker !== undefined) this.#give(connection, this.#taker)
      else this.#waiting.shift()?.(Exit.succeed(connection))
    }
  }

  #give(connection: PlainConnection, taker: Taker): void {
    try {
      taker(connection)
    } catch (cause) {
      // The stack reports it; those behind this one are still to be handed over.
      connection.abort()
      this.#remind()
      throw cause
    }
  }

  #remind(): void {
    if (this.#id !== undefined && this.#error === undefined) this.#sockets.remind(this.#id)
  }

  #accept(): PlainConnection | undefined {
    if (this.#id === undefined || this.#error !== undefined) return undefined
    for (;;) {
      const id = this.#sockets.accept(this.#id)
      if (id === undefined) return undefined
      const ends = this.#sockets.ends(id)
      if (ends === undefined) {
        // Gone between its handshake and now.
        this.#sockets.close(id)
        continue
      }
      const connection = new PlainConnection(this.#sockets, id, ends.local, ends.remote)
      this.#sockets.own(id, connection)
      return connection
    }
  }

  #end(error: AcceptError): void {
    if (this.#error !== undefined) return
    this.#error = error
    this.#taker = undefined
    for (const resume of this.#waiting.splice(0)) resume(Exit.fail(error))
    Deferred.unsafeDone(this.#ended, Exit.fail(error))
  }

  #stackError(): AcceptError {
    const failure = this.#sockets.failure()
    return failure === undefined
      ? new ConnectionAborted({ endpoint: this.#name(), why: STACK_CLOSED })
      : new StackFailed({ device: failure.device, errno: failure.errno, reason: failure.message })
  }

  #name(): string {
    return this.#address === undefined ? "listener" : formatEndpoint(this.#address)
  }
}

/** The Effects of a listening socket. */
export const listenerOf = (socket: ListenerSocket, address: Endpoint): Listener => {
  const next = Effect.map(socket.next, fromPlain)
  return {
    address,
    accept: Effect.acquireRelease(Effect.interruptible(next), (connection) => connection.close),
    connections: Stream.repeatEffect(next),
    run: (handler) => run(socket, handler),
    onConnection: (taker) => socket.take(taker),
  }
}

const run = <E, R>(
  socket: ListenerSocket,
  handler: (connection: Connection) => MaybeEffect<unknown, E, R>,
): Effect.Effect<never, AcceptError, R> =>
  Effect.scoped(
    Effect.gen(function* () {
      const fork = yield* FiberSet.makeRuntime<R>()
      const before = socket.taker
      yield* Effect.addFinalizer(() => Effect.sync(() => socket.take(before)))
      socket.take((plain) => {
        const connection = fromPlain(plain)
        const handled = handler(connection)
        if (Effect.isEffect(handled)) fork(handle(connection, handled))
      })
      return yield* socket.ended
    }),
  )

/** A FIN would tell the peer that it has everything: only a handler that got to its end may say so. */
const handle = <E, R>(connection: Connection, handled: Effect.Effect<unknown, E, R>): Effect.Effect<void, never, R> =>
  traced(connection, handled).pipe(
    Effect.onExit((exit) =>
      Exit.isSuccess(exit) || Cause.isInterruptedOnly(exit.cause) ? connection.close : connection.abort,
    ),
    Effect.asVoid,
    Effect.catchAllCause((cause) =>
      Cause.isInterruptedOnly(cause)
        ? Effect.void
        : logUnhandled(`the handler of the connection with ${formatEndpoint(connection.remote)} failed`, cause),
    ),
  )

/** At the level that Effect logs its own unhandled errors at. */
const logUnhandled = (message: string, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Effect.flatMap(FiberRef.get(FiberRef.unhandledErrorLogLevel), (level) =>
    Option.isSome(level) ? Effect.logWithLevel(level.value, message, cause) : Effect.void,
  )

/** A span for the connection, where somebody looks at this level. */
const traced = <E, R>(connection: Connection, handled: Effect.Effect<unknown, E, R>): Effect.Effect<unknown, E, R> =>
  Effect.flatMap(FiberRef.get(FiberRef.currentMinimumLogLevel), (level) =>
    LogLevel.lessThanEqual(level, LogLevel.Debug)
      ? Effect.withSpan(handled, "netfold.connection", {
          attributes: { local: formatEndpoint(connection.local), remote: formatEndpoint(connection.remote) },
        })
      : handled,
  )
