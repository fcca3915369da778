import { type Assembly, type Fragment, firstFragment, fragmentArrives, impossible } from "../ip/reassembly.ts"
import type { TcpContext } from "../tcp/tcb.ts"
import { type Micros, OFF } from "../tcp/time.ts"
import type { IpAddress } from "../wire/address.ts"
import type { Counters } from "./counters.ts"
import { type IpCounter, ipCounter } from "./datagramCounters.ts"
import type { Deadlines, Scheduled } from "./deadlines.ts"

/** What a fragment takes beside its octets, and a datagram beside its fragments: octets, about what they are. */
const OVERHEAD = 256
/** One source takes a quarter of the memory at most, so that a flood does not cost the others their datagrams. */
const SOURCE_SHARE = 4

/** What tells one datagram's fragments from another's (RFC 791 section 3.2, RFC 8200 section 4.5). */
export interface FragmentKey {
  readonly source: IpAddress
  readonly destination: IpAddress
  /** 0 over IPv6, where the identification alone tells. */
  readonly protocol: number
  readonly identification: number
}

interface Entry {
  readonly key: string
  readonly owner: string
  readonly iface: number
  assembly: Assembly
  /** Octets that it is charged for. */
  charge: number
}

export interface ReassemblerSettings {
  readonly family: 4 | 6
  readonly lifetime: Micros
  readonly highThresh: number
}

/** Read anew each time: a host's settings change while it runs. */
export const reassemblerSettings = (context: TcpContext, family: 4 | 6): ReassemblerSettings => ({
  family,
  get lifetime() {
    return family === 4 ? context.settings.ipfragTime : context.settings.ip6fragTime
  },
  get highThresh() {
    return family === 4 ? context.settings.ipfragHighThresh : context.settings.ip6fragHighThresh
  },
})

export interface ReassemblerHooks {
  readonly counters: Counters
  readonly drop: (why: string) => void
  /** Time is over, and the first fragment had come: its sender is told (RFC 792, RFC 4443 section 3.3). */
  readonly expired: (iface: number, first: Uint8Array, now: Micros) => void
}

/**
 * Datagrams of one family that are being put together, bounded in time and memory (RFC 8900 section
 * 3.7): over `ipfragHighThresh` the oldest give way, a source over its share gives up its own first.
 */
export class Reassembler implements Scheduled {
  scheduledAt = OFF
  /** In the order of their first fragments, which is that of their deadlines. */
  private readonly entries = new Map<string, Entry>()
  private readonly sources = new Map<string, Set<Entry>>()
  private readonly charged = new Map<string, number>()
  private total = 0

  constructor(
    private readonly settings: ReassemblerSettings,
    private readonly deadlines: Deadlines<Scheduled>,
    private readonly hooks: ReassemblerHooks,
  ) {}

  /** Octets held now. */
  get memory(): number {
    return this.total
  }

  /** A fragment; the whole packet where it was the last that was missing. */
  arrives(iface: number, key: FragmentKey, fragment: Fragment, now: Micros): Uint8Array | undefined {
    this.count("ReasmReqds")
    const why = impossible(fragment)
    if (why !== undefined) return this.fail(why)
    // RFC 6946 section 4: an atomic fragment is a whole datagram, whatever else has its identification.
    const isAtomic = fragment.offset === 0 && !fragment.more
    const owner = textOf(key.source)
    const name = `${owner}>${textOf(key.destination)}/${key.protocol}/${key.identification}`
    const entry = isAtomic ? undefined : this.entries.get(name)
    const step = fragmentArrives(entry?.assembly, fragment, now, this.settings.lifetime)
    switch (step._tag) {
      case "Complete":
        if (entry !== undefined) this.remove(entry)
        this.count("ReasmOKs")
        return step.packet
      case "Held":
        this.hold(entry ?? this.enter(name, owner, iface, step.assembly), step.assembly)
        return undefined
      case "Ignored":
        this.hooks.drop(step.why)
        return undefined
      case "Discarded":
        if (entry !== undefined) {
          if (step.assembly === undefined) this.remove(entry)
          else this.hold(entry, step.assembly)
        }
        return this.fail(step.why)
    }
  }

  /** The deadline of the oldest has come. */
  timeout(now: Micros): void {
    for (const entry of this.entries.values()) {
      if (entry.assembly.deadline > now) break
      this.remove(entry)
      // A discarded one has been counted as failed already, and nobody is told (RFC 5722 section 4: silently).
      if (entry.assembly.spoilt) continue
      this.count("ReasmTimeout")
      this.fail("RFC791-3.2:reassembly-time-exceeded")
      const first = firstFragment(entry.assembly)
      if (first !== undefined) this.hooks.expired(entry.iface, first, now)
    }
    this.schedule()
  }

  private enter(key: string, owner: string, iface: number, assembly: Assembly): Entry {
    const entry: Entry = { key, owner, iface, assembly, charge: 0 }
    this.entries.set(key, entry)
    const others = this.sources.get(owner)
    if (others === undefined) this.sources.set(owner, new Set([entry]))
    else others.add(entry)
    this.schedule()
    return entry
  }

  private hold(entry: Entry, assembly: Assembly): void {
    entry.assembly = assembly
    const charge = OVERHEAD + assembly.held + assembly.parts.length * OVERHEAD
    const change = charge - entry.charge
    entry.charge = charge
    this.total += change
    this.charged.set(entry.owner, (this.charged.get(entry.owner) ?? 0) + change)
    this.bound(entry.owner)
  }

  private bound(owner: string): void {
    const { highThresh } = this.settings
    while ((this.charged.get(owner) ?? 0) > highThresh / SOURCE_SHARE) {
      const [oldest] = this.sources.get(owner) ?? []
      if (oldest === undefined) break
      this.evict(oldest, "netfold:ipfrag-source-share")
    }
    while (this.total > highThresh) {
      const [oldest] = this.entries.values()
      if (oldest === undefined) break
      this.evict(oldest, "Linux:ipfrag_high_thresh")
    }
  }

  private evict(entry: Entry, why: string): void {
    this.remove(entry)
    this.fail(why)
  }

  private remove(entry: Entry): void {
    this.entries.delete(entry.key)
    if (this.entries.size === 0) this.deadlines.forget(this)
    this.total -= entry.charge
    const left = (this.charged.get(entry.owner) ?? 0) - entry.charge
    const others = this.sources.get(entry.owner)
    others?.delete(entry)
    if (others === undefined || others.size > 0) this.charged.set(entry.owner, left)
    else {
      this.sources.delete(entry.owner)
      this.charged.delete(entry.owner)
    }
  }

  private schedule(): void {
    const [oldest] = this.entries.values()
    if (oldest === undefined) this.deadlines.forget(this)
    else this.deadlines.schedule(this, oldest.assembly.deadline)
  }

  private fail(why: string): undefined {
    this.count("ReasmFails")
    this.hooks.drop(why)
  }

  private count(name: IpCounter): void {
    this.hooks.counters.add(ipCounter(this.settings.family, name), 1)
  }
}

const textOf = ({ a, b, c, d }: IpAddress): string => `${a},${b},${c},${d}`
