import { createServer } from "node:http"
import { Command, Options } from "@effect/cli"
import { Effect, Option } from "effect"
import * as NodeHttp from "../net/NodeHttp.ts"
import * as Tcp from "../net/Tcp.ts"
import { Stack, type StackService } from "../runtime/stack.ts"
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
import { APPS, type App, listenerOf } from "./httpApps.ts"
import { memoryStacks } from "./memoryStacks.ts"
import * as Own from "./options.ts"
import { type Report, reportFor } from "./report.ts"
import { type StackOn, snapshotOf, stackOn, warming } from "./services.ts"
import { untilSignal } from "./signals.ts"
import { type Wire, wire } from "./wire.ts"

const HTTP_PORT = 80
const DEFAULT_KERNEL_PORT = 8080
/** A connection without traffic, milliseconds: longer than the slowest page. */
const IDLE = 60_000

interface HttpOptions extends LinkOptions {
  readonly app: App
  readonly host: string
  readonly port: Option.Option<number>
  readonly backlog: Option.Option<number>
  readonly json: boolean
  readonly noControl: boolean
  readonly wire: Wire
}

const run = (options: HttpOptions) =>
  Effect.scoped(
    Effect.gen(function* () {
      const report = reportFor(options.json)
      const { device } = options
      const addresses = yield* addressing("http", options)
      if (device._tag === "Memory") yield* onMemory(options, report)
      else yield* onDevice({ ...options, ...addresses, device }, report)
    }),
  )

const onMemory = (options: HttpOptions, report: Report) =>
  Effect.gen(function* () {
    const { server, client, reachable } = yield* memoryStacks(options.wire)
    const connections = yield* serve(server, HTTP_PORT, options)
    yield* control(options.noControl, { name: "http", stacks: { server, client } })
    const port = yield* reachable(
      options.host,
      Option.getOrElse(options.port, () => DEFAULT_KERNEL_PORT),
      HTTP_PORT,
    )
    const snapshot = snapshotOf(connections, server, client)
    yield* Effect.addFinalizer(() => report.end(snapshot()))
    const url = `http://${options.host}:${port}/`
    yield* report.say(`${url}, carried by netfold TCP in this process. Try: curl ${url}file`, "start", {
      device: "memory",
      app: options.app,
      address: `${options.host}:${port}`,
    })
    yield* Effect.raceFirst(untilSignal, report.watch(snapshot))
  })

const onDevice = (options: Omit<HttpOptions, keyof LinkOptions> & StackOn & Addressing, report: Report) =>
  Effect.gen(function* () {
    const { stack, device } = yield* stackOn(options)
    const port = Option.getOrElse(options.port, () => HTTP_PORT)
    const connections = yield* serve(stack, port, options)
    yield* control(options.noControl, { name: "http", stacks: { [device]: stack } })
    const snapshot = snapshotOf(connections, stack)
    yield* Effect.addFinalizer(() => report.end(snapshot()))
    yield* warming(stack)
    yield* sayLearnt(stack, options, report)
    const url = (address: string): string => `http://${address.includes(":") ? `[${address}]` : address}:${port}/`
    yield* report.say(
      `HTTP on port ${port} of ${whereText(options)}, interface ${device}${tryText(options, (address) => `curl ${url(address)}file`)}`,
      "start",
      { device, app: options.app, ...whereFields(options, port) },
    )
    yield* Effect.raceFirst(untilSignal, Effect.raceFirst(report.watch(snapshot), stack.failure))
  })

const serve = (stack: StackService, port: number, { app, backlog }: Pick<HttpOptions, "app" | "backlog">) =>
  Effect.gen(function* () {
    const listener = yield* Tcp.listen({
      port,
      noDelay: true,
      ...(Option.isSome(backlog) ? { backlog: backlog.value } : {}),
    }).pipe(Effect.provideService(Stack, stack))
    const server = createServer(yield* listenerOf(app))
    server.setTimeout(IDLE)
    return NodeHttp.serve(listener, server)
  })

export const command = Command.make(
  "http",
  {
    app: Options.choice("app", APPS).pipe(
      Options.withDefault<App>("node"),
      Options.withDescription("who answers: node:http alone, or an HttpApp of Effect's"),
    ),
    device: Own.device("memory"),
    host: Options.text("host").pipe(
      Options.withDefault("127.0.0.1"),
      Options.withDescription("memory: the kernel address to listen on"),
    ),
    port: Own.port.pipe(
      Options.withDescription(
        `default: ${DEFAULT_KERNEL_PORT} of the kernel's (memory), ${HTTP_PORT} of the stack's (any other device)`,
      ),
      Options.optional,
    ),
    backlog: Options.integer("backlog").pipe(
      Options.withDescription("connections that may wait to be accepted; default: somaxconn"),
      Options.optional,
    ),
    ends: Own.ends,
    ...networkOptions,
    json: Own.json,
    noControl,
    wire,
  },
  run,
).pipe(Command.withDescription("An HTTP server on a TCP of its own: a page, a file of 1 MiB, and a slow answer."))
