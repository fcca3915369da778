import { posix } from "node:path"
import { type Token, tokensOf } from "./tokens.ts"

/** What a room may import besides itself: other rooms, and modules from outside (a trailing "*" stands for the rest). */
interface Room {
  readonly rooms: ReadonlyArray<string>
  readonly modules: ReadonlyArray<string>
  /** Names without which a room is a function of its inputs. */
  readonly forbidden: ReadonlyArray<string>
}

/** Clocks, chance, and the world outside. */
const GLOBALS = [
  "Date",
  "performance",
  "crypto",
  "console",
  "process",
  "Bun",
  "globalThis",
  "setTimeout",
  "setInterval",
  "setImmediate",
  "queueMicrotask",
  "clearTimeout",
  "clearInterval",
  "fetch",
  "require",
  "Promise",
  "Worker",
  "SharedArrayBuffer",
  "Atomics",
  "FinalizationRegistry",
  "WeakRef",
  "Math.random",
  "import.meta",
]

const PURE = { forbidden: GLOBALS }
const SHELL = { forbidden: [] }

/** The house of DESIGN.md: a room imports what an arrow leads to it from, directly or through others. */
export const HOUSE: Readonly<Record<string, Room>> = {
  ffi: { rooms: [], modules: ["bun:ffi", "bun", "node:*"], ...SHELL },
  wire: { rooms: [], modules: [], ...PURE },
  tcp: { rooms: ["wire"], modules: [], ...PURE },
  ip: { rooms: ["wire"], modules: [], ...PURE },
  host: { rooms: ["wire", "tcp", "ip"], modules: ["@noble/hashes/*", "@noble/ciphers/*"], ...PURE },
  device: { rooms: ["wire", "ffi"], modules: ["effect", "bun", "node:*"], ...SHELL },
  runtime: {
    rooms: ["wire", "tcp", "ip", "host", "ffi", "device"],
    modules: ["effect", "bun", "bun:jsc", "node:*"],
    ...SHELL,
  },
  // It runs stacks on simulated networks too.
  net: {
    rooms: ["wire", "tcp", "ip", "host", "ffi", "device", "runtime", "sim"],
    modules: ["effect", "@effect/platform", "@effect/platform/*", "dns-packet", "bun", "node:*"],
    ...SHELL,
  },
  // Virtual time: it runs a host as the shell would, without the shell.
  sim: { rooms: ["wire", "tcp", "ip", "host"], modules: ["@noble/hashes/*"], ...PURE },
  cli: {
    rooms: ["wire", "tcp", "ip", "host", "ffi", "device", "runtime", "net", "sim"],
    modules: [
      "effect",
      "@effect/cli",
      "@effect/cli/*",
      "@effect/platform",
      "@effect/platform/*",
      "@effect/platform-bun",
      "@effect/platform-bun/*",
      "bun",
      "node:*",
      // Scales and paths of plots.
      "d3-scale",
      "d3-shape",
    ],
    ...SHELL,
  },
  // The package's front door.
  index: { rooms: ["wire", "tcp", "ip", "host", "device", "runtime", "net", "sim"], modules: ["effect"], ...SHELL },
}

/** Files that load a module which is not ours to name: an application's, in a worker of its own. */
const HOSTS: ReadonlySet<string> = new Set(["src/net/workers/worker.ts"])

export interface Breach {
  readonly file: string
  readonly line: number
  /** The import or the name at fault. */
  readonly what: string
  readonly rule: string
}

export interface Import {
  readonly specifier: string
  readonly line: number
}

export const roomOf = (file: string): string | undefined => {
  if (file.startsWith("ffi/")) return "ffi"
  if (/^src\/[^/]+\.ts$/.test(file)) return "index"
  return /^src\/([^/]+)\//.exec(file)?.[1]
}

/** Every module that a source names: imports and exports, of types too, dynamic ones, and workers. */
export const importsOf = (source: string): ReadonlyArray<Import> => importsIn(tokensOf(source))

const importsIn = (tokens: ReadonlyArray<Token>): ReadonlyArray<Import> => {
  const found: Array<Import> = []
  for (const [index, token] of tokens.entries()) {
    if (token.kind !== "name" || tokens[index - 1]?.text === ".") continue
    const next = tokens[index + 1]
    const inCall = next?.text === "(" && next.kind === "punctuation" ? tokens[index + 2] : undefined
    let specifier: Token | undefined
    if (token.text === "from") specifier = next
    else if (token.text === "import") specifier = inCall ?? next
    else if (token.text === "require" || token.text === "URL") specifier = inCall
    if (specifier?.kind !== "string") {
      // A module that is computed could be any.
      if (token.text === "import" && inCall !== undefined) found.push({ specifier: "(computed)", line: token.line })
      continue
    }
    // Of the URLs only those that name a file of ours.
    if (token.text === "URL" && !specifier.text.startsWith(".")) continue
    found.push({ specifier: specifier.text, line: specifier.line })
  }
  return found
}

/** Where a source breaks the rules of its room. */
export const breachesOf = (file: string, source: string): ReadonlyArray<Breach> => {
  const name = roomOf(file)
  const room = name === undefined ? undefined : HOUSE[name]
  if (name === undefined || room === undefined) {
    return [{ file, line: 1, what: name ?? file, rule: "there is no such room in DESIGN.md's house" }]
  }
  const tokens = tokensOf(source)
  const breaches: Array<Breach> = []
  for (const { specifier, line } of importsIn(tokens)) {
    const rule = refusal(file, name, room, specifier)
    if (rule !== undefined) breaches.push({ file, line, what: specifier, rule })
  }
  for (const { text, line } of globalsIn(tokens, room.forbidden)) {
    breaches.push({ file, line, what: text, rule: `${name} is pure: no clock, no chance, no globals` })
  }
  return breaches
}

const refusal = (file: string, name: string, room: Room, specifier: string): string | undefined => {
  if (specifier === "bun:ffi" && name !== "ffi") return "only ffi imports bun:ffi"
  if (specifier === "(computed)" && HOSTS.has(file)) return undefined
  if (specifier.startsWith(".")) {
    const target = posix.join(posix.dirname(file), specifier)
    // The command line says which version it is.
    if (target === "package.json") return name === "cli" ? undefined : "package.json is for the command line"
    const other = roomOf(target)
    if (other === name || (other !== undefined && room.rooms.includes(other))) return undefined
    if (isWithin(["tcp", "ip"], name, other)) return "tcp and ip do not know each other"
    return `${name} imports ${room.rooms.length === 0 ? "no other room" : `only ${room.rooms.join(", ")}`}`
  }
  const allowed = room.modules.some((m) => (m.endsWith("*") ? specifier.startsWith(m.slice(0, -1)) : specifier === m))
  if (allowed) return undefined
  return room.modules.length === 0
    ? `${name} imports no module`
    : `of modules ${name} imports ${room.modules.join(", ")}`
}

const isWithin = (pair: ReadonlyArray<string>, x: string, y: string | undefined): boolean =>
  x !== y && pair.includes(x) && y !== undefined && pair.includes(y)

/** Uses of forbidden names, save for properties of that name and names that the file declares itself. */
const globalsIn = (tokens: ReadonlyArray<Token>, forbidden: ReadonlyArray<string>): ReadonlyArray<Token> => {
  if (forbidden.length === 0) return []
  const names = new Set(forbidden)
  const declared = declaredIn(tokens)
  const found: Array<Token> = []
  for (const [index, token] of tokens.entries()) {
    if (token.kind !== "name") continue
    const before = tokens[index - 1]?.text
    const after = tokens[index + 1]?.text
    if (before === "." && tokens[index - 2]?.text !== ".") continue
    const member = `${token.text}.${tokens[index + 2]?.text ?? ""}`
    if (after === "." && names.has(member)) found.push({ ...token, text: member })
    else if (names.has(token.text) && !declared.has(token.text) && !isKey(before, after)) found.push(token)
  }
  return found
}

/** `{ name: ...` and `name?: ...` in a type or an object. */
const isKey = (before: string | undefined, after: string | undefined): boolean =>
  (after === ":" || after === "?") && (before === "{" || before === "," || before === "readonly" || before === ";")

const DECLARES = new Set(["const", "let", "var", "function", "class", "interface", "type"])

const declaredIn = (tokens: ReadonlyArray<Token>): ReadonlySet<string> => {
  const declared = new Set<string>()
  for (const [index, token] of tokens.entries()) {
    if (token.kind === "name" && DECLARES.has(token.text)) declared.add(tokens[index + 1]?.text ?? "")
  }
  return declared
}
