import type { Micros } from "../../tcp/time.ts"
import type { Endpoint } from "../../wire/address.ts"
import type { Numbered } from "./ast.ts"

/**
 * A connection as a script sees it, and as tcpdump shows it: the numbers of segments with SYN as they are on
 * the wire, those of all others from the ISN on. The peer's SYN is on the wire as the script has it; the
 * stack chooses its own ISN, whatever the script calls it.
 */
export interface Flow {
  readonly local: Endpoint
  readonly remote: Endpoint
  /** Our ISN, once our SYN has been seen: on the wire, and as the script wrote it. */
  iss: { readonly wire: number; readonly script: number } | undefined
  /** The peer's ISN, once its SYN has been injected. */
  irs: number | undefined
  /** The sequence number of the latest SYN of the peer's: the ISN, should it start another connection. */
  peerSyn: number | undefined
  /** A FIN or RST has passed: a SYN may start another connection on the same ports, with another ISN. */
  ended: boolean
  /** The peer's FIN has been taken. */
  peerClosed: boolean
  /** Fast Open cookies on the wire by the digits that the script writes for them; others are as written. */
  readonly cookies: ReadonlyMap<string, Uint8Array>
  /** The stack's flow labels by the value that the script gives them. */
  readonly labels: Map<number, number>
  /** The stack's timestamps by the value that the script gives them. */
  readonly stamps: Map<number, number>
  /** The stack's latest timestamp in a packet whose options the script did not write down. */
  unwritten: number | undefined
  /** What segments were last signed with: the socket may be closed already. */
  md5Key: Uint8Array | undefined
  /** The first timestamp that was compared, for `--tcp_ts_tick_usecs`. */
  firstStamp: { readonly script: number; readonly live: number; readonly at: Micros } | undefined
}

export const makeFlow = (local: Endpoint, remote: Endpoint, cookies: Flow["cookies"]): Flow => ({
  local,
  remote,
  iss: undefined,
  irs: undefined,
  peerSyn: undefined,
  ended: false,
  peerClosed: false,
  cookies,
  labels: new Map(),
  stamps: new Map(),
  unwritten: undefined,
  md5Key: undefined,
  firstStamp: undefined,
})

/** What our numbers in a segment are counted from: what is added to the script's makes the wire's. */
const ours = ({ iss }: Flow, syn: boolean): number =>
  iss === undefined ? 0 : syn ? (iss.wire - iss.script) >>> 0 : iss.wire

/** The same for the peer's numbers. */
const peers = ({ irs }: Flow, syn: boolean): number => (syn ? 0 : (irs ?? 0))

/** Whose sequence space a number is of. */
export type Side = "ours" | "peers"

const base = (flow: Flow, side: Side, syn: boolean): number => (side === "ours" ? ours(flow, syn) : peers(flow, syn))

/** A script's number as it is on the wire, in a segment with or without SYN. */
export const toWire = (flow: Flow, side: Side, number: Numbered, syn: boolean): number =>
  number.kind === "relative" ? (number.value + base(flow, side, syn)) >>> 0 : number.value

/** A wire number as the script counts. */
export const toScript = (flow: Flow, side: Side, value: number, syn: boolean): number =>
  (value - base(flow, side, syn)) >>> 0

export const cookieToWire = (flow: Flow, cookie: Uint8Array): Uint8Array => flow.cookies.get(cookie.toHex()) ?? cookie

export const cookieToScript = (flow: Flow, cookie: Uint8Array): Uint8Array => {
  const digits = cookie.toHex()
  for (const [script, wire] of flow.cookies) if (wire.toHex() === digits) return Uint8Array.fromHex(script)
  return cookie
}
