import { parseArgs } from "node:util"
import { isResultName } from "./results.ts"

export const GROUPS = ["micro", "device", "peers", "budget", "flood", "growth", "sim", "wire"] as const
export type Group = (typeof GROUPS)[number]

export interface Arguments {
  readonly groups: ReadonlyArray<Group>
  readonly json: boolean
  readonly quick: boolean
  /** Only cases whose name has this in it. */
  readonly only: string
  /** Where pictures go; empty: none are drawn. */
  readonly svg: string
  /** The page whose tables are written anew; empty: none. */
  readonly page: string
  /** Under what name of bench/results the report is kept; empty: it is not. */
  readonly save: string
  readonly help: boolean
}

export const USAGE = `usage: bun run bench [GROUP ...] [--quick] [--json] [--only TEXT] [--svg DIR] [--page FILE] [--save NAME]
       bun run bench compare A B [--only TEXT]
       bun run bench draw A [--svg DIR] [--page FILE]

  Groups, without one all of them:
  micro    codecs, reducers and the host without I/O; no privilege
  device   frames through every device, and what the loop costs others; in a network namespace of the bench's own
  peers    echo, bulk data, connections and memory beside the kernel, lwIP and gVisor, each over its own TAP
  budget   where each microsecond of a segment, a request and a connection goes; over a TAP of the bench's own
  flood    SYNs: what they cost, and what a flood of them does to others; virtual time, no privilege
  growth   time and memory by the number of connections, timers, half-open requests, segments out of order
  sim      throughput by loss, round trip and buffer, fairness, short transfers; virtual time, no privilege
  wire     Linux's and our own sender over the same lossy wire in real time; two network namespaces of the bench's own

  compare  ratios of two reports, B to A: names in bench/results, or files that --json made
  draw     the pictures of a report that was kept

  --only TEXT  those whose name has TEXT in it
  --svg DIR    pictures of device, peers and growth
  --page FILE  writes the tables of budget, micro and growth into a page that has places for them, as docs/speed.md
  --save NAME  keeps the report as bench/results/NAME.json`

const isGroup = (word: string): word is Group => GROUPS.some((group) => group === word)

/** Throws an Error with one line for the person who typed it. */
export const readArguments = (argv: ReadonlyArray<string>): Arguments => {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      only: { type: "string", default: "" },
      svg: { type: "string", default: "" },
      page: { type: "string", default: "" },
      save: { type: "string", default: "" },
      help: { type: "boolean", short: "h", default: false },
    },
  })
  const unknown = positionals.find((word) => !isGroup(word))
  if (unknown !== undefined) throw new Error(`"${unknown}" is none of ${GROUPS.join(", ")}`)
  if (values.save !== "" && !isResultName(values.save)) throw new Error(`"${values.save}" is no name of a result`)
  const groups = positionals.filter(isGroup)
  return { ...values, groups: groups.length === 0 ? GROUPS : groups }
}

/** What can be asked of reports that were kept. */
export type Kept =
  | { readonly _tag: "Compare"; readonly before: string; readonly after: string; readonly only: string }
  | { readonly _tag: "Draw"; readonly result: string; readonly svg: string; readonly page: string }

/** The words after `compare` or `draw`; undefined where `argv` asks for neither. Throws as `readArguments` does. */
export const readKept = ([command, ...words]: ReadonlyArray<string>): Kept | undefined => {
  if (command !== "compare" && command !== "draw") return undefined
  const { values, positionals } = parseArgs({
    args: words,
    allowPositionals: true,
    options: {
      only: { type: "string", default: "" },
      svg: { type: "string", default: "" },
      page: { type: "string", default: "" },
    },
  })
  const [first, second, ...rest] = positionals
  if (command === "compare") {
    if (first === undefined || second === undefined || rest.length > 0) throw new Error("compare takes two results")
    return { _tag: "Compare", before: first, after: second, only: values.only }
  }
  if (first === undefined || second !== undefined || (values.svg === "" && values.page === "")) {
    throw new Error("draw takes one result, and --svg a directory or --page a file")
  }
  return { _tag: "Draw", result: first, svg: values.svg, page: values.page }
}
