import { Chunk, Duration, Effect, Option, Sink, Stream } from "effect"
import type { TcpInfo } from "../host/tcpInfo.ts"
import type { SocketStatus } from "../host/types.ts"
import { optionsOf } from "../tcp/setOptions.ts"
import type { Endpoint } from "../wire/address.ts"
import type { ConnectionError, TcpError } from "./errors.ts"
import type { LiveOptions } from "./options.ts"
import type { Handlers, PlainConnection } from "./plain.ts"
import { notWritable, writeQueue } from "./writeQueue.ts"

/** What a handler gives back: one that gives no Effect has done its work already. */
// biome-ignore lint/suspicious/noConfusingVoidType: a function without a return statement is meant, as in @effect/platform
export type MaybeEffect<A, E, R> = Effect.Effect<A, E, R> | void

/**
 * A TCP connection in Effects. Reading and writing by several fibers is allowed: each read gets
 * other octets, and writes go out whole, in the order of their calls.
 */
export interface Connection {
  readonly local: Endpoint
  readonly remote: Endpoint
  /** The connection in callbacks. Its `on` replaces what `read` and `write` here live on: use one or the other. */
  readonly plain: PlainConnection
  /** The next octets; none once the peer has sent its last. */
  readonly read: Effect.Effect<Option.Option<Uint8Array>, ConnectionError>
  /** All octets from here on, until the peer's last. What is not pulled stays unread and closes the receive window. */
  readonly stream: Stream.Stream<Uint8Array, ConnectionError>
  /** Waits until the send buffer has taken all octets; they may change afterwards. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, ConnectionError>
  /** Writes what it is given. Ends without `shutdown`. */
  readonly sink: Sink.Sink<void, Uint8Array, never, ConnectionError>
  /** Half-close: a FIN after what was written; reading goes on. */
  readonly shutdown: Effect.Effect<void, TcpError>
  /** SHUT_RD: reads give what waits unread, then the end. */
  readonly shutdownRead: Effect.Effect<void, TcpError>
  /** Changes options of the open connection, all or none. */
  readonly setOptions: (options: LiveOptions) => Effect.Effect<void, TcpError>
  /**
   * Gives the connection up in order. Waits for the peer only where `linger` says how long: until
   * it has acknowledged all, or the time is over; the rest then goes on in the background.
   */
  readonly close: Effect.Effect<void>
  /** Resets the connection. */
  readonly abort: Effect.Effect<void>
  /** Waits until both directions are closed, and fails as the connection did. */
  readonly closed: Effect.Effect<void, ConnectionError>
  /** Undefined once it is over. */
  readonly status: Effect.Effect<SocketStatus | undefined>
  /** Linux's TCP_INFO, under its names. Undefined once the connection is over. */
  readonly info: Effect.Effect<TcpInfo | undefined>
}

const ENDED = Option.none<Uint8Array>()

/** The Effects of a connection, made over its callbacks. */
export const fromPlain = (plain: PlainConnection): Connection => {
  const readers: Array<() => void> = []
  const closers: Array<() => void> = []
  const lingerers: Array<() => void> = []
  const { write, drain } = writeQueue(plain)

  const wake = (waiting: Array<() => void>): void => {
    for (const again of waiting.splice(0)) again()
  }

  const handlers: Handlers = {
    onReadable: () => wake(readers),
    onDrain: drain,
    onFinished: () => wake(lingerers),
    onClose: () => {
      wake(lingerers)
      wake(readers)
      drain()
      wake(closers)
    },
  }
  plain.on(handlers)

  const readNow = (): Effect.Effect<Option.Option<Uint8Array>, ConnectionError> | undefined => {
    const result = plain.tryRead()
    if (result === "empty") return undefined
    if (result !== "end") return Effect.succeed(Option.some(result))
    return plain.error === undefined ? Effect.succeed(ENDED) : notWritable(plain)
  }

  const read = Effect.suspend(
    () =>
      readNow() ??
      Effect.async<Option.Option<Uint8Array>, ConnectionError>((resume) => {
        const again = (): void => {
          const result = readNow()
          // Another fiber was faster.
          if (result === undefined) readers.push(again)
          else resume(result)
        }
        readers.push(again)
        return Effect.sync(() => remove(readers, again))
      }),
  )

  const closed = Effect.suspend(() =>
    plain.over
      ? over()
      : Effect.async<void, ConnectionError>((resume) => {
          const again = (): void => resume(over())
          closers.push(again)
          return Effect.sync(() => remove(closers, again))
        }),
  )
  /** The FIN leaves, and is waited for; what is unread means a RST, for which nobody waits. */
  const finished = Effect.async<void>((resume) => {
    const refused = plain.shutdown()
    const status = plain.status()
    if (status === undefined || (refused !== undefined && !OWES_FIN.has(status.state))) return resume(Effect.void)
    const done = (): void => resume(Effect.void)
    lingerers.push(done)
    return Effect.sync(() => remove(lingerers, done))
  })
  const close = Effect.suspend(() => {
    const letGo = Effect.sync(() => plain.close())
    const status = plain.status()
    const linger = status === undefined ? 0 : (optionsOf(status.tcb)?.linger ?? 0)
    return linger > 0 && status?.recvQ === 0
      ? Effect.ensuring(Effect.timeoutOption(Effect.interruptible(finished), Duration.micros(BigInt(linger))), letGo)
      : letGo
  }).pipe(Effect.asVoid)

  const over = (): Effect.Effect<void, ConnectionError> =>
    plain.error === undefined ? Effect.void : notWritable(plain)

  return {
    local: plain.local,
    remote: plain.remote,
    plain,
    read,
    stream: Stream.repeatEffectChunkOption(
      Effect.flatMap(Effect.mapError(read, Option.some), (next) =>
        Option.isNone(next) ? Effect.fail(Option.none()) : Effect.succeed(Chunk.of(next.value)),
      ),
    ),
    write,
    sink: Sink.forEach(write),
    shutdown: Effect.suspend(() => failing(plain.shutdown())),
    shutdownRead: Effect.suspend(() => failing(plain.shutdownRead())),
    close,
    abort: Effect.sync(() => plain.abort()),
    closed,
    setOptions: (options) => Effect.suspend(() => failing(plain.setOptions(options))),
    status: Effect.sync(() => plain.status()),
    info: Effect.sync(() => plain.info()),
  }
}

/** The peer has not yet acknowledged our FIN. */
const OWES_FIN: ReadonlySet<string> = new Set(["FIN-WAIT-1", "CLOSING", "LAST-ACK"])

const failing = (error: TcpError | undefined): Effect.Effect<void, TcpError> =>
  error === undefined ? Effect.void : Effect.fail(error)

const remove = <A>(list: Array<A>, item: A): void => {
  const index = list.indexOf(item)
  if (index >= 0) list.splice(index, 1)
}
