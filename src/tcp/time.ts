import type { Micros } from "../wire/time.ts"

export { type Micros, OFF } from "../wire/time.ts"

/** The cap on SYN and SYN-ACK retransmission intervals. */
export const SYN_RTO_MAX: Micros = 60_000_000
