/**
 * The little of the shell that scripts put between backticks: simple commands in a row, quotes,
 * and redirections. What needs a real shell is said to be one command that nobody knows.
 */
export interface SimpleCommand {
  readonly words: ReadonlyArray<string>
  /** Where standard output goes; /dev/null is nowhere. */
  readonly output: string | undefined
  /** A pattern that `| grep` is to find in the output. */
  readonly grep: string | undefined
  readonly text: string
}

export const splitCommands = (text: string): ReadonlyArray<SimpleCommand> =>
  text
    .replace(/\\\n/g, " ")
    .split(/\n|&&|;/)
    .map((part) => part.replace(/(^|\s)#.*$/, "").trim())
    .filter((part) => part !== "")
    .map(parseSimple)

const WORD = /"((?:\\.|[^"\\])*)"|'([^']*)'|([^\s"']+)/y

const parseSimple = (text: string): SimpleCommand => {
  const [head = "", ...filters] = text.split("|").map((part) => part.trim())
  const redirected = /(?:^|\s)(?:1?>{1,2}|&>)\s*([^\s&]+)/.exec(head)
  const words = wordsOf(head.replace(/\s*(?:[12&]?>{1,2}\s*[^\s]+)/g, ""))
  const grep = filters.map(wordsOf).find((filter) => filter[0] === "grep")
  const target = redirected?.[1]
  return {
    words: words[0] === "sudo" ? words.slice(1) : words,
    output: target === "/dev/null" ? undefined : target,
    grep: grep?.find((word, i) => i > 0 && !word.startsWith("-")),
    text,
  }
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
