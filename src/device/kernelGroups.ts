import { readFileSync } from "node:fs"
import { Effect, Schedule } from "effect"
import type { IpAddress } from "../wire/address.ts"
import { setIpv6 } from "../wire/addressBytes.ts"
import { solicitedNode } from "../wire/multicast.ts"

/** Groups that the kernel listens to: the interface's number and name, the group in base sixteen, its users, ... */
const TABLE = "/proc/net/igmp6"
/** How often the kernel is looked at, and how long at most: a busy one takes some milliseconds. */
const LOOK = "1 millis"
const PATIENCE = "500 millis"

const hexOf = (address: IpAddress): string => {
  const octets = new Uint8Array(16)
  setIpv6(octets, 0, address)
  return Buffer.from(octets).toString("hex")
}

/** Whether the kernel hears all groups on an interface; true as well where it does not tell. */
const hears = (name: string, groups: ReadonlyArray<string>): boolean => {
  try {
    const lines = readFileSync(TABLE, "latin1").split("\n")
    const heard = new Set(
      lines.flatMap((line) => {
        const [, owner, group = ""] = line.trim().split(/\s+/)
        return owner === name ? [group] : []
      }),
    )
    return groups.every((group) => heard.has(group))
  } catch {
    return true
  }
}

/**
 * Waits until the kernel hears those who ask for the IPv6 addresses that an interface was given: it joins their
 * groups in a work queue of its own, and who has asked before asks again only after a second (RFC 4861 section 7.2.2).
 */
export const askable = (name: string, addresses: ReadonlyArray<IpAddress>): Effect.Effect<void> => {
  const groups = addresses.filter(({ family }) => family === 6).map((address) => hexOf(solicitedNode(address)))
  if (groups.length === 0) return Effect.void
  return Effect.sync(() => hears(name, groups)).pipe(
    Effect.repeat({ until: (isHeard) => isHeard, schedule: Schedule.spaced(LOOK) }),
    Effect.timeoutOption(PATIENCE),
    Effect.asVoid,
  )
}
