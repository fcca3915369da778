import { chmodSync, existsSync } from "node:fs"
import { createConnection, createServer, type Server, type Socket } from "node:net"
import { join } from "node:path"
import { Effect, Runtime, type Scope } from "effect"
import type { StackService } from "../runtime/stack.ts"
import { codeOf, files, isDead, prepare, removeTraces, surroundings } from "./controlDirectory.ts"
import { ControlSocketError } from "./controlError.ts"
import { decodeRequest, encode, type Line, LineSplitter, LONGEST_REQUEST, ROWS_PER_LINE } from "./controlProtocol.ts"
import * as Inspect from "./Inspect.ts"

export interface ControlOptions {
  /** What the process is called where several are listed. */
  readonly name: string
  /** The stacks to be seen, each under a name. */
  readonly stacks: Readonly<Record<string, StackService>>
}

/** Clients at once; more are turned away. */
const MAX_CLIENTS = 8
/** A client that says nothing for so long is hung up on, milliseconds. */
const IDLE = 10_000
/** Processes of one pid in as many namespaces. */
const MAX_NAMESAKES = 64
/** sockaddr_un.sun_path with its final zero. */
const LONGEST_PATH = 107

/**
 * Answers `netfold ss`, `nstat`, `addr`, `route` and `neigh` about stacks of this process until the scope ends.
 * Returns the socket's path. Costs nothing while nobody asks, and does not keep the process alive.
 */
export const open = (options: ControlOptions): Effect.Effect<string, ControlSocketError, Scope.Scope> =>
  Effect.gen(function* () {
    const runtime = yield* Effect.runtime<never>()
    const answer = (request: string): Iterable<Line> =>
      answers(options, request, (effect) => Runtime.runSync(runtime)(effect))
    const directory = prepare(surroundings())
    if ("problem" in directory) {
      return yield* new ControlSocketError({ path: "control socket", reason: directory.problem })
    }
    yield* sweep
    const path = yield* freePath(directory.path)
    const clients = new Set<Socket>()
    const remove = (): void => removeTraces(path)
    yield* Effect.acquireRelease(listening(path, clients, answer), (server) =>
      Effect.sync(() => {
        server.close()
        for (const client of clients) client.destroy()
        remove()
        process.off("exit", remove)
      }),
    )
    // A process that a second signal ends at once runs no finalizers.
    process.on("exit", remove)
    return path
  })

/** What processes that were killed have left. One of another namespace seems dead too, but answers. */
const sweep: Effect.Effect<void> = Effect.suspend(() =>
  Effect.forEach(
    files(surroundings()).filter(({ pid }) => isDead(pid)),
    ({ path }) => Effect.map(answersAt(path), (answers) => (answers ? undefined : removeTraces(path))),
    { discard: true },
  ),
)

/** `<pid>.sock`, unless a process of another namespace answers there. */
const freePath = (directory: string): Effect.Effect<string, ControlSocketError> =>
  Effect.gen(function* () {
    for (let n = 1; n <= MAX_NAMESAKES; n++) {
      const path = join(directory, `${process.pid}${n === 1 ? "" : `-${n}`}.sock`)
      if (Buffer.byteLength(path) > LONGEST_PATH) {
        return yield* new ControlSocketError({
          path,
          reason: `longer than the ${LONGEST_PATH} octets of a Unix socket`,
        })
      }
      if (!existsSync(path)) return path
      if (yield* answersAt(path)) continue
      removeTraces(path)
      return path
    }
    return yield* new ControlSocketError({ path: directory, reason: "too many processes of this pid" })
  })

const answersAt = (path: string): Effect.Effect<boolean> =>
  Effect.async((resume) => {
    const probe = createConnection(path)
    probe.once("connect", () => {
      probe.destroy()
      resume(Effect.succeed(true))
    })
    probe.once("error", () => resume(Effect.succeed(false)))
  })

const listening = (
  path: string,
  clients: Set<Socket>,
  answer: (request: string) => Iterable<Line>,
): Effect.Effect<Server, ControlSocketError> =>
  Effect.async((resume) => {
    const server = createServer((client) => {
      if (clients.size >= MAX_CLIENTS) return client.destroy()
      clients.add(client)
      // A client that has gone is its own affair.
      client.on("error", () => {})
      client.on("close", () => clients.delete(client))
      client.setTimeout(IDLE, () => client.destroy())
      converse(client, answer).then(
        () => client.end(),
        () => client.destroy(),
      )
      return undefined
    })
    server.once("error", (cause) => {
      resume(new ControlSocketError({ path, reason: `cannot listen there (${codeOf(cause)})` }))
    })
    server.listen(path, () => {
      // The directory lets nobody in before.
      chmodSync(path, 0o600)
      server.unref()
      resume(Effect.succeed(server))
    })
  })

/** Request by request: nothing is read while an answer is on its way. */
const converse = async (client: Socket, answer: (request: string) => Iterable<Line>): Promise<void> => {
  const splitter = new LineSplitter()
  client.setEncoding("utf8")
  for await (const chunk of client) {
    for (const request of splitter.push(String(chunk))) {
      for (const line of answer(request)) await written(client, encode(line))
    }
    if (splitter.waiting > LONGEST_REQUEST) {
      await written(client, encode({ error: `a request is ${LONGEST_REQUEST} octets at most` }))
      return
    }
  }
}

/** Done when the client takes more, or never will; and not before the stacks have had a turn. */
const written = (client: Socket, text: string): Promise<void> =>
  new Promise((resolve) => {
    if (client.destroyed) return resolve()
    if (client.write(text)) return void setImmediate(resolve)
    const done = (): void => {
      client.off("drain", done)
      client.off("close", done)
      resolve()
    }
    client.on("drain", done)
    client.on("close", done)
  })

type RunSync = <A>(effect: Effect.Effect<A>) => A

function* answers({ name, stacks }: ControlOptions, text: string, run: RunSync): Generator<Line> {
  if (text.length > LONGEST_REQUEST) return yield { error: `a request is ${LONGEST_REQUEST} octets at most` }
  const request = decodeRequest(text)
  if ("error" in request) return yield request
  yield { netfold: request.netfold, pid: process.pid, name, stacks: Object.keys(stacks) }
  for (const [stack, service] of Object.entries(stacks)) {
    switch (request.ask) {
      case "sockets":
        for (const sockets of pieces(run(Inspect.eachSocket(service, request.states, request.protocols)))) {
          yield { stack, sockets }
        }
        break
      case "summary":
        yield { stack, summary: run(Inspect.summary(service)) }
        break
      case "counters":
        yield { stack, counters: run(Inspect.counters(service)) }
        break
      case "interfaces":
        for (const interfaces of pieces(run(Inspect.interfaces(service)))) yield { stack, interfaces }
        break
      case "routes":
        for (const routes of pieces(run(Inspect.routes(service)))) yield { stack, routes }
        break
      case "neighbours":
        for (const neighbours of pieces(run(Inspect.neighbours(service)))) yield { stack, neighbours }
        break
    }
  }
  yield { end: true }
}

/** The rows of a table as lines hold them; one at least. */
function* pieces<A>(table: Iterable<A>): Generator<ReadonlyArray<A>> {
  let rows: Array<A> = []
  for (const row of table) {
    if (rows.push(row) < ROWS_PER_LINE) continue
    yield rows
    rows = []
  }
  yield rows
}
