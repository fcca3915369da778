/**
 * What a SYN flood costs, and what it does to others:
 *
 *     bun bench/flood.ts [--quick] [--json] [--only TEXT]
 *
 * `bun run bench flood` prints the same sections with the other benches' headings.
 */
import { parseArgs } from "node:util"
import { floodSections } from "./flood/sections.ts"
import { describeMachine, machine } from "./machine.ts"
import { progressDone } from "./progress.ts"
import { print } from "./report.ts"

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      json: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      only: { type: "string", default: "" },
    },
  })
  const about = machine()
  if (!values.json) console.log(`${describeMachine(about)}\n`)
  const sections = floodSections(values)
  progressDone()
  if (values.json) console.log(JSON.stringify({ at: new Date().toISOString(), machine: about, sections }, undefined, 2))
  else for (const section of sections) console.log(print(section))
}
