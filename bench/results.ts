import { existsSync, mkdirSync } from "node:fs"
import { join } from "node:path"
import type { Report } from "./report.ts"

/** Reports that are kept, one a release: bench/results/NAME.json. */
const DIRECTORY = join(import.meta.dir, "results")

export const isResultName = (name: string): boolean => /^[A-Za-z0-9][\w.+-]*$/.test(name)

const pathOf = (name: string): string => join(DIRECTORY, `${name}.json`)

export const isKept = (name: string): boolean => existsSync(pathOf(name))

/** Says where it is. */
export const saveReport = async (name: string, report: Report): Promise<string> => {
  mkdirSync(DIRECTORY, { recursive: true })
  const path = pathOf(name)
  await Bun.write(path, `${JSON.stringify(report, undefined, 2)}\n`)
  return path
}

/** A report by its name, or by the path of what `--json` printed. Throws an Error with one line for the person who typed it. */
export const loadReport = async (nameOrPath: string): Promise<Report> => {
  const kept = pathOf(nameOrPath)
  const path = isResultName(nameOrPath) && existsSync(kept) ? kept : nameOrPath
  if (!existsSync(path)) throw new Error(`neither ${kept} nor ${nameOrPath} is there`)
  return reportOf(await Bun.file(path).text(), path)
}

const reportOf = (text: string, path: string): Report => {
  try {
    const report: unknown = JSON.parse(text)
    if (isReport(report)) return report
  } catch (cause) {
    throw new Error(`${path} is no JSON: ${cause instanceof Error ? cause.message : String(cause)}`)
  }
  throw new Error(`${path} is no report of the bench`)
}

/** By its frame: what stands in the sections only the bench writes. */
const isReport = (value: unknown): value is Report =>
  typeof value === "object" &&
  value !== null &&
  "at" in value &&
  "machine" in value &&
  "sections" in value &&
  Array.isArray(value.sections)
