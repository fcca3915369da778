import { statSync } from "node:fs"
import { join } from "node:path"
import { Glob } from "bun"
import { Either } from "effect"
import { UserError } from "../errors.ts"

/** What a script is called when it comes from a directory. */
const SCRIPTS = "**/*.pkt"

const WILD = /[*?[{]/

/** The scripts that the words of a command line name: files, directories with all below them, patterns. */
export const findScripts = (words: ReadonlyArray<string>): Either.Either<ReadonlyArray<string>, UserError> => {
  const found = new Set<string>()
  for (const word of words) {
    const scripts = scriptsOf(word)
    if (scripts.length === 0) return Either.left(new UserError({ message: `${word}: no such script or directory` }))
    for (const script of scripts) found.add(script)
  }
  return Either.right([...found])
}

const scriptsOf = (word: string): ReadonlyArray<string> => {
  const stat = statSync(word, { throwIfNoEntry: false })
  if (stat?.isDirectory() === true) return scan(SCRIPTS, word).map((path) => join(word, path))
  if (stat !== undefined) return [word]
  return WILD.test(word) ? scan(word, ".") : []
}

const scan = (pattern: string, directory: string): ReadonlyArray<string> =>
  [...new Glob(pattern).scanSync({ cwd: directory, onlyFiles: true })].sort()
