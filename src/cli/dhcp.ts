import { Options } from "@effect/cli"
import { Effect, Option } from "effect"
import * as Dhcp from "../net/Dhcp.ts"
import { Stack, type StackInterface, type StackService } from "../runtime/stack.ts"
import { OFF } from "../tcp/time.ts"
import { formatAddress, formatCidr } from "../wire/addressText.ts"
import { UserError } from "./errors.ts"
import type { Report } from "./report.ts"

/** `--dhcp` and `--host-name` */
export const dhcpOptions = {
  dhcp: Options.boolean("dhcp").pipe(
    Options.withDescription("take the stack's address from a DHCP server on the link, not --address"),
  ),
  hostName: Options.text("host-name").pipe(
    Options.withDescription("the name that the DHCP server is told; only with --dhcp"),
    Options.optional,
  ),
}

export const dhcpOf = (
  command: string,
  dhcp: boolean,
  hostName: Option.Option<string>,
): Effect.Effect<NonNullable<StackInterface["dhcp"]>, UserError> => {
  if (Option.isNone(hostName)) return Effect.succeed(dhcp)
  return dhcp
    ? Effect.succeed({ hostName: hostName.value })
    : new UserError({ message: `${command}: --host-name is what a DHCP server is told: give --dhcp too` })
}

/** Says which address the stack has got, once it has one. */
export const sayLeased = (stack: StackService, report: Report) =>
  Effect.gen(function* () {
    const { address, prefixLength, server, dnsServers, expiresAt } = yield* Dhcp.leased()
    const own = formatCidr({ address, length: prefixLength })
    const seconds = expiresAt === OFF ? undefined : Math.round((expiresAt - stack.network.now()) / 1_000_000)
    const lasting = seconds === undefined ? "for ever" : `for ${seconds} seconds`
    yield* report.say(`${own} by DHCP from ${formatAddress(server)}, ${lasting}`, "lease", {
      address: own,
      server: formatAddress(server),
      nameServers: dnsServers.map(formatAddress).join(","),
      ...(seconds === undefined ? {} : { seconds }),
    })
  }).pipe(Effect.provideService(Stack, stack))
