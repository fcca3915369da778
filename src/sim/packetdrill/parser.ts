import type { Micros } from "../../tcp/time.ts"
import type { Action, CommandAction, Direction, EventTime, Flag, Position, Script, ScriptEvent } from "./ast.ts"
import { Lexer } from "./lexer.ts"
import { parseCall } from "./parseCall.ts"
import { parsePacket } from "./parsePacket.ts"
import { preprocess } from "./preprocess.ts"
import { ScriptError, syntax } from "./scriptError.ts"

/** Reads a script; `definitions` are those of `-D`. */
export const parseScript = (
  source: string,
  definitions: ReadonlyMap<string, string> = new Map(),
): Script | ScriptError => {
  try {
    return parse(source, definitions)
  } catch (error) {
    if (error instanceof ScriptError) return error
    throw error
  }
}

const parse = (source: string, given: ReadonlyMap<string, string>): Script => {
  const commented = flagsInComments(source)
  const early = definitionsOf(commented, given)
  const { text, definitions } = preprocess(source, early)
  const lexer = new Lexer(text, definitions)
  const flags = [...commented]
  const setup: Array<CommandAction> = []
  while (lexer.sees("-")) flags.push(parseFlag(lexer))
  while (lexer.sees("`")) setup.push(parseCommand(lexer))
  const events: Array<ScriptEvent> = []
  while (!lexer.atEnd() && !lexer.sees("`")) events.push(parseEvent(lexer))
  // What cleans up after the last event needs no time.
  while (lexer.sees("`")) events.push({ at: lexer.position(), time: AT_ONCE, action: parseCommand(lexer) })
  if (!lexer.atEnd()) lexer.fail("expected nothing after the commands that clean up")
  return { flags, setup, events, definitions: definitionsOf(flags, definitions) }
}

const AT_ONCE: EventTime = { _tag: "Relative", after: 0 }

const FLAG = /^[ \t]*(?:\/\/|\/\*|\*|#)[ \t]*((?:--[a-z_]+(?:=[^ \t]+)?[ \t]*)+)(?:\*\/)?[ \t\r]*$/

/** Flags may also stand in the comments at the head of a script, on lines of their own. */
const flagsInComments = (source: string): ReadonlyArray<Flag> => {
  const flags: Array<Flag> = []
  for (const [index, line] of source.split("\n").entries()) {
    if (/^[ \t]*(?:[0-9+.]|`)/.test(line)) break
    const words =
      FLAG.exec(line)?.[1]
        ?.trim()
        .split(/[ \t]+/) ?? []
    for (const word of words) {
      const [name = "", ...value] = word.slice(2).split("=")
      flags.push({ name, value: value.join("="), at: { line: index + 1, column: line.indexOf(word) + 1 } })
    }
  }
  return flags
}

const definitionsOf = (flags: ReadonlyArray<Flag>, given: ReadonlyMap<string, string>): Map<string, string> => {
  const definitions = new Map(given)
  for (const { name, value } of flags) {
    if (name !== "define" && name !== "D") continue
    const [symbol = "", ...rest] = value.split("=")
    if (!definitions.has(symbol)) definitions.set(symbol, rest.join("="))
  }
  return definitions
}

const parseFlag = (lexer: Lexer): Flag => {
  const at = lexer.position()
  if (lexer.match(/-D/y) !== undefined) return { name: "D", value: lexer.need(/[^ \t\r\n]+/y, "a definition"), at }
  const name = lexer.need(/--[a-z_]+/y, "a flag").slice(2)
  if (lexer.match(/=/y) === undefined) return { name, value: "", at }
  return { name, value: lexer.quoted() ?? lexer.need(/[^ \t\r\n]+/y, `a value for --${name}`), at }
}

const parseCommand = (lexer: Lexer): CommandAction => {
  const at = lexer.position()
  return { _tag: "Command", at, text: lexer.between("`", "`", "a command").trim() }
}

const parseEvent = (lexer: Lexer): ScriptEvent => {
  const at = lexer.position()
  const time = parseTime(lexer)
  const until = lexer.take("...") ? parseEnd(lexer) : undefined
  const action = parseAction(lexer, until)
  const outbound = (action._tag === "Tcp" || action._tag === "Icmp") && action.direction === "outbound"
  if (time._tag === "Any" && !outbound) syntax(at, "the time * is for outbound packets only")
  if ((time._tag === "AbsoluteRange" || time._tag === "RelativeRange") && !outbound) {
    syntax(at, "a range of times is for outbound packets only")
  }
  if (until !== undefined && action._tag !== "Call") syntax(at, "only a call can have a time at which it ends")
  return { at, time, action }
}

const parseAction = (lexer: Lexer, until: Micros | undefined): Action => {
  const at = lexer.position()
  if (lexer.sees("`")) return parseCommand(lexer)
  if (lexer.sees("%{")) return { _tag: "Code", at, text: lexer.between("%{", "}%", "code") }
  const direction = directionOf(lexer)
  return direction === undefined ? parseCall(lexer, until) : parsePacket(lexer, direction, at)
}

const directionOf = (lexer: Lexer): Direction | undefined => {
  if (lexer.match(/</y) !== undefined) return "inbound"
  return lexer.match(/>/y) !== undefined ? "outbound" : undefined
}

const parseTime = (lexer: Lexer): EventTime => {
  if (lexer.match(/\*/y) !== undefined) return { _tag: "Any" }
  const at = lexer.position()
  const relative = lexer.match(/\+/y) !== undefined
  const from = parseSeconds(lexer)
  if (lexer.match(/~/y) === undefined) {
    return relative ? { _tag: "Relative", after: from } : { _tag: "Absolute", at: from }
  }
  lexer.match(/\+/y)
  const to = parseSeconds(lexer)
  if (to < from) syntax(at, "the range of times runs backwards")
  return { _tag: relative ? "RelativeRange" : "AbsoluteRange", from, to }
}

const parseEnd = (lexer: Lexer): Micros => {
  lexer.match(/\+/y)
  return parseSeconds(lexer)
}

const parseSeconds = (lexer: Lexer): Micros =>
  Math.round(Number(lexer.need(/[0-9]+(?:\.[0-9]+|\.(?![.0-9]))?|\.[0-9]+/y, "a time in seconds")) * 1e6)

/** For messages: "script.pkt:3:7: what". */
export const formatError = (file: string, error: { readonly at: Position; readonly message: string }): string =>
  `${file}:${error.at.line}:${error.at.column}: ${error.message}`
