import { appendFileSync, existsSync, readFileSync } from "node:fs"

/** Results by name, and how long it took to get them. */
export interface Kept {
  /** Runs something, or takes what it came to before: a value that JSON can hold. */
  readonly recall: <T>(key: string, run: () => T) => T
  /** Wall-clock seconds of all runs that were asked for, those of before too. */
  readonly seconds: () => number
}

interface Line {
  readonly key: string
  readonly seconds: number
  readonly value: unknown
}

/**
 * In a file, one JSON line each, written as soon as there is one: what is interrupted goes on where it
 * was. Keys name all that a result depends on but the code: another version of that needs another
 * file. Without a file, for as long as the process lasts.
 */
export const keptIn = (path?: string): Kept => {
  const known = new Map<string, Line>()
  if (path !== undefined && existsSync(path)) {
    for (const text of readFileSync(path, "utf8").split("\n")) {
      if (text === "") continue
      const line: Line = JSON.parse(text)
      known.set(line.key, line)
    }
  }
  let total = 0
  return {
    recall: <T>(key: string, run: () => T): T => {
      const before = known.get(key)
      if (before !== undefined) {
        total += before.seconds
        // What the key names was run by the same caller.
        return before.value as T
      }
      const began = performance.now()
      const value = run()
      const line: Line = { key, seconds: (performance.now() - began) / 1000, value }
      total += line.seconds
      known.set(key, line)
      if (path !== undefined) appendFileSync(path, `${JSON.stringify(line)}\n`)
      return value
    },
    seconds: () => total,
  }
}
