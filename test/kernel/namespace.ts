/**
 * Tests that need a real kernel at the other end run in a network namespace of their own.
 *
 * A test file calls `kernelSuite(title, import.meta.path, (test) => { test("case", async () => {...}) })`.
 * The file is then run twice. The outer run (`bun test`) registers every case by name, starts
 * `unshare ... bun test FILE` once, and reports for each case what became of it in there. The inner run, which
 * knows itself by NETFOLD_NS_REPORT, is the one that executes the bodies. A suite that mostly waits may ask for a
 * namespace of its own, beside the others'. So the report reads like any
 * other's, a case can be selected by name, and nothing ever touches the machine's own network.
 *
 * Where namespaces are forbidden, every case is skipped and the suite's name says why.
 */
import { beforeAll, test as bunTest, describe } from "bun:test"
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { bringUpLoopback, enterCommand, whyForbidden } from "../../ffi/namespace.ts"

/** Registers a case; `timeoutMillis` (default 30 s) bounds its body. */
export type KernelTest = (name: string, body: () => void | Promise<void>, timeoutMillis?: number) => void

/** The file to which the inner run appends one JSON line per finished case. */
const REPORT = "NETFOLD_NS_REPORT"
/** The title of the suite that an inner run is for; absent: all those that do not stand apart. */
const ONLY = "NETFOLD_NS_ONLY"

export interface SuiteOptions {
  /** Run in a namespace of its own, at the same time as the file's other suites: it waits more than it works. */
  readonly apart?: boolean
}

interface Outcome {
  readonly suite: string
  readonly name: string
  /** Absent when the case passed. */
  readonly failure?: string
}

/** Against hanging only: on a machine with other things to do, a case may take long. */
const CASE_MILLIS = 30_000
const SUITE_MILLIS = 300_000

export const kernelSuite = (
  title: string,
  file: string,
  define: (test: KernelTest) => void,
  { apart = false }: SuiteOptions = {},
): void => {
  const report = process.env[REPORT]
  if (report !== undefined) {
    const only = process.env[ONLY]
    if (only === undefined ? !apart : only === title) inner(title, report, define)
    return
  }
  const forbidden = whyForbidden()
  if (forbidden === undefined) outer(title, file, define, apart)
  else describe.skip(`${title} (skipped: ${forbidden})`, () => define((name) => bunTest(name, () => {})))
}

const inner = (title: string, report: string, define: (test: KernelTest) => void): void => {
  const say = (outcome: Outcome) => appendFileSync(report, `${JSON.stringify(outcome)}\n`)
  describe(title, () => {
    beforeAll(bringUpLoopback)
    define((name, body, timeoutMillis = CASE_MILLIS) =>
      bunTest(
        name,
        async () => {
          try {
            await body()
            say({ suite: title, name })
          } catch (cause) {
            say({
              suite: title,
              name,
              failure: Bun.inspect(cause),
            })
            throw cause
          }
        },
        timeoutMillis,
      ))
  })
}

const outer = (title: string, file: string, define: (test: KernelTest) => void, apart: boolean): void => {
  if (apart) standingApart.set(file, [...(standingApart.get(file) ?? []), title])
  describe(title, () => {
    let run: Run | undefined
    let patience = 0
    define((name, _body, timeoutMillis = CASE_MILLIS) => {
      patience += timeoutMillis
      bunTest(name, () => {
        const outcome = run?.outcomes.find((each) => each.suite === title && each.name === name)
        if (outcome === undefined) throw new Error(`never finished in the namespace:\n${run?.output ?? ""}`)
        if (outcome.failure !== undefined) throw new Error(`in the namespace: ${outcome.failure}`)
      })
    })
    beforeAll(
      async () => {
        run = await insideOf(file, apart ? title : undefined)
      },
      Math.max(SUITE_MILLIS, patience),
    )
  })
}

interface Run {
  readonly outcomes: ReadonlyArray<Outcome>
  readonly output: string
}

/** Of each file, the suites with a run of their own. */
const standingApart = new Map<string, ReadonlyArray<string>>()
const runs = new Map<string, ReadonlyMap<string | undefined, Promise<Run>>>()

/** One run for a file, however many suites it has, and one for each that stands apart; all begin with the first. */
const insideOf = async (file: string, only: string | undefined): Promise<Run> => {
  const started =
    runs.get(file) ??
    new Map([undefined, ...(standingApart.get(file) ?? [])].map((title) => [title, start(file, title)]))
  runs.set(file, started)
  const run = await started.get(only)
  if (run === undefined) throw new Error(`no run for ${only ?? file}`)
  return run
}

const start = async (file: string, only: string | undefined): Promise<Run> => {
  const directory = mkdtempSync(join(tmpdir(), "netfold-kernel-"))
  const report = join(directory, "report")
  appendFileSync(report, "")
  try {
    const child = Bun.spawn(enterCommand([process.execPath, "test", file]), {
      env: { ...process.env, [REPORT]: report, ...(only === undefined ? {} : { [ONLY]: only }) },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    })
    const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
    const lines = readFileSync(report, "utf8").split("\n").filter(Boolean)
    return { outcomes: lines.map((line): Outcome => JSON.parse(line)), output: `${out}${err}` }
  } finally {
    rmSync(directory, { recursive: true })
  }
}
