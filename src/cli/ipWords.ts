/** What is to be shown: the words behind the command, as `ip` takes them. */
export interface Shown {
  /** Of this device only. */
  readonly dev: string | undefined
  /** Neighbours in this state only; "all" is said by leaving it out. */
  readonly nud: string | undefined
  /** Default routes only. */
  readonly isDefault: boolean
}

type Key = "dev" | "nud" | "default"

const SHOW = /^(s|sh|sho|show|l|ls|li|lis|list)$/
export const NUD_STATES = ["incomplete", "reachable", "stale", "delay", "probe"]

/** "[show] [dev] NAME [nud STATE] [default]" with those keys that the command knows, or what is wrong with it. */
export const shownBy = (words: ReadonlyArray<string>, keys: ReadonlyArray<Key>): Shown | string => {
  let dev: string | undefined
  let nud: string | undefined
  let isDefault = false
  const [first = ""] = words
  const rest = SHOW.test(first) ? words.slice(1) : words
  for (let at = 0; at < rest.length; at++) {
    const word = rest[at] ?? ""
    const next = rest[at + 1]
    if (word === "default" && keys.includes("default")) isDefault = true
    else if (word === "nud" && keys.includes("nud")) {
      at++
      nud = next?.toLowerCase()
      if (nud === undefined || ![...NUD_STATES, "all"].includes(nud)) {
        return `nud takes one of ${NUD_STATES.join(", ")} and all`
      }
      if (nud === "all") nud = undefined
    } else if (word === "dev") {
      at++
      if (next === undefined) return "dev takes the name of a device"
      dev = next
    } else if (CHANGES.has(word)) return `${word}: a running stack is looked at, not changed, from outside`
    else if (dev === undefined && rest.length === 1) dev = word
    else return `"${word}" is not understood: write [show] ${keys.map((key) => USAGE[key]).join(" ")}`
  }
  return { dev, nud, isDefault }
}

const USAGE: Readonly<Record<Key, string>> = { dev: "[dev NAME]", nud: "[nud STATE]", default: "[default]" }
const CHANGES: ReadonlySet<string> = new Set(["add", "del", "delete", "change", "replace", "append", "flush"])

/** `ip`'s own spellings of long options with one dash, which the parser would take for several short ones. */
export const spelledOut = (argv: ReadonlyArray<string>): ReadonlyArray<string> =>
  COMMANDS.has(argv[2] ?? "") ? argv.map((word, at) => (at > 2 ? (SPELLINGS.get(word) ?? word) : word)) : argv

const COMMANDS: ReadonlySet<string> = new Set(["addr", "route", "neigh"])
const SPELLINGS: ReadonlyMap<string, string> = new Map([
  ["-br", "--brief"],
  ["-brief", "--brief"],
  ["-json", "--json"],
])
