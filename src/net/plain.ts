import { Either } from "effect"
import type { TcpInfo } from "../host/tcpInfo.ts"
import type { ReadResult, SocketId, SocketStatus } from "../host/types.ts"
import type { SocketHappening, SocketOwner, Sockets } from "../runtime/sockets.ts"
import type { Endpoint } from "../wire/address.ts"
import { formatEndpoint } from "../wire/addressText.ts"
import { type CompactEndpoint, compact, unpacked } from "./compactEndpoint.ts"
import {
  ConnectionAborted,
  type ConnectionError,
  closedError,
  refusalError,
  StackFailed,
  type TcpError,
} from "./errors.ts"
import { type KeepAlive, type LiveOptions, liveOptions } from "./options.ts"

/** Octets that one `tryRead`, and one call of `onData`, gives at most. */
export const READ_SIZE = 65536

/**
 * What a connection calls, synchronously, while the stack works on a batch of frames. All of them
 * are called with the connection, so that one record can serve any number of them. A call that
 * throws resets its connection.
 */
export interface Handlers {
  /** An active open is complete. */
  readonly onConnect?: (connection: PlainConnection) => void
  /** Octets in order; the array is the application's. Not called while paused: then the receive window closes. */
  readonly onData?: (connection: PlainConnection, bytes: Uint8Array) => void
  /** In place of `onData`: the octets are lent for the time of the call, which saves a copy. */
  readonly onLent?: (connection: PlainConnection, bytes: Uint8Array) => void
  /** In place of `onData`: there is something to `tryRead`, how much and when is up to the application. */
  readonly onReadable?: (connection: PlainConnection) => void
  /** The peer has said that octets yet to come are urgent; they come in their turn all the same (RFC 6093). */
  readonly onUrgent?: (connection: PlainConnection) => void
  /** The peer has sent its last octet. Without this handler the connection is then closed. With `onReadable`, `tryRead` says "end" instead. */
  readonly onEnd?: (connection: PlainConnection) => void
  /** The peer has acknowledged our FIN, and so all that was sent. */
  readonly onFinished?: (connection: PlainConnection) => void
  /** Room in the send buffer again, after it was full. */
  readonly onDrain?: (connection: PlainConnection) => void
  /** Called once and last: in order, or with the error that ended the connection. */
  readonly onClose?: (connection: PlainConnection, error: ConnectionError | undefined) => void
}

const NO_HANDLERS: Handlers = {}
const STACK_CLOSED = "netfold:stack-closed"
const ABORTED = "netfold:aborted-by-application"

/**
 * A TCP connection in plain callbacks: no promise, no fiber, nothing allocated per segment beyond
 * the octets. What is not read stays in the stack's receive queue and closes the window; nothing
 * is buffered here.
 */
export class PlainConnection implements SocketOwner {
  readonly id: SocketId
  readonly local: Endpoint
  readonly #remote: CompactEndpoint
  readonly #sockets: Sockets
  #handlers: Handlers = NO_HANDLERS
  #paused = false
  /** `tryRead` has said "end". */
  #ended = false
  /** TCP is done with the connection; octets may still be unread. */
  #finished = false
  #over = false
  #error: ConnectionError | undefined

  constructor(sockets: Sockets, id: SocketId, local: Endpoint, remote: Endpoint) {
    this.#sockets = sockets
    this.id = id
    this.local = local
    this.#remote = compact(remote)
  }

  get remote(): Endpoint {
    return unpacked(this.#remote)
  }

  /** Replaces all handlers. What has arrived already is reported soon, not during this call. */
  on(handlers: Handlers): void {
    this.#handlers = handlers
    if (!this.#over) this.#sockets.remind(this.id)
  }

  /** No call will be made, and none has an effect, any more. */
  get over(): boolean {
    return this.#over
  }

  /** Why the connection ended, where it did not end in order. */
  get error(): ConnectionError | undefined {
    return this.#error
  }

  /** Octets that can be given now; where there is room for none, `onDrain` follows when there is. */
  get room(): number {
    return this.#over ? 0 : this.#sockets.room(this.id)
  }

  get paused(): boolean {
    return this.#paused
  }

  status(): SocketStatus | undefined {
    return this.#over ? undefined : this.#sockets.status(this.id)
  }

  /** Linux's TCP_INFO, under its names; undefined once it is over. */
  info(): TcpInfo | undefined {
    return this.#over ? undefined : this.#sockets.info(this.id)
  }

  /**
   * Copies as many octets as there is room for, and says how many; `onDrain` follows if that was
   * not all. -1: this direction is closed.
   */
  tryWrite(bytes: Uint8Array): number {
    const room = this.room
    if (bytes.length <= room) return this.tryGive(bytes.slice())
    const taken = this.tryGive(bytes.slice(0, room))
    // Asking for room that is not there is what orders the `onDrain`.
    if (taken > 0) this.#sockets.room(this.id)
    return taken
  }

  /**
   * Like `tryWrite` without the copy: the octets taken must not change until the peer has them, so
   * best never. `urgent`: the peer hears of them ahead of their turn (RFC 9293 section 3.8.5).
   * `more`: a short segment may wait for what follows, some 200 ms (MSG_MORE).
   */
  tryGive(bytes: Uint8Array, urgent = false, more = false): number {
    if (this.#over) return -1
    const taken = this.#sockets.write(this.id, bytes, urgent, more)
    return typeof taken === "number" ? taken : -1
  }

  /** The next octets, `max` at most. */
  tryRead(max: number = READ_SIZE): Uint8Array | "empty" | "end" {
    return this.#over ? "end" : this.#read(this.#sockets.read(this.id, max))
  }

  #read(result: ReadResult): Uint8Array | "empty" | "end" {
    if (result instanceof Uint8Array || result === "empty") return result
    // After a reset there is no end of the data to report: `onClose` follows with the error.
    if (this.#reason() !== undefined) return "empty"
    if (!this.#ended) {
      this.#ended = true
      // A connection that waited only for its reader ends now.
      if (this.#finished) this.#sockets.remind(this.id)
    }
    return "end"
  }

  /** Nothing is read until `resume`, and the peer soon stops sending. */
  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    if (!this.#over) this.#sockets.remind(this.id)
  }

  /** The next octets, copied and left to be read (MSG_PEEK). */
  peek(max: number = READ_SIZE): Uint8Array | "empty" | "end" {
    if (this.#over) return "end"
    const result = this.#sockets.peek(this.id, max)
    return result instanceof Uint8Array || result === "empty" ? result : "end"
  }

  /** The next octet is the last of what the peer called urgent; reading stops before it (RFC 6093, SIOCATMARK). */
  get atMark(): boolean {
    return !this.#over && this.#sockets.atMark(this.id)
  }

  /** Nagle's algorithm off (true), which also pushes what it held back, or on. */
  setNoDelay(noDelay: boolean): void {
    this.setOptions({ noDelay })
  }

  /** Probes of a silent peer. Not given: the stack's `tcpKeepaliveTime` and its like. */
  setKeepAlive(keepAlive: boolean | KeepAlive): void {
    this.setOptions({ keepAlive })
  }

  /** Changes options of the open connection, all or none. Says what is wrong with them, where something is. */
  setOptions(options: LiveOptions): TcpError | undefined {
    const change = liveOptions(options)
    if (Either.isLeft(change)) return change.left
    if (this.#over) return undefined
    const refused = this.#sockets.setOptions(this.id, change.right)
    return refused === undefined ? undefined : refusalError(refused, formatEndpoint(this.remote))
  }

  /** Stops reading for good (SHUT_RD): what waits unread can be read, then comes the end. */
  shutdownRead(): TcpError | undefined {
    if (this.#over) return undefined
    const refused = this.#sockets.shutdownRead(this.id)
    return refused === undefined ? undefined : refusalError(refused, formatEndpoint(this.remote))
  }

  /** Half-close: the FIN follows what was given; reading goes on. Says why it cannot be, where it cannot. */
  shutdown(): TcpError | undefined {
    if (this.#over) return undefined
    const refused = this.#sockets.shutdown(this.id)
    return refused === undefined ? undefined : refusalError(refused, formatEndpoint(this.remote))
  }

  /** Gives the connection up in order: what was given is still sent, then the FIN. `onClose` is called now. */
  close(): void {
    if (this.#over) return
    this.#over = true
    this.#sockets.close(this.id)
    this.#handlers.onClose?.(this, undefined)
  }

  /** Resets the connection; what is under way is lost. `onClose` is called now. */
  abort(): void {
    if (this.#over) return
    this.#over = true
    this.#error = new ConnectionAborted({ endpoint: formatEndpoint(this.remote), why: ABORTED })
    this.#sockets.abort(this.id)
    this.#handlers.onClose?.(this, this.#error)
  }

  /** For the stack. */
  onEvent(event: SocketHappening): void {
    if (this.#over) return
    switch (event) {
      case "connected":
        this.#handlers.onConnect?.(this)
        break
      case "readable":
        this.#deliver()
        break
      case "urgent":
        this.#handlers.onUrgent?.(this)
        break
      case "writable":
        this.#handlers.onDrain?.(this)
        break
      case "closed":
        this.#finished = true
        this.#deliver()
        break
      case "ended":
        this.#finish(this.#stackError())
        break
      case "finished":
        this.#handlers.onFinished?.(this)
        break
      case "acceptable":
      case "error":
        break
    }
  }

  #deliver(): void {
    if (!this.#ended && !this.#paused) {
      if (this.#handlers.onReadable !== undefined) this.#handlers.onReadable(this)
      else if (this.#handlers.onLent !== undefined) this.#lend()
      else if (this.#handlers.onData !== undefined) this.#pump()
    }
    this.#finishIfRead()
  }

  #pump(): void {
    while (!this.#paused && !this.#over && this.#handlers.onData !== undefined) {
      const result = this.tryRead()
      if (result === "empty") return
      if (result === "end") return this.#peerEnded()
      this.#handlers.onData(this, result)
    }
  }

  #lend(): void {
    while (!this.#paused && !this.#over && this.#handlers.onLent !== undefined) {
      const result = this.#read(this.#sockets.borrow(this.id, READ_SIZE))
      if (result === "empty") return
      if (result === "end") return this.#peerEnded()
      this.#handlers.onLent(this, result)
    }
  }

  #peerEnded(): void {
    if (this.#handlers.onEnd === undefined) this.close()
    else this.#handlers.onEnd(this)
  }

  /** A connection that ended in order waits until its octets are read; an error does not. */
  #finishIfRead(): void {
    if (!this.#finished || this.#over) return
    const error = this.#reason()
    if (error !== undefined || this.#ended || this.#sockets.status(this.id)?.recvQ === 0) this.#finish(error)
  }

  #finish(error: ConnectionError | undefined): void {
    this.#over = true
    this.#error = error
    this.#sockets.close(this.id)
    this.#handlers.onClose?.(this, error)
  }

  #reason(): ConnectionError | undefined {
    const closed = this.#sockets.status(this.id)?.closed
    return closed === undefined ? undefined : closedError(closed.reason, formatEndpoint(this.remote), closed.why)
  }

  #stackError(): ConnectionError {
    const failure = this.#sockets.failure()
    return failure === undefined
      ? new ConnectionAborted({ endpoint: formatEndpoint(this.remote), why: STACK_CLOSED })
      : new StackFailed({ device: failure.device, errno: failure.errno, reason: failure.message })
  }
}
