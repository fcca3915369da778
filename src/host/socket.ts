import type { CloseReason, IcmpErrno, Why } from "../tcp/effect.ts"
import type { Listen, SocketOptions } from "../tcp/tcb.ts"
import { type Endpoint, type IpAddress, sameAddress } from "../wire/address.ts"
import type { TcpPacket } from "../wire/tcpSegment.ts"
import type { Flow } from "./flow.ts"
import type { Notices } from "./notices.ts"
import type { PortOwner } from "./portTable.ts"
import { ReceiveQueue } from "./receiveQueue.ts"
import type { Totals } from "./totals.ts"
import type { SocketId } from "./types.ts"

/** A connection as an application holds it. Its flow may end before it does. */
export class ConnectionSocket {
  readonly kind = "connection"
  readonly received = new ReceiveQueue()
  /** The peer's FIN is behind what is queued. */
  ended = false
  closed: { readonly reason: CloseReason; readonly errno?: IcmpErrno | undefined; readonly why: Why } | undefined =
    undefined
  /** SHUT_RD: after what is queued comes the end. */
  shut = false
  /** An application has it: it has been accepted. */
  held = false
  /** SO_ERROR has been read. */
  errorTaken = false
  /** Unread octets from which on `readable` is told (SO_RCVLOWAT). */
  lowWater = 1
  /** An application waits for room to write. */
  wantsRoom = false
  /** What the application is to be told of its writes; undefined: it never asked. */
  notices: Notices | undefined = undefined
  /** Events of this batch that have been reported already. */
  reported = 0

  constructor(
    readonly id: SocketId,
    readonly flow: Flow,
    readonly totals: Totals,
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
  /** SYNs and ACKs that it had no room for (ListenDrops of all listeners). */
  drops = 0
  /** Segments handled in this turn. */
  handled = 0
  reported = 0
  private local: Endpoint | undefined = undefined

  constructor(
    readonly id: SocketId,
    public tcb: Listen,
    readonly address: IpAddress,
    readonly port: number | "every",
    /** What it holds in the port table; a listener on every port holds none. */
    readonly bound: Bound | undefined,
  ) {}

  /** One record for all connections to the same address and port, since there may be very many. */
  endpointOf(address: IpAddress, port: number): Endpoint {
    if (this.local === undefined || this.local.port !== port || !sameAddress(this.local.address, address)) {
      this.local = { address, port }
    }
    return this.local
  }
}

export type AnySocket = IdleSocket | ConnectionSocket | ListenerSocket
