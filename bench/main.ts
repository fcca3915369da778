/** `bun run bench`: see arguments.ts for what can be asked, report.ts for what comes out. */
import { type Arguments, type Group, type Kept, readArguments, readKept, USAGE } from "./arguments.ts"
import { budgetSections } from "./budget/sections.ts"
import { compare } from "./compare.ts"
import { deviceSections } from "./device/sections.ts"
import { floodSections } from "./flood/sections.ts"
import { growthSections } from "./growth/sections.ts"
import { describeMachine, machine, stolenTicks } from "./machine.ts"
import { microSections } from "./micro/sections.ts"
import { writePage } from "./page.ts"
import { peerSections } from "./peers/sections.ts"
import { writePictures } from "./pictures.ts"
import { progressDone } from "./progress.ts"
import { print, type Report, type Section } from "./report.ts"
import { loadReport, saveReport } from "./results.ts"
import { simSections } from "./sim/sections.ts"
import { wireSections } from "./wire/sections.ts"

const MEASURE: Readonly<Record<Group, (given: Arguments) => Promise<ReadonlyArray<Section>>>> = {
  micro: async (given) => microSections(given),
  device: deviceSections,
  peers: peerSections,
  budget: budgetSections,
  flood: async (given) => floodSections(given),
  growth: growthSections,
  sim: async (given) => simSections(given),
  wire: wireSections,
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
  const after = stolenTicks()
  const stolen = (100 * (after.stolen - before.stolen)) / Math.max(1, after.total - before.total)
  const report: Report = {
    at: new Date().toISOString(),
    machine: about,
    stolen,
    sections,
  }
  if (given.json) console.log(JSON.stringify(report, undefined, 2))
  else console.log(`The hypervisor took ${stolen.toFixed(1)}% of the time meanwhile.`)
  // Standard output is the report's. What was measured for minutes is kept before a page may refuse it.
  if (given.save !== "") console.error(`bench: ${await saveReport(given.save, report)}`)
  for (const file of await publish(given, report)) console.error(`bench: ${file}`)
}

/** Pictures and tables; says which files they are in. */
const publish = async (to: { readonly svg: string; readonly page: string }, report: Report) => {
  const files: Array<string> = []
  if (to.svg !== "") files.push(...(await writePictures(to.svg, report)))
  if (to.page !== "") {
    await writePage(to.page, report)
    files.push(to.page)
  }
  return files
}

const ofKept = async (kept: Kept): Promise<void> => {
  switch (kept._tag) {
    case "Compare":
      return console.log(compare(await loadReport(kept.before), await loadReport(kept.after), kept.only))
    case "Draw": {
      const files = await publish(kept, await loadReport(kept.result))
      if (files.length === 0) throw new Error(`${kept.result} has nothing to draw`)
      for (const file of files) console.error(`bench: ${file}`)
    }
  }
}

try {
  const argv = process.argv.slice(2)
  const kept = readKept(argv)
  if (kept !== undefined) await ofKept(kept)
  else {
    const given = readArguments(argv)
    if (given.help) console.log(USAGE)
    else await run(given)
  }
} catch (cause) {
  progressDone()
  console.error(`bench: ${cause instanceof Error ? cause.message : String(cause)}`)
  process.exitCode = 1
}
