import { Args, HelpDoc, Options, ValidationError } from "@effect/cli"
import { Effect, Option } from "effect"
import type { DeviceSpec } from "../device/deviceSpec.ts"
import type { InterfaceAddress, RouteConfig } from "../host/types.ts"
import { Stack } from "../runtime/stack.ts"
import { type IpAddress, UNSPECIFIED4, UNSPECIFIED6 } from "../wire/address.ts"
import { parseAddress } from "../wire/addressText.ts"
import { UserError } from "./errors.ts"
import * as Own from "./options.ts"
import { openDevice, serviceSettings } from "./services.ts"

interface PathOptions {
  readonly device: DeviceSpec
  readonly address: InterfaceAddress
  readonly kernelAddress: IpAddress
  readonly gateway: Option.Option<IpAddress>
}

/** What `ping` and `traceroute` have in common: the interface that they ask by. */
export const pathOptions = {
  device: Own.device("tap"),
  address: Own.address,
  kernelAddress: Own.kernelAddress,
  gateway: Options.text("gateway").pipe(
    Options.mapEffect((text) => {
      const parsed = parseAddress(text)
      const wrong = `--gateway "${text}" is not an address: write one as 198.18.0.1`
      return parsed === undefined ? Effect.fail(ValidationError.invalidValue(HelpDoc.p(wrong))) : Effect.succeed(parsed)
    }),
    Options.withDescription("the router to other networks; default: the kernel"),
    Options.optional,
  ),
  json: Options.boolean("json").pipe(Options.withDescription("a record in each line")),
}

export const host = Args.text({ name: "host" }).pipe(
  Args.mapEffect((text) => {
    const parsed = parseAddress(text)
    return parsed === undefined
      ? Effect.fail(HelpDoc.p(`"${text}" is not an IP address, and names are not resolved here`))
      : Effect.succeed(parsed)
  }),
)

/** A stack on a device with a route to everywhere, for as long as the scope lasts. */
export const pathStack = (command: string, { device, address, kernelAddress, gateway }: PathOptions) =>
  Effect.gen(function* () {
    if (device._tag === "Memory") {
      return yield* new UserError({ message: `${command}: nobody is at the other end of a memory device: use tap` })
    }
    const opened = yield* openDevice({ device, address, kernelAddress })
    const via = Option.getOrElse(gateway, () => kernelAddress)
    const prefix = via.family === 4 ? UNSPECIFIED4 : UNSPECIFIED6
    const everywhere: RouteConfig = { prefix, prefixLength: 0, via, interface: 0 }
    return yield* Stack.make({
      interfaces: [{ device: opened, addresses: [address] }],
      routes: [everywhere],
      settings: yield* serviceSettings,
    })
  })
