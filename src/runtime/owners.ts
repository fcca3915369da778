import { NumberTable } from "../host/numberTable.ts"
import type { SocketId } from "../host/types.ts"
import type { SocketHappening, SocketOwner } from "./sockets.ts"

/** Who owns which socket, and the only place that calls them. */
export class Owners {
  readonly #owners = new NumberTable<SocketOwner>()
  readonly #listeners = new Set<SocketId>()
  readonly #onThrow: (socket: SocketId, cause: unknown, listening: boolean) => void

  /** `onThrow`: a callback threw. */
  constructor(onThrow: (socket: SocketId, cause: unknown, listening: boolean) => void) {
    this.#onThrow = onThrow
  }

  /** Connections that have an owner. */
  get connections(): number {
    return this.#owners.size - this.#listeners.size
  }

  own(socket: SocketId, owner: SocketOwner): void {
    this.#owners.set(socket, owner)
  }

  ownListener(socket: SocketId, owner: SocketOwner): void {
    this.#owners.set(socket, owner)
    this.#listeners.add(socket)
  }

  disown(socket: SocketId): void {
    this.#owners.delete(socket)
    this.#listeners.delete(socket)
  }

  sockets(): ReadonlyArray<SocketId> {
    return [...this.#owners.entries()].map(([socket]) => socket as SocketId).sort((a, b) => a - b)
  }

  /** One application's mistake is not the other connections' business. */
  tell(socket: SocketId, event: SocketHappening): void {
    try {
      this.#owners.get(socket)?.onEvent(event)
    } catch (cause) {
      const listening = this.#listeners.has(socket)
      if (!listening) this.#owners.delete(socket)
      this.#onThrow(socket, cause, listening)
    }
  }

  /** The last that they hear. */
  endAll(): void {
    for (const socket of this.sockets()) this.tell(socket, "ended")
    this.#owners.clear()
    this.#listeners.clear()
  }
}
