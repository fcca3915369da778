import type { PathLimits, Request, SocketOptions, TcpContext } from "../tcp/tcb.ts"
import type { Endpoint } from "../wire/address.ts"
import type { Way } from "./egress.ts"
import type { Guard } from "./guards.ts"
import type { Kept } from "./requestTable.ts"
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

/** The whole of a request: what is kept of it, and what is its listener's. Written out, as drafts are. */
export const requestOf = (
  kept: Kept,
  context: TcpContext,
  options: SocketOptions,
  path: PathLimits,
  local: Endpoint,
): Request => ({
  _tag: "SYN-RECEIVED",
  open: "passive",
  context,
  options,
  path,
  local,
  remote: kept.remote,
  iss: kept.iss,
  irs: kept.irs,
  terms: kept.terms,
  tsRecent: kept.tsRecent,
  tsOffset: kept.tsOffset,
  rcvBuf: kept.rcvBuf,
  since: kept.since,
  retransmits: kept.retransmits,
  acked: kept.acked,
  oowAt: kept.oowAt,
  deadline: kept.deadline,
  cookie: kept.cookie,
})
