/** `bun run bench`: see arguments.ts for what can be asked, report.ts for what comes out. */
import { type Arguments, type Group, readArguments, USAGE } from "./arguments.ts"
import { plot } from "./device/plot.ts"
import { deviceSections } from "./device/sections.ts"
import { floodSections } from "./flood/sections.ts"
import { describeMachine, machine, stolenTicks } from "./machine.ts"
import { microSections } from "./micro/sections.ts"
import { peerSections } from "./peers/sections.ts"
import { progressDone } from "./progress.ts"
import { print, type Report, type Section } from "./report.ts"
import { simSections } from "./sim/sections.ts"

const MEASURE: Readonly<Record<Group, (given: Arguments) => Promise<ReadonlyArray<Section>>>> = {
  micro: async (given) => microSections(given),
  device: deviceSections,
  peers: peerSections,
  flood: async (given) => floodSections(given),
  sim: async (given) => simSections(given),
}

const run = async (given: Arguments): Promise<void> => {
  const about = machine()
  const before = stolenTicks()
  if (!given.json) console.log(`${describeMachine(about)}\nSpread: 10th and 90th percentile of the samples.\n`)
  const sections: Array<Section> = []
  for (const group of given.groups) {
    const measured = await MEASURE[group](given)
    progressDone()
    sections.push(...measured)
    if (!given.json) for (const section of measured) console.log(print(section))
  }
  if (given.svg !== "") {
    const costs = sections.flatMap((section) => section.costs ?? [])
    await Bun.write(given.svg, plot(costs, describeMachine(about)))
  }
  const after = stolenTicks()
  const stolen = (100 * (after.stolen - before.stolen)) / Math.max(1, after.total - before.total)
  const report: Report & { readonly stolen: number } = {
    at: new Date().toISOString(),
    machine: about,
    stolen,
    sections,
  }
  if (given.json) console.log(JSON.stringify(report, undefined, 2))
  else console.log(`The hypervisor took ${stolen.toFixed(1)}% of the time meanwhile.`)
}

try {
  const given = readArguments(process.argv.slice(2))
  if (given.help) console.log(USAGE)
  else await run(given)
} catch (cause) {
  progressDone()
  console.error(`bench: ${cause instanceof Error ? cause.message : String(cause)}`)
  process.exitCode = 1
}
