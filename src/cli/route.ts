import { Command } from "@effect/cli"
import { Effect } from "effect"
import { asked, type IpOptions, ipOptions, isWanted, print, showing } from "./ipOptions.ts"
import { routeRecord, routeText } from "./ipText.ts"

/** IPv4's, where nothing is said: as `ip route`. */
const familiesOf = ({ ipv4, ipv6 }: IpOptions) => ({ ipv4: ipv4 || !ipv6, ipv6 })

const run = (options: IpOptions) =>
  Effect.gen(function* () {
    const families = familiesOf(options)
    const { owned, shown } = yield* asked(options, ["dev", "default"], "routes", ({ routes }, { dev, isDefault }) =>
      routes.filter(
        ({ family, device, prefixLength }) =>
          isWanted(families, family) && (dev === undefined || device === dev) && (!isDefault || prefixLength === 0),
      ),
    )
    yield* print(options, owned, routeRecord, (row) => [routeText(row, shown.dev === undefined)])
  })

export const command = Command.make("route", { ...ipOptions, words: showing("dev", "default") }, run).pipe(
  Command.withDescription("The routes of running netfold processes, as `ip route` shows the kernel's; -6: IPv6's."),
)
