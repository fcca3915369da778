import { type Duration, Effect, type Scope, Stream, SubscriptionRef } from "effect"
import type { DhcpLease } from "../ip/dhcpLease.ts"
import { answer, type DhcpBinding, type DhcpBindings, type DhcpPool, NO_BINDINGS } from "../ip/dhcpServer.ts"
import { Stack, type StackService } from "../runtime/stack.ts"
import { BROADCAST4, type IpAddress, inPrefix, ipv4, type MacAddress } from "../wire/address.ts"
import { formatAddress } from "../wire/addressText.ts"
import { DHCP_CLIENT_PORT, DHCP_SERVER_PORT, decodeDhcp, encodeDhcp } from "../wire/dhcp.ts"
import { isDrop } from "../wire/drop.ts"
import { InvalidArgument } from "./errors.ts"
import { addressOf } from "./options.ts"
import * as Udp from "./Udp.ts"

export type { DhcpLease } from "../ip/dhcpLease.ts"
export type { DhcpBinding } from "../ip/dhcpServer.ts"

/** How often a stack is asked whether it has an address by now. */
const POLL: Duration.DurationInput = "50 millis"

/**
 * Waits until an interface with a DHCP client (`dhcp` of its options) has a lease, and gives it. Never
 * ends without one: bound it with `Effect.timeout`. `InvalidArgument` where there is no such client.
 */
export const leased = (device?: string): Effect.Effect<DhcpLease, InvalidArgument, Stack> =>
  Effect.flatMap(Stack, (stack) => {
    const lease = Effect.suspend(() => {
      const views = stack.network.leases()
      const mine = views.filter(({ interface: index }) => device === undefined || stack.devices[index]?.name === device)
      if (mine.length === 0) return Effect.fail(new InvalidArgument({ argument: "device", reason: NO_CLIENT }))
      return Effect.succeed(mine.find((view) => view.lease !== undefined)?.lease)
    })
    const wait: Effect.Effect<DhcpLease, InvalidArgument> = Effect.flatMap(lease, (found) =>
      found === undefined ? Effect.zipRight(Effect.sleep(POLL), wait) : Effect.succeed(found),
    )
    return wait
  })

const NO_CLIENT = "no interface of this stack has a DHCP client: give it `dhcp: true`"

export interface ServerOptions {
  /** The device whose link is served. Default: the stack's first. */
  readonly device?: string
  /** First and last address to give out. Default: all that are left in the network of the stack's own address. */
  readonly first?: string | IpAddress
  readonly last?: string | IpAddress
  /** Default: the stack itself. */
  readonly routers?: ReadonlyArray<string | IpAddress>
  readonly nameServers?: ReadonlyArray<string | IpAddress>
  readonly domainName?: string
  /** Whole seconds, a minute at least. Default an hour. */
  readonly leaseSeconds?: number
  /** Addresses that certain hardware always gets. */
  readonly reserved?: ReadonlyMap<MacAddress, IpAddress>
}

export interface DhcpServer {
  readonly pool: DhcpPool
  /** Who has what, ended leases included until their address is given out again. */
  readonly bindings: Effect.Effect<ReadonlyArray<DhcpBinding>>
  /** The same as it is, and whenever a client has changed it. */
  readonly changes: Stream.Stream<ReadonlyArray<DhcpBinding>>
}

const SHORTEST_LEASE = 60
const DEFAULT_LEASE = 3600
const LONGEST_LEASE = 0xffffffff

/**
 * A small DHCP server (RFC 2131) on one link of a stack, until the scope ends: for labs and virtual
 * machines. It takes itself for the only one there, and remembers leases for as long as it runs.
 */
export const server = (options: ServerOptions = {}): Effect.Effect<DhcpServer, Udp.UdpError, Stack | Scope.Scope> =>
  Effect.gen(function* () {
    const stack = yield* Stack
    const pool = yield* poolOf(stack, options)
    const device = options.device ?? stack.devices[0]?.name
    const socket = yield* Udp.bind({
      port: DHCP_SERVER_PORT,
      broadcast: true,
      ...(device === undefined ? {} : { interface: device }),
    })
    const bindings = yield* SubscriptionRef.make(NO_BINDINGS)
    const serve = (payload: Uint8Array): Effect.Effect<void> =>
      Effect.gen(function* () {
        const message = decodeDhcp(payload)
        if (isDrop(message)) return yield* Effect.logDebug("a DHCP message was thrown away", { why: message })
        const before = yield* bindings
        const { bindings: after, reply, why } = answer(pool, before, message, stack.network.now())
        if (after !== before) yield* SubscriptionRef.set(bindings, after)
        if (reply === undefined) return yield* Effect.logDebug("a DHCP message was not answered", { why })
        const { to = BROADCAST4, port } = reply
        const endpoint = { address: to, port: port === "client" ? DHCP_CLIENT_PORT : DHCP_SERVER_PORT }
        // What cannot be sent now is asked for again.
        return yield* Effect.ignoreLogged(socket.send(encodeDhcp(reply.message), endpoint))
      })
    yield* Effect.forkScoped(Stream.runForEach(socket.stream, ({ payload }) => serve(payload)))
    const list = (known: DhcpBindings): ReadonlyArray<DhcpBinding> => [...known.values()]
    return { pool, bindings: Effect.map(bindings, list), changes: Stream.map(bindings.changes, list) }
  })

const poolOf = (stack: StackService, options: ServerOptions): Effect.Effect<DhcpPool, InvalidArgument> =>
  Effect.gen(function* () {
    const index = options.device === undefined ? 0 : stack.devices.findIndex(({ name }) => name === options.device)
    const own = stack.network.addresses().find(({ interface: at, address }) => at === index && address.family === 4)
    if (own === undefined) {
      return yield* new InvalidArgument({
        argument: "device",
        reason: "its interface has no IPv4 address to serve from",
      })
    }
    const { address: self, prefixLength } = own
    const hosts = 0xffffffff >>> prefixLength
    const network = (self.d & ~hosts) >>> 0
    const first = options.first === undefined ? ipv4(network + 1) : yield* addressOf(options.first)
    const last = options.last === undefined ? ipv4((network | hosts) - 1) : yield* addressOf(options.last)
    for (const [argument, address] of [
      ["first", first],
      ["last", last],
    ] as const) {
      if (inPrefix(address, self, prefixLength)) continue
      const reason = `${formatAddress(address)} is not in the network of ${formatAddress(self)}/${prefixLength}`
      return yield* new InvalidArgument({ argument, reason })
    }
    if (first.d > last.d) return yield* new InvalidArgument({ argument: "last", reason: "it is before the first" })
    const leaseTime = options.leaseSeconds ?? DEFAULT_LEASE
    if (!Number.isInteger(leaseTime) || leaseTime < SHORTEST_LEASE || leaseTime > LONGEST_LEASE) {
      return yield* new InvalidArgument({
        argument: "leaseSeconds",
        reason: `${leaseTime} is not a whole number from ${SHORTEST_LEASE} on`,
      })
    }
    return {
      server: self,
      prefixLength,
      first,
      last,
      routers: yield* Effect.forEach(options.routers ?? [self], (host) => addressOf(host)),
      routes: [],
      dnsServers: yield* Effect.forEach(options.nameServers ?? [], (host) => addressOf(host)),
      domainName: options.domainName,
      mtu: undefined,
      leaseTime,
      reserved: options.reserved ?? new Map(),
    }
  })
