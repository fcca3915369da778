import * as Socket from "@effect/platform/Socket"
import { Context, Deferred, Effect, Either, Exit, type Fiber, FiberSet, Layer, type Option, Scope } from "effect"
import { Stack } from "../runtime/stack.ts"
import type { MaybeEffect } from "./connection.ts"
import type { Handlers, PlainConnection } from "./plain.ts"
import { type ConnectOptions, connectPlain } from "./Tcp.ts"
import { type WriteQueue, writeQueue } from "./writeQueue.ts"

/** The connection under the socket that a handler serves: its addresses and status. */
export class CurrentConnection extends Context.Tag("netfold/CurrentConnection")<CurrentConnection, PlainConnection>() {}

/** The connection that a handler serves; none outside of one. Asks nothing of the handler's type, unlike the tag. */
export const currentConnection: Effect.Effect<Option.Option<PlainConnection>> = Effect.serviceOption(CurrentConnection)

export interface SocketOptions {
  /** Chunks that handlers may be working on at once; while they are, nothing is read and the receive window closes. Default 16. */
  readonly concurrency?: number
}

const DEFAULT_CONCURRENCY = 16
/** WebSocket's "normal closure" (RFC 6455 section 7.4.1), as platform's own TCP sockets report it. */
export const NORMAL_CLOSURE = 1000

/** A Socket of @effect/platform: each `run` makes a connection of its own. */
export const make = (options: ConnectOptions & SocketOptions): Effect.Effect<Socket.Socket, never, Stack> =>
  Effect.flatMap(Stack, (stack) =>
    fromPlain(
      Effect.acquireRelease(
        Effect.async<PlainConnection, Socket.SocketError>((resume) => {
          const fail = (cause: unknown): void =>
            resume(Effect.fail(new Socket.SocketGenericError({ reason: "Open", cause })))
          const attempt = connectPlain(stack, options, {
            onConnect: (plain) => resume(Effect.succeed(plain)),
            onReadable: () => {},
            onClose: (_plain, error) => fail(error),
          })
          if (Either.isLeft(attempt)) return fail(attempt.left)
          return Effect.sync(() => attempt.right.abort())
        }),
        (plain) => Effect.sync(() => plain.close()),
      ),
      options,
    ),
  )

export const layer = (options: ConnectOptions & SocketOptions): Layer.Layer<Socket.Socket, never, Stack> =>
  Layer.effect(Socket.Socket, make(options))

interface Current {
  readonly plain: PlainConnection
  readonly queue: WriteQueue
}

/**
 * A Socket over connections that `open` gives, one for each `run`. A handler's Effects run side by
 * side, `concurrency` at most: beyond that their chunks stay in the receive queue. `run` succeeds
 * when the peer has sent its last and the handlers are done.
 */
export const fromPlain = <RO>(
  open: Effect.Effect<PlainConnection, Socket.SocketError, RO>,
  options: SocketOptions = {},
): Effect.Effect<Socket.Socket, never, Exclude<RO, Scope.Scope>> =>
  Effect.map(Effect.context<Exclude<RO, Scope.Scope>>(), (openContext) => {
    const latch = Effect.unsafeMakeLatch(false)
    const concurrency = options.concurrency ?? DEFAULT_CONCURRENCY
    let current: Current | undefined

    const run = <_, E = never, R = never>(
      handler: (_: Uint8Array) => MaybeEffect<_, E, R>,
      runOptions?: { readonly onOpen?: Effect.Effect<void> | undefined },
    ): Effect.Effect<void, Socket.SocketError | E, R> =>
      Effect.scopedWith((scope) =>
        Effect.gen(function* () {
          const fibers = yield* Scope.extend(FiberSet.make<unknown, E | Socket.SocketError>(), scope)
          const plain = yield* Effect.mapInputContext(Scope.extend(open, scope), (own: Context.Context<R>) =>
            Context.merge(openContext, own),
          )
          const fork = yield* Effect.provideService(FiberSet.runtime(fibers)<R>(), CurrentConnection, plain)
          const queue = writeQueue(plain)
          current = { plain, queue }
          plain.on(
            reading<_, E, R>(handler, fork, concurrency, queue, (exit) => Deferred.unsafeDone(fibers.deferred, exit)),
          )
          yield* latch.open
          if (runOptions?.onOpen !== undefined) yield* runOptions.onOpen
          yield* FiberSet.join(fibers)
        }),
      ).pipe(
        Effect.ensuring(
          Effect.sync(() => {
            latch.unsafeClose()
            current = undefined
          }),
        ),
        Effect.interruptible,
      )

    const write = (chunk: Uint8Array | string | Socket.CloseEvent): Effect.Effect<void, Socket.SocketError> =>
      latch.whenOpen(Effect.suspend(() => (current === undefined ? Effect.void : writeChunk(current, chunk))))

    return Socket.Socket.of({
      [Socket.TypeId]: Socket.TypeId,
      run,
      runRaw: run,
      writer: Effect.acquireRelease(Effect.succeed(write), () => Effect.sync(() => current?.plain.shutdown())),
    })
  })

/** Reads for a handler, as fast as it works. */
const reading = <A, E, R>(
  handler: (bytes: Uint8Array) => MaybeEffect<A, E, R>,
  fork: (effect: Effect.Effect<A, E, R>) => Fiber.RuntimeFiber<unknown, unknown>,
  concurrency: number,
  queue: WriteQueue,
  done: (exit: Exit.Exit<void, Socket.SocketError>) => void,
): Handlers => {
  let working = 0
  let ended = false

  const pump = (plain: PlainConnection): void => {
    while (working < concurrency && !ended) {
      const result = plain.tryRead()
      if (result === "empty") return
      if (result === "end") {
        ended = true
        return finishIfIdle()
      }
      const work = handler(result)
      if (Effect.isEffect(work)) {
        working++
        fork(work).addObserver(() => {
          working--
          if (ended) finishIfIdle()
          else pump(plain)
        })
      }
    }
  }
  const finishIfIdle = (): void => {
    if (working === 0) done(Exit.void)
  }

  return {
    onReadable: pump,
    onDrain: queue.drain,
    onClose: (_plain, error) => {
      queue.drain()
      if (error !== undefined) done(Exit.fail(new Socket.SocketGenericError({ reason: "Read", cause: error })))
      else if (!ended) done(Exit.fail(new Socket.SocketCloseError({ reason: "Close", code: NORMAL_CLOSURE })))
    },
  }
}

const encoder = new TextEncoder()

const writeChunk = (
  { plain, queue }: Current,
  chunk: Uint8Array | string | Socket.CloseEvent,
): Effect.Effect<void, Socket.SocketError> => {
  if (Socket.isCloseEvent(chunk)) {
    return Effect.sync(() => (chunk.code > NORMAL_CLOSURE ? plain.abort() : plain.close()))
  }
  return Effect.mapError(
    queue.write(typeof chunk === "string" ? encoder.encode(chunk) : chunk),
    (cause) => new Socket.SocketGenericError({ reason: "Write", cause }),
  )
}
