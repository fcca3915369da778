import { Args, Command, HelpDoc, Options } from "@effect/cli"
import { Effect, Either } from "effect"
import type { ProcessView } from "../net/ControlSocket.ts"
import type { Protocol } from "../net/Inspect.ts"
import { ask, type Which, which } from "./controlAsk.ts"
import { ALL, CONNECTED, LISTENING, parseFilter } from "./ssFilter.ts"
import { type OwnedRow, summaryText, table } from "./ssText.ts"

interface SsOptions extends Which {
  readonly all: boolean
  readonly listening: boolean
  readonly info: boolean
  readonly timers: boolean
  readonly processes: boolean
  readonly summary: boolean
  readonly noHeader: boolean
  readonly tcp: boolean
  readonly udp: boolean
  readonly json: boolean
  readonly filter: ReadonlyArray<string>
}

const flag = (name: string, alias: string, description: string) =>
  Options.boolean(name).pipe(Options.withAlias(alias), Options.withDescription(description))

const run = (options: SsOptions) => (options.summary ? summarize(options) : list(options))

const list = (options: SsOptions) =>
  Effect.gen(function* () {
    const { states, accepts } = Either.getOrThrow(parsed(options))
    const protocols = protocolsOf(options)
    const processes = yield* ask(options, { ask: "sockets", states: [...states], protocols: [...protocols] })
    const rows = processes.flatMap(rowsOf).filter(({ row }) => accepts(row))
    yield* Effect.sync(() => {
      if (options.json) {
        console.log(JSON.stringify(rows.map(({ pid, process, stack, row }) => ({ pid, process, stack, ...row }))))
        return
      }
      const lines = table(rows, {
        protocols: protocols.length > 1,
        states: states.size !== 1,
        header: !options.noHeader,
        processes: options.processes || processes.length > 1,
        timers: options.timers,
        info: options.info,
      })
      if (lines.length > 0) console.log(lines.join("\n"))
    })
  })

/** TCP where nothing is said. */
const protocolsOf = ({ tcp, udp }: Pick<SsOptions, "tcp" | "udp">): ReadonlyArray<Protocol> => [
  ...(tcp || !udp ? (["tcp"] as const) : []),
  ...(udp ? (["udp"] as const) : []),
]

const parsed = ({ filter, all, listening }: Pick<SsOptions, "filter" | "all" | "listening">) =>
  parseFilter(filter, all ? ALL : listening ? LISTENING : CONNECTED)

const rowsOf = ({ pid, name, stacks }: ProcessView): ReadonlyArray<OwnedRow> =>
  stacks.flatMap((stack) => stack.sockets.map((row) => ({ pid, process: name, stack: stack.name, row })))

const summarize = (options: SsOptions) =>
  Effect.gen(function* () {
    const processes = yield* ask(options, { ask: "summary" })
    yield* Effect.sync(() => {
      if (options.json) {
        const all = processes.flatMap(({ pid, name, stacks }) =>
          stacks.map((stack) => ({ pid, process: name, stack: stack.name, ...stack.summary })),
        )
        return console.log(JSON.stringify(all))
      }
      for (const { pid, name, stacks } of processes) {
        if (processes.length > 1) console.log(`${name}, pid ${pid}`)
        const all = stacks.flatMap(({ summary }) => (summary === undefined ? [] : [summary]))
        console.log(`${summaryText(all).join("\n")}\n`)
      }
    })
  })

const filter = Args.text({ name: "filter" }).pipe(
  Args.withDescription("state NAME, exclude NAME, sport = :PORT, dport, src ADDRESS, dst, and, or, not, ( )"),
  Args.repeated,
  Args.mapEffect((words) =>
    Either.match(parseFilter(words, ALL), {
      onLeft: (problem) => Effect.fail(HelpDoc.p(problem)),
      onRight: () => Effect.succeed(words),
    }),
  ),
)

export const command = Command.make(
  "ss",
  {
    all: flag("all", "a", "listeners, half-open requests and TIME-WAIT too"),
    listening: flag("listening", "l", "listeners only"),
    info: flag("info", "i", "TCP's own view of each"),
    timers: flag("options", "o", "the timer that runs"),
    processes: flag("processes", "p", "whose each is; always shown where there are several processes"),
    summary: flag("summary", "s", "numbers only"),
    noHeader: flag("no-header", "H", "no first line"),
    tcp: flag("tcp", "t", "TCP, as it is without this and without -u"),
    udp: flag("udp", "u", "UDP; with -t both"),
    numeric: flag("numeric", "n", "numbers, not names, which is how it always is"),
    json: Options.boolean("json").pipe(Options.withDescription("an array of records")),
    ...which,
    filter,
  },
  run,
).pipe(Command.withDescription("The sockets of running netfold processes, as ss(8) shows the kernel's."))
