import { formatFailure } from "../../sim/packetdrill/report.ts"
import type { Result } from "./job.ts"

export interface Tally {
  readonly passed: number
  readonly failed: number
  readonly unsupported: number
}

export const tally = (results: ReadonlyArray<Result>): Tally => {
  const count = (tag: Result["outcome"]["_tag"]): number => results.filter(({ outcome }) => outcome._tag === tag).length
  return { passed: count("Passed"), failed: count("Failed"), unsupported: count("Unsupported") }
}

/** A run's name: the path, and the IP version where it was asked for. */
export const nameOf = ({ path, version }: Pick<Result, "path" | "version">): string =>
  version === undefined ? path : `${path} (${version})`

/** What is to be said of one run; undefined: nothing. */
export const resultText = (result: Result, verbose: boolean): string | undefined => {
  const { outcome } = result
  const name = nameOf(result)
  const notes = verbose ? outcome.notes.map((note) => `\n    ${note}`).join("") : ""
  switch (outcome._tag) {
    case "Passed":
      return verbose ? `ok           ${name}${notes}` : undefined
    case "Unsupported":
      return verbose
        ? `unsupported  ${name}:${outcome.at.line}:${outcome.at.column}: ${outcome.what}${notes}`
        : undefined
    case "Failed":
      return `FAILED       ${formatFailure(name, outcome.failure)}${notes}`
  }
}

/** Why scripts are unsupported, most frequent first. */
export const unsupportedReasons = (
  results: ReadonlyArray<Result>,
): ReadonlyArray<{ readonly what: string; readonly count: number; readonly first: string }> => {
  const reasons = new Map<string, { what: string; count: number; first: string }>()
  for (const result of results) {
    if (result.outcome._tag !== "Unsupported") continue
    const { what, at } = result.outcome
    const reason = reasons.get(what)
    if (reason === undefined) reasons.set(what, { what, count: 1, first: `${nameOf(result)}:${at.line}` })
    else reason.count++
  }
  return [...reasons.values()].sort((a, b) => b.count - a.count)
}

export const reasonsText = (results: ReadonlyArray<Result>): string =>
  unsupportedReasons(results)
    .map(({ what, count, first }) => `${String(count).padStart(6)}  ${what}  (${first})`)
    .join("\n")

export const summaryText = (results: ReadonlyArray<Result>, seconds: number): string => {
  const { passed, failed, unsupported } = tally(results)
  return `${results.length} runs: ${passed} passed, ${failed} failed, ${unsupported} unsupported, in ${seconds.toFixed(1)} s`
}

/** The kill rate of `--mutate`, and every mutant that lived. */
export const mutationText = (results: ReadonlyArray<Result>): string => {
  const { mutants, survivors } = mutationTotals(results)
  const lines = results.flatMap(({ path, mutation }) =>
    (mutation?.survivors ?? []).map(
      ({ at, line, kind, what }) => `SURVIVED     ${path}:${at.line}: ${kind} (${what})\n    ${line}`,
    ),
  )
  const rate = mutants === 0 ? 0 : (100 * (mutants - survivors)) / mutants
  return [
    ...lines,
    `${mutants} mutants: ${mutants - survivors} killed, ${survivors} survived: ${rate.toFixed(2)} %`,
  ].join("\n")
}

export const mutationTotals = (
  results: ReadonlyArray<Result>,
): { readonly mutants: number; readonly survivors: number } => ({
  mutants: results.reduce((sum, { mutation }) => sum + (mutation?.mutants ?? 0), 0),
  survivors: results.reduce((sum, { mutation }) => sum + (mutation?.survivors.length ?? 0), 0),
})

export const jsonOf = (results: ReadonlyArray<Result>, seconds: number): string =>
  JSON.stringify({
    summary: { runs: results.length, ...tally(results), seconds },
    unsupported: unsupportedReasons(results),
    ...(results.some(({ mutation }) => mutation !== undefined) ? { mutation: mutationTotals(results) } : {}),
    results: results.map(({ path, version, outcome, mutation, took }) => ({
      script: path,
      ipVersion: version,
      result: outcome._tag.toLowerCase(),
      milliseconds: Math.round(took * 1000) / 1000,
      ...(outcome._tag === "Failed" ? { failure: outcome.failure } : {}),
      ...(outcome._tag === "Unsupported" ? { at: outcome.at, reason: outcome.what } : {}),
      notes: outcome.notes,
      mutation,
    })),
  })
