import type { Position } from "../ast.ts"
import { syntax } from "../scriptError.ts"

/** A token of the Python that scripts assert in, with the indentation of its line. */
export interface Token {
  readonly kind: "number" | "string" | "name" | "operator" | "newline" | "end"
  readonly text: string
  readonly at: Position
  /** Columns before the first token of its logical line. */
  readonly indent: number
}

const TOKEN =
  /(?<blank>[ \t\r\f]+|#[^\n]*|\\\r?\n)|(?<newline>\n|;)|(?<number>0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?|\.[0-9]+|[0-9]+(?:[eE][-+]?[0-9]+)?)[lL]?|(?<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|(?<name>[A-Za-z_][A-Za-z0-9_]*)|(?<operator>\*\*|\/\/|<<|>>|<=|>=|==|!=|\+=|-=|\*=|[-+*/%&|^~<>=()[\],:.])/y

/** Cuts code into tokens; inside brackets a line's end is a blank. `start` is where the code stands in its script. */
export const tokenize = (code: string, start: Position): ReadonlyArray<Token> => {
  const tokens: Array<Token> = []
  let { line, column } = start
  let indent = 0
  let fresh = true
  let depth = 0
  for (let offset = 0; offset < code.length; ) {
    TOKEN.lastIndex = offset
    const found = TOKEN.exec(code)
    const at = { line, column }
    if (found === null) return syntax(at, `code: what is "${code[offset]}"?`)
    const text = found[0]
    const kind = kindOf(found.groups ?? {})
    if (kind === "blank") {
      if (fresh && !text.startsWith("#")) indent += text.length
    } else if (kind !== "newline" || depth === 0) {
      if (kind === "operator") depth += "([".includes(text) ? 1 : ")]".includes(text) ? -1 : 0
      tokens.push({ kind, text: kind === "number" ? text.replace(/[lL]$/, "") : text, at, indent })
      fresh = kind === "newline" && text === "\n"
      if (fresh) indent = 0
    }
    offset = TOKEN.lastIndex
    const lines = text.split("\n")
    line += lines.length - 1
    column = lines.length > 1 ? (lines.at(-1)?.length ?? 0) + 1 : column + text.length
  }
  const end = { line, column }
  tokens.push({ kind: "newline", text: "\n", at: end, indent: 0 }, { kind: "end", text: "", at: end, indent: 0 })
  return tokens
}

const KINDS = ["blank", "newline", "number", "string", "name", "operator"] as const

const kindOf = (groups: Readonly<Record<string, string | undefined>>): (typeof KINDS)[number] =>
  KINDS.find((kind) => groups[kind] !== undefined) ?? "blank"
