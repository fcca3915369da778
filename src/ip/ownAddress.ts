import { type IpAddress, inPrefix, sameAddress } from "../wire/address.ts"
import { FOREVER, type PrefixInformation } from "../wire/ndp.ts"
import { type Micros, OFF } from "../wire/time.ts"
import * as detect from "./detection.ts"

/** How we came by an address: told, made for the link, made from an advertised prefix, or leased. */
export type Origin = "static" | "link-local" | "autoconf" | "dynamic"

/**
 * An address of an interface (RFC 4862 section 2). tentative: not ours before nobody else claims it.
 * preferred: for everything. deprecated: for what uses it already. duplicated: somebody else has it.
 */
export interface OwnAddress {
  readonly address: IpAddress
  readonly prefixLength: number
  readonly origin: Origin
  readonly state: "tentative" | "preferred" | "deprecated" | "duplicated"
  /** OFF: for ever. */
  readonly preferredUntil: Micros
  readonly validUntil: Micros
  readonly policy: detect.DetectionPolicy
  readonly detection: detect.Detection | undefined
  /** Addresses made for this prefix before that were others' already (RFC 7217's DAD_Counter). */
  readonly attempts: number
}

export type AddressEffect =
  /** Ask who has it; say that we have it. */
  | { readonly _tag: "Probe"; readonly address: IpAddress }
  | { readonly _tag: "Announce"; readonly address: IpAddress }
  /** It can be used from here on. */
  | { readonly _tag: "Assigned"; readonly address: IpAddress }
  /** Its valid lifetime is over. */
  | { readonly _tag: "Expired"; readonly address: IpAddress }

export interface AddressStep {
  /** `undefined`: the interface has it no longer. */
  readonly own: OwnAddress | undefined
  readonly effects: ReadonlyArray<AddressEffect>
}

export interface NewAddress {
  readonly address: IpAddress
  readonly prefixLength: number
  readonly origin: Origin
  readonly preferredUntil: Micros
  readonly validUntil: Micros
  readonly policy: detect.DetectionPolicy
  readonly attempts: number
}

/** Tentative, or at once preferred where nobody is to be asked. `delay`: before the first question. */
export const assign = (given: NewAddress, delay: Micros, now: Micros): OwnAddress => {
  const { probes, announcements } = given.policy
  const detection = probes + announcements > 0 ? detect.begin(given.policy, delay, now) : undefined
  return settled({ ...given, state: probes > 0 ? "tentative" : "preferred", detection }, now)
}

/** What is due: questions, announcements, ends of lifetimes. `chance` is from 0 to below 1. */
export const timeout = (own: OwnAddress, chance: number, now: Micros): AddressStep => {
  const { address } = own
  if (isOver(own.validUntil, now)) return { own: undefined, effects: [{ _tag: "Expired", address }] }
  const { detection } = own
  if (detection === undefined || detection.deadline > now) return { own: settled(own, now), effects: [] }
  const step = detect.timeout(detection, own.policy, chance, now)
  const effects: Array<AddressEffect> = []
  if (step.unique && own.state === "tentative") effects.push({ _tag: "Assigned", address })
  if (step.says !== undefined) effects.push({ _tag: step.says, address })
  const state = step.unique && own.state === "tentative" ? "preferred" : own.state
  return { own: settled({ ...own, state, detection: step.detection }, now), effects }
}

/** Somebody else has it (RFC 4862 section 5.4.5): not ours, and not asked for again. */
export const duplicate = (own: OwnAddress): OwnAddress => ({ ...own, state: "duplicated", detection: undefined })

export const deadlineOf = (own: OwnAddress): Micros =>
  [detect.deadlineOf(own.detection), own.state === "preferred" ? own.preferredUntil : OFF, own.validUntil]
    .filter((at) => at !== OFF)
    .reduce((x, y) => (x === OFF ? y : Math.min(x, y)), OFF)

/** It may be a source and a destination. */
export const isUsable = ({ state }: OwnAddress): boolean => state === "preferred" || state === "deprecated"

/** RFC 4862 section 5.5.3(e): a router may shorten a valid lifetime to two hours, not below. */
const TWO_HOURS: Micros = 7_200_000_000

/** Prefixes that make an address (section 5.5.3): 64 bits, for the interface identifier has the others (RFC 7217). */
const PREFIX_LENGTH = 64

/** `undefined`: the prefix is not for addresses. */
export const lifetimesOf = (
  { prefix, prefixLength, autonomous, validLifetime, preferredLifetime }: PrefixInformation,
  now: Micros,
): { readonly preferredUntil: Micros; readonly validUntil: Micros } | undefined => {
  const isLinkLocal = prefix.a >>> 22 === 0xfe80 >>> 6
  const isGroup = prefix.a >>> 24 === 0xff
  if (!autonomous || isLinkLocal || isGroup || preferredLifetime > validLifetime) return undefined
  if (prefixLength !== PREFIX_LENGTH) return undefined
  return { preferredUntil: until(preferredLifetime, now), validUntil: until(validLifetime, now) }
}

/** Seconds of a router advertisement as a time. */
export const until = (seconds: number, now: Micros): Micros => (seconds === FOREVER ? OFF : now + seconds * 1_000_000)

/** The prefix of an address made from it before is advertised again. */
export const refresh = (own: OwnAddress, advertised: PrefixInformation, now: Micros): OwnAddress => {
  const lifetimes = lifetimesOf(advertised, now)
  if (lifetimes === undefined) return own
  const remaining = own.validUntil === OFF ? Number.POSITIVE_INFINITY : own.validUntil - now
  const offered = advertised.validLifetime === FOREVER ? Number.POSITIVE_INFINITY : advertised.validLifetime * 1_000_000
  const preferred = { ...own, preferredUntil: lifetimes.preferredUntil }
  if (offered > TWO_HOURS || offered > remaining)
    return settled({ ...preferred, validUntil: lifetimes.validUntil }, now)
  if (remaining <= TWO_HOURS) return settled(preferred, now)
  return settled({ ...preferred, validUntil: now + TWO_HOURS }, now)
}

/** The address of `prefix` among those made from advertised ones. */
export const madeFrom = (
  owns: ReadonlyArray<OwnAddress>,
  { prefix, prefixLength }: PrefixInformation,
): OwnAddress | undefined =>
  owns.find((own) => own.origin === "autoconf" && inPrefix(own.address, prefix, prefixLength))

export const find = (owns: ReadonlyArray<OwnAddress>, address: IpAddress): OwnAddress | undefined =>
  owns.find((own) => sameAddress(own.address, address))

/** Preferred or deprecated, as its lifetime says. */
const settled = (own: OwnAddress, now: Micros): OwnAddress => {
  if (own.state !== "preferred" && own.state !== "deprecated") return own
  const state = isOver(own.preferredUntil, now) ? "deprecated" : "preferred"
  return state === own.state ? own : { ...own, state }
}

const isOver = (at: Micros, now: Micros): boolean => at !== OFF && at <= now
