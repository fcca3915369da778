import { readFileSync, renameSync, writeFileSync } from "node:fs"
import { Option, Schema } from "effect"

/** The last counters that were shown of a process, by stack: beside its control socket, in the user's own directory. */
const History = Schema.Record({
  key: Schema.String,
  value: Schema.Record({ key: Schema.String, value: Schema.Number }),
})
export type History = typeof History.Type

const decode = Schema.decodeUnknownOption(Schema.parseJson(History))

const fileOf = (socket: string): string => socket.replace(/\.sock$/, ".nstat")

/** Empty where there is none, or none that can be read. */
export const history = (socket: string): History => {
  try {
    return Option.getOrElse(decode(readFileSync(fileOf(socket), "utf8")), () => ({}))
  } catch {
    return {}
  }
}

/** Whole or not at all; without it the next nstat only shows more. */
export const remember = (socket: string, counters: History): void => {
  const file = fileOf(socket)
  const draft = `${file}.${process.pid}`
  try {
    writeFileSync(draft, JSON.stringify(counters), { mode: 0o600 })
    renameSync(draft, file)
  } catch {
    // A full disk is no reason not to show counters.
  }
}
