import { Command } from "@effect/cli"
import { Effect } from "effect"
import { asked, type IpOptions, ipOptions, isWanted, print, showing } from "./ipOptions.ts"
import { neighbourRecord, neighbourText } from "./ipText.ts"

const run = (options: IpOptions) =>
  Effect.gen(function* () {
    const { owned, shown } = yield* asked(options, ["dev", "nud"], "neighbours", ({ neighbours }, { dev, nud }) =>
      neighbours.filter(
        ({ family, device, state }) =>
          isWanted(options, family) &&
          (dev === undefined || device === dev) &&
          (nud === undefined || state.toLowerCase() === nud),
      ),
    )
    yield* print(options, owned, neighbourRecord, (row) => [neighbourText(row, shown.dev === undefined)])
  })

export const command = Command.make("neigh", { ...ipOptions, words: showing("dev", "nud") }, run).pipe(
  Command.withDescription("The neighbours of running netfold processes, as `ip neigh` shows the kernel's."),
)
