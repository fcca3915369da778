import { type Counter, counters } from "../tcp/counters.ts"
import { type DatagramCounter, datagramCounters } from "./datagramCounters.ts"

/** A host's counters, all of them present from the start. */
export class Counters {
  readonly values: Record<string, number> = Object.fromEntries(
    [...counters, ...datagramCounters].map((name) => [name, 0]),
  )

  add(counter: Counter | DatagramCounter, n: number): void {
    this.values[counter] = (this.values[counter] ?? 0) + n
  }
}
