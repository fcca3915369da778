import { type Counter, counters } from "../tcp/counters.ts"
import { type DatagramCounter, datagramCounters } from "./datagramCounters.ts"
import { allIcmpCounters, type IcmpCounter } from "./icmpCounters.ts"
import { type BothIpCounts, IpCounts } from "./ipCounts.ts"

/** A host's counters, all of them present from the start. */
export class Counters {
  readonly ip: BothIpCounts = { 4: new IpCounts(), 6: new IpCounts() }
  /** Plain fields, as every segment is counted: TCP's InSegs and OutSegs. */
  inSegs = 0
  outSegs = 0
  /** As they are whenever one is looked at. */
  readonly values: Readonly<Record<string, number>>
  private readonly named: Record<string, number> = Object.fromEntries(
    [...counters, ...datagramCounters, ...allIcmpCounters].map((name) => [name, 0]),
  )

  constructor() {
    const views = ([4, 6] as const).flatMap((family) =>
      this.ip[family].views(family).map(([name, get]) => [name, { enumerable: true, get }] as const),
    )
    const own = Object.keys(this.named).map(
      (name) => [name, { enumerable: true, get: () => this.named[name] ?? 0 }] as const,
    )
    const segments = [
      ["InSegs", { enumerable: true, get: () => this.inSegs }],
      ["OutSegs", { enumerable: true, get: () => this.outSegs }],
    ] as const
    this.values = Object.defineProperties({}, Object.fromEntries([...own, ...segments, ...views]))
  }

  add(counter: Counter | DatagramCounter | IcmpCounter, n: number): void {
    this.named[counter] = (this.named[counter] ?? 0) + n
  }

  addAll(counters: ReadonlyArray<IcmpCounter>): void {
    for (const counter of counters) this.add(counter, 1)
  }
}
