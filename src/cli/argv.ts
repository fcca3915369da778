/** "--name=value": a word that stands for two. */
const JOINED = /^(--[a-z][a-z0-9-]*)=(.*)$/s

/** Of commands that have other programs' options: those short ones that take a value, which may follow at once, as in "-c3". */
const VALUED: Readonly<Record<string, RegExp>> = {
  ping: /^-([ciMstW])(.+)$/s,
  traceroute: /^-([mqw])(.+)$/s,
}

/**
 * The whole command line with options and their values as two words, up to "--": of an option that may be given
 * more than once, the parser knows no other form.
 */
export const separated = (argv: ReadonlyArray<string>): ReadonlyArray<string> => {
  const end = argv.indexOf("--")
  const own = end < 0 ? argv : argv.slice(0, end)
  const valued = VALUED[argv[2] ?? ""]
  return [
    ...own.flatMap((word) => {
      const [, name, value] = JOINED.exec(word) ?? []
      if (name !== undefined && value !== undefined) return [name, value]
      const [, letter, behind] = valued?.exec(word) ?? []
      return letter === undefined || behind === undefined ? [word] : [`-${letter}`, behind]
    }),
    ...argv.slice(own.length),
  ]
}
