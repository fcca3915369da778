import { createConnection } from "node:net"
import { Effect } from "effect"
import { type ControlFile, candidates, codeOf, files, isDead, removeTraces, surroundings } from "./controlDirectory.ts"
import { ControlSocketError } from "./controlError.ts"
import { decodeLine, encode, type Line, LineSplitter, LONGEST_ANSWER_LINE, type Request } from "./controlProtocol.ts"
import type { InterfaceRow, NeighbourRow, RouteRow } from "./inspectNetworkSchema.ts"
import type { Counters, SocketRow, Summary } from "./inspectSchema.ts"

/** One stack of a process that was asked; what was not asked for is empty. */
export interface StackView {
  readonly name: string
  readonly sockets: ReadonlyArray<SocketRow>
  readonly summary: Summary | undefined
  readonly counters: Counters | undefined
  readonly interfaces: ReadonlyArray<InterfaceRow>
  readonly routes: ReadonlyArray<RouteRow>
  readonly neighbours: ReadonlyArray<NeighbourRow>
}

/** A process that answered. */
export interface ProcessView {
  readonly path: string
  readonly pid: number
  readonly name: string
  readonly stacks: ReadonlyArray<StackView>
}

export interface Asked {
  /** By pid. */
  readonly processes: ReadonlyArray<ProcessView>
  /** Processes that run and did not answer. */
  readonly silent: ReadonlyArray<ControlSocketError>
}

/** How long a busy process may be silent, milliseconds. */
const PATIENCE = 5000

const HUNG_UP = "hung up"

/** Where control sockets are looked for, best first. */
export const directories = (): ReadonlyArray<string> => candidates(surroundings())

/** Asks every process of this user that `wanted` accepts. Sockets that dead processes have left are removed. */
export const askAll = (
  request: Omit<Request, "netfold">,
  wanted: (file: ControlFile) => boolean = () => true,
): Effect.Effect<Asked> =>
  Effect.gen(function* () {
    const found = yield* Effect.sync(() => files(surroundings()).filter(wanted))
    const outcomes = yield* Effect.forEach(found, (file) => Effect.either(ask(file, request)), { concurrency: 8 })
    const processes: Array<ProcessView> = []
    const silent: Array<ControlSocketError> = []
    for (const outcome of outcomes) {
      if (outcome._tag === "Left") silent.push(outcome.left)
      else if (outcome.right !== undefined) processes.push(outcome.right)
    }
    return { processes: processes.sort((a, b) => a.pid - b.pid), silent }
  })

/** Undefined: nobody is there any more. */
const ask = (
  { path, pid }: ControlFile,
  request: Omit<Request, "netfold">,
): Effect.Effect<ProcessView | undefined, ControlSocketError> =>
  Effect.map(linesFrom(path, encode({ netfold: 1, ...request })), (lines) => viewOf(path, lines)).pipe(
    Effect.catchIf(
      ({ reason }) => reason === "ECONNREFUSED" || reason === "ENOENT",
      () => Effect.sync(() => removeStale(path, pid)),
    ),
  )

/** Nobody listens there. A process that is alive may just be about to. */
const removeStale = (path: string, pid: number): undefined => {
  if (isDead(pid)) removeTraces(path)
}

/** The lines of one answer. */
const linesFrom = (path: string, request: string): Effect.Effect<ReadonlyArray<Line>, ControlSocketError> =>
  Effect.async((resume) => {
    const lines: Array<Line> = []
    const splitter = new LineSplitter()
    const socket = createConnection(path, () => socket.write(request))
    const fail = (reason: string): void => {
      socket.destroy()
      resume(new ControlSocketError({ path, reason }))
    }
    socket.setEncoding("utf8")
    socket.setTimeout(PATIENCE, () => fail("does not answer"))
    socket.on("data", (text) => {
      for (const each of splitter.push(String(text))) {
        const line = decodeLine(each)
        if (line === undefined) return fail("speaks another version of the protocol: use its own netfold")
        if ("error" in line) return fail(line.error)
        if ("end" in line) {
          socket.destroy()
          return resume(Effect.succeed(lines))
        }
        lines.push(line)
      }
      if (splitter.waiting > LONGEST_ANSWER_LINE) fail("sends lines that are too long")
    })
    socket.on("error", (cause) => {
      const code = codeOf(cause)
      fail(code === "EPIPE" || code === "ECONNRESET" ? HUNG_UP : code)
    })
    socket.on("close", () => fail(HUNG_UP))
    return Effect.sync(() => socket.destroy())
  })

const viewOf = (path: string, lines: ReadonlyArray<Line>): ProcessView => {
  const [who] = lines
  if (who === undefined || !("pid" in who)) return { path, pid: 0, name: "?", stacks: [] }
  const stacks = who.stacks.map((name): StackView => {
    const own = lines.filter((line) => "stack" in line && line.stack === name)
    return {
      name,
      sockets: own.flatMap((line) => ("sockets" in line ? line.sockets : [])),
      summary: own.flatMap((line) => ("summary" in line ? [line.summary] : []))[0],
      counters: own.flatMap((line) => ("counters" in line ? [line.counters] : []))[0],
      interfaces: own.flatMap((line) => ("interfaces" in line ? line.interfaces : [])),
      routes: own.flatMap((line) => ("routes" in line ? line.routes : [])),
      neighbours: own.flatMap((line) => ("neighbours" in line ? line.neighbours : [])),
    }
  })
  return { path, pid: who.pid, name: who.name, stacks }
}
