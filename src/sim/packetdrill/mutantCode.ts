/** Code with one assertion turned round, or one constant of it changed. */
export const mutantsOfCode = (text: string): ReadonlyArray<{ readonly what: string; readonly text: string }> => [
  ...[...text.matchAll(/\bassert\s+([^,\n;]+)/g)].flatMap((found) => {
    const test = found[1]?.trim() ?? ""
    if (!balanced(test)) return []
    return [{ what: "the contrary", text: replaced(text, found.index, found[0], `assert not (${test})`) }]
  }),
  // Only the constants of an equality: of a range, the next number may be as true.
  ...[...text.matchAll(/==\s*(-?[0-9]+|TCP[A-Za-z_0-9]*)(?=\s*(?:$|[,;\n)]))/g)].map((found) => ({
    what: `${found[1]} + 1`,
    text: replaced(text, found.index, found[0], `== ${found[1]} + 1`),
  })),
]

const replaced = (text: string, at: number, old: string, by: string): string =>
  text.slice(0, at) + by + text.slice(at + old.length)

const balanced = (text: string): boolean => text.split("(").length === text.split(")").length
