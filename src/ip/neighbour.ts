import type { MacAddress } from "../wire/address.ts"
import { type Micros, OFF } from "../wire/time.ts"

/**
 * Neighbour unreachability detection (RFC 4861 section 7.3), used for ARP as well: one entry of a
 * neighbour cache as a pure state machine. `P` is a packet that waits for the link address.
 */
export type Neighbour<P> =
  | {
      readonly state: "INCOMPLETE"
      readonly waiting: ReadonlyArray<P>
      readonly probes: number
      readonly deadline: Micros
    }
  | { readonly state: "REACHABLE"; readonly mac: MacAddress; readonly deadline: Micros }
  | { readonly state: "STALE"; readonly mac: MacAddress }
  | { readonly state: "DELAY"; readonly mac: MacAddress; readonly deadline: Micros }
  | { readonly state: "PROBE"; readonly mac: MacAddress; readonly probes: number; readonly deadline: Micros }

export type NeighbourEffect<P> =
  /** Ask for the address: everyone, or the one that should have it. */
  | { readonly _tag: "Solicit"; readonly to: MacAddress | "everyone" }
  | { readonly _tag: "Forward"; readonly packet: P; readonly mac: MacAddress }
  /** No answer, or the queue was full: the packet is lost. */
  | { readonly _tag: "Lost"; readonly packet: P; readonly why: "neighbour:no-answer" | "neighbour:queue-full" }

/** `undefined` for the entry: it is not in the cache (any more). */
export interface NeighbourStep<P> {
  readonly entry: Neighbour<P> | undefined
  readonly effects: ReadonlyArray<NeighbourEffect<P>>
}

const SECOND: Micros = 1_000_000
/** RFC 4861 section 10. */
const REACHABLE_TIME: Micros = 30 * SECOND
const RETRANS_TIMER: Micros = SECOND
const DELAY_FIRST_PROBE_TIME: Micros = 5 * SECOND
const MAX_SOLICIT = 3
/** Packets that wait for one neighbour; the oldest gives way (RFC 4861 section 7.2.2, RFC 1122 section 2.3.2.2). */
export const MAX_WAITING = 3

/** A packet wants to go there. */
export const send = <P>(entry: Neighbour<P> | undefined, packet: P, now: Micros): NeighbourStep<P> => {
  if (entry === undefined) {
    return {
      entry: { state: "INCOMPLETE", waiting: [packet], probes: 1, deadline: now + RETRANS_TIMER },
      effects: [{ _tag: "Solicit", to: "everyone" }],
    }
  }
  switch (entry.state) {
    case "INCOMPLETE": {
      const [oldest, ...rest] = entry.waiting
      return entry.waiting.length < MAX_WAITING || oldest === undefined
        ? { entry: { ...entry, waiting: [...entry.waiting, packet] }, effects: [] }
        : {
            entry: { ...entry, waiting: [...rest, packet] },
            effects: [{ _tag: "Lost", packet: oldest, why: "neighbour:queue-full" }],
          }
    }
    case "STALE":
      return {
        entry: { state: "DELAY", mac: entry.mac, deadline: now + DELAY_FIRST_PROBE_TIME },
        effects: [{ _tag: "Forward", packet, mac: entry.mac }],
      }
    case "REACHABLE":
    case "DELAY":
    case "PROBE":
      return { entry, effects: [{ _tag: "Forward", packet, mac: entry.mac }] }
  }
}

/** A reply to our solicitation came: the neighbour is reachable. */
export const confirm = <P>(entry: Neighbour<P> | undefined, mac: MacAddress, now: Micros): NeighbourStep<P> => ({
  entry: entry === undefined ? undefined : { state: "REACHABLE", mac, deadline: now + REACHABLE_TIME },
  effects: release(entry, mac),
})

/**
 * The neighbour spoke of itself without being asked (RFC 826's merge; RFC 4861 section 7.2.3).
 * `create` makes an entry where there was none: it talks to us, we shall answer.
 */
export const hear = <P>(entry: Neighbour<P> | undefined, mac: MacAddress, create: boolean): NeighbourStep<P> => {
  if (entry === undefined) return { entry: create ? { state: "STALE", mac } : undefined, effects: [] }
  if (entry.state !== "INCOMPLETE" && entry.mac === mac) return { entry, effects: [] }
  return { entry: { state: "STALE", mac }, effects: release(entry, mac) }
}

export const timeout = <P>(entry: Neighbour<P>, now: Micros): NeighbourStep<P> => {
  switch (entry.state) {
    case "INCOMPLETE":
      return entry.probes < MAX_SOLICIT
        ? {
            entry: { ...entry, probes: entry.probes + 1, deadline: now + RETRANS_TIMER },
            effects: [{ _tag: "Solicit", to: "everyone" }],
          }
        : {
            entry: undefined,
            effects: entry.waiting.map((packet) => ({ _tag: "Lost", packet, why: "neighbour:no-answer" }) as const),
          }
    case "REACHABLE":
      return { entry: { state: "STALE", mac: entry.mac }, effects: [] }
    case "STALE":
      return { entry, effects: [] }
    case "DELAY":
      return {
        entry: { state: "PROBE", mac: entry.mac, probes: 1, deadline: now + RETRANS_TIMER },
        effects: [{ _tag: "Solicit", to: entry.mac }],
      }
    case "PROBE":
      return entry.probes < MAX_SOLICIT
        ? {
            entry: { ...entry, probes: entry.probes + 1, deadline: now + RETRANS_TIMER },
            effects: [{ _tag: "Solicit", to: entry.mac }],
          }
        : { entry: undefined, effects: [] }
  }
}

/** Traffic of an upper layer shows that the neighbour hears us (RFC 4861 section 7.3.1). */
export const progress = <P>(entry: Neighbour<P>, now: Micros): Neighbour<P> =>
  entry.state === "INCOMPLETE" || entry.state === "REACHABLE"
    ? entry
    : { state: "REACHABLE", mac: entry.mac, deadline: now + REACHABLE_TIME }

/** An upper layer has heard nothing for long: the address must be confirmed anew (RFC 4861 section 7.3.1). */
export const doubt = <P>(entry: Neighbour<P>): Neighbour<P> =>
  entry.state === "REACHABLE" ? { state: "STALE", mac: entry.mac } : entry

export const deadlineOf = <P>(entry: Neighbour<P>): Micros => (entry.state === "STALE" ? OFF : entry.deadline)

const release = <P>(entry: Neighbour<P> | undefined, mac: MacAddress): ReadonlyArray<NeighbourEffect<P>> =>
  entry?.state === "INCOMPLETE" ? entry.waiting.map((packet) => ({ _tag: "Forward", packet, mac }) as const) : []
