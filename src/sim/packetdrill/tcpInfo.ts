import { tcpInfo as fieldsOf } from "../../host/tcpInfo.ts"
import type { SocketStatus } from "../../host/types.ts"
import type { Micros } from "../../tcp/time.ts"

/** TCP_INFO as scripts ask for it. */
export const tcpInfo = (status: SocketStatus, now: Micros): ReadonlyMap<string, number> =>
  new Map(Object.entries(fieldsOf(status, now)))
