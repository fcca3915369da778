import type { TcpContext } from "../tcp/tcb.ts"
import type { Endpoint } from "../wire/address.ts"
import type { Chances } from "./chances.ts"
import type { Counters } from "./counters.ts"
import type { Link } from "./link.ts"
import type { SocketEvent, SocketId } from "./types.ts"

/** What the datagram sockets of a host share. */
export interface DatagramShell {
  /** Its settings may change while the host runs. */
  readonly context: TcpContext
  readonly link: Link
  readonly chances: Chances
  readonly counters: Counters
  readonly nextId: () => SocketId
  /** Once per batch for each event. */
  readonly notify: (socket: SocketId, event: SocketEvent["event"]) => void
  /** The same for the same flow, and not to be aimed at from outside. */
  readonly flowHash: (local: Endpoint, remote: Endpoint) => number
}
