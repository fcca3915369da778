import { Command } from "@effect/cli"
import { Effect } from "effect"
import { formatAddress } from "../wire/addressText.ts"
import { control, noControl } from "./control.ts"
import { UserError } from "./errors.ts"
import * as Own from "./options.ts"
import { reportFor } from "./report.ts"
import { CHARGEN_PORT, DISCARD_PORT, ECHO_PORT, serveAll, snapshotOf, stackOn } from "./services.ts"
import { untilSignal } from "./signals.ts"
import { wire } from "./wire.ts"

const options = {
  device: Own.device("tap"),
  address: Own.address,
  kernelAddress: Own.kernelAddress,
  json: Own.json,
  noControl,
  wire,
}

export const command = Command.make(
  "serve",
  options,
  ({ device: spec, address, kernelAddress, json, noControl, wire }) =>
    Effect.scoped(
      Effect.gen(function* () {
        if (spec._tag === "Memory") {
          return yield* new UserError({
            message: "serve: nobody could reach a memory device: use tap, or the command echo",
          })
        }
        const report = reportFor(json)
        const { stack, device } = yield* stackOn({ device: spec, address, kernelAddress, wire })
        const counters = yield* serveAll(stack)
        yield* control(noControl, { name: "serve", stacks: { [device]: stack } })
        const snapshot = snapshotOf(counters, stack)
        yield* Effect.addFinalizer(() => report.end(snapshot()))
        const own = formatAddress(address.address)
        yield* report.say(
          `echo ${ECHO_PORT}, discard ${DISCARD_PORT} and chargen ${CHARGEN_PORT} on ${own}, interface ${device}. Try: nc ${own} ${ECHO_PORT}`,
          "start",
          { device, address: own, echo: ECHO_PORT, discard: DISCARD_PORT, chargen: CHARGEN_PORT },
        )
        yield* Effect.raceFirst(untilSignal, Effect.raceFirst(report.watch(snapshot), stack.failure))
      }),
    ),
).pipe(
  Command.withDescription("Echo, discard and chargen (RFC 862, 863, 864) on an interface, made here or there already."),
)
