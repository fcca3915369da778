import { expect, test } from "bun:test"
import { Effect } from "effect"
import type { Common, Result } from "../../src/cli/packetdrill/job.ts"
import { runAll } from "../../src/cli/packetdrill/pool.ts"

const COMMON: Common = { profile: "linux", ignorePsh: false, strict: false, definitions: [], flags: [] }
const module = new URL("./packetdrillWorker.ts", import.meta.url)

const run = (paths: ReadonlyArray<string>, workers: number): Promise<ReadonlyArray<Result>> =>
  Effect.runPromise(
    runAll(
      paths.map((path) => ({ path, version: undefined, mutate: false })),
      COMMON,
      { workers, limitSeconds: 0.5, module },
      () => {},
    ),
  )

const resultsOf = (results: ReadonlyArray<Result>): ReadonlyArray<string> =>
  results.map(({ path, outcome }) =>
    outcome._tag === "Failed" ? `${path}: ${outcome.failure.message}` : `${path}: ${outcome._tag}`,
  )

test("a script that kills its worker fails, and no other does", async () => {
  expect(resultsOf(await run(["a", "die", "b", "c"], 1))).toEqual([
    "a: Passed",
    expect.stringContaining("die: the worker died"),
    "b: Passed",
    "c: Passed",
  ])
})

test("a script that does not end fails after a while, and no other does", async () => {
  expect(resultsOf(await run(["a", "hang", "b"], 2))).toEqual([
    "a: Passed",
    "hang: not finished within 0.5 seconds",
    "b: Passed",
  ])
})

test("workers that all die are given up", async () => {
  const results = await run(new Array(1000).fill("die"), 2)
  expect(results.length).toBe(1000)
  expect(results.every(({ outcome }) => outcome._tag === "Failed")).toBe(true)
})

test("no jobs, no results", async () => {
  expect(await run([], 2)).toEqual([])
})
