import { syntax } from "./scriptError.ts"

/** A script's text with the lines that do not apply blanked, so that positions stay right. */
export interface Preprocessed {
  readonly text: string
  readonly definitions: ReadonlyMap<string, string>
}

interface Branch {
  /** Lines of this branch are kept (its parents being so). */
  readonly active: boolean
  /** Some branch of this conditional was kept already. */
  readonly taken: boolean
  readonly outer: boolean
  readonly line: number
}

const DIRECTIVE = /^[ \t]*#[ \t]*(ifdef|ifndef|if|elif|else|endif|define|undef)\b[ \t]*(.*?)[ \t]*(?:\/\/.*)?$/
const TESTED = /^(!?)[ \t]*(?:defined[ \t]*\(?[ \t]*)?([A-Za-z_][A-Za-z0-9_]*|[01])[ \t]*\)?$/

/** Carries out `#ifdef` and its kin; `given` is what `-D` defines. Other lines that start with `#` are comments. */
export const preprocess = (source: string, given: ReadonlyMap<string, string>): Preprocessed => {
  const definitions = new Map(given)
  const stack: Array<Branch> = []
  const lines = source.split("\n").map((text, index) => {
    const keep = stack.at(-1)?.active ?? true
    const directive = DIRECTIVE.exec(text.replace(/\r$/, ""))
    if (directive === null) return keep && !/^[ \t]*#/.test(text) ? text : ""
    apply(directive[1] ?? "", directive[2] ?? "", index + 1, keep, stack, definitions)
    return ""
  })
  const open = stack.at(-1)
  if (open !== undefined) syntax({ line: open.line, column: 1 }, "#if without #endif")
  return { text: lines.join("\n"), definitions }
}

const apply = (
  name: string,
  rest: string,
  line: number,
  keep: boolean,
  stack: Array<Branch>,
  definitions: Map<string, string>,
): void => {
  const at = { line, column: 1 }
  switch (name) {
    case "define": {
      const [symbol = "", ...value] = rest.split(/[ \t]+/)
      if (keep) definitions.set(symbol, value.join(" "))
      return
    }
    case "undef":
      if (keep) definitions.delete(rest)
      return
    case "ifdef":
    case "ifndef":
    case "if": {
      const holds = name === "if" ? test(rest, definitions, at) : definitions.has(rest) === (name === "ifdef")
      stack.push({ active: keep && holds, taken: holds, outer: keep, line })
      return
    }
    case "endif":
      if (stack.pop() === undefined) syntax(at, "#endif without #if")
      return
    default: {
      const branch = stack.pop() ?? syntax(at, `#${name} without #if`)
      const holds = !branch.taken && (name === "else" || test(rest, definitions, at))
      stack.push({ ...branch, active: branch.outer && holds, taken: branch.taken || holds })
    }
  }
}

const test = (
  condition: string,
  definitions: ReadonlyMap<string, string>,
  at: { readonly line: number; readonly column: number },
): boolean => {
  const parsed = TESTED.exec(condition) ?? syntax(at, `cannot tell whether "${condition}" holds`)
  const name = parsed[2] ?? ""
  const value = definitions.get(name) ?? (condition.includes("defined") ? undefined : /^[01]$/.test(name) ? name : "0")
  return (value !== undefined && value !== "0") !== (parsed[1] === "!")
}
