import type { Position } from "./ast.ts"
import { configure, type RunOptions } from "./config.ts"
import { type MutantKind, mutantsOf } from "./mutants.ts"
import { parseScript } from "./parser.ts"
import type { Outcome } from "./report.ts"
import { runParsed, runScript } from "./runner.ts"
import { ScriptError } from "./scriptError.ts"

/** A mutant that the runner let pass. */
export interface Survivor {
  readonly at: Position
  readonly line: string
  readonly kind: MutantKind
  readonly what: string
}

/** What became of a script's mutants; `untouched`: the script itself does not pass, so that they would tell nothing. */
export interface MutationResult {
  readonly untouched: Outcome["_tag"] | undefined
  readonly mutants: number
  readonly survivors: ReadonlyArray<Survivor>
}

/** Runs every `stride`th mutant of a script, beginning with number `first`. */
export const mutate = (source: string, options: RunOptions, stride = 1, first = 0): MutationResult => {
  const script = parseScript(source, options.definitions)
  const { _tag } = runScript(source, options)
  if (script instanceof ScriptError || _tag !== "Passed") return { untouched: _tag, mutants: 0, survivors: [] }
  const { ignorePsh, tolerance, tolerancePercent } = configure(script, options)
  const chosen = mutantsOf(script, { ignorePsh, tolerance, tolerancePercent }).filter((_, i) => i % stride === first)
  const lines = source.split("\n")
  const survivors = chosen
    .filter((mutant) => runParsed(mutant.script, source, options)._tag === "Passed")
    .map(({ event, kind, what }) => ({ at: event.at, line: (lines[event.at.line - 1] ?? "").trim(), kind, what }))
  return { untouched: undefined, mutants: chosen.length, survivors }
}
