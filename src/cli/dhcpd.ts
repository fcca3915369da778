import { Command, HelpDoc, Options, ValidationError } from "@effect/cli"
import { Effect, Option, Stream } from "effect"
import * as Dhcp from "../net/Dhcp.ts"
import { Stack } from "../runtime/stack.ts"
import type { IpAddress } from "../wire/address.ts"
import { formatAddress, formatMac, parseAddress } from "../wire/addressText.ts"
import { control, noControl } from "./control.ts"
import { UserError } from "./errors.ts"
import * as Own from "./options.ts"
import { type Report, reportFor } from "./report.ts"
import { stackOn } from "./services.ts"
import { untilSignal } from "./signals.ts"
import { wire } from "./wire.ts"

interface Range {
  readonly first: IpAddress
  readonly last: IpAddress
}

/** "198.18.0.50-198.18.0.99" */
const range = Options.text("range").pipe(
  Options.withDescription("addresses to give out, as 198.18.0.50-198.18.0.99; default: all of --address's network"),
  Options.mapEffect((text): Effect.Effect<Range, ValidationError.ValidationError> => {
    const [first, last, ...more] = text.split("-").map((part) => parseAddress(part.trim()))
    const wrong = `--range "${text}": write a first and a last address, as 198.18.0.50-198.18.0.99`
    return first === undefined || last === undefined || more.length > 0
      ? Effect.fail(ValidationError.invalidValue(HelpDoc.p(wrong)))
      : Effect.succeed({ first, last })
  }),
  Options.optional,
)

type Bindings = ReadonlyArray<Dhcp.DhcpBinding>

type Change = readonly [event: "offered" | "bound" | "renewed" | "declined" | "released", Dhcp.DhcpBinding]

/** What has happened between two lists of bindings, each with the binding that it is about. */
export const changesBetween = (before: Bindings, after: Bindings): ReadonlyArray<Change> => {
  const ofAddress = (list: Bindings, { address }: Dhcp.DhcpBinding) => list.find((each) => each.address.d === address.d)
  const changed = after.flatMap((binding): ReadonlyArray<Change> => {
    const old = ofAddress(before, binding)
    if (old === undefined || old.client !== binding.client || old.state !== binding.state) {
      return [[binding.state, binding]]
    }
    return old.expiresAt === binding.expiresAt || binding.state !== "bound" ? [] : [["renewed", binding]]
  })
  const gone = before.filter((binding) => ofAddress(after, binding) === undefined)
  return [...changed, ...gone.map((binding): Change => ["released", binding])]
}

const say = (report: Report, event: string, { address, mac, hostName }: Dhcp.DhcpBinding): Effect.Effect<void> => {
  const [own, hardware] = [formatAddress(address), formatMac(mac)]
  const name = hostName === undefined ? "" : ` (${hostName})`
  return report.say(`${event} ${own} ${hardware}${name}`, event, {
    address: own,
    mac: hardware,
    ...(hostName === undefined ? {} : { hostName }),
  })
}

const watched = (server: Dhcp.DhcpServer, report: Report): Effect.Effect<void> =>
  server.changes.pipe(
    Stream.mapAccum([] as Bindings, (before, after) => [after, changesBetween(before, after)]),
    Stream.mapConcat((changes) => changes),
    Stream.runForEach(([event, binding]) => say(report, event, binding)),
  )

const optional = <A>(name: string, value: Option.Option<A>): Record<string, A> =>
  Option.match(value, { onNone: () => ({}), onSome: (some) => ({ [name]: some }) })

export const command = Command.make(
  "dhcpd",
  {
    device: Own.device("tap"),
    address: Own.address,
    range,
    routers: Own.addressesNamed("router").pipe(
      Options.withDescription("the clients' router; more than once: several; default: the server itself"),
    ),
    nameServers: Own.addressesNamed("dns").pipe(
      Options.withDescription("a name server for the clients; more than once: several"),
    ),
    domainName: Options.text("domain").pipe(Options.withDescription("the clients' domain"), Options.optional),
    leaseSeconds: Options.integer("lease").pipe(
      Options.withDescription("seconds that an address is given for, 60 at least; default 3600"),
      Options.optional,
    ),
    json: Own.json,
    noControl,
    wire,
  },
  ({ device, address, json, noControl, wire, range, routers, domainName, leaseSeconds, nameServers }) =>
    Effect.scoped(
      Effect.gen(function* () {
        if (device._tag === "Memory") {
          return yield* new UserError({ message: "dhcpd: nobody is at the other end of a memory device: use tap" })
        }
        if (device._tag === "Tun") {
          return yield* new UserError({ message: "dhcpd: a TUN has no link addresses to give leases to: use tap" })
        }
        const report = reportFor(json)
        // Who is on the link gets an address from us, the kernel too.
        const on = yield* stackOn({ device, addresses: [address], kernelAddresses: [], wire })
        yield* control(noControl, { name: "dhcpd", stacks: { [on.device]: on.stack } })
        const server = yield* Dhcp.server({
          ...Option.getOrElse(range, () => ({})),
          ...(routers.length === 0 ? {} : { routers }),
          nameServers,
          ...optional("domainName", domainName),
          ...optional("leaseSeconds", leaseSeconds),
        }).pipe(Effect.provideService(Stack, on.stack))
        const { first, last, leaseTime } = server.pool
        const [from, to] = [formatAddress(first), formatAddress(last)]
        yield* report.say(`DHCP on interface ${on.device}: ${from} to ${to}, each for ${leaseTime} seconds`, "start", {
          device: on.device,
          address: formatAddress(address.address),
          first: from,
          last: to,
          lease: leaseTime,
        })
        yield* Effect.raceFirst(untilSignal, Effect.raceFirst(watched(server, report), on.stack.failure))
      }),
    ),
).pipe(
  Command.withDescription("A small DHCP server (RFC 2131) for labs and virtual machines, the only one on its link."),
)
