import {
  addressConflictDetection,
  type DetectionPolicy,
  duplicateAddressDetection,
  LONGEST_DELAY,
} from "../ip/detection.ts"
import * as own from "../ip/ownAddress.ts"
import type { Candidate } from "../ip/sourceAddress.ts"
import { type Micros, OFF } from "../tcp/time.ts"
import { type IpAddress, inZone, ipv6, sameAddress, withoutZone } from "../wire/address.ts"
import type { PrefixInformation } from "../wire/ndp.ts"
import type { Deadlines, Scheduled } from "./deadlines.ts"
import type { HostKeys } from "./keyedHash.ts"
import type { NetInterface } from "./netInterface.ts"
import { Task } from "./task.ts"
import type { InterfaceConfig } from "./types.ts"

/** fe80::/64 (RFC 4291 section 2.5.6). */
const LINK_LOCAL_PREFIX: IpAddress = ipv6(0xfe800000, 0, 0, 0)

/** Addresses of one interface at most; Linux's max_addresses. */
const MOST_ADDRESSES = 16

/** RFC 7217 section 6: IDGEN_RETRIES and IDGEN_DELAY. */
const MOST_ATTEMPTS = 3
const ATTEMPT_DELAY: Micros = 1_000_000

/** What others do about addresses. */
export interface AddressEvents {
  /** It is to be asked for, or used: its groups are joined first. */
  readonly added: (iface: NetInterface, address: IpAddress, now: Micros) => void
  readonly removed: (iface: NetInterface, address: IpAddress, now: Micros) => void
  readonly assigned: (iface: NetInterface, address: own.OwnAddress, now: Micros) => void
  readonly probe: (iface: NetInterface, address: IpAddress, now: Micros) => void
  readonly announce: (iface: NetInterface, address: IpAddress, now: Micros) => void
  /** What is local has changed. */
  readonly changed: () => void
}

/** An address to be had; lifetimes are times, OFF for ever. */
export interface Assignment {
  readonly address: IpAddress
  readonly prefixLength: number
  readonly origin: own.Origin
  readonly preferredUntil: Micros
  readonly validUntil: Micros
  /** Ask first whether anybody has it; default: as the interface is configured. */
  readonly detect?: boolean | undefined
  readonly attempts?: number
}

/** A host's own addresses: detection of duplicates, lifetimes, and what is made from prefixes. */
export class Addresses {
  private readonly tasks: ReadonlyArray<Task>
  private chances = 0

  constructor(
    readonly interfaces: ReadonlyArray<NetInterface>,
    private readonly deadlines: Deadlines<Scheduled>,
    private readonly keys: HostKeys,
    private readonly events: AddressEvents,
  ) {
    this.tasks = interfaces.map((iface) => new Task((now) => this.timeout(iface, now)))
  }

  /** The configured ones. The host learns the time only later, so questions wait for `Task`'s first run. */
  begin(): void {
    for (const iface of this.interfaces) {
      const { addresses } = iface.config
      for (const { address, prefixLength } of addresses) {
        if (address.family === 4 || iface.ipv6 !== "off") this.assign(iface, given(address, prefixLength), 0, 0)
      }
      if (iface.ipv6 !== "off" && iface.isEthernet) this.addLinkLocal(iface, 0, 0, 0)
      if (iface.owns.some(({ detection }) => detection !== undefined)) this.deadlines.schedule(this.taskOf(iface), 0)
    }
  }

  /** A number from 0 to below 1 that no other host draws. */
  chance(iface: NetInterface): number {
    return this.keys.chance(iface.config.mac, this.chances++)
  }

  isLocal(address: IpAddress): boolean {
    for (const { local } of this.interfaces) for (const each of local) if (sameAddress(each, address)) return true
    return false
  }

  /** Ours, or to be ours: what may be bound to. */
  isOwn(address: IpAddress): boolean {
    return this.interfaces.some(({ owns }) =>
      owns.some((each) => each.state !== "duplicated" && sameAddress(each.address, address)),
    )
  }

  /** What could speak for us on an interface: its own addresses, or, where it has none of the family, any other's. */
  candidates(index: number, family: 4 | 6): ReadonlyArray<Candidate> {
    const here = this.usable(
      this.interfaces.filter((iface) => iface.index === index),
      family,
    )
    return here.length > 0
      ? here
      : this.usable(this.interfaces, family).filter(({ address }) => address.zone === undefined)
  }

  /** `undefined`: it is there, or there is no room. */
  add(iface: NetInterface, assignment: Assignment, now: Micros): own.OwnAddress | undefined {
    const known = own.find(iface.owns, assignment.address)
    if (known !== undefined || iface.owns.length >= MOST_ADDRESSES) return undefined
    return this.assign(iface, assignment, 0, now)
  }

  /** Other lifetimes for an address that is there: a lease was renewed. */
  extend(iface: NetInterface, address: IpAddress, preferredUntil: Micros, validUntil: Micros, now: Micros): boolean {
    const known = own.find(iface.owns, address)
    if (known === undefined) return false
    this.replace(iface, known, { ...known, preferredUntil, validUntil }, now)
    return true
  }

  remove(iface: NetInterface, address: IpAddress, now: Micros): boolean {
    const known = own.find(iface.owns, address)
    if (known === undefined) return false
    this.replace(iface, known, undefined, now)
    return true
  }

  /** A router advertises a prefix (RFC 4862 section 5.5.3). */
  prefix(iface: NetInterface, prefix: PrefixInformation, now: Micros): void {
    const made = own.madeFrom(iface.owns, prefix)
    if (made !== undefined) return this.replace(iface, made, own.refresh(made, prefix, now), now)
    const lifetimes = own.lifetimesOf(prefix, now)
    if (lifetimes === undefined || prefix.validLifetime === 0 || iface.owns.length >= MOST_ADDRESSES) return
    this.addMade(iface, "autoconf", prefix.prefix, lifetimes, 0, 0, now)
  }

  /** Somebody else has, or asks for, an address of ours. False: it was not ours to lose. */
  conflict(iface: NetInterface, address: IpAddress, now: Micros): boolean {
    const known = own.find(iface.owns, address)
    if (known === undefined || known.state !== "tentative") return false
    this.replace(iface, known, own.duplicate(known), now)
    const { origin, attempts } = known
    if (attempts >= MOST_ATTEMPTS || (origin !== "link-local" && origin !== "autoconf")) return true
    // RFC 7217 section 6: another one, in its place.
    this.replace(iface, own.duplicate(known), undefined, now)
    this.addMade(iface, origin, withoutZone(address), known, attempts + 1, ATTEMPT_DELAY, now)
    return true
  }

  private addLinkLocal(iface: NetInterface, attempts: number, delay: Micros, now: Micros): void {
    this.addMade(iface, "link-local", LINK_LOCAL_PREFIX, { preferredUntil: OFF, validUntil: OFF }, attempts, delay, now)
  }

  private addMade(
    iface: NetInterface,
    origin: own.Origin,
    prefix: IpAddress,
    { preferredUntil, validUntil }: { readonly preferredUntil: Micros; readonly validUntil: Micros },
    attempts: number,
    delay: Micros,
    now: Micros,
  ): void {
    const network = ipv6(prefix.a, prefix.b, 0, 0)
    const [high, low] = this.keys.identifier(network, iface.config.mac, attempts)
    const address = ipv6(network.a, network.b, high, low)
    this.assign(iface, { address, prefixLength: 64, origin, preferredUntil, validUntil, attempts }, delay, now)
  }

  private assign(iface: NetInterface, assignment: Assignment, delay: Micros, now: Micros): own.OwnAddress {
    const { detect, attempts = 0, ...rest } = assignment
    const address = inZone(rest.address, iface.zone)
    const policy = policyOf(iface, address, detect, rest.origin)
    const fresh = own.assign({ ...rest, address, policy, attempts }, delay, now)
    iface.owns = [...iface.owns, fresh]
    this.events.added(iface, address, now)
    if (own.isUsable(fresh)) this.events.assigned(iface, fresh, now)
    this.events.changed()
    this.arm(iface, fresh)
    return fresh
  }

  private timeout(iface: NetInterface, now: Micros): void {
    for (const each of iface.owns) {
      // The first run: only now does the clock stand where it does.
      const begun = each.detection?.deadline === 0 ? this.restarted(iface, each, now) : each
      const step = own.timeout(begun, this.chance(iface), now)
      this.replace(iface, each, step.own, now)
      for (const effect of step.effects) this.carryOut(iface, step.own, effect, now)
    }
  }

  /** RFC 4862 section 5.4.2: after a delay by chance. */
  private restarted(iface: NetInterface, each: own.OwnAddress, now: Micros): own.OwnAddress {
    return own.assign(each, Math.floor(LONGEST_DELAY * this.chance(iface)), now)
  }

  private carryOut(
    iface: NetInterface,
    after: own.OwnAddress | undefined,
    effect: own.AddressEffect,
    now: Micros,
  ): void {
    switch (effect._tag) {
      case "Probe":
        return this.events.probe(iface, effect.address, now)
      case "Announce":
        return this.events.announce(iface, effect.address, now)
      case "Assigned":
        if (after !== undefined) this.events.assigned(iface, after, now)
        return
      case "Expired":
        return
    }
  }

  private replace(iface: NetInterface, before: own.OwnAddress, after: own.OwnAddress | undefined, now: Micros): void {
    iface.owns = iface.owns.flatMap((each) => {
      if (!sameAddress(each.address, before.address)) return [each]
      return after === undefined ? [] : [after]
    })
    const gone = after === undefined || after.state === "duplicated"
    if (gone && before.state !== "duplicated") this.events.removed(iface, before.address, now)
    if (after === undefined || after.state !== before.state) this.events.changed()
    if (after !== undefined) this.arm(iface, after)
  }

  private arm(iface: NetInterface, each: own.OwnAddress): void {
    const at = own.deadlineOf(each)
    if (at !== OFF) this.deadlines.schedule(this.taskOf(iface), at)
  }

  private taskOf(iface: NetInterface): Task {
    const task = this.tasks[iface.index]
    if (task === undefined) throw new RangeError(`no interface ${iface.index}`)
    return task
  }

  private usable(interfaces: ReadonlyArray<NetInterface>, family: 4 | 6): ReadonlyArray<Candidate> {
    return interfaces.flatMap(({ index, owns }) =>
      owns
        .filter((each) => each.address.family === family && own.isUsable(each))
        .map(({ address, prefixLength, state }) => ({
          address,
          prefixLength,
          deprecated: state === "deprecated",
          interface: index,
        })),
    )
  }
}

const given = (address: IpAddress, prefixLength: number): Assignment => ({
  address,
  prefixLength,
  origin: "static",
  preferredUntil: OFF,
  validUntil: OFF,
})

const NO_DETECTION: DetectionPolicy = { ...duplicateAddressDetection(0), probes: 0 }
/** RFC 2131 section 4.4.1: who knew the address as another host's, or as nobody's, is to learn of us. */
const ANNOUNCED: DetectionPolicy = { ...addressConflictDetection, probes: 0 }

/** Without a link there is nobody to ask. */
const policyOf = (
  iface: NetInterface,
  address: IpAddress,
  detect: boolean | undefined,
  origin: own.Origin,
): DetectionPolicy => {
  const { arpProbe = false, dadTransmits = 1 } = iface.config satisfies InterfaceConfig
  if (!iface.isEthernet) return NO_DETECTION
  if (address.family === 4 && (detect ?? arpProbe)) return addressConflictDetection
  if (address.family === 4) return origin === "dynamic" ? ANNOUNCED : NO_DETECTION
  const { retransTimer } = iface.discovery
  return duplicateAddressDetection(detect === false ? 0 : dadTransmits, retransTimer === 0 ? undefined : retransTimer)
}
