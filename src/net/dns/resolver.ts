import { Cache, Duration, Effect, Exit } from "effect"
import type { Endpoint, IpAddress } from "../../wire/address.ts"
import { formatEndpoint } from "../../wire/addressText.ts"
import { HostNotFound, type ResolveError, ResolverFailed } from "./errors.ts"
import { type Answer, bareName, question, type RecordType, read } from "./message.ts"

/** Carries one question to a server and brings what comes back; what is no answer to it, `accepts` says. */
export interface Exchange {
  readonly udp: (
    server: Endpoint,
    message: Uint8Array,
    accepts: (answer: Uint8Array) => boolean,
  ) => Effect.Effect<Uint8Array, ExchangeFailed>
  readonly tcp: (server: Endpoint, message: Uint8Array) => Effect.Effect<Uint8Array, ExchangeFailed>
}

export interface ExchangeFailed {
  readonly why: string
}

export interface ResolverOptions {
  /** Asked in this order, from the first again when all have failed. */
  readonly servers: Effect.Effect<ReadonlyArray<Endpoint>>
  /** How long one server has for one answer. */
  readonly timeout: Duration.DurationInput
  /** How often every server is asked. */
  readonly attempts: number
  /** Names remembered at most. */
  readonly capacity: number
  readonly exchange: Exchange
  /** 16 bits that nobody can guess. */
  readonly nextId: Effect.Effect<number>
}

/** Addresses of a name, and for how many seconds they may be used. */
interface Found {
  readonly addresses: ReadonlyArray<IpAddress>
  readonly ttl: number
}

/** Answers are used again for as long as they say, a day at most (RFC 2181 section 8); "no" likewise. */
const LONGEST = 86_400
const MOST_ALIASES = 8

/** A stub resolver (RFC 1034 section 5.3.1) with a cache: questions that are being asked are not asked twice. */
export const makeResolver = (
  options: ResolverOptions,
): Effect.Effect<(name: string, type: RecordType) => Effect.Effect<ReadonlyArray<IpAddress>, ResolveError>> =>
  Effect.gen(function* () {
    const cache = yield* Cache.makeWith({
      capacity: options.capacity,
      lookup: (key: string) => {
        const [type = "", name = ""] = key.split(" ")
        return lookup(options, name, type === "AAAA" ? "AAAA" : "A", 0)
      },
      timeToLive: (exit) => Duration.seconds(Math.min(LONGEST, lifetime(exit))),
    })
    return (name, type) => {
      if (!isName(name)) return new ResolverFailed({ host: name, reason: "it is not a host name (RFC1035-2.3.4)" })
      const key = `${type} ${bareName(name)}`
      return cache.get(key).pipe(
        // Silence is not remembered, not even for the cache's last instant.
        Effect.tapErrorTag("ResolverFailed", () => cache.invalidate(key)),
        Effect.map(({ addresses }) => addresses),
      )
    }
  })

/** Labels of 1 to 63 octets, 253 in all with their dots (RFC 1035 section 2.3.4). */
const isName = (name: string): boolean => {
  const bare = bareName(name)
  return bare.length <= 253 && bare.split(".").every((label) => /^[\x21-\x7e]{1,63}$/.test(label))
}

const lifetime = (exit: Exit.Exit<Found, ResolveError>): number => {
  if (Exit.isSuccess(exit)) return exit.value.ttl
  const { cause } = exit
  return cause._tag === "Fail" && cause.error._tag === "HostNotFound" ? cause.error.ttl : 0
}

const lookup = (
  options: ResolverOptions,
  name: string,
  type: RecordType,
  depth: number,
): Effect.Effect<Found, ResolveError> =>
  Effect.flatMap(options.servers, (servers) => {
    if (servers.length === 0) {
      return new ResolverFailed({ host: name, reason: "no name server is known: give the stack one, or a DHCP lease" })
    }
    const rounds = Array.from({ length: options.attempts }, () => servers).flat()
    const trials = rounds.map((server) => ask(options, server, name, type))
    return Effect.flatMap(firstAnswer(name, trials), (answer) => {
      if (answer._tag === "Addresses") return Effect.succeed(answer)
      if (answer._tag === "Nothing") {
        const why = answer.name ? "RFC1035-4.1.1:NXDOMAIN" : "RFC2308-2.2:NODATA"
        return new HostNotFound({ host: name, type, why, ttl: answer.ttl })
      }
      if (depth >= MOST_ALIASES) return new ResolverFailed({ host: name, reason: "its aliases lead nowhere" })
      return Effect.map(lookup(options, answer.name, type, depth + 1), ({ addresses, ttl }) => ({
        addresses,
        ttl: Math.min(ttl, answer.ttl),
      }))
    })
  })

type Said = Exclude<Answer, { _tag: "Truncated" | "Failed" }>

/** One server after the other, until one has an answer. */
const firstAnswer = (
  name: string,
  trials: ReadonlyArray<Effect.Effect<Said, ExchangeFailed>>,
): Effect.Effect<Said, ResolverFailed> =>
  Effect.gen(function* () {
    let reason = ""
    for (const trial of trials) {
      const result = yield* Effect.either(trial)
      if (result._tag === "Right") return result.right
      reason = result.left.why
    }
    return yield* new ResolverFailed({ host: name, reason })
  })

const ask = (
  { exchange, nextId, timeout }: ResolverOptions,
  server: Endpoint,
  name: string,
  type: RecordType,
): Effect.Effect<Said, ExchangeFailed> =>
  Effect.gen(function* () {
    const id = yield* nextId
    const message = question(id, name, type)
    const answerOf = (bytes: Uint8Array): Answer | undefined => read(bytes, id, name, type)
    const by = (transport: Effect.Effect<Uint8Array, ExchangeFailed>): Effect.Effect<Answer, ExchangeFailed> =>
      Effect.flatMap(
        Effect.timeoutFail(transport, {
          duration: timeout,
          onTimeout: () => ({ why: `${formatEndpoint(server)} does not answer` }),
        }),
        (bytes) => {
          const answer = answerOf(bytes)
          return answer === undefined ? Effect.fail({ why: "RFC5452-9.1:not-our-question" }) : Effect.succeed(answer)
        },
      )
    const first = yield* by(exchange.udp(server, message, (bytes) => answerOf(bytes) !== undefined))
    const answer = first._tag === "Truncated" ? yield* by(exchange.tcp(server, message)) : first
    if (answer._tag === "Truncated") return yield* Effect.fail({ why: "RFC1035-4.2.2:truncated-by-TCP" })
    return answer._tag === "Failed" ? yield* Effect.fail({ why: answer.why }) : answer
  })
