import { type Counter, counters } from "../tcp/counters.ts"

/** A host's counters, all of them present from the start. */
export class Counters {
  readonly values: Record<string, number> = Object.fromEntries(counters.map((name) => [name, 0]))

  add(counter: Counter, n: number): void {
    this.values[counter] = (this.values[counter] ?? 0) + n
  }
}
