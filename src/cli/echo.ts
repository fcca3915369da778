import { Command, Options } from "@effect/cli"
import { Effect, Option } from "effect"
import { echo, serviceCounters } from "../net/services.ts"
import {
  type Addressing,
  addressing,
  type LinkOptions,
  networkOptions,
  sayLearnt,
  tryText,
  whereFields,
  whereText,
} from "./addressing.ts"
import { control, noControl } from "./control.ts"
import { memoryEcho } from "./memoryEcho.ts"
import * as Own from "./options.ts"
import { type Report, reportFor } from "./report.ts"
import { ECHO_PORT, type StackOn, serve, snapshotOf, stackOn, warming } from "./services.ts"
import { untilSignal } from "./signals.ts"
import { type Wire, wire } from "./wire.ts"

const DEFAULT_KERNEL_PORT = 7007

interface EchoOptions extends LinkOptions {
  readonly host: string
  readonly port: Option.Option<number>
  readonly allPorts: boolean
  readonly json: boolean
  readonly noControl: boolean
  readonly wire: Wire
}

const run = (options: EchoOptions) =>
  Effect.scoped(
    Effect.gen(function* () {
      const report = reportFor(options.json)
      const { device } = options
      const addresses = yield* addressing("echo", options)
      if (device._tag === "Memory") yield* onMemory(options, report)
      else yield* onDevice({ ...options, ...addresses, device }, report)
    }),
  )

const onMemory = ({ host, port, allPorts, noControl, wire }: EchoOptions, report: Report) =>
  Effect.gen(function* () {
    const running = yield* memoryEcho(
      host,
      Option.getOrElse(port, () => DEFAULT_KERNEL_PORT),
      allPorts,
      wire,
    )
    yield* control(noControl, { name: "echo", stacks: { server: running.server, client: running.client } })
    const snapshot = snapshotOf(running.counters, running.server, running.client)
    yield* Effect.addFinalizer(() => report.end(snapshot()))
    yield* report.say(
      `echo on ${host}:${running.port}, carried by netfold TCP in this process. Try: nc ${host} ${running.port}`,
      "start",
      { device: "memory", address: `${host}:${running.port}` },
    )
    yield* Effect.raceFirst(untilSignal, report.watch(snapshot))
  })

const onDevice = (options: Omit<EchoOptions, keyof LinkOptions> & StackOn & Addressing, report: Report) =>
  Effect.gen(function* () {
    const { stack, device } = yield* stackOn(options)
    const port = Option.getOrElse(options.port, () => ECHO_PORT)
    const counters = serviceCounters()
    const snapshot = snapshotOf(counters, stack)
    yield* Effect.addFinalizer(() => report.end(snapshot()))
    yield* serve(stack, options.allPorts ? "every" : port, echo(counters))
    yield* control(options.noControl, { name: "echo", stacks: { [device]: stack } })
    yield* warming(stack)
    yield* sayLearnt(stack, options, report)
    const ports = options.allPorts ? "every port" : `port ${port}`
    yield* report.say(
      `echo on ${ports} of ${whereText(options)}, interface ${device}${tryText(options, (address) => `nc ${address} ${port}`)}`,
      "start",
      { device, ...whereFields(options, options.allPorts ? "*" : port) },
    )
    yield* Effect.raceFirst(untilSignal, Effect.raceFirst(report.watch(snapshot), stack.failure))
  })

export const command = Command.make(
  "echo",
  {
    device: Own.device("memory"),
    host: Options.text("host").pipe(
      Options.withDefault("127.0.0.1"),
      Options.withDescription("memory: the kernel address to listen on"),
    ),
    port: Own.port.pipe(
      Options.withDescription(
        `default: ${DEFAULT_KERNEL_PORT} of the kernel's (memory), ${ECHO_PORT} of the stack's (any other device)`,
      ),
      Options.optional,
    ),
    allPorts: Options.boolean("all-ports").pipe(Options.withDescription("answer on every port of the stack")),
    ends: Own.ends,
    ...networkOptions,
    json: Own.json,
    noControl,
    wire,
  },
  run,
).pipe(Command.withDescription("An echo server (RFC 862) on a TCP of its own. Without privilege by default."))
