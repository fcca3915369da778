/** A token of TypeScript, as far as the house rules care. */
export interface Token {
  readonly kind: "name" | "string" | "punctuation"
  /** Of a string: what is between the quotes. */
  readonly text: string
  readonly line: number
}

/** After these words a slash begins a regular expression, not a division. */
const BEFORE_REGEX = new Set(["return", "typeof", "case", "in", "of", "do", "else", "void", "delete", "new", "yield"])

const NAME = /[\p{ID_Start}$_#][\p{ID_Continue}$]*/uy
const NUMBER = /[0-9][0-9a-zA-Z_.]*/y
const SPACE = /\s+/y
const LINE_COMMENT = /\/\/[^\n]*/y
const BLOCK_COMMENT = /\/\*[\s\S]*?\*\//y
const STRING = /"((?:[^"\\\n]|\\[\s\S])*)"|'((?:[^'\\\n]|\\[\s\S])*)'/y
const REGEX = /\/(?![*/])(?:[^\\/[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y
const TEMPLATE_TEXT = /(?:[^`\\$]|\\[\s\S]|\$(?!\{))*/y

/**
 * Names, strings and punctuation of a source, without comments, numbers, regular expressions and
 * the text of templates. Throws where it loses the thread, so that nothing goes unseen.
 */
export const tokensOf = (source: string): ReadonlyArray<Token> => {
  const tokens: Array<Token> = []
  /** For each template that we are inside of: how many braces its current hole has open. */
  const holes: Array<number> = []
  let at = 0
  let line = 1

  const match = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at
    const found = pattern.exec(source)
    if (found === null) return undefined
    at += found[0].length
    for (const char of found[0]) if (char === "\n") line++
    return found
  }
  const push = (kind: Token["kind"], text: string): void => {
    tokens.push({ kind, text, line })
  }
  const template = (): void => {
    match(TEMPLATE_TEXT)
    if (source.startsWith("${", at)) {
      at += 2
      holes.push(0)
    } else if (source[at] === "`") {
      at++
      push("string", "")
    } else throw new Error(`line ${line}: a template without an end`)
  }

  while (at < source.length) {
    if (match(SPACE) || match(LINE_COMMENT) || match(BLOCK_COMMENT)) continue
    const name = match(NAME)
    if (name !== undefined) {
      push("name", name[0])
      continue
    }
    if (match(NUMBER)) {
      push("punctuation", "0")
      continue
    }
    const string = match(STRING)
    if (string !== undefined) {
      push("string", string[1] ?? string[2] ?? "")
      continue
    }
    if (mayBeRegex(tokens.at(-1)) && match(REGEX)) {
      push("punctuation", "0")
      continue
    }
    const char = source[at++] ?? ""
    const depth = holes.at(-1)
    if (char === "`") template()
    else if (char === "}" && depth === 0) {
      holes.pop()
      template()
    } else {
      if (depth !== undefined) holes[holes.length - 1] = depth + (char === "{" ? 1 : char === "}" ? -1 : 0)
      if (char === '"' || char === "'") throw new Error(`line ${line}: a string without an end`)
      push("punctuation", char)
    }
  }
  if (holes.length > 0) throw new Error("a template without an end")
  return tokens
}

const mayBeRegex = (before: Token | undefined): boolean => {
  if (before === undefined) return true
  if (before.kind === "name") return BEFORE_REGEX.has(before.text)
  return before.kind === "punctuation" && ![")", "]", "}", "0"].includes(before.text)
}
