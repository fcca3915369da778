import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { plot } from "./device/plot.ts"
import { DEVICES } from "./device/sections.ts"
import { drawGrowth } from "./growth/draw.ts"
import { describeMachine } from "./machine.ts"
import { drawPeers } from "./peers/chart.ts"
import type { Report } from "./report.ts"

export interface Picture {
  /** Of the file, without its ending. */
  readonly name: string
  readonly svg: string
}

/** All pictures that a report has the numbers for. */
export const picturesOf = (report: Report): ReadonlyArray<Picture> => [
  ...drawDevices(report),
  ...drawPeers(report),
  ...drawGrowth(report.sections.filter(({ title }) => title !== DEVICES)),
]

const drawDevices = ({ machine, sections }: Report): ReadonlyArray<Picture> => {
  const costs = sections.filter(({ title }) => title === DEVICES).flatMap(({ costs = [] }) => costs)
  return costs.length === 0 ? [] : [{ name: "devices", svg: plot(costs, describeMachine(machine)) }]
}

/** Says which files it has written. */
export const writePictures = async (directory: string, report: Report): Promise<ReadonlyArray<string>> => {
  const pictures = picturesOf(report)
  if (pictures.length > 0) mkdirSync(directory, { recursive: true })
  return Promise.all(
    pictures.map(async ({ name, svg }) => {
      const path = join(directory, `${name}.svg`)
      await Bun.write(path, svg)
      return path
    }),
  )
}
