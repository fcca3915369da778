import type { CloseReason, Why } from "../tcp/effect.ts"
import type { Listen, SocketOptions } from "../tcp/tcb.ts"
import type { IpAddress } from "../wire/address.ts"
import type { TcpPacket } from "../wire/tcpSegment.ts"
import type { Flow } from "./flow.ts"
import type { PortOwner } from "./portTable.ts"
import { ReceiveQueue } from "./receiveQueue.ts"
import type { SocketId } from "./types.ts"

/** A connection as an application holds it. Its flow may end before it does. */
export class ConnectionSocket {
  readonly kind = "connection"
  readonly received = new ReceiveQueue()
  /** The peer's FIN is behind what is queued. */
  ended = false
  closed: { readonly reason: CloseReason; readonly why: Why } | undefined = undefined
  /** An application waits for room to write. */
  wantsRoom = false
  /** Events of this batch that have been reported already. */
  reported = 0

  constructor(
    readonly id: SocketId,
    readonly flow: Flow,
  ) {}
}

/** Neither listening nor connected; perhaps bound. */
export class IdleSocket {
  readonly kind = "idle"
  bound: Bound | undefined = undefined

  constructor(
    readonly id: SocketId,
    public options: SocketOptions,
  ) {}
}

/** An address and a port that a socket has taken. */
export interface Bound {
  readonly address: IpAddress
  readonly port: number
  readonly owner: PortOwner
}

export class ListenerSocket {
  readonly kind = "listener"
  /** Established, and not yet accepted. */
  readonly accepted: Array<ConnectionSocket> = []
  /** Segments that wait for the listener's next turn. */
  readonly inbox: Array<TcpPacket> = []
  /** Segments handled in this turn. */
  handled = 0
  /** Half-open requests that it spawned. */
  readonly requests = new Set<Flow>()
  reported = 0

  constructor(
    readonly id: SocketId,
    public tcb: Listen,
    readonly address: IpAddress,
    readonly port: number | "every",
    /** What it holds in the port table; a listener on every port holds none. */
    readonly bound: Bound | undefined,
  ) {}
}

export type AnySocket = IdleSocket | ConnectionSocket | ListenerSocket
