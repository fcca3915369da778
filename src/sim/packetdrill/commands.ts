import type { SocketStatus } from "../../host/types.ts"
import type { TcpSettings } from "../../tcp/settings.ts"
import type { Micros } from "../../tcp/time.ts"
import { formatEndpoint } from "../../wire/addressText.ts"
import type { CommandAction } from "./ast.ts"
import { DEFAULTS_SH } from "./baseline.ts"
import { missingCounter, type Nstat } from "./nstat.ts"
import { procLines } from "./procNet.ts"
import { changeRoute } from "./routes.ts"
import { unsupported } from "./scriptError.ts"
import { filtered, type Grep, grepOf, type SimpleCommand, splitCommands } from "./shell.ts"
import { MODULES, setSysctl } from "./sysctl.ts"

/** What commands work on: the machine's configuration and its socket table. */
export interface CommandContext {
  settings(): TcpSettings
  /** Also changes a machine that runs already; false when that cannot be done. */
  configure(settings: TcpSettings): boolean
  /** Segmentation offload of the interface; false when it cannot be changed any more. */
  offload(on: boolean): boolean
  /** Octets of the largest packet of the interface; false when it cannot be changed any more. */
  mtu(octets: number): boolean
  sleep(duration: Micros): void
  /** What the machine has counted. */
  counters(): Readonly<Record<string, number>>
  readonly nstat: Nstat
  sockets(): ReadonlyArray<SocketStatus>
  drop(socket: SocketStatus): void
  /** A sysctl without effect here: listed in the result. */
  ignored(what: string): void
}

/** Runs what stands between backticks; answers what went wrong, or undefined. */
export const runCommand = (context: CommandContext, action: CommandAction): string | undefined => {
  for (const command of splitCommands(action.text)) {
    const problem = runSimple(context, action, command)
    if (problem !== undefined) return `${command.text}: ${problem}`
  }
  return undefined
}

const runSimple = (context: CommandContext, action: CommandAction, command: SimpleCommand): string | undefined => {
  const [path = "", ...args] = command.words
  const name = path.split("/").at(-1) ?? ""
  if (command.piped) return unsupported(action.at, `the command \`${command.text}\``)
  switch (name) {
    case "sysctl":
      return sysctl(context, action, args)
    case "echo":
    case "printf":
      if (command.output === undefined) return undefined
      if (!command.output.startsWith("/proc/sys/")) return unsupported(action.at, `the command \`${command.text}\``)
      return set(context, action, command.output, args.filter((arg) => !arg.startsWith("-")).join(" "))
    case "defaults.sh":
      return defaults(context, action)
    case "set_sysctls.py":
      return all(context, action, args.map(assignment))
    case "sleep":
      context.sleep(Math.round(Number(args[0]) * 1e6))
      return undefined
    case "usleep":
      context.sleep(Number(args[0]))
      return undefined
    case "true":
    case ":":
    case "sync":
      return undefined
    case "false":
      return "exit status 1"
    case "cat":
    case "grep":
    case "egrep": {
      const found = linesOfFiles(context, name, args)
      if (found !== undefined) return search(found.lines, { filters: [...found.filters, ...command.filters] })
      if (name !== "cat" || command.filters.length > 0) return unsupported(action.at, `the command \`${command.text}\``)
      return undefined
    }
    case "date":
    case "uname":
      // They print to where nobody looks.
      if (command.filters.length === 0 && command.output === undefined) return undefined
      return unsupported(action.at, `the command \`${command.text}\``)
    case "kldload":
      return kldload(context, action, args)
    case "ethtool":
      return ethtool(context, action, command)
    case "ss":
      // What of a connection it shows beside the table's columns.
      if (args.some((arg) => /^-\w*[iempZ]/.test(arg)) && command.filters.length > 0) {
        return unsupported(action.at, `the command \`${command.text}\``)
      }
      return search(table(context, name), command)
    case "netstat":
    case "sockstat":
      return search(table(context, name), command)
    case "tcpdrop":
      for (const socket of context.sockets()) if (socket.remote !== undefined) context.drop(socket)
      return undefined
    case "nstat": {
      const missing = command.filters.map(({ pattern }) => missingCounter(pattern)).find((found) => found !== undefined)
      if (missing !== undefined) return unsupported(action.at, `the counter ${missing} (nstat)`)
      const options = args.filter((arg) => arg.startsWith("-")).join("")
      return search(context.nstat.lines(context.counters(), options), command)
    }
    case "ip":
      return ip(context, action, command)
    case "tc":
      if (!HARMLESS_QUEUE.test(command.words.join(" "))) {
        return unsupported(action.at, `the command \`${command.text}\``)
      }
      context.ignored(command.text)
      return undefined
    default:
      // What the corpora write at a script's end to undo what its set-up did.
      if (name.startsWith("sysctl_restore")) return undefined
      return unsupported(action.at, `the command \`${command.text}\``)
  }
}

/** The set-up script: what the stack has no setting for is one remark, not twenty. */
const defaults = (context: CommandContext, action: CommandAction): string | undefined => {
  const ignored: Array<string> = []
  const problem = all(
    { ...context, ignored: (what) => ignored.push(what.replace(/^sysctl net\.ipv4\./, "")) },
    action,
    DEFAULTS_SH,
  )
  if (ignored.length > 0) context.ignored(`of defaults.sh: ${ignored.join(", ")}`)
  return problem
}

const assignment = (text: string): readonly [string, string] => {
  const at = text.indexOf("=")
  return [text.slice(0, at), text.slice(at + 1)]
}

const sysctl = (context: CommandContext, action: CommandAction, args: ReadonlyArray<string>): string | undefined => {
  const assignments = args.filter((arg) => arg.includes("=")).map(assignment)
  // A query prints to where nobody looks.
  return all(context, action, assignments)
}

const all = (
  context: CommandContext,
  action: CommandAction,
  assignments: ReadonlyArray<readonly [string, string]>,
): string | undefined => {
  for (const [name, value] of assignments) {
    const problem = set(context, action, name, value)
    if (problem !== undefined) return problem
  }
  return undefined
}

const set = (context: CommandContext, action: CommandAction, name: string, value: string): string | undefined => {
  const missing = missingPart(name, value)
  if (missing !== undefined) return unsupported(action.at, missing)
  const before = context.settings()
  const after = setSysctl(before, name, value)
  if (after === "unknown") context.ignored(`sysctl ${name}=${value}`)
  else if (after !== before && !context.configure(after)) {
    return unsupported(action.at, `sysctl ${name} while sockets are open`)
  }
  return undefined
}

/** A root queue that neither delays nor drops anything: what paces does so in the stack. */
const HARMLESS_QUEUE =
  /^tc qdisc (?:(?:add|replace|change) dev \S+ root (?:handle \S+ )?(?:pfifo|bfifo|fq|noqueue)(?!.* limit 0\b)|del(?:ete)? dev \S+ root)/

/** What a sysctl asks for that kernels have, and the stack not: a script about that can only be unsupported. */
const missingPart = (name: string, value: string): string | undefined => {
  if (/congestion_control$|cc.algorithm$/.test(name) && MODULES.has(value)) return `the congestion control ${value}`
  if (/ipv4.tcp_ecn$/.test(name) && Number(value) > CLASSIC_ECN) return `accurate ECN (tcp_ecn=${value})`
  return undefined
}

/** The largest value of tcp_ecn that is RFC 3168's: off, on, and for who asks. */
const CLASSIC_ECN = 2

/** Modules whose work the profile does by itself; another TCP stack is another profile. */
const kldload = (context: CommandContext, action: CommandAction, args: ReadonlyArray<string>): string | undefined => {
  const modules = args.filter((arg) => !arg.startsWith("-"))
  const missing = modules.find((module) => !/^(?:cc_|tcp_rack$|tcp_bbr$|tcphpts$)/.test(module))
  if (missing !== undefined) return unsupported(action.at, `the kernel module ${missing}`)
  for (const module of modules) context.ignored(`kldload ${module}`)
  return undefined
}

const ethtool = (context: CommandContext, action: CommandAction, command: SimpleCommand): string | undefined => {
  const [mode, , ...features] = command.words.slice(1)
  if (mode !== "-K") return unsupported(action.at, `the command \`${command.text}\``)
  for (let i = 0; i < features.length; i += 2) {
    if (features[i] === "tso" || features[i] === "gso") {
      if (!context.offload(features[i + 1] === "on")) unsupported(action.at, "ethtool -K while sockets are open")
    } else context.ignored(`ethtool -K ${features[i]} ${features[i + 1]}`)
  }
  return undefined
}

/** iproute2's ip(8): routes' metrics, the interface's MTU, and the metrics that Linux remembers of peers. */
const ip = (context: CommandContext, action: CommandAction, command: SimpleCommand): string | undefined => {
  const [object = "", verb = "", ...rest] = command.words.slice(1).filter((word) => !/^-(?:4|6|\w*force)$/.test(word))
  const change = /^(?:a|add|ap|append|c|ch|change|chg|r|rep|replace)$/.test(verb)
  if (/^tcp_?m/.test(object) && /^(?:f|d)/.test(verb)) {
    context.ignored(command.text)
    return undefined
  }
  if (/^ro?/.test(object) && verb === "flush" && rest[0] === "cache") {
    context.ignored(command.text)
    return undefined
  }
  if (/^(?:s|sh|show|l|ls|list)$/.test(verb) && command.filters.length === 0) return undefined
  if (/^ro?/.test(object) && change) {
    const changed = changeRoute(context.settings(), rest)
    if (changed._tag === "Unknown") return unsupported(action.at, `${changed.what} of a route`)
    const done = (changed.mtu === undefined || context.mtu(changed.mtu)) && context.configure(changed.settings)
    return done ? undefined : unsupported(action.at, "ip route while sockets are open")
  }
  const mtu = /^l/.test(object) && verb.startsWith("s") ? rest[rest.indexOf("mtu") + 1] : undefined
  const only = rest.every((word, i) => word === "mtu" || word === mtu || word === "dev" || rest.length - i > 2)
  if (mtu === undefined || !only) return unsupported(action.at, `the command \`${command.text}\``)
  return context.mtu(Number(mtu)) ? undefined : unsupported(action.at, "ip link while sockets are open")
}

/** What cat, or grep with its pattern, reads; undefined: files that this machine does not have. */
const linesOfFiles = (
  context: CommandContext,
  name: string,
  args: ReadonlyArray<string>,
): { readonly lines: ReadonlyArray<string>; readonly filters: ReadonlyArray<Grep> } | undefined => {
  const paths = args.filter((arg) => arg.startsWith("/"))
  const files = paths.map((path) => procLines(path, context.sockets()))
  if (files.length === 0 || files.includes(undefined)) return undefined
  const grep = name === "cat" ? undefined : grepOf([name, ...args])
  return { lines: files.flatMap((lines) => lines ?? []), filters: grep === undefined ? [] : [grep] }
}

/** What grep leaves of a command's output: it fails where that is nothing. */
const search = (lines: ReadonlyArray<string>, { filters }: Pick<SimpleCommand, "filters">): string | undefined => {
  if (filters.length === 0 || filtered(lines, filters).length > 0) return undefined
  return `"${filters.map(({ pattern }) => pattern).join(" | ")}" is not in\n${lines.join("\n")}`
}

/** As `ss -tan` and `sockstat -s` print it. */
const table = (context: CommandContext, name: string): ReadonlyArray<string> =>
  context.sockets().map((socket) => describe(socket, name))

const SS_STATES: Readonly<Record<string, string>> = {
  ESTABLISHED: "ESTAB",
  "FIN-WAIT-1": "FIN-WAIT-1",
  "FIN-WAIT-2": "FIN-WAIT-2",
  CLOSED: "UNCONN",
  "SYN-RECEIVED": "SYN-RECV",
}

const describe = (socket: SocketStatus, name: string): string => {
  const local = formatEndpoint(socket.local)
  const remote = socket.remote === undefined ? "*:*" : formatEndpoint(socket.remote)
  const state = name === "ss" ? (SS_STATES[socket.state] ?? socket.state) : socket.state.replaceAll("-", "_")
  return `tcp ${state} ${socket.recvQ} ${socket.sendQ} ${local} ${remote} ${state}`
}
