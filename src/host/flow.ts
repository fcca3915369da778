import type { Closed, Connection, TimeWait } from "../tcp/tcb.ts"
import { type Micros, OFF } from "../tcp/time.ts"
import type { Endpoint } from "../wire/address.ts"
import type { Scheduled } from "./deadlines.ts"
import type { Way } from "./egress.ts"
import type { Guard } from "./guards.ts"
import { ALONE, type Sharing } from "./portTable.ts"
import type { ConnectionSocket, ListenerSocket } from "./socket.ts"
import type { Train } from "./trains.ts"
import type { SocketId } from "./types.ts"

/** Of a flow that is not among those that may be put to rest. */
export const NOWHERE = -1

/** A block in the connection table: open, or in TIME-WAIT. Half-open requests have a table of their own. */
export class Flow implements Scheduled, Way {
  scheduledAt = OFF
  /** Next in the table's chain. */
  next: Flow | undefined = undefined
  /** Output is owed at the end of the batch. */
  dirty = false
  /** It counts as a user of its port. */
  joined = false
  /** With whom its socket shares the port. */
  sharing: Sharing = ALONE
  /** The socket that an application holds, while it does. */
  socket: ConnectionSocket | undefined = undefined
  /** Who spawned it, until its handshake is complete: with Fast Open that is later than `Established`. */
  listener: ListenerSocket | undefined = undefined
  /** IPv4 identification of its next packet: counted per connection, so that nobody can count a host's packets. */
  identification = 0
  /** Segments of this batch that wait to be handled as one: see `Trains`. */
  train: Train | undefined = undefined
  /** What its segments are held to beside the state machine. */
  guard: Guard | undefined = undefined
  /** When something last happened to it, and where it is among those that may be put to rest. */
  stirredAt: Micros = 0
  awakeAt = NOWHERE
  /** When its progress last told of the next hop. */
  confirmedAt: Micros = OFF

  constructor(
    /** For display; the socket's id where it has one. */
    public id: SocketId,
    public tcb: Connection | TimeWait | Closed,
    readonly local: Endpoint,
    readonly remote: Endpoint,
    /** Where its segments leave: an index into the host's interfaces. */
    readonly iface: number,
  ) {}
}
