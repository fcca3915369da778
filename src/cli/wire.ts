import { HelpDoc, Options, ValidationError } from "@effect/cli"
import { Effect, Option, type Scope } from "effect"
import { captured } from "../device/capture.ts"
import type { Device } from "../device/device.ts"
import { impaired } from "../device/impair.ts"
import type { Impairment } from "../wire/impairment/spec.ts"
import { IMPAIRMENT_SYNTAX, parseImpairment } from "../wire/impairment/text.ts"
import { UserError } from "./errors.ts"

/** What stands between a command's stack and its device. */
export interface Wire {
  /** As it was written, and as it was understood. */
  readonly impair: Option.Option<{ readonly text: string; readonly impairment: Impairment }>
  readonly impairSeed: number
  readonly capture: Option.Option<string>
}

export const wire: Options.Options<Wire> = Options.all({
  impair: Options.text("impair").pipe(
    Options.mapEffect((text) => {
      const impairment = parseImpairment(text)
      return typeof impairment === "string"
        ? Effect.fail(ValidationError.invalidValue(HelpDoc.p(`--impair: ${impairment}`)))
        : Effect.succeed({ text, impairment })
    }),
    Options.optional,
    Options.withDescription(`faults of the wire, both ways, as in "loss 1% reorder 1%": ${IMPAIRMENT_SYNTAX}`),
  ),
  impairSeed: Options.integer("impair-seed").pipe(
    Options.withDefault(1),
    Options.withDescription("which frames the faults hit"),
  ),
  capture: Options.text("capture").pipe(
    Options.optional,
    Options.withDescription("writes all frames to a pcapng file"),
  ),
})

/** The options again, for a process that is started with the same ones. */
export const wireArguments = ({ impair, impairSeed, capture }: Wire): ReadonlyArray<string> => [
  ...(Option.isSome(impair) ? [`--impair=${impair.value.text}`, `--impair-seed=${impairSeed}`] : []),
  ...(Option.isSome(capture) ? [`--capture=${capture.value}`] : []),
]

/** Whole frames only, so that each meets its own fate. */
export const offloads = ({ impair }: Wire): boolean => Option.isNone(impair)

/** The device behind the wire that was asked for; the capture shows what the stack sees of it. */
export const behind = (wire: Wire, device: Device): Effect.Effect<Device, UserError, Scope.Scope> =>
  Effect.gen(function* () {
    const { impair, impairSeed: seed, capture } = wire
    const faulty = Option.isNone(impair)
      ? device
      : yield* impaired(device, { outgoing: impair.value.impairment, incoming: impair.value.impairment, seed })
    if (Option.isNone(capture)) return faulty
    return yield* Effect.mapError(
      captured(faulty, capture.value),
      ({ message }) => new UserError({ message: `--capture: ${message}` }),
    )
  })
