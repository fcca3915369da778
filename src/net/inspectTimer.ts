import type { Tcb, Timers } from "../tcp/tcb.ts"
import { type Micros, OFF } from "../tcp/time.ts"
import { TIMER_NAMES } from "../tcp/timers.ts"
import type { Timer } from "./inspectSchema.ts"

/**
 * What `ss -o` calls our timers, the first that runs being shown (Linux's inet_csk_diag_fill).
 * FIN-WAIT-2 of a closed connection waits as Linux's does, in a TIME-WAIT block.
 */
const SHOWN: ReadonlyArray<readonly [timer: string, name: Timer["name"]]> = [
  ["retransmit", "on"],
  ["persist", "persist"],
  ["keepalive", "keepalive"],
  ["linger", "timewait"],
  ["user", "unknown"],
]

/** The timer that runs for a block. */
export const timerOf = (tcb: Tcb, now: Micros): Timer | undefined => {
  switch (tcb._tag) {
    case "CLOSED":
    case "LISTEN":
      return undefined
    case "TIME-WAIT":
      return timer("timewait", tcb.deadline, 0, now)
    case "SYN-SENT":
      return first(tcb.timers, tcb.retransmits, now)
    case "SYN-RECEIVED":
      if (tcb.open === "active") return first(tcb.timers, tcb.sent.retransmits, now)
      return ofRequest(tcb.open === "fast" ? tcb.request : tcb, now)
    default:
      return first(tcb.timers, tcb.rto.backoff, now, tcb.rto.probes)
  }
}

const ofRequest = (
  { deadline, retransmits }: { readonly deadline: Micros; readonly retransmits: number },
  now: Micros,
): Timer | undefined => timer("on", deadline, retransmits, now)

const first = (timers: Timers, retransmits: number, now: Micros, probes = 0): Timer | undefined => {
  for (const [wanted, name] of SHOWN) {
    const own = TIMER_NAMES.find((each) => each === wanted)
    if (own === undefined || timers[own] === OFF) continue
    return timer(name, timers[own], name === "on" ? retransmits : name === "persist" ? probes : 0, now)
  }
  return undefined
}

const timer = (name: Timer["name"], deadline: Micros, retransmits: number, now: Micros): Timer | undefined =>
  deadline === OFF ? undefined : { name, expires: Math.max(0, Math.round(deadline - now) / 1000), retransmits }
