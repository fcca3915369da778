import { Command, Options } from "@effect/cli"
import { Effect, Option, Stream } from "effect"
import { microsNow } from "../net/echoSocket.ts"
import * as Ping from "../net/Ping.ts"
import { Stack } from "../runtime/stack.ts"
import { formatAddress } from "../wire/addressText.ts"
import { FAILURE } from "./errors.ts"
import { addressOfHost, familyOf, host, pathOptions, pathStack } from "./pathOptions.ts"
import { eventText, headingText, statisticsText } from "./pingText.ts"
import { untilSignal } from "./signals.ts"

const optional = <A>(name: string, value: Option.Option<A>): Record<string, A> =>
  Option.match(value, { onNone: () => ({}), onSome: (some) => ({ [name]: some }) })

const options = {
  ...pathOptions,
  count: Options.integer("count").pipe(Options.withAlias("c"), Options.withDescription("requests"), Options.optional),
  interval: Options.float("interval").pipe(
    Options.withAlias("i"),
    Options.withDefault(1),
    Options.withDescription("seconds from one request to the next"),
  ),
  size: Options.integer("size").pipe(
    Options.withAlias("s"),
    Options.withDefault(56),
    Options.withDescription("octets of data"),
  ),
  timeout: Options.float("timeout").pipe(
    Options.withAlias("W"),
    Options.withDefault(2),
    Options.withDescription("seconds that a request waits for its answer"),
  ),
  ttl: Options.integer("ttl").pipe(Options.withAlias("t"), Options.optional),
  discovery: Options.choice("mtu-discovery", ["do", "dont"]).pipe(
    Options.withAlias("M"),
    Options.withDefault("dont"),
    Options.withDescription("do: set DF, so that no one may fragment"),
  ),
}

export const command = Command.make("ping", { ...options, host }, (given) =>
  Effect.scoped(
    Effect.gen(function* () {
      const family = yield* familyOf(given)
      const stack = yield* pathStack("ping", given)
      const address = yield* addressOfHost(stack, given.host, family)
      const name = given.host
      const say = (text: string, record: object): void => console.log(given.json ? JSON.stringify(record) : text)
      if (!given.json) console.log(headingText(name, address, given.size))
      let sums = Ping.noSums
      const started = yield* microsNow
      const pinging = Ping.ping({
        host: address,
        ...optional("count", given.count),
        ...optional("ttl", given.ttl),
        interval: `${given.interval} seconds`,
        timeout: `${given.timeout} seconds`,
        size: given.size,
        dontFragment: given.discovery === "do",
      }).pipe(
        Stream.runForEach((event) =>
          Effect.sync(() => {
            sums = Ping.withEvent(sums, event)
            const text = eventText(event)
            if (text !== undefined) say(text, recordOf(event))
          }),
        ),
        Effect.provideService(Stack, stack),
      )
      yield* Effect.raceFirst(pinging, Effect.asVoid(untilSignal))
      const elapsed = (yield* microsNow) - started
      const statistics = Ping.statisticsOf(sums)
      say(statisticsText(name, statistics, elapsed).join("\n"), {
        event: "statistics",
        host: name,
        elapsed,
        ...statistics,
      })
      if (statistics.received === 0) process.exitCode = FAILURE
    }),
  ),
).pipe(Command.withDescription("Echo requests from a stack on an interface, in the shape of ping(8)."))

/** An event as JSON: times in microseconds. */
const recordOf = (event: Ping.PingEvent): object => {
  const { _tag, ...fields } = event
  switch (event._tag) {
    case "Reply":
      return { event: "reply", ...fields, from: formatAddress(event.from) }
    case "Failure":
      return { event: "failure", sequence: event.sequence, ...event.report, from: formatAddress(event.report.from) }
    case "NotSent":
      return { event: "not-sent", sequence: event.sequence, error: event.error._tag, message: event.error.message }
    case "Sent":
      return { event: "sent", ...fields }
    case "TimedOut":
      return { event: "timed-out", ...fields }
  }
}
