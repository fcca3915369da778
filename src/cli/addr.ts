import { Command, Options } from "@effect/cli"
import { Effect } from "effect"
import type { InterfaceRow } from "../net/Inspect.ts"
import { asked, type IpOptions, ipOptions, isWanted, print, showing } from "./ipOptions.ts"
import { briefRecord, briefText, interfaceRecord, interfaceText } from "./ipText.ts"

interface AddrOptions extends IpOptions {
  readonly brief: boolean
}

const run = (options: AddrOptions) =>
  Effect.gen(function* () {
    const isAll = options.ipv4 === options.ipv6
    const { owned } = yield* asked(options, ["dev"], "interfaces", ({ interfaces }, { dev }) =>
      interfaces
        .filter(({ name }) => dev === undefined || name === dev)
        .map((row) => ({ ...row, addresses: row.addresses.filter(({ family }) => isWanted(options, family)) }))
        // One family's interfaces are those that have an address of it.
        .filter(({ addresses }) => isAll || addresses.length > 0),
    )
    yield* options.brief
      ? print(options, owned, briefRecord, (row) => [briefText(row)])
      : print<InterfaceRow>(options, owned, interfaceRecord, (row) => interfaceText(row, isAll))
  })

export const command = Command.make(
  "addr",
  {
    ...ipOptions,
    brief: Options.boolean("brief").pipe(Options.withDescription("a line for each interface; also -br")),
    words: showing("dev"),
  },
  run,
).pipe(Command.withDescription("The addresses of running netfold processes, as `ip addr` shows the kernel's."))
