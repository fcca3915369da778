import { Clock, Effect } from "effect"
import type { SocketStatus } from "../host/types.ts"
import type { UdpStatus } from "../host/udp/types.ts"
import type { StackService } from "../runtime/stack.ts"
import type { Micros } from "../tcp/time.ts"
import { countersOf } from "./inspectCounters.ts"
import { interfaceRows, neighbourRows, routeRows } from "./inspectNetwork.ts"
import type { InterfaceRow, NeighbourRow, RouteRow } from "./inspectNetworkSchema.ts"
import type { Counters, Protocol, SocketRow, SocketState, Summary } from "./inspectSchema.ts"
import { rowOf, udpRowOf } from "./inspectSocket.ts"

export * from "./inspectNetworkSchema.ts"
export * from "./inspectSchema.ts"

/**
 * What `ss`, `nstat` and `ip` show, of a stack in this process. Nothing is kept for it: each call looks
 * at the stack once, between two batches.
 */
export const sockets = (
  stack: StackService,
  states?: ReadonlyArray<SocketState>,
  protocols?: ReadonlyArray<Protocol>,
): Effect.Effect<ReadonlyArray<SocketRow>> => Effect.map(eachSocket(stack, states, protocols), (rows) => [...rows])

/**
 * The same as they are taken: of a large table, so that the stack can go on in between. In these
 * states; absent: in all. Of these protocols; absent: TCP.
 */
export const eachSocket = (
  stack: StackService,
  states?: ReadonlyArray<SocketState>,
  protocols: ReadonlyArray<Protocol> = ["tcp"],
): Effect.Effect<Iterable<SocketRow>> =>
  Effect.map(now, (at) =>
    rowsOf(
      stack,
      protocols.includes("tcp") ? stack.list() : [],
      protocols.includes("udp") ? stack.udpList() : [],
      states,
      at,
    ),
  )

function* rowsOf(
  stack: StackService,
  all: ReadonlyArray<SocketStatus>,
  udp: ReadonlyArray<UdpStatus>,
  states: ReadonlyArray<SocketState> | undefined,
  at: Micros,
): Generator<SocketRow> {
  for (const status of all) {
    if (states?.includes(status.state) ?? true) yield rowOf(status, isOrphan(stack, status), at)
  }
  for (const status of udp) {
    const row = udpRowOf(status)
    if (states?.includes(row.state) ?? true) yield row
  }
}

/** `ss -s` */
export const summary = (stack: StackService): Effect.Effect<Summary> => Effect.sync(() => summarize(stack))

/** `ip addr` */
export const interfaces = (stack: StackService): Effect.Effect<ReadonlyArray<InterfaceRow>> =>
  Effect.sync(() => interfaceRows(stack))

/** `ip route`, of both families. */
export const routes = (stack: StackService): Effect.Effect<ReadonlyArray<RouteRow>> =>
  Effect.sync(() => routeRows(stack))

/** `ip neigh`, of both families. */
export const neighbours = (stack: StackService): Effect.Effect<ReadonlyArray<NeighbourRow>> =>
  Effect.sync(() => neighbourRows(stack))

/** `nstat -az` */
export const counters = (stack: StackService): Effect.Effect<Counters> =>
  Effect.sync(() => {
    const established = stack.list().filter(({ state }) => state === "ESTABLISHED" || state === "CLOSE-WAIT")
    return countersOf(stack, established.length)
  })

const NANOS_PER_MICRO = 1000n

/** The stack's clock is that of the fiber that made it; deadlines mean something against no other. */
const now: Effect.Effect<Micros> = Effect.map(Clock.currentTimeNanos, (nanos) => Number(nanos / NANOS_PER_MICRO))

/** An application that has closed its socket cannot ask for it any more. Half-open and TIME-WAIT blocks never had one. */
const isOrphan = (stack: StackService, { socket, state }: SocketStatus): boolean =>
  state !== "TIME-WAIT" && state !== "SYN-RECEIVED" && stack.sockets.status(socket) === undefined

const summarize = (stack: StackService): Summary => {
  const all = stack.list()
  const udp = stack.udpList()
  const count = (isOne: (status: SocketStatus) => boolean): number => all.filter(isOne).length
  const inState = (...states: ReadonlyArray<SocketStatus["state"]>): number =>
    count(({ state }) => states.includes(state))
  return {
    total: all.length,
    listening: inState("LISTEN"),
    established: inState("ESTABLISHED"),
    synReceived: inState("SYN-RECEIVED"),
    timeWait: inState("TIME-WAIT"),
    orphaned: count((status) => isOrphan(stack, status)),
    closed: inState("CLOSED"),
    ipv4: count(({ state, local }) => state !== "CLOSED" && local.address.family === 4),
    ipv6: count(({ state, local }) => state !== "CLOSED" && local.address.family === 6),
    udpIpv4: udp.filter(({ local }) => local.address.family === 4).length,
    udpIpv6: udp.filter(({ local }) => local.address.family === 6).length,
  }
}
