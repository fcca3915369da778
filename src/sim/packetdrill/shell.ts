/**
 * The little of the shell that scripts put between backticks: simple commands in a row, quotes,
 * and redirections. What needs a real shell is said to be one command that nobody knows.
 */
export interface SimpleCommand {
  readonly words: ReadonlyArray<string>
  /** Where standard output goes; /dev/null is nowhere. */
  readonly output: string | undefined
  /** What the output goes through: `| grep`, one after the other. */
  readonly filters: ReadonlyArray<Grep>
  /** It goes through something else. */
  readonly piped: boolean
  readonly text: string
}

/** Lines with the pattern, or those without it (-v). */
export interface Grep {
  readonly pattern: string
  readonly inverted: boolean
}

/** What is left of the lines; none of them: grep has failed. */
export const filtered = (lines: ReadonlyArray<string>, filters: SimpleCommand["filters"]): ReadonlyArray<string> =>
  filters.reduce(
    (rest, { pattern, inverted }) => rest.filter((line) => new RegExp(pattern).test(line) !== inverted),
    lines,
  )

export const splitCommands = (text: string): ReadonlyArray<SimpleCommand> =>
  text
    .replace(/\\\n/g, " ")
    .split(/\n|&&|;/)
    .map((part) => part.replace(/(^|\s)#.*$/, "").trim())
    .filter((part) => part !== "")
    .map(parseSimple)

const WORD = /"((?:\\.|[^"\\])*)"|'([^']*)'|([^\s"']+)/y

const parseSimple = (text: string): SimpleCommand => {
  const [head = "", ...filters] = (text.match(PIPED) ?? []).map((part) => part.trim())
  const redirected = /(?:^|\s)(?:1?>{1,2}|&>)\s*([^\s&]+)/.exec(head)
  const words = wordsOf(head.replace(/\s*(?:[12&]?>{1,2}\s*[^\s]+)/g, ""))
  const greps = filters.map(wordsOf).map(grepOf)
  const target = redirected?.[1]
  return {
    words: words[0] === "sudo" ? words.slice(1) : words,
    output: target === "/dev/null" ? undefined : target,
    filters: greps.filter((grep) => grep !== undefined),
    piped: greps.includes(undefined),
    text,
  }
}

/** What stands between bars that are not quoted. */
const PIPED = /(?:"(?:\\.|[^"\\])*"|'[^']*'|[^|"'])+/g

/** A command that is grep, as what it looks for; undefined: it is another one. */
export const grepOf = ([name, ...args]: ReadonlyArray<string>): Grep | undefined => {
  const pattern = args.find((arg) => !arg.startsWith("-"))
  if (name === undefined || !/^e?grep$/.test(name) || pattern === undefined) return undefined
  return { pattern, inverted: args.some((arg) => /^-[a-z]*v/.test(arg)) }
}

const wordsOf = (text: string): ReadonlyArray<string> => {
  const words: Array<string> = []
  let offset = 0
  while (offset < text.length) {
    while (/\s/.test(text[offset] ?? "")) offset++
    let word = ""
    let found = false
    for (;;) {
      WORD.lastIndex = offset
      const part = WORD.exec(text)
      if (part === null) break
      word += part[1] ?? part[2] ?? part[3] ?? ""
      found = true
      offset = WORD.lastIndex
    }
    if (found) words.push(word)
    else offset++
  }
  return words.map(arithmetic)
}

/** $((15*1024*1024)), as set-up scripts write sizes. */
const arithmetic = (word: string): string =>
  word.replace(/\$\(\(([0-9*+ ]+)\)\)/g, (_, sum: string) =>
    String(
      sum
        .split("+")
        .map((product) => product.split("*").reduce((result, factor) => result * Number(factor), 1))
        .reduce((total, part) => total + part, 0),
    ),
  )
