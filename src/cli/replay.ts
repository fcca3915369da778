import { readFileSync } from "node:fs"
import { Args, Command, Options } from "@effect/cli"
import { Effect } from "effect"
import { Explainer } from "../sim/explainReplay.ts"
import { readRecording } from "../sim/recording.ts"
import { replay, type Watch } from "../sim/replay.ts"
import { UserError } from "./errors.ts"

const problem = (message: string): UserError => new UserError({ message: `replay: ${message}` })

/** Characters shown around the first that differs. */
const AROUND = 120

/** What two outcomes are from a little before they part. */
const parting = (one: string, other: string): readonly [string, string] => {
  let at = 0
  while (at < one.length && one[at] === other[at]) at++
  const from = Math.max(0, at - AROUND)
  const part = (text: string): string => (from > 0 ? "..." : "") + text.slice(from, at + AROUND)
  return [part(one), part(other)]
}

const run = ({ file, explain }: { readonly file: string; readonly explain: boolean }) =>
  Effect.gen(function* () {
    const text = yield* Effect.try({
      try: () => readFileSync(file, "utf8"),
      catch: (cause) => problem(`${file}: ${cause instanceof Error ? cause.message : String(cause)}`),
    })
    const recording = readRecording(text)
    if (typeof recording === "string") return yield* problem(`${file}: ${recording}`)
    const { config, steps } = recording
    const counts = { frames: 0, effects: 0 }
    const divergence = yield* Effect.try({
      try: () => {
        const explainer = new Explainer(config)
        const watch: Watch = (step, effects) => {
          if (step.call === "frame") counts.frames++
          counts.effects += effects.length
          if (explain) for (const line of explainer.explain(step, effects)) console.log(line)
        }
        return replay(config, steps, undefined, watch)
      },
      catch: (cause) => problem(`${file}: ${cause instanceof Error ? cause.message : String(cause)}`),
    })
    if (divergence !== undefined) {
      const { index, call, recorded, replayed } = divergence
      const [before, after] = parting(recorded, replayed)
      console.log(`call ${index + 1} of ${steps.length}, ${call}, has another outcome`)
      console.log(`recorded: ${before}\nreplayed: ${after}`)
      return yield* problem(`${file}: this host does not do what the recorded one did`)
    }
    console.log(`${steps.length} calls, ${counts.frames} frames received, ${counts.effects} effects: all as recorded`)
  })

export const command = Command.make(
  "replay",
  {
    file: Args.file({ name: "RECORDING" }).pipe(
      Args.withDescription("written by `netfold simulate --record` or by a Recorder"),
    ),
    explain: Options.boolean("explain").pipe(
      Options.withDescription("every frame, call and event, and the rule behind each segment that is sent"),
    ),
  },
  run,
).pipe(
  Command.withDescription(
    "Does to a host again all that was done to a recorded one, and compares what comes of it, effect by effect.",
  ),
)
