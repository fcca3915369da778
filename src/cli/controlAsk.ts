import { Options } from "@effect/cli"
import { Effect, Option } from "effect"
import * as ControlSocket from "../net/ControlSocket.ts"
import { UserError } from "./errors.ts"

/** Which processes are asked. */
export interface Which {
  readonly pid: Option.Option<number>
  readonly name: Option.Option<string>
}

export const which = {
  pid: Options.integer("pid").pipe(Options.withDescription("only this process"), Options.optional),
  name: Options.text("name").pipe(
    Options.withDescription("only processes of this name, as echo or http"),
    Options.optional,
  ),
}

/**
 * Asks the netfold processes of this user, or those that are meant. Those that do not answer get a
 * line on standard error; the command fails where nobody does.
 */
export const ask = (
  { pid, name }: Which,
  request: Omit<ControlSocket.Request, "netfold">,
): Effect.Effect<ReadonlyArray<ControlSocket.ProcessView>, UserError> =>
  Effect.gen(function* () {
    const asked = yield* ControlSocket.askAll(request, (file) => Option.getOrElse(pid, () => file.pid) === file.pid)
    const processes = asked.processes.filter((each) => Option.getOrElse(name, () => each.name) === each.name)
    if (processes.length === 0 && asked.silent.length > 0) {
      return yield* new UserError({ message: asked.silent.map(({ message }) => message).join("; ") })
    }
    if (processes.length === 0) return yield* new UserError({ message: nobody({ pid, name }) })
    yield* Effect.sync(() => {
      for (const { message } of asked.silent) console.error(`netfold: ${message}`)
    })
    return processes
  })

const nobody = ({ pid, name }: Which): string => {
  const wanted = [
    ...Option.toArray(Option.map(pid, (value) => ` with pid ${value}`)),
    ...Option.toArray(Option.map(name, (value) => ` of the name ${value}`)),
  ].join("")
  return `no netfold process${wanted} runs here (looked for control sockets in ${ControlSocket.directories().join(", ")})`
}
