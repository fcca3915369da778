import type { Micros } from "../../tcp/time.ts"
import type { CallAction, Expression, Field } from "./ast.ts"
import type { Lexer } from "./lexer.ts"

/** `name(arguments) = result [ERRNO] [(remark)]`. */
export const parseCall = (lexer: Lexer, until: Micros | undefined): CallAction => {
  const at = lexer.position()
  const name = lexer.word() ?? lexer.fail("expected a packet, a call, a command or code")
  lexer.expect("(")
  const args = parseList(lexer, ")")
  lexer.expect("=")
  const result = parseExpression(lexer)
  const errno = lexer.word()
  lexer.skipNote()
  return { _tag: "Call", at, name, args, result, errno, until }
}

const parseList = (lexer: Lexer, close: string): ReadonlyArray<Expression> => {
  const items: Array<Expression> = []
  if (lexer.take(close)) return items
  do items.push(parseExpression(lexer))
  while (lexer.take(","))
  lexer.expect(close)
  return items
}

/** An argument or a result. */
export const parseExpression = (lexer: Lexer): Expression => {
  const at = lexer.position()
  const first = parsePrimary(lexer)
  if (!lexer.sees("|")) return first
  const parts = [first]
  while (lexer.take("|")) parts.push(parsePrimary(lexer))
  return { _tag: "Or", at, parts }
}

const parsePrimary = (lexer: Lexer): Expression => {
  const at = lexer.position()
  if (lexer.take("...")) return { _tag: "Ellipsis", at }
  // "&sin6_addr", as strace writes where something goes: its name is enough.
  if (lexer.take("&")) return parsePrimary(lexer)
  if (lexer.take("~")) return { _tag: "Not", at, of: parsePrimary(lexer) }
  if (lexer.take("[")) return { _tag: "Array", at, items: parseList(lexer, "]") }
  if (lexer.take("{")) return { _tag: "Struct", at, fields: parseFields(lexer) }
  const text = parseText(lexer)
  if (text !== undefined) return { _tag: "Text", at, value: text }
  if (lexer.looksLike(/-?[0-9]*\.[0-9]/y))
    return { _tag: "Number", at, value: Number(lexer.need(/-?[0-9.]+/y, "a number")) }
  if (lexer.looksLike(/-?[0-9]/y)) return { _tag: "Number", at, value: lexer.integer("a number") }
  const name = lexer.word() ?? lexer.fail("expected a value")
  return FUNCTIONS.has(name) && lexer.take("(")
    ? { _tag: "Apply", at, name, args: parseList(lexer, ")") }
    : { _tag: "Name", at, name }
}

/** What can be applied inside a value; any other name before a parenthesis is followed by a remark. */
const FUNCTIONS = new Set(["htons", "htonl", "inet_addr", "inet6_addr", "inet_pton"])

/** Strings that follow one another are one string; "..." after them says that more octets follow. */
const parseText = (lexer: Lexer): string | undefined => {
  let text = lexer.quoted()
  if (text === undefined) return undefined
  for (let more = lexer.quoted(); more !== undefined; more = lexer.quoted()) text += more
  lexer.take("...")
  return text
}

const parseFields = (lexer: Lexer): ReadonlyArray<Field> => {
  const fields: Array<Field> = []
  while (!lexer.take("}")) {
    fields.push(parseField(lexer))
    if (!lexer.sees("}")) lexer.expect(",")
  }
  return fields
}

const parseField = (lexer: Lexer): Field => {
  if (!lexer.looksLike(/\.?[A-Za-z_][A-Za-z0-9_]*[ \t]*(?:\([^)\n]*\)[ \t]*)?=/y)) {
    return { name: undefined, size: undefined, value: parseExpression(lexer) }
  }
  lexer.match(/\.(?=[A-Za-z_])/y)
  const name = lexer.word()
  const size = lexer.take("(") ? parseExpression(lexer) : undefined
  if (size !== undefined) lexer.expect(")")
  lexer.expect("=")
  return { name, size, value: parseExpression(lexer) }
}
