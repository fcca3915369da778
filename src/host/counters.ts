import { type Counter, counters } from "../tcp/counters.ts"
import { type DatagramCounter, datagramCounters } from "./datagramCounters.ts"
import { allIcmpCounters, type IcmpCounter } from "./icmpCounters.ts"
import { type BothIpCounts, IpCounts } from "./ipCounts.ts"

/** A host's counters, all of them present from the start. */
export class Counters {
  readonly ip: BothIpCounts = { 4: new IpCounts(), 6: new IpCounts() }
  private readonly named: Record<string, number> = Object.fromEntries(
    [...counters, ...datagramCounters, ...allIcmpCounters].map((name) => [name, 0]),
  )

  add(counter: Counter | DatagramCounter | IcmpCounter, n: number): void {
    this.named[counter] = (this.named[counter] ?? 0) + n
  }

  addAll(counters: ReadonlyArray<IcmpCounter>): void {
    for (const counter of counters) this.add(counter, 1)
  }

  /** As they are when it is asked for. */
  get values(): Readonly<Record<string, number>> {
    return { ...this.named, ...this.ip[4].under(4), ...this.ip[6].under(6) }
  }
}
