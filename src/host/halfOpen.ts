import type { Request } from "../tcp/tcb.ts"
import type { Endpoint } from "../wire/address.ts"
import type { Way } from "./egress.ts"
import type { Guard } from "./guards.ts"
import type { Row } from "./rows.ts"
import type { ListenerSocket } from "./socket.ts"

/** A half-open request while something happens to it; otherwise it lies packed in the request table. */
export class HalfOpen implements Way {
  readonly local: Endpoint
  readonly remote: Endpoint

  constructor(
    readonly row: Row,
    readonly request: Request,
    readonly listener: ListenerSocket,
    readonly iface: number,
    readonly guard: Guard | undefined,
  ) {
    this.local = request.local
    this.remote = request.remote
  }
}

/** Its SYN-ACK was sent only once. */
export const isYoung = ({ retransmits }: Request): boolean => retransmits === 0
