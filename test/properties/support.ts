import { Broken } from "./endpoint.ts"

/** A multiple of the usual number of runs with NETFOLD_RUNS=20, say. */
export const runs = (usual: number) => {
  const times = Number(process.env["NETFOLD_RUNS"] ?? 1)
  return { numRuns: Math.ceil(usual * times), includeErrorInReport: true }
}

export const must = (holds: boolean, rule: string): void => {
  if (!holds) throw new Broken(rule)
}

/** Milliseconds after which a property is taken to hang: far beyond any machine's slowness, also with NETFOLD_RUNS. */
export const PATIENCE = 60_000 * Math.max(1, Number(process.env["NETFOLD_RUNS"] ?? 1))
