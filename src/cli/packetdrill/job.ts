import { readFileSync } from "node:fs"
import { defaultRunOptions, type RunOptions } from "../../sim/packetdrill/config.ts"
import { type MutationResult, mutate } from "../../sim/packetdrill/mutation.ts"
import type { Outcome } from "../../sim/packetdrill/report.ts"
import { runScript } from "../../sim/packetdrill/runner.ts"

export const IP_VERSIONS = ["ipv4", "ipv6", "ipv4-mapped-ipv6"] as const
export type IpVersion = (typeof IP_VERSIONS)[number]

/** One run of one script; plain data, for another thread. */
export interface Job {
  readonly path: string
  /** Undefined: the script's own, or packetdrill's default. */
  readonly version: IpVersion | undefined
  readonly mutate: boolean
}

/** What is the same for every job of a command. */
export interface Common {
  readonly profile: RunOptions["profile"]
  readonly ignorePsh: boolean
  readonly strict: boolean
  readonly definitions: ReadonlyArray<readonly [name: string, value: string]>
  readonly flags: ReadonlyArray<readonly [name: string, value: string]>
}

export interface Result extends Job {
  readonly outcome: Outcome
  readonly mutation: MutationResult | undefined
  /** Milliseconds that it took. */
  readonly took: number
}

/** What the public runners give a script over IPv6, so that its MSS is 1460 there too. */
const IPV6_MTU = "1520"

/** Runs a script. `allVersions`: IPv6 gets the MTU with which a script written for IPv4 sees the same segments. */
export const runJob = (job: Job, common: Common): Result => {
  const started = performance.now()
  const given = new Map(common.flags)
  if (job.version !== undefined) {
    given.set("ip_version", job.version)
    if (job.version === "ipv6" && !given.has("mtu")) given.set("mtu", IPV6_MTU)
  }
  const options: RunOptions = {
    ...defaultRunOptions,
    profile: common.profile,
    ignorePsh: common.ignorePsh,
    strict: common.strict,
    definitions: new Map(common.definitions),
    flags: given,
  }
  const source = sourceOf(job.path)
  if (typeof source !== "string") return { ...job, outcome: source, mutation: undefined, took: 0 }
  const outcome = runScript(source, options)
  const mutation = job.mutate ? mutate(source, options) : undefined
  return { ...job, outcome, mutation, took: performance.now() - started }
}

const sourceOf = (path: string): string | Outcome => {
  try {
    return readFileSync(path, "utf8")
  } catch (error) {
    return crashed(error instanceof Error ? error.message : String(error))
  }
}

/** The outcome of a script that could not be run to an end. */
export const crashed = (message: string): Outcome => ({
  _tag: "Failed",
  notes: [],
  failure: {
    at: { line: 1, column: 1 },
    line: "",
    kind: "crash",
    message,
    expected: undefined,
    seen: undefined,
    differences: [],
    before: undefined,
    after: undefined,
    drops: [],
  },
})
