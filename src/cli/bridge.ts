import type { Socket } from "bun"
import type { ConnectionError } from "../net/errors.ts"
import type { Handlers, PlainConnection } from "../net/plain.ts"

/**
 * A kernel connection carried on as a connection of ours: octets, half-closes and resets both ways.
 * It holds one piece in each direction at most: a receiver that does not read stops the sender.
 */
export class Bridge {
  readonly #kernel: Socket<Bridge>
  #connection: PlainConnection | undefined
  /** Read from the kernel, and not yet taken by our send buffer; the kernel's socket is paused. */
  #inward: Array<Uint8Array> = []
  #inwardEnded = false
  /** Read from our connection, and not yet taken by the kernel. */
  #outward: Uint8Array | undefined
  #outwardEnded = false
  #kernelClosed = false

  constructor(kernel: Socket<Bridge>) {
    this.#kernel = kernel
  }

  /** Before anything else. */
  attach(connection: PlainConnection): void {
    this.#connection = connection
  }

  /** What our connection calls. */
  readonly handlers: Handlers = {
    onReadable: () => this.#carryOut(),
    onDrain: () => this.#carryIn(),
    onClose: (_connection, error) => this.#connectionClosed(error),
  }

  /** Octets from the kernel: they are ours to keep. */
  kernelData(bytes: Uint8Array): void {
    this.#inward.push(bytes)
    this.#carryIn()
  }

  kernelEnded(): void {
    this.#inwardEnded = true
    this.#carryIn()
  }

  kernelDrained(): void {
    this.#carryOut()
  }

  /** An error, or both directions are done: after our own half-close the peer's is told like this. */
  kernelClosed(error: Error | undefined): void {
    this.#kernelClosed = true
    this.#outward = undefined
    if (error === undefined) return this.kernelEnded()
    this.#inward = []
    this.#connection?.abort()
  }

  /** Ends both sides in order: what is under way is still sent. */
  close(): void {
    this.#connection?.close()
    if (!this.#kernelClosed) this.#kernel.end()
  }

  #carryIn(): void {
    const connection = this.#connection
    if (connection === undefined) return
    for (;;) {
      const bytes = this.#inward[0]
      if (bytes === undefined) break
      const taken = connection.tryGive(bytes)
      if (taken < 0) return
      if (taken < bytes.length) {
        this.#inward[0] = bytes.subarray(taken)
        if (!this.#kernelClosed) this.#kernel.pause()
        return
      }
      this.#inward.shift()
    }
    // Nobody reads what would still come.
    if (this.#kernelClosed) connection.close()
    else if (this.#inwardEnded) connection.shutdown()
    else this.#kernel.resume()
  }

  #carryOut(): void {
    const connection = this.#connection
    if (connection === undefined || this.#kernelClosed || this.#outwardEnded) return
    for (;;) {
      if (this.#outward === undefined) {
        const result = connection.tryRead()
        if (result === "empty") return
        if (result === "end") {
          this.#outwardEnded = true
          // Half a close in Bun 1.4.5, whatever its argument is said to mean.
          if (connection.over) this.#kernel.end()
          else this.#kernel.shutdown()
          return
        }
        this.#outward = result
      }
      const taken = this.#kernel.write(this.#outward)
      if (taken < this.#outward.length) {
        this.#outward = this.#outward.subarray(Math.max(0, taken))
        return
      }
      this.#outward = undefined
    }
  }

  #connectionClosed(error: ConnectionError | undefined): void {
    if (this.#kernelClosed) return
    // The kernel's peer learns of a reset by a reset.
    if (error !== undefined) this.#kernel.terminate()
    // What was read from the connection, and not yet taken by the kernel, comes before the end.
    else this.#carryOut()
  }
}
