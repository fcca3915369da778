/** Measures the scenarios; `bun test/budget/measure.ts` prints them beside their budgets. */
import { join } from "node:path"
import { figure, table } from "../../bench/table.ts"
import { BUDGETS } from "./budgets.ts"
import { environmentOf, SCENARIOS, type ScenarioName } from "./scenarios.ts"

export const measureScenario = async (name: ScenarioName): Promise<number> => {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "child.ts"), name], {
    env: { ...process.env, ...environmentOf(name) },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  })
  const [printed, status] = await Promise.all([child.stdout.text(), child.exited])
  if (status !== 0) throw new Error(`${name}: status ${status}`)
  return Number(printed)
}

if (import.meta.main) {
  const rows: Array<ReadonlyArray<string>> = []
  for (const name of SCENARIOS) {
    const { octets, per } = BUDGETS[name]
    const measured = await measureScenario(name)
    rows.push([name, per, figure(measured), figure(octets), (measured / octets).toFixed(2)])
  }
  console.log(table(["", "octets per", "measured", "budget", "of it"], rows, 2))
}
