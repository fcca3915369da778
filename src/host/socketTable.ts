import type { NumberTable } from "./numberTable.ts"
import type { Rest } from "./rest.ts"
import type { AnySocket } from "./socket.ts"
import type { SocketId } from "./types.ts"

/** The sockets of a host by their numbers. Whoever asks for one whose connection is at rest wakes it. */
export class SocketTable {
  constructor(
    private readonly awake: NumberTable<AnySocket>,
    private readonly rest: Rest,
  ) {}

  get(id: SocketId): AnySocket | undefined {
    return this.awake.get(id) ?? this.rest.wakeSocket(id)
  }

  /** The socket as it is, which wakes nobody; one that is at rest stays what it is whatever becomes of the answer. */
  look(id: SocketId): AnySocket | undefined {
    return this.awake.get(id) ?? this.rest.look(id)
  }

  has(id: SocketId): boolean {
    return this.awake.has(id) || this.rest.hasSocket(id)
  }

  set(id: SocketId, socket: AnySocket): void {
    this.awake.set(id, socket)
  }

  /** Of one that is awake, as are all that `get` has given. */
  delete(id: SocketId): void {
    this.awake.delete(id)
  }

  /** All of them, as `look` gives them. */
  *[Symbol.iterator](): Generator<AnySocket> {
    for (const [, socket] of [...this.awake.entries()].sort(([a], [b]) => a - b)) yield socket
    yield* this.rest.lookAtAll()
  }
}
