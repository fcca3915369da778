import { counters, tcpGroup } from "../../tcp/counters.ts"

const NAMES: ReadonlyMap<string, string> = new Map(counters.map((name) => [`${tcpGroup(name)}${name}`, name]))

/** nstat(8): what TCP has counted since the last time that it was asked. */
export class Nstat {
  private history: Readonly<Record<string, number>> = {}

  /** As it prints it. Options: -n only sets the history, -s leaves it, -a counts from the beginning, -z shows zeros. */
  lines(values: Readonly<Record<string, number>>, options: string): ReadonlyArray<string> {
    const before = options.includes("a") ? {} : this.history
    if (!options.includes("s")) this.history = { ...values }
    if (options.includes("n")) return []
    return [...NAMES].flatMap(([shown, name]) => {
      const value = (values[name] ?? 0) - (before[name] ?? 0)
      return value !== 0 || options.includes("z") ? [`${shown} ${value} 0.0`] : []
    })
  }
}

/** A counter that a pattern is about and that there is not. */
export const missingCounter = (pattern: string): string | undefined =>
  (pattern.match(/Tcp(?:Ext)?[A-Z]\w*/g) ?? []).find(
    (name) => ![...NAMES.keys()].some((known) => known.startsWith(name)),
  )
