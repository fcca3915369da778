import { type Micros, OFF } from "../wire/time.ts"

/**
 * Whether an address is ours alone: duplicate address detection (RFC 4862 section 5.4) and its like for
 * IPv4 (RFC 5227 section 2) as one state machine. It asks some times; who hears nothing has the address.
 */
export interface Detection {
  readonly probes: number
  readonly announcements: number
  readonly deadline: Micros
}

export interface DetectionPolicy {
  /** Questions; 0: the address is taken at once. */
  readonly probes: number
  /** Between two questions: at least, and by chance up to so much more. */
  readonly interval: Micros
  readonly spread: Micros
  /** After the last one. */
  readonly patience: Micros
  /** Afterwards we say that the address is ours, so often and so far apart. */
  readonly announcements: number
  readonly announceInterval: Micros
}

const SECOND: Micros = 1_000_000

/** RFC 4862 section 5.1: DupAddrDetectTransmits, RetransTimer apart. */
export const duplicateAddressDetection = (transmits: number, retransTimer: Micros = SECOND): DetectionPolicy => ({
  probes: transmits,
  interval: retransTimer,
  spread: 0,
  patience: retransTimer,
  announcements: 0,
  announceInterval: 0,
})

/** RFC 5227 section 1.1: PROBE_NUM, PROBE_MIN and PROBE_MAX, ANNOUNCE_WAIT, ANNOUNCE_NUM and ANNOUNCE_INTERVAL. */
export const addressConflictDetection: DetectionPolicy = {
  probes: 3,
  interval: SECOND,
  spread: SECOND,
  patience: 2 * SECOND,
  announcements: 2,
  announceInterval: 2 * SECOND,
}

/** RFC 4862 section 5.4.2 and RFC 5227's PROBE_WAIT: hosts that start together must not ask together. */
export const LONGEST_DELAY: Micros = SECOND

export interface DetectionStep {
  /** `undefined`: nothing more to do. */
  readonly detection: Detection | undefined
  readonly says: "Probe" | "Announce" | undefined
  /** The address is ours from here on. */
  readonly unique: boolean
}

export const begin = ({ probes, announcements }: DetectionPolicy, delay: Micros, now: Micros): Detection => ({
  probes,
  announcements,
  deadline: now + (probes > 0 ? delay : 0),
})

/** `chance` is from 0 to below 1. */
export const timeout = (
  { probes, announcements }: Detection,
  policy: DetectionPolicy,
  chance: number,
  now: Micros,
): DetectionStep => {
  if (probes > 0) {
    const wait = probes === 1 ? policy.patience : policy.interval + Math.floor(policy.spread * chance)
    return { detection: { probes: probes - 1, announcements, deadline: now + wait }, says: "Probe", unique: false }
  }
  if (announcements === 0) return { detection: undefined, says: undefined, unique: true }
  const left = announcements - 1
  return {
    detection: left === 0 ? undefined : { probes, announcements: left, deadline: now + policy.announceInterval },
    says: "Announce",
    unique: true,
  }
}

export const deadlineOf = (detection: Detection | undefined): Micros => detection?.deadline ?? OFF
