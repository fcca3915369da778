import type { MacAddress } from "../wire/address.ts"
import { type Micros, OFF } from "../wire/time.ts"

/**
 * Neighbour unreachability detection (RFC 4861 section 7.3), used for ARP as well: one entry of a
 * neighbour cache as a pure state machine. `P` is a packet that waits for the link address.
 */
export type Neighbour<P> = {
  /** RFC 4861 section 5.1: it has said that it is a router. ARP knows of none. */
  readonly isRouter: boolean
} & (
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
)

/** Times that a router may set for its link (RFC 4861 section 6.3.2). */
export interface NeighbourTimes {
  readonly reachableTime: Micros
  readonly retransTimer: Micros
}

export type NeighbourEffect<P> =
  /** Ask for the address: everyone, or the one that should have it. */
  | { readonly _tag: "Solicit"; readonly to: MacAddress | "everyone" }
  | { readonly _tag: "Forward"; readonly packet: P; readonly mac: MacAddress }
  /** No answer, or the queue was full: the packet is lost. */
  | { readonly _tag: "Lost"; readonly packet: P; readonly why: "neighbour:no-answer" | "neighbour:queue-full" }
  /** It was a router and is none any more: it must not lead anywhere (RFC 4861 section 7.2.5). */
  | { readonly _tag: "NoRouter" }

/** `undefined` for the entry: it is not in the cache (any more). */
export interface NeighbourStep<P> {
  readonly entry: Neighbour<P> | undefined
  readonly effects: ReadonlyArray<NeighbourEffect<P>>
}

const SECOND: Micros = 1_000_000
/** RFC 4861 section 10. */
export const DEFAULT_TIMES: NeighbourTimes = { reachableTime: 30 * SECOND, retransTimer: SECOND }
const DELAY_FIRST_PROBE_TIME: Micros = 5 * SECOND
const MAX_SOLICIT = 3
/** Packets that wait for one neighbour; the oldest gives way (RFC 4861 section 7.2.2, RFC 1122 section 2.3.2.2). */
export const MAX_WAITING = 3

/** A packet wants to go there. */
export const send = <P>(
  entry: Neighbour<P> | undefined,
  packet: P,
  now: Micros,
  { retransTimer }: NeighbourTimes = DEFAULT_TIMES,
): NeighbourStep<P> => {
  if (entry === undefined) {
    const deadline = now + retransTimer
    return {
      entry: { state: "INCOMPLETE", waiting: [packet], probes: 1, deadline, isRouter: false },
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
    case "STALE": {
      const { mac, isRouter } = entry
      return {
        entry: { state: "DELAY", mac, deadline: now + DELAY_FIRST_PROBE_TIME, isRouter },
        effects: [{ _tag: "Forward", packet, mac }],
      }
    }
    case "REACHABLE":
    case "DELAY":
    case "PROBE":
      return { entry, effects: [{ _tag: "Forward", packet, mac: entry.mac }] }
  }
}

/** A reply to our solicitation came: the neighbour is reachable (ARP's, or what amounts to it). */
export const confirm = <P>(
  entry: Neighbour<P> | undefined,
  mac: MacAddress,
  now: Micros,
  times: NeighbourTimes = DEFAULT_TIMES,
): NeighbourStep<P> =>
  entry === undefined
    ? { entry, effects: [] }
    : { entry: reachable(mac, entry.isRouter, now, times), effects: release(entry, mac) }

/**
 * The neighbour spoke of itself without being asked (RFC 826's merge; RFC 4861 section 7.2.3).
 * `create` makes an entry where there was none: it talks to us, we shall answer.
 */
export const hear = <P>(
  entry: Neighbour<P> | undefined,
  mac: MacAddress,
  create: boolean,
  isRouter = entry?.isRouter ?? false,
): NeighbourStep<P> => {
  if (entry === undefined) return { entry: create ? { state: "STALE", mac, isRouter } : undefined, effects: [] }
  if (entry.state !== "INCOMPLETE" && entry.mac === mac) {
    return { entry: entry.isRouter === isRouter ? entry : { ...entry, isRouter }, effects: [] }
  }
  return { entry: { state: "STALE", mac, isRouter }, effects: release(entry, mac) }
}

/** What a Neighbour Advertisement says of its target. */
export interface Advertised {
  /** Absent on links without addresses. */
  readonly mac: MacAddress | undefined
  readonly solicited: boolean
  readonly override: boolean
  readonly isRouter: boolean
}

/** A Neighbour Advertisement (RFC 4861 section 7.2.5): one about nobody we asked for makes no entry. */
export const advertised = <P>(
  entry: Neighbour<P> | undefined,
  { mac: given, solicited, override, isRouter }: Advertised,
  now: Micros,
  times: NeighbourTimes = DEFAULT_TIMES,
): NeighbourStep<P> => {
  if (entry === undefined) return { entry, effects: [] }
  if (entry.state === "INCOMPLETE") {
    if (given === undefined) return { entry, effects: [] }
    const next = solicited ? reachable<P>(given, isRouter, now, times) : stale<P>(given, isRouter)
    return { entry: next, effects: release(entry, given) }
  }
  const mac = given ?? entry.mac
  const isOther = mac !== entry.mac
  if (isOther && !override) {
    // Part I: somebody else answers too. What we have is worth asking for again, and no more is learnt.
    const next = entry.state === "REACHABLE" ? stale<P>(entry.mac, entry.isRouter) : entry
    return { entry: next, effects: [] }
  }
  const effects: ReadonlyArray<NeighbourEffect<P>> = entry.isRouter && !isRouter ? [{ _tag: "NoRouter" }] : []
  if (solicited) return { entry: reachable(mac, isRouter, now, times), effects }
  return { entry: isOther ? stale(mac, isRouter) : { ...entry, isRouter }, effects }
}

export const timeout = <P>(
  entry: Neighbour<P>,
  now: Micros,
  { retransTimer }: NeighbourTimes = DEFAULT_TIMES,
): NeighbourStep<P> => {
  const deadline = now + retransTimer
  switch (entry.state) {
    case "INCOMPLETE":
      return entry.probes < MAX_SOLICIT
        ? { entry: { ...entry, probes: entry.probes + 1, deadline }, effects: [{ _tag: "Solicit", to: "everyone" }] }
        : {
            entry: undefined,
            effects: entry.waiting.map((packet) => ({ _tag: "Lost", packet, why: "neighbour:no-answer" }) as const),
          }
    case "REACHABLE":
      return { entry: stale(entry.mac, entry.isRouter), effects: [] }
    case "STALE":
      return { entry, effects: [] }
    case "DELAY": {
      const { mac, isRouter } = entry
      return { entry: { state: "PROBE", mac, probes: 1, deadline, isRouter }, effects: [{ _tag: "Solicit", to: mac }] }
    }
    case "PROBE":
      return entry.probes < MAX_SOLICIT
        ? { entry: { ...entry, probes: entry.probes + 1, deadline }, effects: [{ _tag: "Solicit", to: entry.mac }] }
        : { entry: undefined, effects: [] }
  }
}

/** Traffic of an upper layer shows that the neighbour hears us (RFC 4861 section 7.3.1). */
export const progress = <P>(entry: Neighbour<P>, now: Micros, times: NeighbourTimes = DEFAULT_TIMES): Neighbour<P> =>
  entry.state === "INCOMPLETE" || entry.state === "REACHABLE" ? entry : reachable(entry.mac, entry.isRouter, now, times)

/** An upper layer has heard nothing for long: the address must be confirmed anew (RFC 4861 section 7.3.1). */
export const doubt = <P>(entry: Neighbour<P>): Neighbour<P> =>
  entry.state === "REACHABLE" ? stale(entry.mac, entry.isRouter) : entry

export const deadlineOf = <P>(entry: Neighbour<P>): Micros => (entry.state === "STALE" ? OFF : entry.deadline)

const reachable = <P>(mac: MacAddress, isRouter: boolean, now: Micros, times: NeighbourTimes): Neighbour<P> => ({
  state: "REACHABLE",
  mac,
  deadline: now + times.reachableTime,
  isRouter,
})

const stale = <P>(mac: MacAddress, isRouter: boolean): Neighbour<P> => ({ state: "STALE", mac, isRouter })

const release = <P>(entry: Neighbour<P>, mac: MacAddress): ReadonlyArray<NeighbourEffect<P>> =>
  entry.state === "INCOMPLETE" ? entry.waiting.map((packet) => ({ _tag: "Forward", packet, mac }) as const) : []
