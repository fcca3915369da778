import { Deferred, type Duration, Effect, Either, Exit, FiberSet, Mailbox, Stream } from "effect"
import type { EchoAnswer } from "../host/echo/types.ts"
import type { IcmpReport } from "../host/icmpReport.ts"
import { Stack, type StackService } from "../runtime/stack.ts"
import type { Micros } from "../tcp/time.ts"
import type { IpAddress } from "../wire/address.ts"
import { echoSocket, microsNow } from "./echoSocket.ts"
import { addressOf } from "./options.ts"
import { type PingSums, withReply } from "./pingStatistics.ts"
import type { UdpError } from "./udpErrors.ts"
import { within } from "./udpOptions.ts"

export type { IcmpReport } from "../host/icmpReport.ts"
export { noSums, type PingStatistics, type PingSums, statisticsOf } from "./pingStatistics.ts"
export type { UdpError } from "./udpErrors.ts"

export interface PingOptions {
  /** An address of either IP version; a link-local one with its interface, as fe80::1%tap0. */
  readonly host: string | IpAddress
  /** Requests. Default: without end. */
  readonly count?: number
  /** From one request to the next. Default 1 second. */
  readonly interval?: Duration.DurationInput
  /** Octets behind the ICMP header, 0 to 65507, over IPv6 to 65527. Default 56. */
  readonly size?: number
  /** How long each request waits for its answer; one that comes later counts still, while others are waited for. Default 2 seconds. */
  readonly timeout?: Duration.DurationInput
  /** 1 to 255. Default 64. */
  readonly ttl?: number
  readonly tos?: number
  readonly dontFragment?: boolean
  /** One of the stack's addresses. Default: the one that the route leaves by. */
  readonly source?: string | IpAddress
}

/** What happens while pinging. Times are microseconds, sizes octets behind the ICMP header. */
export type PingEvent =
  | { readonly _tag: "Sent"; readonly sequence: number }
  /** It could not be sent. */
  | { readonly _tag: "NotSent"; readonly sequence: number; readonly error: UdpError }
  | {
      readonly _tag: "Reply"
      readonly sequence: number
      readonly from: IpAddress
      readonly size: number
      readonly ttl: number
      readonly rtt: Micros
      /** The request had been answered before. */
      readonly duplicate: boolean
      /** Not the octets that were sent. */
      readonly damaged: boolean
    }
  | { readonly _tag: "Failure"; readonly sequence: number; readonly report: IcmpReport }
  | { readonly _tag: "TimedOut"; readonly sequence: number }

const DEFAULT_SIZE = 56
const LARGEST_SIZE = { 4: 65507, 6: 65527 } as const
const SEQUENCES = 0x10000
const DEFAULT_INTERVAL: Duration.DurationInput = "1 second"
const DEFAULT_TIMEOUT: Duration.DurationInput = "2 seconds"
/** Events that wait for whoever pulls; the oldest are lost. */
const MOST_EVENTS = 4096
/** Requests that are remembered, for duplicates and late answers. */
const MOST_REMEMBERED = 1024

interface Asked {
  readonly at: Micros
  readonly answered: Deferred.Deferred<void>
  isAnswered: boolean
}

/** Sends echo requests and tells what becomes of each, until all of `count` are answered or timed out. */
export const ping = (options: PingOptions): Stream.Stream<PingEvent, UdpError, Stack> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const call = yield* callOf(options, yield* Stack)
      const { count = Number.POSITIVE_INFINITY, interval = DEFAULT_INTERVAL, timeout = DEFAULT_TIMEOUT } = options
      const mailbox = yield* Mailbox.make<PingEvent, UdpError>({ capacity: MOST_EVENTS, strategy: "sliding" })
      const asked = new Map<number, Asked>()
      const socket = yield* echoSocket({
        onAnswer: (answer) => {
          const event = eventOf(answer, asked, call.payload)
          if (event !== undefined) mailbox.unsafeOffer(event)
        },
        onEnd: (error) => mailbox.unsafeDone(Exit.fail(error)),
      })
      const fibers = yield* FiberSet.make<void>()

      const awaited = (sequence: number, { answered }: Asked): Effect.Effect<void> =>
        Effect.timeoutTo(Deferred.await(answered), {
          duration: timeout,
          onSuccess: () => undefined,
          onTimeout: () => void mailbox.unsafeOffer({ _tag: "TimedOut", sequence }),
        })

      const request = (sequence: number): Effect.Effect<void> =>
        Effect.gen(function* () {
          const one: Asked = { at: yield* microsNow, answered: yield* Deferred.make<void>(), isAnswered: false }
          // Before it is sent: an answer of our own stack's may be there at once.
          remember(asked, sequence, one)
          const error = socket.send({ ...call, sequence })
          mailbox.unsafeOffer(error === undefined ? { _tag: "Sent", sequence } : { _tag: "NotSent", sequence, error })
          if (error === undefined) yield* FiberSet.run(fibers, awaited(sequence, one))
        })

      const all = Effect.gen(function* () {
        for (let sent = 1; sent <= count; sent++) {
          yield* request(sent % SEQUENCES)
          if (sent < count) yield* Effect.sleep(interval)
        }
        yield* FiberSet.awaitEmpty(fibers)
        yield* mailbox.end
      })
      yield* Effect.forkScoped(all)
      return Mailbox.toStream(mailbox)
    }),
  )

/** Sums with one event more. */
export const withEvent = (sums: PingSums, event: PingEvent): PingSums => {
  switch (event._tag) {
    case "Sent":
      return { ...sums, transmitted: sums.transmitted + 1 }
    case "Reply":
      return withReply(sums, event.rtt, event.duplicate)
    case "Failure":
      return { ...sums, errors: sums.errors + 1 }
    case "NotSent":
    case "TimedOut":
      return sums
  }
}

const callOf = (options: PingOptions, stack: StackService) =>
  Effect.suspend(() =>
    Either.gen(function* () {
      const { count, source } = options
      if (count !== undefined) yield* within("count", count, 1, Number.MAX_SAFE_INTEGER, 1)
      const to = yield* addressOf(options.host, stack)
      return {
        to,
        payload: pattern(yield* within("size", options.size, 0, LARGEST_SIZE[to.family], DEFAULT_SIZE)),
        ttl: yield* within("ttl", options.ttl, 1, 255, 0),
        tos: yield* within("tos", options.tos, 0, 255, 0),
        dontFragment: options.dontFragment ?? false,
        source: source === undefined ? undefined : yield* addressOf(source, stack),
      }
    }),
  )

/** As ping fills its requests: 0, 1, 2, ... */
const pattern = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, index) => index & 0xff)

const remember = (asked: Map<number, Asked>, sequence: number, one: Asked): void => {
  asked.delete(sequence)
  asked.set(sequence, one)
  const [oldest] = asked.keys()
  if (asked.size > MOST_REMEMBERED && oldest !== undefined) asked.delete(oldest)
}

/** Undefined for an answer to what was never asked. */
const eventOf = (answer: EchoAnswer, asked: ReadonlyMap<number, Asked>, sent: Uint8Array): PingEvent | undefined => {
  const { sequence } = answer
  const one = asked.get(sequence)
  if (one === undefined) return undefined
  const duplicate = one.isAnswered
  one.isAnswered = true
  Deferred.unsafeDone(one.answered, Effect.void)
  if (answer._tag === "Failure") return { _tag: "Failure", sequence, report: answer.report }
  const { from, payload, ttl, at } = answer
  return {
    _tag: "Reply",
    sequence,
    from,
    size: payload.length,
    ttl,
    rtt: Math.max(0, at - one.at),
    duplicate,
    damaged: !same(payload, sent),
  }
}

const same = (x: Uint8Array, y: Uint8Array): boolean =>
  x.length === y.length && x.every((octet, index) => octet === y[index])
