import { Args, Command, Options } from "@effect/cli"
import { Effect } from "effect"
import type { ProcessView } from "../net/ControlSocket.ts"
import type { Counters } from "../net/Inspect.ts"
import { ask, type Which, which } from "./controlAsk.ts"
import { history, remember } from "./nstatHistory.ts"

interface NstatOptions extends Which {
  readonly absolute: boolean
  readonly zeros: boolean
  readonly noUpdate: boolean
  readonly reset: boolean
  readonly json: boolean
  readonly patterns: ReadonlyArray<string>
}

/** Counters under nstat's names. */
export type Flat = Readonly<Record<string, number>>

/** A state, not a count: its increments mean nothing (nstat leaves it out too). */
const GAUGES = ["TcpCurrEstab"]

export const flatten = (counters: Counters): Flat =>
  Object.fromEntries(
    Object.entries(counters)
      .flatMap(([group, values]) =>
        Object.entries(values).map(
          ([name, value]) => [group === "Drop" ? `Drop:${name}` : `${group}${name}`, value] as const,
        ),
      )
      .filter(([name]) => !GAUGES.includes(name)),
  )

/** What has been counted since; a counter that went back is another process's, and begins anew. */
export const since = (now: Flat, before: Flat): Flat =>
  Object.fromEntries(
    Object.entries(now).map(([name, value]) => {
      const old = before[name] ?? 0
      return [name, value >= old ? value - old : value]
    }),
  )

const NAME_WIDTH = 32
const VALUE_WIDTH = 16

/** nstat's line; the rate is its daemon's business, and there is none. */
export const line = (name: string, value: number): string =>
  `${name.padEnd(NAME_WIDTH - 1)} ${String(value).padEnd(VALUE_WIDTH - 1)}    0.0`

interface View {
  readonly pid: number
  readonly process: string
  readonly stack: string
  readonly counters: Flat
}

const viewsOf = (view: ProcessView, options: NstatOptions): ReadonlyArray<View> => {
  const before = options.absolute || options.reset ? {} : history(view.path)
  const globs = options.patterns.map((pattern) => new Bun.Glob(pattern))
  const now = Object.fromEntries(
    view.stacks.map(({ name, counters }) => [name, counters === undefined ? {} : flatten(counters)]),
  )
  if (!options.noUpdate) remember(view.path, now)
  return Object.entries(now).map(([stack, all]) => ({
    pid: view.pid,
    process: view.name,
    stack,
    counters: Object.fromEntries(
      Object.entries(since(all, before[stack] ?? {})).filter(
        ([name, value]) =>
          (options.zeros || value !== 0) && (globs.length === 0 || globs.some((glob) => glob.match(name))),
      ),
    ),
  }))
}

const run = (options: NstatOptions) =>
  Effect.gen(function* () {
    const processes = yield* ask(options, { ask: "counters" })
    yield* Effect.sync(() => {
      const views = processes.flatMap((view) => viewsOf(view, options))
      if (options.json) return console.log(JSON.stringify(views))
      for (const { pid, process, stack, counters } of views) {
        console.log(`#${process} pid=${pid} stack=${stack}`)
        for (const [name, value] of Object.entries(counters)) console.log(line(name, value))
      }
    })
  })

const flag = (name: string, alias: string, description: string) =>
  Options.boolean(name).pipe(Options.withAlias(alias), Options.withDescription(description))

export const command = Command.make(
  "nstat",
  {
    absolute: flag("absolute", "a", "since the process began, not since the last nstat"),
    zeros: flag("zeros", "z", "counters that are 0 too"),
    noUpdate: flag("noupdate", "s", "do not remember these as the last ones"),
    reset: flag("reset", "r", "forget the last ones"),
    json: Options.boolean("json").pipe(Options.withDescription("an array of records")),
    ...which,
    patterns: Args.text({ name: "pattern" }).pipe(
      Args.withDescription("names of counters, as TcpExtListen*"),
      Args.repeated,
    ),
  },
  run,
).pipe(Command.withDescription("The counters of running netfold processes, as nstat(8) shows the kernel's."))
