import { AddressMap } from "../ip/addressMap.ts"
import * as nud from "../ip/neighbour.ts"
import { type Micros, OFF } from "../tcp/time.ts"
import type { IpAddress, MacAddress } from "../wire/address.ts"
import type { Deadlines, Scheduled } from "./deadlines.ts"

/** Entries of one interface at most; the one unused for longest gives way. */
export const MAX_ENTRIES = 1024

/** A cached neighbour, for the host's deadlines. */
export class NeighbourEntry<P> implements Scheduled {
  scheduledAt = OFF
  state: nud.Neighbour<P> | undefined = undefined
  constructor(
    readonly address: IpAddress,
    readonly iface: number,
  ) {}
}

/** The neighbour cache of one interface, of both families: keeps the entries of `nud`, bounded, and their deadlines. */
export class Neighbours<P> {
  /** Of the link, where a router has set them. */
  times: nud.NeighbourTimes = nud.DEFAULT_TIMES
  private readonly entries: AddressMap<NeighbourEntry<P>>
  /** Those whose packets wait, and the others; the oldest first. */
  private readonly resolving = new Set<NeighbourEntry<P>>()
  private readonly settled = new Set<NeighbourEntry<P>>()

  constructor(
    private readonly iface: number,
    seed: number,
    private readonly deadlines: Deadlines<Scheduled>,
    private readonly carryOut: (
      entry: NeighbourEntry<P>,
      effects: ReadonlyArray<nud.NeighbourEffect<P>>,
      now: Micros,
    ) => void,
  ) {
    this.entries = new AddressMap(seed)
  }

  /** The link address when it can be used without ado: the hot path. */
  ready(address: IpAddress): MacAddress | undefined {
    const state = this.entries.get(address)?.state
    return state !== undefined && (state.state === "REACHABLE" || state.state === "DELAY") ? state.mac : undefined
  }

  /** Known, and as far as we know it is there (RFC 4861 section 6.3.6). */
  isPromising(address: IpAddress): boolean {
    const state = this.entries.get(address)?.state
    return state !== undefined && state.state !== "INCOMPLETE"
  }

  send(address: IpAddress, packet: P, now: Micros): void {
    const entry = this.entryFor(address, now)
    this.take(entry, nud.send(entry.state, packet, now, this.times), now)
  }

  confirm(address: IpAddress, mac: MacAddress, now: Micros): void {
    const entry = this.entries.get(address)
    if (entry !== undefined) this.take(entry, nud.confirm(entry.state, mac, now, this.times), now)
  }

  hear(address: IpAddress, mac: MacAddress, create: boolean, now: Micros, isRouter?: boolean): void {
    const entry = create ? this.entryFor(address, now) : this.entries.get(address)
    if (entry !== undefined) this.take(entry, nud.hear(entry.state, mac, create, isRouter), now)
  }

  advertised(address: IpAddress, said: nud.Advertised, now: Micros): void {
    const entry = this.entries.get(address)
    if (entry !== undefined) this.take(entry, nud.advertised(entry.state, said, now, this.times), now)
  }

  /** An upper layer has heard from beyond it: no need to ask. */
  progress(address: IpAddress, now: Micros): void {
    const entry = this.entries.get(address)
    if (entry?.state === undefined) return
    const state = nud.progress(entry.state, now, this.times)
    if (state !== entry.state) this.take(entry, { entry: state, effects: [] }, now)
  }

  /** An upper layer has waited in vain: the next packet there asks whether it is. */
  doubt(address: IpAddress, now: Micros): void {
    const entry = this.entries.get(address)
    if (entry?.state !== undefined) this.take(entry, { entry: nud.doubt(entry.state), effects: [] }, now)
  }

  timeout(entry: NeighbourEntry<P>, now: Micros): void {
    const { state } = entry
    if (state === undefined) return
    const deadline = nud.deadlineOf(state)
    if (deadline === OFF) return
    if (deadline > now) this.deadlines.schedule(entry, deadline)
    else this.take(entry, nud.timeout(state, now, this.times), now)
  }

  *all(): Generator<NeighbourEntry<P>> {
    for (const [, entry] of this.entries.entries()) yield entry
  }

  private take(entry: NeighbourEntry<P>, step: nud.NeighbourStep<P>, now: Micros): void {
    const before = entry.state
    entry.state = step.entry
    if (before === undefined || before.state !== step.entry?.state) this.sort(entry)
    if (step.entry === undefined) {
      this.entries.delete(entry.address)
      this.deadlines.forget(entry)
    } else {
      const at = nud.deadlineOf(step.entry)
      if (at !== OFF) this.deadlines.schedule(entry, at)
    }
    if (step.effects.length > 0) this.carryOut(entry, step.effects, now)
  }

  private sort(entry: NeighbourEntry<P>): void {
    const state = entry.state?.state
    const [into, outOf] = state === "INCOMPLETE" ? [this.resolving, this.settled] : [this.settled, this.resolving]
    outOf.delete(entry)
    if (state === undefined) into.delete(entry)
    else into.add(entry)
  }

  private entryFor(address: IpAddress, now: Micros): NeighbourEntry<P> {
    const known = this.entries.get(address)
    if (known !== undefined) return known
    if (this.entries.size >= MAX_ENTRIES) this.evict(now)
    const entry = new NeighbourEntry<P>(address, this.iface)
    this.entries.set(address, entry)
    return entry
  }

  /** The oldest entry that no packet waits for; when all of them resolve, the oldest of those. */
  private evict(now: Micros): void {
    const [victim] = this.settled.size > 0 ? this.settled : this.resolving
    if (victim === undefined) return
    const lost = victim.state?.state === "INCOMPLETE" ? victim.state.waiting : []
    const effects = lost.map((packet) => ({ _tag: "Lost", packet, why: "neighbour:queue-full" }) as const)
    this.take(victim, { entry: undefined, effects }, now)
  }
}
