import { constants } from "node:os"
import { Args, Command } from "@effect/cli"
import { Effect } from "effect"
import { addressing, type LinkOptions, networkArguments, networkOptions, whereText } from "./addressing.ts"
import { control } from "./control.ts"
import { FAILURE, UserError } from "./errors.ts"
import * as Own from "./options.ts"
import { CHARGEN_PORT, DISCARD_PORT, ECHO_PORT, serveAll, stackOn } from "./services.ts"
import { type Wire, wire, wireArguments } from "./wire.ts"

interface LabOptions extends Omit<LinkOptions, "device"> {
  readonly wire: Wire
  readonly command: ReadonlyArray<string>
}

/** Tells the process inside the namespace that it is there. Not passed on to the command. */
const INSIDE = "NETFOLD_LAB_INSIDE"
const INTERFACE = "tap0"
const DEVICE = { _tag: "Tap", name: INTERFACE } as const
/** Loaded by whoever enters a lab only: it needs the C library. */
const namespaces = Effect.promise(() => import("../../ffi/namespace.ts"))
/** As shells report a command that is not there. */
const NOT_FOUND = 127

const run = (options: LabOptions) =>
  Effect.flatMap(process.env[INSIDE] === undefined ? outside(options) : inside(options), (status) =>
    // The command's status is ours: `main` ends the process with it.
    Effect.sync(() => {
      process.exitCode = status
    }),
  )

/** Starts this program again in namespaces of its own, because a process with threads cannot enter them. */
const outside = ({ wire, command, ...options }: LabOptions) =>
  Effect.gen(function* () {
    const { enterCommand, whyForbidden } = yield* namespaces
    const forbidden = whyForbidden()
    if (forbidden !== undefined) return yield* new UserError({ message: `lab: ${forbidden}` })
    yield* addressing("lab", { ...options, device: DEVICE })
    const own = [...networkArguments(options), ...wireArguments(wire)]
    const again = [process.execPath, Bun.main, "lab", ...own, "--", ...command]
    return yield* child(enterCommand(again), { ...process.env, [INSIDE]: "1" })
  })

/** The stack, and the command beside it. */
const inside = ({ wire, command, ...options }: LabOptions) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { [INSIDE]: _, ...env } = process.env
      const { bringUpLoopback } = yield* namespaces
      bringUpLoopback()
      const addresses = yield* addressing("lab", { ...options, device: DEVICE })
      const { stack } = yield* stackOn({ ...addresses, device: DEVICE, wire })
      yield* serveAll(stack)
      yield* control(false, { name: "lab", stacks: { [INTERFACE]: stack } })
      const words = command.length > 0 ? command : [process.env["SHELL"] ?? "/bin/sh"]
      if (command.length === 0 && process.stderr.isTTY) {
        console.error(
          `lab: a stack on ${whereText(addresses)} serves echo ${ECHO_PORT}, discard ${DISCARD_PORT}, chargen ${CHARGEN_PORT}. exit leaves.`,
        )
      }
      return yield* Effect.raceFirst(child(words, env), stack.failure)
    }),
  )

/** Runs a command on our terminal and gives its exit status. */
const child = (
  words: ReadonlyArray<string>,
  env: Readonly<Record<string, string | undefined>>,
): Effect.Effect<number, UserError> =>
  Effect.async<number, UserError>((resume) => {
    const [name = ""] = words
    if (Bun.which(name) === null) {
      console.error(`lab: ${name}: command not found`)
      return resume(Effect.succeed(NOT_FOUND))
    }
    const running = Bun.spawn([...words], { env, stdin: "inherit", stdout: "inherit", stderr: "inherit" })
    // The terminal sends Ctrl-C to the command as well: it decides what that means.
    const ignore = (): void => {}
    const pass = (signal: NodeJS.Signals): void => running.kill(signal)
    process.on("SIGINT", ignore)
    process.on("SIGQUIT", ignore)
    process.on("SIGTERM", pass)
    process.on("SIGHUP", pass)
    running.exited.then(
      () => resume(Effect.succeed(statusOf(running.exitCode, running.signalCode))),
      (cause) => resume(new UserError({ message: `lab: ${name}: ${String(cause)}` })),
    )
  })

/** As a shell tells it: 128 and the signal's number for a command that a signal ended. */
const statusOf = (exitCode: number | null, signal: string | number | null): number => {
  if (signal === null) return exitCode ?? FAILURE
  return 128 + (typeof signal === "number" ? signal : (SIGNALS[signal] ?? 0))
}

const SIGNALS: Readonly<Record<string, number>> = constants.signals

export const command = Command.make(
  "lab",
  {
    ends: Own.ends,
    ...networkOptions,
    wire,
    command: Args.repeated(Args.text({ name: "command" })),
  },
  run,
).pipe(
  Command.withDescription(
    "A network of its own, without root: runs the command, or a shell, beside a stack that serves echo, discard and chargen.",
  ),
)

/** They take the next word, unless it is given with "=". */
const TAKES_A_WORD = ["--address", "--kernel-address", "--host-name", "--impair", "--impair-seed", "--capture"]

/**
 * What follows the first word that is not an option of `lab` is the command, its own options
 * included: "--" says so to the parser.
 */
export const protectCommand = (argv: ReadonlyArray<string>): ReadonlyArray<string> => {
  const lab = argv.indexOf("lab", 2)
  if (lab !== 2) return argv
  for (let at = lab + 1; at < argv.length; at++) {
    const word = argv[at] ?? ""
    if (word === "--") return argv
    if (!word.startsWith("-")) return [...argv.slice(0, at), "--", ...argv.slice(at)]
    if (TAKES_A_WORD.includes(word)) at++
  }
  return argv
}
