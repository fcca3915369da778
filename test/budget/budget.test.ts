import { expect, test } from "bun:test"
import { BUDGETS, SLACK } from "./budgets.ts"
import { measureScenario } from "./measure.ts"
import { SCENARIOS } from "./scenarios.ts"

/** Long enough for a busy machine; nothing here depends on time. */
const MILLIS = 120_000

for (const name of SCENARIOS) {
  const { octets, per } = BUDGETS[name]
  test(
    `${name}: ${octets} octets of heap per ${per}, and ${SLACK} times that at most`,
    async () => {
      const measured = await measureScenario(name)
      expect(measured).toBeLessThanOrEqual(octets * SLACK)
      // Else the measurement is broken, or the budget is to be lowered.
      expect(measured).toBeGreaterThan(octets / 2)
    },
    MILLIS,
  )
}
