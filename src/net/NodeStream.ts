import { Duplex } from "node:stream"
import { Duration } from "effect"
import { formatAddress } from "../wire/addressText.ts"
import type { ConnectionError } from "./errors.ts"
import { type Handlers, type PlainConnection, READ_SIZE } from "./plain.ts"

export interface NodeStreamOptions {
  /** Go on writing after the peer's FIN until `end` is called. Default false, as in node:net: the stream then ends itself. */
  readonly allowHalfOpen?: boolean
}

/**
 * A connection as the Duplex that node:net's Socket is: for libraries that want one, such as
 * node:http through `server.emit("connection", stream)`. Reading stops with the stream's own buffer
 * full, so a slow consumer closes the receive window; a write calls back once the send buffer has it.
 */
export class NodeStream extends Duplex {
  readonly connection: PlainConnection
  readonly remoteAddress: string
  readonly remotePort: number
  readonly remoteFamily: "IPv4" | "IPv6"
  readonly localAddress: string
  readonly localPort: number
  readonly localFamily: "IPv4" | "IPv6"
  readonly connecting = false
  bytesRead = 0
  bytesWritten = 0
  timeout = 0
  /** The stream's buffer has room: what arrives is to be pushed. */
  #wanted = false
  #pending: { readonly bytes: Uint8Array; offset: number; readonly done: (error?: Error | null) => void } | undefined
  #idleTimer: ReturnType<typeof setTimeout> | undefined

  constructor(connection: PlainConnection, options: NodeStreamOptions = {}) {
    super({ allowHalfOpen: options.allowHalfOpen ?? false, emitClose: true, autoDestroy: true })
    const { local, remote } = connection
    this.connection = connection
    this.remoteAddress = formatAddress(remote.address)
    this.remotePort = remote.port
    this.remoteFamily = remote.address.family === 4 ? "IPv4" : "IPv6"
    this.localAddress = formatAddress(local.address)
    this.localPort = local.port
    this.localFamily = local.address.family === 4 ? "IPv4" : "IPv6"
    connection.on(this.#handlers)
  }

  get pending(): boolean {
    return false
  }

  get readyState(): "open" | "readOnly" | "writeOnly" | "closed" {
    if (this.destroyed) return "closed"
    if (this.readable) return this.writable ? "open" : "readOnly"
    return this.writable ? "writeOnly" : "closed"
  }

  address(): { readonly address: string; readonly family: string; readonly port: number } {
    return { address: this.localAddress, family: this.localFamily, port: this.localPort }
  }

  /** Calls back, and emits `timeout`, after so many milliseconds without traffic; 0: never. The stream stays open. */
  setTimeout(millis: number, onTimeout?: () => void): this {
    this.timeout = millis
    if (onTimeout !== undefined) {
      if (millis === 0) this.off("timeout", onTimeout)
      else this.once("timeout", onTimeout)
    }
    this.#arm()
    return this
  }

  setNoDelay(on = true): this {
    this.connection.setNoDelay(on)
    return this
  }

  /** Probes after `delay` milliseconds of silence, in whole seconds as in node:net; 0: as set before, or the stack's default. */
  setKeepAlive(on = false, delay = 0): this {
    const seconds = Math.floor(delay / 1000)
    this.connection.setKeepAlive(on && seconds > 0 ? { idle: Duration.seconds(seconds) } : on)
    return this
  }

  /** The stack's scope decides how long the process lives, not its connections. */
  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  /** Ends after what was written, and then lets the connection go. */
  destroySoon(): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once("finish", () => this.destroy())
  }

  /** Resets the connection. */
  resetAndDestroy(): this {
    this.connection.abort()
    this.destroy()
    return this
  }

  override _read(): void {
    this.#wanted = true
    this.#fill()
  }

  override _write(chunk: Uint8Array | string, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const bytes = typeof chunk === "string" ? Buffer.from(chunk, encoding) : chunk
    this.#pending = { bytes, offset: 0, done }
    this.#drain()
  }

  override _final(done: (error?: Error | null) => void): void {
    done(this.connection.shutdown() ?? null)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#idleTimer)
    // An error on this side must not look like the end of the data to the peer.
    if (error !== null) this.connection.abort()
    else this.connection.close()
    done(error)
  }

  readonly #handlers: Handlers = {
    onReadable: () => this.#fill(),
    onDrain: () => this.#drain(),
    onClose: (_connection, error) => {
      if (error !== undefined) this.destroy(nodeError(error))
      else if (!this.readableEnded) this.#end()
    },
  }

  #fill(): void {
    while (this.#wanted && !this.destroyed) {
      const result = this.connection.tryRead(READ_SIZE)
      if (result === "empty") return
      if (result === "end") return this.#end()
      this.bytesRead += result.length
      this.#active()
      this.#wanted = this.push(result)
    }
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    this.push(null)
  }
  #ended = false

  #drain(): void {
    const pending = this.#pending
    if (pending === undefined) return
    const taken = this.connection.tryWrite(pending.bytes.subarray(pending.offset))
    if (taken >= 0) {
      pending.offset += taken
      this.bytesWritten += taken
      if (taken > 0) this.#active()
      if (pending.offset < pending.bytes.length) return
    }
    this.#pending = undefined
    pending.done(taken < 0 ? nodeError(this.connection.error) : null)
  }

  #active(): void {
    this.#idleTimer?.refresh()
  }

  #arm(): void {
    clearTimeout(this.#idleTimer)
    this.#idleTimer = undefined
    if (this.timeout === 0 || this.destroyed) return
    this.#idleTimer = setTimeout(() => this.emit("timeout"), this.timeout)
    this.#idleTimer.unref()
  }
}

/** Node's libraries look at `code`. */
const nodeError = (error: ConnectionError | undefined): Error =>
  error === undefined
    ? Object.assign(new Error("write after the connection was closed"), { code: "EPIPE" })
    : Object.assign(error, { code: error.errno })
