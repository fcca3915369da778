import { type IpAddress, sameAddress } from "../wire/address.ts"
import { IS_EXCLUDE, type MembershipQuery, type MembershipRecord, TO_EXCLUDE, TO_INCLUDE } from "../wire/igmp.ts"
import { type Micros, OFF } from "../wire/time.ts"

/**
 * The groups that an interface listens to and what it owes the routers about them: the host's part of
 * IGMPv3 (RFC 3376 section 5) and MLDv2 (RFC 3810 section 6), with any source for every group.
 */
export interface Membership {
  readonly groups: ReadonlyArray<Group>
  /** A router of IGMPv2 or MLDv1 has been heard: its reports until then (RFC 3376 section 7.2.1, RFC 3810 section 8.2.1). */
  readonly olderUntil: Micros
  /** The same of IGMPv1. */
  readonly oldestUntil: Micros
}

interface Group {
  readonly group: IpAddress
  /** 0: left, and reported so a last time. */
  readonly users: number
  /** State-change reports still to be sent, and when the next. */
  readonly changes: number
  readonly changeAt: Micros
  /** The answer to a query. */
  readonly answerAt: Micros
}

export const NO_GROUPS: Membership = { groups: [], olderUntil: OFF, oldestUntil: OFF }

/** Groups of one interface at most. */
export const MOST_GROUPS = 256

/** RFC 3376 section 8.1, RFC 3810 section 9.1: every change is reported so often. */
const ROBUSTNESS = 2
/** Section 8.11 and 9.11: apart by chance up to a second. */
const UNSOLICITED_INTERVAL: Micros = 1_000_000
/** Section 8.12: two of the default query intervals and a response. */
const OLDER_TIMEOUT: Micros = 260_000_000

/** `undefined`: there is no room for another group. */
export const join = (membership: Membership, group: IpAddress, now: Micros): Membership | undefined => {
  const known = find(membership, group)
  if (known !== undefined && known.users > 0) return replaced(membership, { ...known, users: known.users + 1 })
  if (known === undefined && membership.groups.length >= MOST_GROUPS) return undefined
  const entry: Group = { group, users: 1, changes: ROBUSTNESS, changeAt: now, answerAt: OFF }
  if (known !== undefined) return replaced(membership, entry)
  return { ...membership, groups: [...membership.groups, entry] }
}

export const leave = (membership: Membership, group: IpAddress, now: Micros): Membership => {
  const known = find(membership, group)
  if (known === undefined || known.users === 0) return membership
  if (known.users > 1) return replaced(membership, { ...known, users: known.users - 1 })
  return replaced(membership, { ...known, users: 0, changes: ROBUSTNESS, changeAt: now, answerAt: OFF })
}

export const isMember = (membership: Membership, group: IpAddress): boolean => (find(membership, group)?.users ?? 0) > 0

/** A router asks: all groups, or one, answer by chance within its time (RFC 3376 section 5.2, RFC 3810 section 6.2). */
export const queried = (membership: Membership, query: MembershipQuery, chance: number, now: Micros): Membership => {
  const at = now + Math.floor(query.maxResponseMillis * 1000 * chance)
  const groups = membership.groups.map((entry): Group => {
    const asked = entry.users > 0 && (query.group === undefined || sameAddress(entry.group, query.group))
    return asked && (entry.answerAt === OFF || entry.answerAt > at) ? { ...entry, answerAt: at } : entry
  })
  const until = now + OLDER_TIMEOUT
  switch (query.version) {
    case "current":
      return { ...membership, groups }
    case "older":
      return { ...membership, groups, olderUntil: until }
    case "oldest":
      return { ...membership, groups, oldestUntil: until }
  }
}

/** The records that are due, for one report. `chance` is from 0 to below 1. */
export const timeout = (
  membership: Membership,
  chance: number,
  now: Micros,
): { readonly membership: Membership; readonly records: ReadonlyArray<MembershipRecord> } => {
  const records: Array<MembershipRecord> = []
  const groups: Array<Group> = []
  for (const entry of membership.groups) {
    const { group, users } = entry
    if (isDue(entry.changeAt, now)) {
      records.push({ type: users > 0 ? TO_EXCLUDE : TO_INCLUDE, group })
      const changes = entry.changes - 1
      const changeAt = changes > 0 ? now + Math.floor(UNSOLICITED_INTERVAL * chance) + 1 : OFF
      if (changes > 0 || users > 0) groups.push({ ...entry, changes, changeAt })
    } else if (isDue(entry.answerAt, now)) {
      records.push({ type: IS_EXCLUDE, group })
      groups.push({ ...entry, answerAt: OFF })
    } else groups.push(entry)
  }
  return { membership: { ...membership, groups }, records }
}

export const deadlineOf = ({ groups }: Membership): Micros => {
  let first: Micros = OFF
  for (const { changeAt, answerAt } of groups) {
    for (const at of [changeAt, answerAt]) if (at !== OFF && (first === OFF || at < first)) first = at
  }
  return first
}

/** The oldest language that a router on the link may have. */
export const language = ({ olderUntil, oldestUntil }: Membership, now: Micros): MembershipQuery["version"] => {
  if (oldestUntil > now) return "oldest"
  return olderUntil > now ? "older" : "current"
}

const isDue = (at: Micros, now: Micros): boolean => at !== OFF && at <= now

const find = ({ groups }: Membership, group: IpAddress): Group | undefined =>
  groups.find((entry) => sameAddress(entry.group, group))

const replaced = (membership: Membership, entry: Group): Membership => ({
  ...membership,
  groups: membership.groups.map((other) => (sameAddress(other.group, entry.group) ? entry : other)),
})
