import type { Micros } from "../../tcp/time.ts"
import type { Endpoint } from "../../wire/address.ts"
import type { Numbered } from "./ast.ts"

/**
 * A connection as a script sees it. The script counts both sides' sequence numbers from what it wrote
 * in their SYNs; the stack chooses its own ISN, so ours are shifted. The peer's are the script's.
 */
export interface Flow {
  readonly local: Endpoint
  readonly remote: Endpoint
  /** The stack's sequence number less the script's, once the stack's SYN has been seen. */
  shift: number
  synSeen: boolean
  /** A FIN or RST has passed: a SYN may start another connection on the same ports, with another ISN. */
  ended: boolean
  /** The peer's FIN has been injected. */
  peerClosed: boolean
  /** The stack's timestamps by the value that the script gives them. */
  readonly stamps: Map<number, number>
  /** The stack's latest timestamp in a packet whose options the script did not write down. */
  unwritten: number | undefined
  /** The first timestamp that was compared, for `--tcp_ts_tick_usecs`. */
  firstStamp: { readonly script: number; readonly live: number; readonly at: Micros } | undefined
}

export const makeFlow = (local: Endpoint, remote: Endpoint): Flow => ({
  local,
  remote,
  shift: 0,
  synSeen: false,
  ended: false,
  peerClosed: false,
  stamps: new Map(),
  unwritten: undefined,
  firstStamp: undefined,
})

/** A script's number for our side as it is on the wire. */
export const toWire = (flow: Flow, number: Numbered): number =>
  number.kind === "relative" ? (number.value + flow.shift) >>> 0 : number.value

/** A wire number of our side as the script counts. */
export const toScript = (flow: Flow, value: number): number => (value - flow.shift) >>> 0
