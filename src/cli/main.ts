#!/usr/bin/env bun
import { CliConfig, Command } from "@effect/cli"
import * as BunContext from "@effect/platform-bun/BunContext"
import { Cause, type Console, Effect, Exit, Layer, Option } from "effect"
import { version } from "../../package.json"
import * as Addr from "./addr.ts"
import { separated } from "./argv.ts"
import * as Dhcpd from "./dhcpd.ts"
import * as Echo from "./echo.ts"
import { explain, FAILURE } from "./errors.ts"
import * as Http from "./http.ts"
import { spelledOut } from "./ipWords.ts"
import * as Lab from "./lab.ts"
import * as Neigh from "./neigh.ts"
import * as Nstat from "./nstat.ts"
import * as Packetdrill from "./packetdrill.ts"
import * as Ping from "./ping.ts"
import * as Replay from "./replay.ts"
import * as Route from "./route.ts"
import * as Serve from "./serve.ts"
import * as Simulate from "./simulate.ts"
import * as Ss from "./ss.ts"
import * as Traceroute from "./traceroute.ts"

const netfold = Command.make("netfold").pipe(
  Command.withDescription("A userspace TCP/IP stack."),
  Command.withSubcommands([
    Echo.command,
    Serve.command,
    Http.command,
    Lab.command,
    Simulate.command,
    Replay.command,
    Ss.command,
    Nstat.command,
    Addr.command,
    Route.command,
    Neigh.command,
    Dhcpd.command,
    Ping.command,
    Traceroute.command,
    Packetdrill.command,
  ]),
)

const cli = Command.run(netfold, { name: "netfold", version, executable: "netfold" })

/** The parser's texts: without colours where nobody would see them, its complaints in one line. */
const plain = (console: Console.Console): Console.Console => ({
  ...console,
  log: (text: string) => console.log(process.stdout.isTTY ? text : Bun.stripANSI(text)),
  error: (text: string) => console.error(`netfold: ${Bun.stripANSI(text).trim()}`),
})

const statusOf = (exit: Exit.Exit<void, unknown>): number | undefined => {
  // Where nothing failed, `lab` has set what its command exited with.
  if (Exit.isSuccess(exit)) return undefined
  const error = Cause.failureOption(exit.cause)
  if (Option.isNone(error)) {
    // A mistake of ours: this one does want its trace.
    console.error(Cause.pretty(exit.cause))
    return FAILURE
  }
  const { status, message } = explain(error.value)
  if (message !== undefined) console.error(`netfold: ${message}`)
  return status
}

// Devices and sleeping stacks do not keep a process alive: the command that runs them does.
const alive = setInterval(() => {}, 2 ** 30)
const exit = await Effect.runPromiseExit(
  Effect.consoleWith((console) =>
    Effect.withConsole(cli(separated(Lab.protectCommand(spelledOut(process.argv)))), plain(console)),
  ).pipe(Effect.provide(Layer.merge(BunContext.layer, CliConfig.layer({ showBuiltIns: false })))),
)
clearInterval(alive)
process.exit(statusOf(exit))
