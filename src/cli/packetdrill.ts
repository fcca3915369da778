import { readFileSync, writeFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { Args, Command, Options } from "@effect/cli"
import { Effect, Option } from "effect"
import { FLAGS } from "../sim/packetdrill/config.ts"
import { UserError } from "./errors.ts"
import { type Common, IP_VERSIONS, type IpVersion, type Job, type Result } from "./packetdrill/job.ts"
import { junitOf } from "./packetdrill/junit.ts"
import { runAll } from "./packetdrill/pool.ts"
import { findScripts } from "./packetdrill/scripts.ts"
import {
  jsonOf,
  mutationText,
  mutationTotals,
  reasonsText,
  resultText,
  summaryText,
  tally,
} from "./packetdrill/text.ts"

interface PacketdrillOptions {
  readonly workers: number
  readonly json: boolean
  readonly junit: Option.Option<string>
  readonly verbose: boolean
  readonly mutate: boolean
  readonly listUnsupported: boolean
  readonly profile: Common["profile"]
  readonly ignorePsh: boolean
  readonly strict: boolean
  readonly version: Option.Option<IpVersion | "all">
  readonly definitions: ReadonlyArray<readonly [name: string, value: string]>
  readonly flags: Readonly<Record<string, Option.Option<string>>>
  readonly switches: Readonly<Record<string, boolean>>
  readonly scripts: ReadonlyArray<string>
}

/** The share of mutants that a trustworthy runner kills. */
const KILL_RATE = 0.98

const run = (options: PacketdrillOptions) =>
  Effect.gen(function* () {
    const paths = yield* findScripts(options.scripts)
    const jobs = paths.flatMap((path) => jobsOf(path, options))
    const started = performance.now()
    const progress = progressOf(jobs.length)
    const results = yield* runAll(jobs, commonOf(options), { workers: options.workers }, (result) => {
      const text = options.json ? undefined : resultText(result, options.verbose)
      progress(text)
    })
    const seconds = (performance.now() - started) / 1000
    yield* Effect.sync(() => show(results, seconds, options))
    yield* verdict(results, options)
  })

const commonOf = ({ profile, ignorePsh, strict, definitions, flags }: PacketdrillOptions): Common => ({
  profile,
  ignorePsh,
  strict,
  definitions,
  flags: Object.entries(flags).flatMap(([name, value]) => (Option.isSome(value) ? [[name, value.value] as const] : [])),
})

/** A script that says which IP version, or which address, is run with that alone. */
const SETTLED = /--(?:ip_version|local_ip|remote_ip)=/

const jobsOf = (path: string, { version, mutate }: PacketdrillOptions): ReadonlyArray<Job> => {
  const asked = Option.getOrUndefined(version)
  if (asked !== "all") return [{ path, version: asked, mutate }]
  return settled(path)
    ? [{ path, version: undefined, mutate }]
    : IP_VERSIONS.map((one) => ({ path, version: one, mutate }))
}

const settled = (path: string): boolean => {
  try {
    return SETTLED.test(readFileSync(path, "utf8"))
  } catch {
    // The run will say what is wrong with it.
    return true
  }
}

const CLEAR_LINE = "\r\x1b[K"
const TERMINAL_INTERVAL = 100

/** Prints what there is to say of each run, above a line that counts them where a person is looking. */
const progressOf = (total: number): ((text: string | undefined) => void) => {
  const counts = process.stderr.isTTY === true
  let done = 0
  let shown = 0
  return (text) => {
    done++
    if (text !== undefined) console.log(counts ? `${CLEAR_LINE}${text}` : text)
    if (!counts) return
    const now = performance.now()
    if (done < total && text === undefined && now - shown < TERMINAL_INTERVAL) return
    shown = now
    process.stderr.write(done < total ? `${CLEAR_LINE}${done} of ${total}` : CLEAR_LINE)
  }
}

const show = (results: ReadonlyArray<Result>, seconds: number, options: PacketdrillOptions): void => {
  if (Option.isSome(options.junit)) writeFileSync(options.junit.value, junitOf(results, seconds))
  if (options.json) return console.log(jsonOf(results, seconds))
  if (options.mutate) console.log(mutationText(results))
  if (options.listUnsupported && tally(results).unsupported > 0) console.log(reasonsText(results))
  console.log(summaryText(results, seconds))
}

const verdict = (results: ReadonlyArray<Result>, { mutate }: PacketdrillOptions): Effect.Effect<void, UserError> => {
  const { failed } = tally(results)
  if (failed > 0) return Effect.fail(new UserError({ message: `${failed} of ${results.length} runs failed` }))
  const { mutants, survivors } = mutationTotals(results)
  return mutate && survivors > mutants * (1 - KILL_RATE)
    ? Effect.fail(
        new UserError({ message: `more than ${Math.round(100 * (1 - KILL_RATE))} % of the mutants survived` }),
      )
    : Effect.void
}

const named = (kinds: ReadonlyArray<string>, except: ReadonlyArray<string>): ReadonlyArray<string> =>
  Object.keys(FLAGS).filter((name) => kinds.includes(FLAGS[name] ?? "") && !except.includes(name))

/** packetdrill's own flags with a value, as in a script's header; those without effect here are accepted too. */
const flags = Options.all(
  Object.fromEntries(
    named(["value", "ignored"], ["ip_version", "define", "D"]).map((name) => [
      name,
      Options.text(name).pipe(
        Options.withDescription(FLAGS[name] === "value" ? "as packetdrill's" : "as packetdrill's; without effect here"),
        Options.optional,
      ),
    ]),
  ),
)

const switches = Options.all(
  Object.fromEntries(
    named(["ignored-switch"], ["verbose"]).map((name) => [
      name,
      Options.boolean(name).pipe(Options.withDescription("as packetdrill's; without effect here")),
    ]),
  ),
)

const LARGEST_WORKERS = 256

export const command = Command.make(
  "packetdrill",
  {
    workers: Options.integer("workers").pipe(
      Options.withDescription("threads"),
      Options.withDefault(availableParallelism()),
      Options.filterMap(
        (n) => (n >= 1 && n <= LARGEST_WORKERS ? Option.some(n) : Option.none()),
        `--workers: 1 to ${LARGEST_WORKERS}`,
      ),
    ),
    json: Options.boolean("json").pipe(Options.withDescription("one record with all results")),
    junit: Options.text("junit").pipe(
      Options.withDescription("also writes this file, as JUnit's XML"),
      Options.optional,
    ),
    verbose: Options.boolean("verbose").pipe(
      Options.withAlias("v"),
      Options.withDescription("what passed and what is unsupported too"),
    ),
    mutate: Options.boolean("mutate").pipe(
      Options.withDescription("tests the runner: scripts with one expectation made wrong must fail"),
    ),
    listUnsupported: Options.boolean("list-unsupported").pipe(
      Options.withDescription("why scripts are unsupported, most frequent first"),
    ),
    profile: Options.choice("profile", ["linux", "freebsd"]).pipe(
      Options.withDescription("whose wire the stack speaks"),
      Options.withDefault("linux" as const),
    ),
    ignorePsh: Options.boolean("ignore-psh", { aliases: ["ignore_psh"] }).pipe(
      Options.withDescription("does not compare PSH"),
    ),
    strict: Options.boolean("strict").pipe(
      Options.withDescription("packets left over at the end are a failure, which packetdrill allows"),
    ),
    version: Options.choice("ip_version", [...IP_VERSIONS, "all"]).pipe(
      Options.withDescription("all: each script once with each, unless it says which"),
      Options.optional,
    ),
    definitions: Options.text("define").pipe(
      Options.withAlias("D"),
      Options.withDescription("NAME=VALUE for scripts"),
      Options.repeated,
      Options.map((all) => all.map(definitionOf)),
    ),
    flags,
    switches,
    scripts: Args.text({ name: "script" }).pipe(
      Args.withDescription("a script, a directory of them (*.pkt), or a pattern"),
      Args.atLeast(1),
    ),
  },
  run,
).pipe(
  Command.withDescription(
    "Runs packetdrill scripts against the stack in virtual time: no root, no interface, no waiting.",
  ),
)

const definitionOf = (text: string): readonly [string, string] => {
  const at = text.indexOf("=")
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)]
}
