import { HelpDoc, Options, ValidationError } from "@effect/cli"
import { Effect, Either, Option } from "effect"
import { type DeviceSpec, parseDeviceSpec } from "../device/deviceSpec.ts"
import type { InterfaceAddress } from "../host/types.ts"
import type { IpAddress } from "../wire/address.ts"
import { parseAddress, parseCidr } from "../wire/addressText.ts"
import { DEFAULT_TEXT, type Ends } from "./ends.ts"

const LARGEST_PORT = 65535

const invalid = (message: string): ValidationError.ValidationError => ValidationError.invalidValue(HelpDoc.p(message))

const checked = <A>(
  options: Options.Options<string>,
  parse: (text: string) => Either.Either<A, string>,
): Options.Options<A> => Options.mapEffect(options, (text) => Effect.mapError(parse(text), invalid))

/** `memory`, or a device with another end: see deviceSpec.ts. */
export const device = (fallback: string): Options.Options<DeviceSpec> =>
  checked(Options.text("device").pipe(Options.withDefault(fallback)), (text) =>
    Either.mapLeft(parseDeviceSpec(text), ({ message }) => message),
  ).pipe(
    Options.withDescription(
      "memory: two stacks in this process; tap or tap:NAME, tun or tun:NAME: an interface of the kernel's; netmap:PORT: as netmap:eth0, netmap:vale0:a",
    ),
  )

const cidrIn = (text: string): Either.Either<InterfaceAddress, string> => {
  const cidr = parseCidr(text)
  return cidr === undefined
    ? Either.left(`--address "${text}": write an address and its prefix length, as 198.18.0.2/24 or 2001:db8::2/64`)
    : Either.right({ address: cidr.address, prefixLength: cidr.length })
}

/** The stack's own address, where it can have but one. */
export const address: Options.Options<InterfaceAddress> = checked(
  Options.text("address").pipe(Options.withDefault("198.18.0.2/24")),
  cidrIn,
).pipe(Options.withDescription("the stack's own address and prefix length"))

const addressIn = (name: string, text: string): Either.Either<IpAddress, string> => {
  const parsed = parseAddress(text)
  return parsed === undefined
    ? Either.left(`--${name} "${text}" is not an address: write one as 198.18.0.1`)
    : Either.right(parsed)
}

/** An address that a stack speaks to, or tells others of. */
export const addressNamed = (name: string): Options.Options<IpAddress> =>
  checked(Options.text(name), (text) => addressIn(name, text))

/** The same, given any number of times. */
export const addressesNamed = (name: string): Options.Options<ReadonlyArray<IpAddress>> =>
  Options.text(name).pipe(
    Options.repeated,
    Options.mapEffect((texts) => Effect.mapError(Either.all(texts.map((text) => addressIn(name, text))), invalid)),
  )

/** `--address` and `--kernel-address`: see ends.ts. */
export const ends: Options.Options<Ends> = Options.all({
  addresses: Options.text("address").pipe(
    Options.repeated,
    Options.mapEffect((texts) => Effect.mapError(Either.all(texts.map(cidrIn)), invalid)),
    Options.withDescription(
      `the stack's own address and prefix length; more than once: several, of either IP version; default: ${DEFAULT_TEXT}`,
    ),
  ),
  kernelAddresses: addressesNamed("kernel-address").pipe(
    Options.withDescription(
      "the kernel's address on an interface made here, one in each network of --address; default: its first",
    ),
  ),
})

export const port: Options.Options<number> = Options.integer("port").pipe(
  Options.filterMap(
    (n) => (n >= 1 && n <= LARGEST_PORT ? Option.some(n) : Option.none()),
    `--port: a port is 1 to ${LARGEST_PORT}`,
  ),
)

export const json: Options.Options<boolean> = Options.boolean("json").pipe(
  Options.withDescription("log lines as JSON, on a terminal too"),
)
