import type { SocketStatus } from "../../host/types.ts"
import type { TcpSettings } from "../../tcp/settings.ts"
import type { Micros } from "../../tcp/time.ts"
import { formatEndpoint } from "../../wire/addressText.ts"
import type { CommandAction } from "./ast.ts"
import { DEFAULTS_SH } from "./baseline.ts"
import { unsupported } from "./scriptError.ts"
import { type SimpleCommand, splitCommands } from "./shell.ts"
import { setSysctl } from "./sysctl.ts"

/** What commands work on: the machine's configuration and its socket table. */
export interface CommandContext {
  settings(): TcpSettings
  /** Also changes a machine that runs already; false when that cannot be done. */
  configure(settings: TcpSettings): boolean
  /** Segmentation offload of the interface. */
  offload(on: boolean): void
  sleep(duration: Micros): void
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
  switch (name) {
    case "sysctl":
      return sysctl(context, action, args)
    case "echo":
    case "printf":
      if (command.output === undefined) return undefined
      if (!command.output.startsWith("/proc/sys/")) return unsupported(action.at, `the command \`${command.text}\``)
      return set(context, action, command.output, args.filter((arg) => !arg.startsWith("-")).join(" "))
    case "defaults.sh":
      return all(context, action, DEFAULTS_SH)
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
    case "kldload":
      return kldload(context, action, args)
    case "ethtool":
      return ethtool(context, action, command)
    case "ss":
    case "netstat":
    case "sockstat":
      return search(context, name, command.grep)
    case "tcpdrop":
      for (const socket of context.sockets()) if (socket.remote !== undefined) context.drop(socket)
      return undefined
    case "ip":
    case "tc":
      if (
        /^ip tcp_metrics (?:flush|delete)|^tc qdisc (?:add|replace|del|change) dev \S+ root/.test(
          command.words.join(" "),
        )
      ) {
        context.ignored(command.text)
        return undefined
      }
      return unsupported(action.at, `the command \`${command.text}\``)
    default:
      return unsupported(action.at, `the command \`${command.text}\``)
  }
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
  const before = context.settings()
  const after = setSysctl(before, name, value)
  if (after === "unknown") context.ignored(`sysctl ${name}=${value}`)
  else if (JSON.stringify(after) !== JSON.stringify(before) && !context.configure(after)) {
    return unsupported(action.at, `sysctl ${name} while sockets are open`)
  }
  return undefined
}

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
    if (features[i] === "tso" || features[i] === "gso") context.offload(features[i + 1] === "on")
    else context.ignored(`ethtool -K ${features[i]} ${features[i + 1]}`)
  }
  return undefined
}

/** A table as `ss -tan` and `sockstat -s` print it: fails, as grep does, where the pattern is not in it. */
const search = (context: CommandContext, name: string, pattern: string | undefined): string | undefined => {
  if (pattern === undefined) return undefined
  const lines = context.sockets().map((socket) => describe(socket, name))
  return lines.some((line) => new RegExp(pattern).test(line))
    ? undefined
    : `"${pattern}" is not in\n${lines.join("\n")}`
}

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
