import { Args, Options } from "@effect/cli"
import { Effect, Option } from "effect"
import type { DeviceSpec } from "../device/deviceSpec.ts"
import type { InterfaceAddress, RouteConfig } from "../host/types.ts"
import * as Dns from "../net/Dns.ts"
import { Stack, type StackService } from "../runtime/stack.ts"
import { type IpAddress, UNSPECIFIED4, UNSPECIFIED6 } from "../wire/address.ts"
import { UserError } from "./errors.ts"
import * as Own from "./options.ts"
import { kernelsIn, openDevice, serviceSettings } from "./services.ts"

interface PathOptions {
  readonly device: DeviceSpec
  readonly address: InterfaceAddress
  readonly kernelAddress: IpAddress
  readonly gateway: Option.Option<IpAddress>
  readonly nameServers: ReadonlyArray<IpAddress>
}

/** What `ping` and `traceroute` have in common: the interface that they ask by. */
export const pathOptions = {
  device: Own.device("tap"),
  address: Own.address,
  kernelAddress: Own.kernelAddress,
  gateway: Own.addressNamed("gateway").pipe(
    Options.withDescription("the router to other networks; default: the kernel"),
    Options.optional,
  ),
  nameServers: Own.addressesNamed("dns").pipe(
    Options.withDescription("a name server that the host's name is asked of; more than once: several"),
  ),
  json: Options.boolean("json").pipe(Options.withDescription("a record in each line")),
}

export const host = Args.text({ name: "host" }).pipe(Args.withDescription("an address, or a name with --dns"))

/** The address that a name is tried at first; an address as it is. */
export const addressOfHost = (stack: StackService, host: string): Effect.Effect<IpAddress, UserError> =>
  Effect.flatMap(
    Effect.mapError(Dns.lookupOn(stack, host), ({ _tag, message }) =>
      _tag === "ResolverFailed" && stack.nameServers().length === 0
        ? new UserError({ message: `"${host}" is a name: give a name server, as --dns 198.18.0.1` })
        : new UserError({ message }),
    ),
    ([address]) =>
      address === undefined ? new UserError({ message: `no address is known for "${host}"` }) : Effect.succeed(address),
  )

/** A stack on a device with a route to everywhere, for as long as the scope lasts. */
export const pathStack = (command: string, { device, address, kernelAddress, gateway, nameServers }: PathOptions) =>
  Effect.gen(function* () {
    if (device._tag === "Memory") {
      return yield* new UserError({ message: `${command}: nobody is at the other end of a memory device: use tap` })
    }
    const opened = yield* openDevice({ device, address, kernelAddress })
    const via = Option.getOrElse(gateway, () => kernelsIn(address, kernelAddress))
    const prefix = via.family === 4 ? UNSPECIFIED4 : UNSPECIFIED6
    const everywhere: RouteConfig = { prefix, prefixLength: 0, via, interface: 0 }
    return yield* Stack.make({
      // As for the services: a question who has the address would hold the first requests back.
      interfaces: [{ device: opened, addresses: [address], dadTransmits: 0 }],
      routes: [everywhere],
      nameServers,
      settings: yield* serviceSettings,
    })
  })
