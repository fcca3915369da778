import { expect, test } from "bun:test"
import { ChallengeLimit } from "../../src/host/challengeLimit.ts"

const SECOND = 1_000_000

/** How many of 5000 questions in one second are answered with yes. */
const allowed = (limit: number, chance: number, at = 0): number => {
  const challenges = new ChallengeLimit(() => ({ tcpChallengeAckLimit: limit }), { next: () => chance })
  return Array.from({ length: 5000 }, (_, i) => challenges.allows(at + i)).filter(Boolean).length
}

test.each([
  [0, 0, 0],
  [1, 0xffff_ffff, 1],
  [1000, 0, 500],
  [1000, 999, 1499],
  [1000, 1000, 500],
  [0x7fff_ffff, 0, 5000],
])("a limit of %d a second, with a chance of %d: %d in it", (limit, chance, count) => {
  expect(allowed(limit, chance)).toBe(count)
})

test("the next second has its own", () => {
  const challenges = new ChallengeLimit(() => ({ tcpChallengeAckLimit: 1 }), { next: () => 0 })
  const at = [0, SECOND - 1, SECOND, SECOND + 1, 3 * SECOND]
  expect(at.map((now) => challenges.allows(now))).toEqual([true, false, true, false, true])
})
