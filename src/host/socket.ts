import type { CloseReason, Why } from "../tcp/effect.ts"
import type { Listen } from "../tcp/tcb.ts"
import type { IpAddress } from "../wire/address.ts"
import type { Flow } from "./flow.ts"
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

export class ListenerSocket {
  readonly kind = "listener"
  /** Established, and not yet accepted. */
  readonly accepted: Array<ConnectionSocket> = []
  /** Half-open requests that it spawned. */
  readonly requests = new Set<Flow>()
  reported = 0

  constructor(
    readonly id: SocketId,
    public tcb: Listen,
    readonly address: IpAddress,
    readonly port: number | "every",
  ) {}
}

export type AnySocket = ConnectionSocket | ListenerSocket
