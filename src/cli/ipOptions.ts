import { Args, HelpDoc, Options } from "@effect/cli"
import { Effect } from "effect"
import type { ProcessView, Request, StackView } from "../net/ControlSocket.ts"
import { ask, type Which, which } from "./controlAsk.ts"
import { UserError } from "./errors.ts"
import { type Shown, shownBy } from "./ipWords.ts"

/** Both where neither or both are asked for. */
export interface Families {
  readonly ipv4: boolean
  readonly ipv6: boolean
}

export interface IpOptions extends Which, Families {
  readonly json: boolean
  readonly words: ReadonlyArray<string>
}

const flag = (name: string, alias: string, description: string) =>
  Options.boolean(name).pipe(Options.withAlias(alias), Options.withDescription(description))

export const ipOptions = {
  ipv4: flag("ipv4", "4", "IPv4 only"),
  ipv6: flag("ipv6", "6", "IPv6 only"),
  json: flag("json", "j", "an array of records, with the field names of ip(8) and whose each is"),
  ...which,
}

export const showing = (...keys: Parameters<typeof shownBy>[1]) =>
  Args.text({ name: "word" }).pipe(
    Args.withDescription(`[show] ${keys.join(", ")}`),
    Args.repeated,
    Args.mapEffect((words) => {
      const shown = shownBy(words, keys)
      return typeof shown === "string" ? Effect.fail(HelpDoc.p(shown)) : Effect.succeed(words)
    }),
  )

/** What there is to show, of one stack. */
export interface Owned<A> {
  readonly view: ProcessView
  readonly stack: StackView
  readonly rows: ReadonlyArray<A>
}

/** Asks the processes that are meant, and fails where a device was named that none of their stacks has. */
export const asked = <A>(
  options: IpOptions,
  keys: Parameters<typeof shownBy>[1],
  request: Request["ask"],
  rowsOf: (stack: StackView, shown: Shown) => ReadonlyArray<A>,
) =>
  Effect.gen(function* () {
    const shown = shownBy(options.words, keys)
    if (typeof shown === "string") return yield* new UserError({ message: shown })
    const processes = yield* ask(options, { ask: request })
    const stacks = processes.flatMap((view) => view.stacks.map((stack) => ({ view, stack })))
    if (shown.dev !== undefined) {
      // Routes and neighbours may be none: only the interfaces say which devices there are.
      const known = yield* ask(options, { ask: "interfaces" })
      const names = known.flatMap((view) => view.stacks.flatMap(({ interfaces }) => interfaces.map(({ name }) => name)))
      if (!names.includes(shown.dev)) {
        return yield* new UserError({ message: `device "${shown.dev}" does not exist: there are ${names.join(", ")}` })
      }
    }
    return { shown, owned: stacks.map(({ view, stack }): Owned<A> => ({ view, stack, rows: rowsOf(stack, shown) })) }
  })

/** The rows as records, or as text below their stack's name where there are several. */
export const print = <A>(
  { json }: Pick<IpOptions, "json">,
  owned: ReadonlyArray<Owned<A>>,
  record: (row: A) => object,
  text: (row: A) => ReadonlyArray<string>,
): Effect.Effect<void> =>
  Effect.sync(() => {
    if (json) {
      const all = owned.flatMap(({ view, stack, rows }) =>
        rows.map((row) => ({ pid: view.pid, process: view.name, stack: stack.name, ...record(row) })),
      )
      console.log(JSON.stringify(all))
      return
    }
    for (const { view, stack, rows } of owned) {
      if (rows.length === 0) continue
      if (owned.length > 1) console.log(`#${view.name} pid=${view.pid} stack=${stack.name}`)
      console.log(rows.flatMap(text).join("\n"))
    }
  })

/** Of the families that were asked for. */
export const isWanted = ({ ipv4, ipv6 }: Families, family: 4 | 6): boolean =>
  ipv4 === ipv6 || (family === 4 ? ipv4 : ipv6)
