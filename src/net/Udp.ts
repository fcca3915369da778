import { Effect, type Either, type Scope, Sink, Stream } from "effect"
import type { UdpError as IcmpError, UdpDatagram, UdpStatus } from "../host/udp/types.ts"
import { Stack, type StackService } from "../runtime/stack.ts"
import type { Endpoint, IpAddress } from "../wire/address.ts"
import { formatEndpoint } from "../wire/addressText.ts"
import { ConnectionAborted } from "./errors.ts"
import { PlainUdp } from "./plainUdp.ts"
import type { ReceiveError, UdpError } from "./udpErrors.ts"
import type { BindOptions, ConnectOptions, SendOptions } from "./udpOptions.ts"

export { DATAGRAM_OVERHEAD } from "../host/datagramQueue.ts"
export type { IcmpProblem } from "../host/icmpReport.ts"
export { LARGEST_DATAGRAM } from "../host/udp/types.ts"
export type { Endpoint, IpAddress } from "../wire/address.ts"
export { formatAddress, formatEndpoint, parseAddress } from "../wire/addressText.ts"
export { PlainUdp, type UdpHandlers } from "./plainUdp.ts"
export * from "./udpErrors.ts"
export type { BindOptions, ConnectOptions, SendOptions, SocketOptions } from "./udpOptions.ts"
export type { IcmpError, UdpDatagram as Datagram }

/** Where a datagram goes. */
export type Destination = Endpoint | { readonly host: string | IpAddress; readonly port: number }

/** A datagram to send. */
export interface Outgoing extends SendOptions {
  readonly payload: Uint8Array
  readonly to: Destination
}

/**
 * What both kinds of sockets do. There is no back-pressure in UDP: what nobody receives waits within
 * `receiveBuffer`, and what comes when that is full is lost and counted (UdpRcvbufErrors, and `drops`
 * of the status); what is sent leaves at once or is lost.
 */
interface Common {
  readonly local: Endpoint
  /** The socket in callbacks. Its `on` replaces what the Effects here live on: use one or the other. */
  readonly plain: PlainUdp
  /** The next datagram. Several fibers may wait: each gets another one. */
  readonly receive: Effect.Effect<UdpDatagram, ReceiveError>
  /** The datagrams as they come. Ends only with an error. */
  readonly stream: Stream.Stream<UdpDatagram, ReceiveError>
  /** What ICMP says about datagrams of this socket from now on (IP_RECVERR); of 64 that nobody pulls the oldest are lost. */
  readonly errors: Stream.Stream<IcmpError>
  readonly join: (group: string | IpAddress, iface?: string) => Effect.Effect<void, UdpError>
  readonly leave: (group: string | IpAddress, iface?: string) => Effect.Effect<void, UdpError>
  readonly close: Effect.Effect<void>
  readonly status: Effect.Effect<UdpStatus>
}

/** A socket that speaks with anybody. */
export interface UdpSocket extends Common {
  /** Sends one datagram, or with `gsoSize` several; the octets may change afterwards. */
  readonly send: (payload: Uint8Array, to: Destination, options?: SendOptions) => Effect.Effect<void, UdpError>
  /** Sends what it is given. */
  readonly sink: Sink.Sink<void, Outgoing, never, UdpError>
}

/**
 * A socket with one peer. `receive` and `send` fail once with what ICMP has said in between, such as
 * ConnectionRefused; the socket lives on, and may be asked again.
 */
export interface ConnectedUdpSocket extends Common {
  readonly remote: Endpoint
  readonly send: (payload: Uint8Array, options?: SendOptions) => Effect.Effect<void, UdpError>
  /** Sends each chunk of octets as a datagram. */
  readonly sink: Sink.Sink<void, Uint8Array, never, UdpError>
}

const CLOSED = "netfold:socket-closed"
/** ICMP errors that wait for whoever pulls `errors`. */
const MOST_ERRORS = 64

/** Binds a socket until the scope ends. */
export const bind = (options: BindOptions = {}): Effect.Effect<UdpSocket, UdpError, Stack | Scope.Scope> =>
  Effect.map(
    opened((stack) => PlainUdp.bind(stack, options)),
    (plain) => {
      const send = (payload: Uint8Array, to: Destination, options?: SendOptions): Effect.Effect<void, UdpError> =>
        Effect.flatMap(resolved(plain, to), (endpoint) => done(() => plain.trySend(payload, endpoint, options)))
      const sendOne = (outgoing: Outgoing): Effect.Effect<void, UdpError> =>
        send(outgoing.payload, outgoing.to, outgoing)
      return { ...common(plain), send, sink: Sink.forEach(sendOne) }
    },
  )

/** Binds a socket and gives it a peer, until the scope ends. Nothing is sent by that. */
export const connect = (options: ConnectOptions): Effect.Effect<ConnectedUdpSocket, UdpError, Stack | Scope.Scope> =>
  Effect.map(
    opened((stack) => PlainUdp.connect(stack, options)),
    (plain) => {
      const send = (payload: Uint8Array, options?: SendOptions): Effect.Effect<void, UdpError> =>
        done(() => plain.trySend(payload, undefined, options))
      const sendOne = (payload: Uint8Array): Effect.Effect<void, UdpError> => send(payload)
      return { ...common(plain), remote: plain.remote ?? plain.local, send, sink: Sink.forEach(sendOne) }
    },
  )

const opened = (
  open: (stack: StackService) => Either.Either<PlainUdp, UdpError>,
): Effect.Effect<PlainUdp, UdpError, Stack | Scope.Scope> =>
  Effect.flatMap(Stack, (stack) =>
    Effect.acquireRelease(
      Effect.suspend(() => open(stack)),
      (plain) => Effect.sync(() => plain.close()),
    ),
  )

const resolved = (plain: PlainUdp, to: Destination): Effect.Effect<Endpoint, UdpError> =>
  "address" in to ? Effect.succeed(to) : Effect.suspend(() => plain.endpointOf(to))

const done = (call: () => UdpError | undefined): Effect.Effect<void, UdpError> =>
  Effect.suspend(() => {
    const error = call()
    return error === undefined ? Effect.void : Effect.fail(error)
  })

const common = (plain: PlainUdp): Common => {
  let waiting: Array<() => void> = []
  const listeners = new Set<(error: IcmpError) => void>()
  const enders = new Set<() => void>()
  const wake = (): void => {
    const readers = waiting
    waiting = []
    for (const again of readers) again()
  }
  plain.on({
    onReadable: wake,
    onError: (_, error) => {
      for (const listener of listeners) listener(error)
      wake()
    },
    onClose: () => {
      wake()
      for (const end of enders) end()
    },
  })

  /** Undefined: nothing yet. */
  const receiveNow = (): Effect.Effect<UdpDatagram, ReceiveError> | undefined => {
    const pending = plain.takePending()
    if (pending !== undefined) return Effect.fail(pending)
    const datagram = plain.tryReceive()
    if (datagram !== undefined) return Effect.succeed(datagram)
    if (!plain.over) return undefined
    const closed = (): ReceiveError => new ConnectionAborted({ endpoint: formatEndpoint(plain.local), why: CLOSED })
    return Effect.fail(plain.error ?? closed())
  }

  const receive = Effect.suspend(
    () =>
      receiveNow() ??
      Effect.async<UdpDatagram, ReceiveError>((resume) => {
        const again = (): void => {
          const result = receiveNow()
          // Another fiber was faster.
          if (result === undefined) waiting.push(again)
          else resume(result)
        }
        waiting.push(again)
        return Effect.sync(() => {
          waiting = waiting.filter((one) => one !== again)
        })
      }),
  )

  const errors = Stream.asyncPush<IcmpError>(
    (emit) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const listener = (error: IcmpError): void => void emit.single(error)
          const end = (): void => void emit.end()
          listeners.add(listener)
          enders.add(end)
          if (plain.over) end()
          return { listener, end }
        }),
        ({ listener, end }) =>
          Effect.sync(() => {
            listeners.delete(listener)
            enders.delete(end)
          }),
      ),
    { bufferSize: MOST_ERRORS, strategy: "sliding" },
  )

  return {
    local: plain.local,
    plain,
    receive,
    stream: Stream.repeatEffect(receive),
    errors,
    join: (group, iface) => done(() => plain.join(group, iface)),
    leave: (group, iface) => done(() => plain.leave(group, iface)),
    close: Effect.sync(() => plain.close()),
    status: Effect.sync(() => plain.status()),
  }
}
