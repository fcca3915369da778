import { Args, Options } from "@effect/cli"
import { Effect } from "effect"
import type { DeviceSpec } from "../device/deviceSpec.ts"
import type { RouteConfig } from "../host/types.ts"
import * as Dns from "../net/Dns.ts"
import { Stack, type StackService } from "../runtime/stack.ts"
import { type IpAddress, UNSPECIFIED4, UNSPECIFIED6 } from "../wire/address.ts"
import { type Ends, kernelAddresses, stackAddresses } from "./ends.ts"
import { USAGE, UserError } from "./errors.ts"
import * as Own from "./options.ts"
import { openDevice, serviceSettings } from "./services.ts"

interface PathOptions {
  readonly device: DeviceSpec
  readonly ends: Ends
  readonly gateways: ReadonlyArray<IpAddress>
  readonly nameServers: ReadonlyArray<IpAddress>
}

/** As ping(8) exits: 1 is for who gets no answer, 2 for everything else. */
const wrong = (message: string): UserError => new UserError({ message, status: USAGE })

/** What `ping` and `traceroute` have in common: the interface that they ask by, and of which IP version the host is. */
export const pathOptions = {
  device: Own.device("tap"),
  ends: Own.ends,
  gateways: Own.addressesNamed("gateway").pipe(
    Options.withDescription("the router to other networks, one of each IP version at most; default: the kernel"),
  ),
  nameServers: Own.addressesNamed("dns").pipe(
    Options.withDescription("a name server that the host's name is asked of; more than once: several"),
  ),
  only4: Options.boolean("ipv4").pipe(Options.withAlias("4"), Options.withDescription("IPv4 only")),
  only6: Options.boolean("ipv6").pipe(Options.withAlias("6"), Options.withDescription("IPv6 only")),
  json: Options.boolean("json").pipe(Options.withDescription("a record in each line")),
}

export const host = Args.text({ name: "host" }).pipe(Args.withDescription("an address, or a name with --dns"))

/** The one IP version that was asked for, if any. */
export const familyOf = ({
  only4,
  only6,
}: {
  readonly only4: boolean
  readonly only6: boolean
}): Effect.Effect<4 | 6 | undefined, UserError> =>
  only4 && only6 ? wrong("only one of -4 and -6 may be given") : Effect.succeed(only4 ? 4 : only6 ? 6 : undefined)

/** The address that a name is tried at first; an address as it is. `family`: the only one that will do. */
export const addressOfHost = (
  stack: StackService,
  host: string,
  family: 4 | 6 | undefined,
): Effect.Effect<IpAddress, UserError> =>
  Effect.flatMap(
    Effect.mapError(Dns.lookupOn(stack, host, family), ({ _tag, message }) =>
      _tag === "ResolverFailed" && stack.nameServers().length === 0
        ? wrong(`"${host}" is a name: give a name server, as --dns 198.18.0.1`)
        : wrong(message),
    ),
    ([address]) =>
      address === undefined
        ? wrong(
            family === undefined
              ? `no address is known for "${host}"`
              : `"${host}" has no address of IPv${family}, which -${family} asks for`,
          )
        : Effect.succeed(address),
  )

/** A stack on a device with routes to everywhere, for as long as the scope lasts. */
export const pathStack = (command: string, { device, ends, gateways, nameServers }: PathOptions) =>
  Effect.gen(function* () {
    if (device._tag === "Memory") {
      return yield* wrong(`${command}: nobody is at the other end of a memory device: use tap`)
    }
    const kernel = kernelAddresses(ends)
    const opened = yield* openDevice({ device, kernelAddresses: kernel })
    const addresses = stackAddresses(ends, { dhcp: false, slaac: false })
    return yield* Stack.make({
      // As for the services: a question who has the address would hold the first requests back.
      interfaces: [{ device: opened, addresses, dadTransmits: 0 }],
      routes: everywhere([...gateways, ...kernel.map(({ address }) => address)]),
      nameServers,
      settings: yield* serviceSettings,
    })
  })

/** A default route of each IP version, by the first router of it. */
const everywhere = (routers: ReadonlyArray<IpAddress>): ReadonlyArray<RouteConfig> =>
  ([4, 6] as const).flatMap((family) => {
    const via = routers.find((router) => router.family === family)
    const prefix = family === 4 ? UNSPECIFIED4 : UNSPECIFIED6
    return via === undefined ? [] : [{ prefix, prefixLength: 0, via, interface: 0 }]
  })
