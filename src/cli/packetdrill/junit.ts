import { formatFailure } from "../../sim/packetdrill/report.ts"
import type { Result } from "./job.ts"
import { nameOf, tally } from "./text.ts"

/** Results as JUnit's XML: a test case for each run, what is unsupported being skipped. */
export const junitOf = (results: ReadonlyArray<Result>, seconds: number): string => {
  const { failed, unsupported } = tally(results)
  const counts = `tests="${results.length}" failures="${failed}" errors="0" skipped="${unsupported}"`
  const attributes = `${counts} time="${seconds.toFixed(3)}"`
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${attributes}>`,
    `  <testsuite name="packetdrill" ${attributes}>`,
    ...results.map(testCase),
    "  </testsuite>",
    "</testsuites>",
    "",
  ].join("\n")
}

const testCase = (result: Result): string => {
  const { outcome, took, path } = result
  const head = `    <testcase classname="${xml(path)}" name="${xml(nameOf(result))}" time="${(took / 1000).toFixed(6)}"`
  switch (outcome._tag) {
    case "Passed":
      return `${head}/>`
    case "Unsupported":
      return `${head}><skipped message="${xml(outcome.what)}"/></testcase>`
    case "Failed": {
      const { failure } = outcome
      const text = xml(formatFailure(nameOf(result), failure))
      return `${head}><failure type="${failure.kind}" message="${xml(failure.message)}">${text}</failure></testcase>`
    }
  }
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" }

/** Also without the control characters that XML does not allow. */
const xml = (text: string): string =>
  [...text]
    .filter((c) => c >= " " || c === "\n" || c === "\t")
    .map((c) => ENTITIES[c] ?? c)
    .join("")
