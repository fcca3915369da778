import { Options } from "@effect/cli"
import { Effect, Option } from "effect"
import type { DeviceSpec } from "../device/deviceSpec.ts"
import * as Dhcp from "../net/Dhcp.ts"
import { Stack, type StackInterface, type StackService } from "../runtime/stack.ts"
import { OFF } from "../tcp/time.ts"
import { formatAddress, formatCidr } from "../wire/addressText.ts"
import { type Ends, endsArguments, kernelAddresses, listed, stackAddresses } from "./ends.ts"
import { UserError } from "./errors.ts"
import type { Report } from "./report.ts"
import type { StackOn } from "./services.ts"

/** `--dhcp`, `--host-name` and `--slaac`: what the network tells, in place of `--address`. */
export const networkOptions = {
  dhcp: Options.boolean("dhcp").pipe(
    Options.withDescription("take the stack's IPv4 address, routes and name servers from a DHCP server on the link"),
  ),
  slaac: Options.boolean("slaac").pipe(
    Options.withDescription("take the stack's IPv6 addresses, routes and name servers from the link's routers"),
  ),
  hostName: Options.text("host-name").pipe(
    Options.withDescription("the name that the DHCP server is told; only with --dhcp"),
    Options.optional,
  ),
}

/** What was asked for, of a command that serves on a link. */
export interface LinkOptions {
  readonly device: DeviceSpec
  readonly ends: Ends
  readonly dhcp: boolean
  readonly slaac: boolean
  readonly hostName: Option.Option<string>
}

/** The options again, for a process that is started with the same ones. */
export const networkArguments = ({
  ends,
  dhcp,
  slaac,
  hostName,
}: Omit<LinkOptions, "device">): ReadonlyArray<string> => [
  ...endsArguments(ends),
  ...(dhcp ? ["--dhcp"] : []),
  ...(slaac ? ["--slaac"] : []),
  ...(Option.isSome(hostName) ? [`--host-name=${hostName.value}`] : []),
]

/** How the stack comes to its addresses, and what the kernel has on an interface that is made here. */
export interface Addressing extends Pick<StackOn, "addresses" | "kernelAddresses"> {
  readonly dhcp: NonNullable<StackInterface["dhcp"]>
  readonly slaac: boolean
}

export const addressing = (
  command: string,
  { device, ends, dhcp, slaac, hostName }: LinkOptions,
): Effect.Effect<Addressing, UserError> => {
  const wrong = (message: string): Effect.Effect<never, UserError> =>
    new UserError({ message: `${command}: ${message}` })
  if (Option.isSome(hostName) && !dhcp) return wrong("--host-name is what a DHCP server is told: give --dhcp too")
  if (device._tag === "Memory" && (dhcp || slaac)) {
    return wrong("--dhcp and --slaac ask the network, and a memory device has none: use tap")
  }
  if (device._tag === "Tun" && dhcp) {
    return wrong("--dhcp needs link addresses, which a TUN does not have: use tap")
  }
  return Effect.sync(() => ({
    addresses: stackAddresses(ends, { dhcp, slaac }),
    kernelAddresses: kernelAddresses(ends),
    dhcp: dhcp && Option.isSome(hostName) ? { hostName: hostName.value } : dhcp,
    slaac,
  }))
}

/** Where it can be reached, for people: "198.18.0.2 and 2001:db8::2", "an address by DHCP". */
export const whereText = ({ addresses, dhcp, slaac }: Addressing): string =>
  [
    ...(addresses.length > 0 ? [listed(addresses)] : []),
    ...(dhcp === false ? [] : ["an address by DHCP"]),
    ...(slaac ? ["what routers advertise"] : []),
  ].join(" and ")

/**
 * The same as fields of a record, each with the port where there is one: `address` is the first, or how it will be
 * learnt; `addresses` are all that are known.
 */
export const whereFields = ({ addresses, dhcp }: Addressing, port?: number | "*"): Readonly<Record<string, string>> => {
  const all = addresses.map(({ address }) => {
    const text = formatAddress(address)
    if (port === undefined) return text
    return address.family === 6 ? `[${text}]:${port}` : `${text}:${port}`
  })
  const first = dhcp === false ? (all[0] ?? "slaac") : "dhcp"
  return { address: first, ...(all.length > 0 ? { addresses: all.join(",") } : {}) }
}

/** What to try first: "", where the address is not known yet. */
export const tryText = ({ addresses, dhcp }: Addressing, words: (address: string) => string): string => {
  const [first] = addresses
  return first === undefined || dhcp !== false ? "" : `. Try: ${words(formatAddress(first.address))}`
}

/** Says which addresses the network has given, once it has: for as long as the scope lasts. */
export const sayLearnt = (stack: StackService, { dhcp, slaac }: Addressing, report: Report) =>
  Effect.gen(function* () {
    if (dhcp !== false) yield* Effect.forkScoped(sayLeased(stack, report))
    if (slaac) yield* Effect.forkScoped(sayAdvertised(stack, report))
  })

/** How often the stack is looked at for an address that has become usable. */
const LOOK = "100 millis"

const sayAdvertised = (stack: StackService, report: Report) =>
  Effect.gen(function* () {
    for (;;) {
      const made = stack.network.addresses().find(({ origin, state }) => origin === "autoconf" && state === "preferred")
      if (made !== undefined) {
        const own = formatCidr({ address: made.address, length: made.prefixLength })
        const servers = stack.nameServers().map(formatAddress).join(",")
        return yield* report.say(`${own} by router advertisement`, "advertised", { address: own, nameServers: servers })
      }
      yield* Effect.sleep(LOOK)
    }
  })

/** Says which address the stack has got, once it has one. */
const sayLeased = (stack: StackService, report: Report) =>
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
