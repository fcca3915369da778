import { parseArgs } from "node:util"

export const GROUPS = ["micro", "device", "peers", "flood", "sim"] as const
export type Group = (typeof GROUPS)[number]

export interface Arguments {
  readonly groups: ReadonlyArray<Group>
  readonly json: boolean
  readonly quick: boolean
  /** Only cases whose name has this in it. */
  readonly only: string
  /** Where the devices' picture goes; empty: nowhere. */
  readonly svg: string
  readonly help: boolean
}

export const USAGE = `usage: bun run bench [micro] [device] [peers] [flood] [sim] [--quick] [--json] [--only TEXT]
       [--svg FILE]

  micro   codecs, reducers and the host without I/O; no privilege
  device  frames through every device, and what the loop costs others; in a network namespace of the bench's own
          --svg FILE: its rates over frame sizes as a picture
  peers   echo, bulk data, connections and memory beside the kernel, lwIP and gVisor, each over its own TAP
  flood   SYNs: what they cost, and what a flood of them does to others; virtual time, no privilege
  sim     throughput by loss, round trip and buffer, fairness, short transfers; virtual time, no privilege
  Without a group: all five.`

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
      help: { type: "boolean", short: "h", default: false },
    },
  })
  const unknown = positionals.find((word) => !isGroup(word))
  if (unknown !== undefined) throw new Error(`"${unknown}" is none of ${GROUPS.join(", ")}`)
  const groups = positionals.filter(isGroup)
  return { ...values, groups: groups.length === 0 ? GROUPS : groups }
}
