import { Command, Options } from "@effect/cli"
import { Effect, Stream } from "effect"
import * as Traceroute from "../net/Traceroute.ts"
import { Stack } from "../runtime/stack.ts"
import { formatAddress } from "../wire/addressText.ts"
import { FAILURE } from "./errors.ts"
import { addressOfHost, familyOf, host, pathOptions, pathStack } from "./pathOptions.ts"
import { untilSignal } from "./signals.ts"

const options = {
  ...pathOptions,
  icmp: Options.boolean("icmp").pipe(Options.withAlias("I"), Options.withDescription("echo requests, not UDP")),
  maxHops: Options.integer("max-hops").pipe(Options.withAlias("m"), Options.withDefault(30)),
  queries: Options.integer("queries").pipe(
    Options.withAlias("q"),
    Options.withDefault(3),
    Options.withDescription("probes for each hop"),
  ),
  wait: Options.float("wait").pipe(
    Options.withAlias("w"),
    Options.withDefault(3),
    Options.withDescription("seconds that a probe waits for its answer"),
  ),
}

/** traceroute(8)'s marks for what stopped a probe. */
const MARKS: Readonly<Record<Traceroute.IcmpProblem, string>> = {
  NetUnreachable: " !N",
  HostUnreachable: " !H",
  ProtocolUnreachable: " !P",
  PortUnreachable: "",
  AdministrativelyProhibited: " !X",
  OtherUnreachable: " !<other>",
  MessageTooBig: " !F",
  HopLimitExceeded: "",
  ReassemblyTimeExceeded: " !R",
  ParameterProblem: " !<parameter>",
}

/** " 1  198.18.0.1  0.120 ms  0.050 ms  0.040 ms": an address is named when it changes. */
export const hopText = ({ ttl, probes }: Traceroute.Hop): string => {
  const parts = probes.map((probe, index) => {
    const before = probes[index - 1]
    const last = before?._tag === "Answer" ? formatAddress(before.from) : undefined
    return probeText(probe, last)
  })
  return `${String(ttl).padStart(2)} ${parts.join(" ")}`
}

const probeText = (probe: Traceroute.Probe, last: string | undefined): string => {
  switch (probe._tag) {
    case "Silence":
      return " *"
    case "NotSent":
      return ` !<${probe.error._tag}>`
    case "Answer": {
      const address = formatAddress(probe.from)
      const mark = probe.problem === undefined ? "" : MARKS[probe.problem]
      return `${address === last ? "" : ` ${address} `} ${(probe.rtt / 1000).toFixed(3)} ms${mark}`
    }
  }
}

const recordOf = ({ ttl, probes, isLast }: Traceroute.Hop): object => ({
  ttl,
  last: isLast,
  probes: probes.map((probe) =>
    probe._tag === "Answer"
      ? {
          from: formatAddress(probe.from),
          rtt: probe.rtt,
          ...(probe.problem === undefined ? {} : { problem: probe.problem }),
        }
      : probe._tag === "NotSent"
        ? { error: probe.error._tag }
        : {},
  ),
})

export const command = Command.make("traceroute", { ...options, host }, (given) =>
  Effect.scoped(
    Effect.gen(function* () {
      const family = yield* familyOf(given)
      const stack = yield* pathStack("traceroute", given)
      const address = yield* addressOfHost(stack, given.host, family)
      const name = formatAddress(address)
      const size = Traceroute.DEFAULT_SIZE[address.family]
      if (!given.json) {
        console.log(`traceroute to ${given.host} (${name}), ${given.maxHops} hops max, ${size} byte packets`)
      }
      let reached = false
      const tracing = Traceroute.traceroute({
        host: address,
        method: given.icmp ? "icmp" : "udp",
        maxHops: given.maxHops,
        queries: given.queries,
        timeout: `${given.wait} seconds`,
        size,
      }).pipe(
        Stream.runForEach((hop) =>
          Effect.sync(() => {
            reached = hop.isLast
            console.log(given.json ? JSON.stringify(recordOf(hop)) : hopText(hop))
          }),
        ),
        Effect.provideService(Stack, stack),
      )
      yield* Effect.raceFirst(tracing, Effect.asVoid(untilSignal))
      if (!reached) process.exitCode = FAILURE
    }),
  ),
).pipe(Command.withDescription("The routers on the way to a host, in the shape of traceroute(8)."))
