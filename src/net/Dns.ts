import { Effect, Either } from "effect"
import { orderDestinations } from "../ip/sourceAddress.ts"
import { Stack, type StackService } from "../runtime/stack.ts"
import type { IpAddress } from "../wire/address.ts"
import type { ResolveError } from "./dns/errors.ts"
import { exchangeOver } from "./dns/exchange.ts"
import type { RecordType } from "./dns/message.ts"
import { makeResolver } from "./dns/resolver.ts"
import { InvalidArgument } from "./errors.ts"
import { interleaved } from "./happyEyeballs.ts"
import { addressOf } from "./options.ts"

export { HostNotFound, type ResolveError, ResolverFailed } from "./dns/errors.ts"
export type { RecordType } from "./dns/message.ts"

export type LookupError = ResolveError | InvalidArgument

type Resolve = (name: string, type: RecordType) => Effect.Effect<ReadonlyArray<IpAddress>, ResolveError>

const DNS_PORT = 53
/** As glibc's resolver: five seconds for an answer, each server twice. */
const TIMEOUT = "5 seconds"
const ATTEMPTS = 2
const CAPACITY = 1024
/** RFC 8305 section 8: how long the answer of one family is waited for when the other's is there. */
const RESOLUTION_DELAY = "50 millis"

/** Addresses of one family: from the stack's name servers, or remembered for as long as these said. */
export const resolve = (name: string, type: RecordType): Effect.Effect<ReadonlyArray<IpAddress>, ResolveError, Stack> =>
  Effect.flatMap(Stack, (stack) => Effect.flatMap(resolverOf(stack), (ask) => ask(name, type)))

/**
 * Every address of a host, in the order in which they are to be tried (RFC 8305): of the families
 * that the stack itself has addresses of. An address stands for itself; "localhost" is the stack.
 */
export const lookup = (host: string | IpAddress): Effect.Effect<ReadonlyArray<IpAddress>, LookupError, Stack> =>
  Effect.flatMap(Stack, (stack) => lookupOn(stack, host))

/** As `lookup`; `only`: addresses of one IP version, and none of the other's are asked for. */
export const lookupOn = (
  stack: StackService,
  host: string | IpAddress,
  only?: 4 | 6,
): Effect.Effect<ReadonlyArray<IpAddress>, LookupError> => {
  const literal = addressOf(host, stack)
  const suits = ({ family }: IpAddress): boolean => only === undefined || family === only
  if (Either.isRight(literal)) return Effect.succeed([literal.right].filter(suits))
  const name = String(host)
  // No name ends in a number (RFC 1123 section 2.1): an address was meant.
  if (/(^|\.)[0-9]+\.?$/.test(name) || name.includes(":")) {
    return new InvalidArgument({ argument: "host", reason: `"${name}" is not an IP address` })
  }
  const own = stack.network.addresses().flatMap(({ address, state }) => (USABLE.has(state) ? [address] : []))
  // RFC 6761 section 6.3: never asked of a server.
  if (/^(.+\.)?localhost\.?$/i.test(name)) return Effect.succeed(own.filter(suits))
  const families =
    only === undefined ? ([6, 4] as const).filter((family) => own.some((address) => address.family === family)) : [only]
  return Effect.flatMap(resolverOf(stack), (ask) => {
    const found =
      families.length < 2 ? ask(name, families[0] === 6 ? "AAAA" : "A") : both(ask(name, "AAAA"), ask(name, "A"))
    return Effect.map(found, (addresses) => inOrder(stack, addresses))
  })
}

/** The best first (RFC 6724 section 6), and from there on the families by turns (RFC 8305 section 4). */
const inOrder = ({ network }: StackService, addresses: ReadonlyArray<IpAddress>): ReadonlyArray<IpAddress> => {
  const destinations = addresses.map((address) => ({ address, source: network.sourceFor(address) }))
  const ordered = orderDestinations(destinations).map(({ address }) => address)
  return interleaved(ordered, ({ family }) => family)
}

const USABLE: ReadonlySet<string> = new Set(["preferred", "deprecated"])

type Answer = Effect.Effect<ReadonlyArray<IpAddress>, ResolveError>

/** Whichever family is first with addresses, and the other's if they come soon after. IPv6 before IPv4. */
const both = (six: Answer, four: Answer): Answer => {
  const soon = (answer: Answer): Answer =>
    answer.pipe(
      Effect.timeoutTo({ duration: RESOLUTION_DELAY, onSuccess: (found) => found, onTimeout: () => [] }),
      Effect.orElseSucceed(() => []),
    )
  // The cache makes one question of both askings.
  const fourFirst = Effect.flatMap(four, (found) => Effect.map(soon(six), (more) => [...more, ...found]))
  const sixFirst = Effect.flatMap(six, (found) => Effect.map(soon(four), (more) => [...found, ...more]))
  return Effect.race(fourFirst, sixFirst)
}

const resolvers = new WeakMap<StackService, Resolve>()

/** Each stack has one, made when it is first asked. */
const resolverOf = (stack: StackService): Effect.Effect<Resolve> =>
  Effect.suspend(() => {
    const known = resolvers.get(stack)
    if (known !== undefined) return Effect.succeed(known)
    return Effect.tap(
      makeResolver({
        servers: Effect.sync(() => stack.nameServers().map((address) => ({ address, port: DNS_PORT }))),
        timeout: TIMEOUT,
        attempts: ATTEMPTS,
        capacity: CAPACITY,
        exchange: exchangeOver(stack),
        nextId: Effect.sync(() => crypto.getRandomValues(new Uint16Array(1))[0] ?? 0),
      }),
      (resolve) => Effect.sync(() => resolvers.set(stack, resolve)),
    )
  })
