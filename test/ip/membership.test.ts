import { describe, expect, test } from "bun:test"
import * as membership from "../../src/ip/membership.ts"
import { ipv4, UNSPECIFIED6 } from "../../src/wire/address.ts"
import { parseIpv6 } from "../../src/wire/addressText.ts"
import { IS_EXCLUDE, TO_EXCLUDE, TO_INCLUDE } from "../../src/wire/igmp.ts"
import { OFF } from "../../src/wire/time.ts"

const SECOND = 1_000_000
const G = parseIpv6("ff0e::5") ?? UNSPECIFIED6
const H = parseIpv6("ff0e::6") ?? UNSPECIFIED6
const QUERY = { version: "current", maxResponseMillis: 10_000, group: undefined } as const

const joined = (...groups: ReadonlyArray<typeof G>): membership.Membership => {
  let state = membership.NO_GROUPS
  for (const group of groups) state = membership.join(state, group, 0) ?? state
  return state
}

/** All reports from here on: when, of which kind. */
const reports = (state: membership.Membership, chance = 0.5): ReadonlyArray<readonly [number, number]> => {
  const said: Array<readonly [number, number]> = []
  for (let now = membership.deadlineOf(state); now !== OFF; now = membership.deadlineOf(state)) {
    const step = membership.timeout(state, chance, now)
    for (const { type } of step.records) said.push([now, type])
    state = step.membership
  }
  return said
}

const quiet = (state: membership.Membership): membership.Membership => {
  let next = state
  while (membership.deadlineOf(next) !== OFF) {
    next = membership.timeout(next, 0, membership.deadlineOf(next)).membership
  }
  return next
}

describe("the groups of an interface", () => {
  test("joined: reported at once, and once more within a second (RFC 3810 section 6.1)", () => {
    expect(reports(joined(G))).toEqual([
      [0, TO_EXCLUDE],
      [500_001, TO_EXCLUDE],
    ])
  })

  test("joined twice, left once: still a member, nothing said", () => {
    const state = membership.leave(quiet(joined(G, G)), G, 0)
    expect(membership.isMember(state, G)).toBe(true)
    expect(reports(state)).toEqual([])
  })

  test("left: said twice, then forgotten", () => {
    const state = membership.leave(quiet(joined(G)), G, 7)
    expect(membership.isMember(state, G)).toBe(false)
    expect(reports(state).map(([, type]) => type)).toEqual([TO_INCLUDE, TO_INCLUDE])
    expect(quiet(state).groups).toEqual([])
  })

  test("a general query: every group answers by chance within its time", () => {
    const asked = membership.queried(quiet(joined(G, H)), QUERY, 0.25, SECOND)
    expect(reports(asked)).toEqual([
      [3.5 * SECOND, IS_EXCLUDE],
      [3.5 * SECOND, IS_EXCLUDE],
    ])
  })

  test("a query for one group: that one; a later query does not put the answer off", () => {
    const asked = membership.queried(quiet(joined(G, H)), { ...QUERY, group: H }, 0.1, 0)
    const again = membership.queried(asked, { ...QUERY, group: H }, 0.9, 0)
    expect(reports(again)).toEqual([[SECOND, IS_EXCLUDE]])
  })

  test("a router of IGMPv2: its language for 260 s", () => {
    const asked = membership.queried(joined(ipv4(0xef010203)), { ...QUERY, version: "older" }, 0, 0)
    expect(membership.language(asked, 259 * SECOND)).toBe("older")
    expect(membership.language(asked, 260 * SECOND)).toBe("current")
  })

  test("a router of IGMPv1 beside it: the oldest language of any that was heard (RFC 3376 section 7.2.1)", () => {
    const group = joined(ipv4(0xef010203))
    const first = membership.queried(group, { ...QUERY, version: "oldest" }, 0, 0)
    const both = membership.queried(first, { ...QUERY, version: "older" }, 0, 100 * SECOND)
    const times = [100, 259, 260, 359, 360]
    expect(times.map((at) => membership.language(both, at * SECOND))).toEqual([
      "oldest",
      "oldest",
      "older",
      "older",
      "current",
    ])
  })

  test("more groups than an interface can have: refused", () => {
    let state = membership.NO_GROUPS
    for (let n = 0; n < membership.MOST_GROUPS; n++) state = membership.join(state, { ...G, d: n }, 0) ?? state
    expect(state.groups).toHaveLength(membership.MOST_GROUPS)
    expect(membership.join(state, { ...G, d: 9999 }, 0)).toBeUndefined()
  })
})
