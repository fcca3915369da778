import { Either } from "effect"
import type { Address, SocketRow, SocketState } from "../net/Inspect.ts"
import { inPrefix } from "../wire/address.ts"
import { parseAddress, parseCidr } from "../wire/addressText.ts"

/** What `ss` is to show, by state and by ports and addresses. */
export interface Filter {
  readonly states: ReadonlySet<SocketState>
  readonly accepts: (row: SocketRow) => boolean
}

/** ss's names of states, as its filters and its first column have them. */
const STATES: ReadonlyArray<readonly [state: SocketState, filter: string, column: string]> = [
  ["ESTABLISHED", "established", "ESTAB"],
  ["SYN-SENT", "syn-sent", "SYN-SENT"],
  ["SYN-RECEIVED", "syn-recv", "SYN-RECV"],
  ["FIN-WAIT-1", "fin-wait-1", "FIN-WAIT-1"],
  ["FIN-WAIT-2", "fin-wait-2", "FIN-WAIT-2"],
  ["TIME-WAIT", "time-wait", "TIME-WAIT"],
  ["CLOSED", "closed", "UNCONN"],
  ["CLOSE-WAIT", "close-wait", "CLOSE-WAIT"],
  ["LAST-ACK", "last-ack", "LAST-ACK"],
  ["LISTEN", "listening", "LISTEN"],
  ["CLOSING", "closing", "CLOSING"],
]

export const columnName = (state: SocketState): string => STATES.find(([own]) => own === state)?.[2] ?? state

const ALL: ReadonlyArray<SocketState> = STATES.map(([state]) => state)
const without = (...left: ReadonlyArray<SocketState>): ReadonlyArray<SocketState> =>
  ALL.filter((state) => !left.includes(state))

const GROUPS: Readonly<Record<string, ReadonlyArray<SocketState>>> = {
  all: ALL,
  connected: without("LISTEN", "CLOSED"),
  synchronized: without("LISTEN", "CLOSED", "SYN-SENT"),
  bucket: ["SYN-RECEIVED", "TIME-WAIT"],
  big: without("SYN-RECEIVED", "TIME-WAIT"),
  listen: ["LISTEN"],
  "syn-received": ["SYN-RECEIVED"],
}

/** Without any word about states: connections, without those that are only remembered or half made. */
export const CONNECTED: ReadonlyArray<SocketState> = without("LISTEN", "CLOSED", "TIME-WAIT", "SYN-RECEIVED")
export const LISTENING: ReadonlyArray<SocketState> = ["LISTEN", "CLOSED"]
export { ALL }

type Test = (row: SocketRow) => boolean

class Bad extends Error {}

/**
 * ss's filters: `state NAME` and `exclude NAME`, as many as there are, then an expression of
 * `sport OP PORT`, `dport OP PORT`, `src ADDRESS`, `dst ADDRESS`, `and`, `or`, `not` and
 * parentheses. Left: what is wrong with the words.
 */
export const parseFilter = (
  words: ReadonlyArray<string>,
  fallback: ReadonlyArray<SocketState>,
): Either.Either<Filter, string> => {
  const parser = new Parser(words.flatMap(tokens))
  try {
    return Either.right(parser.filter(fallback))
  } catch (cause) {
    if (cause instanceof Bad) return Either.left(cause.message)
    throw cause
  }
}

/** A quoted filter is one word of the shell's. */
const tokens = (word: string): ReadonlyArray<string> =>
  word.match(/[()]|[<>!=]=?|[^\s()<>!=]+/g)?.map((token) => token.toLowerCase()) ?? []

const COMPARISONS: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  "=": (a, b) => a === b,
  "!=": (a, b) => a !== b,
  "<": (a, b) => a < b,
  ">": (a, b) => a > b,
  "<=": (a, b) => a <= b,
  ">=": (a, b) => a >= b,
}
const WORDS: Readonly<Record<string, string>> = {
  "==": "=",
  eq: "=",
  ne: "!=",
  neq: "!=",
  lt: "<",
  gt: ">",
  le: "<=",
  leq: "<=",
  ge: ">=",
  geq: ">=",
}

class Parser {
  #at = 0
  readonly #tokens: ReadonlyArray<string>

  constructor(all: ReadonlyArray<string>) {
    this.#tokens = all
  }

  filter(fallback: ReadonlyArray<SocketState>): Filter {
    const states = this.#states(fallback)
    const accepts = this.#peek === undefined ? () => true : this.#either()
    if (this.#peek !== undefined) throw new Bad(`filter: "${this.#peek}" was not expected there`)
    return { states, accepts }
  }

  #states(fallback: ReadonlyArray<SocketState>): ReadonlySet<SocketState> {
    let states: Set<SocketState> | undefined
    for (;;) {
      if (this.#take("state")) states = new Set([...(states ?? []), ...this.#state()])
      else if (this.#take("exclude") || this.#take("excl")) {
        const out = this.#state()
        states = new Set([...(states ?? ALL)].filter((state) => !out.includes(state)))
      } else return states ?? new Set(fallback)
    }
  }

  #state(): ReadonlyArray<SocketState> {
    const name = this.#next("the name of a state")
    const found = GROUPS[name] ?? STATES.filter(([, filter]) => filter === name).map(([state]) => state)
    if (found.length === 0) {
      const names = [...STATES.map(([, filter]) => filter), ...Object.keys(GROUPS)].join(" ")
      throw new Bad(`filter: "${name}" is no state: ${names}`)
    }
    return found
  }

  #either(): Test {
    const all = [this.#both()]
    while (this.#take("or") || this.#take("||") || this.#take("|")) all.push(this.#both())
    return (row) => all.some((test) => test(row))
  }

  /** Tests that stand side by side must both hold. */
  #both(): Test {
    const all = [this.#not()]
    for (;;) {
      if (this.#take("and") || this.#take("&&") || this.#take("&")) all.push(this.#not())
      else if (this.#peek === undefined || ["or", "||", "|", ")"].includes(this.#peek)) break
      else all.push(this.#not())
    }
    return (row) => all.every((test) => test(row))
  }

  #not(): Test {
    if (this.#take("not") || this.#take("!")) {
      const test = this.#not()
      return (row) => !test(row)
    }
    if (this.#take("(")) {
      const test = this.#either()
      if (!this.#take(")")) throw new Bad('filter: a ")" is missing')
      return test
    }
    return this.#test()
  }

  #test(): Test {
    const subject = this.#next("a test")
    switch (subject) {
      case "sport":
        return this.#port(({ local }) => local)
      case "dport":
        return this.#port(({ peer }) => peer)
      case "src":
        return this.#address(({ local }) => local)
      case "dst":
        return this.#address(({ peer }) => peer)
      default:
        throw new Bad(`filter: "${subject}" is none of: state exclude sport dport src dst and or not ( )`)
    }
  }

  #port(of: (row: SocketRow) => Address | undefined): Test {
    const word = this.#peek ?? ""
    const named = COMPARISONS[WORDS[word] ?? word]
    if (named !== undefined) this.#at++
    const compare = named ?? ((a: number, b: number) => a === b)
    const port = portOf(this.#next("a port").replace(/^:/, ""))
    return (row) => compare(of(row)?.port ?? 0, port)
  }

  #address(of: (row: SocketRow) => Address | undefined): Test {
    this.#take("=")
    const { prefix, length, port } = targetOf(this.#next("an address"))
    return (row) => {
      const end = of(row)
      const address = end === undefined ? undefined : parseAddress(end.address)
      if (end === undefined || address === undefined) return false
      return (prefix === undefined || inPrefix(address, prefix, length)) && (port === undefined || port === end.port)
    }
  }

  get #peek(): string | undefined {
    return this.#tokens[this.#at]
  }

  #take(token: string): boolean {
    if (this.#peek !== token) return false
    this.#at++
    return true
  }

  #next(what: string): string {
    const token = this.#tokens[this.#at++]
    if (token === undefined) throw new Bad(`filter: ${what} is missing at its end`)
    return token
  }
}

const portOf = (text: string): number => {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (!(port <= 65535)) throw new Bad(`filter: "${text}" is no port: write a number as :80`)
  return port
}

/** ADDRESS, ADDRESS/LENGTH, either with :PORT; IPv6 then in brackets. "*" stands for any address. */
const targetOf = (text: string) => {
  const [, bracketed, bare = "", length, port] =
    /^(?:\[([^\]]+)\]|([^/]*?))(?:\/([0-9]+))?(?::([0-9]+))?$/.exec(text) ?? []
  const name = bracketed ?? bare
  const wide = parseAddress(text)
  if (wide !== undefined) return { prefix: wide, length: wide.family === 4 ? 32 : 128, port: undefined }
  const own = port === undefined ? undefined : portOf(port)
  if ((name === "*" || name === "") && length === undefined && own !== undefined) {
    return { prefix: undefined, length: 0, port: own }
  }
  const address = parseAddress(name)
  const cidr = address === undefined ? undefined : parseCidr(`${name}/${length ?? (address.family === 4 ? 32 : 128)}`)
  if (cidr === undefined)
    throw new Bad(`filter: "${text}" is no address: write one as 198.18.0.2, 198.18.0.0/24 or [::1]:80`)
  return { prefix: cidr.address, length: cidr.length, port: own }
}
