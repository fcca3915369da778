import type { SocketStatus } from "../../../host/types.ts"
import type { CloseReason } from "../../../tcp/effect.ts"
import { type Micros, OFF } from "../../../tcp/time.ts"
import type { Endpoint } from "../../../wire/address.ts"
import type { CallAction, Expression } from "../ast.ts"
import type { RunConfig } from "../config.ts"
import type { File, SocketFile } from "../files.ts"
import type { Flow } from "../flow.ts"
import type { Machine } from "../machine.ts"
import { isEllipsis, numberOf } from "../values.ts"

/** What a call came to. `problems` are arguments that the call filled in otherwise than the script says. */
export interface CallResult {
  readonly value: number
  readonly errno: string | undefined
  readonly problems: ReadonlyArray<string>
}

/** A call under way: it is tried, and tried again after each thing that happens, until it returns. */
export interface Attempt {
  readonly poll: () => CallResult | "blocks"
  /** When it has to be tried even though nothing has happened: its time-out; OFF: none. */
  readonly deadline: Micros
}

/** What calls work on. */
export interface CallContext {
  readonly machine: Machine
  readonly config: RunConfig
  readonly files: Map<number, File>
  /** Packets that follow concern the connections that this listener gets. */
  readonly listening: (local: Endpoint) => void
  /** Packets that follow concern this connection. */
  readonly concerns: (flow: Flow) => void
  readonly flowOf: (local: Endpoint, remote: Endpoint) => Flow
}

export type Call = (context: CallContext, action: CallAction) => Attempt

export const done = (value: number, problems: ReadonlyArray<string> = []): CallResult => ({
  value,
  errno: undefined,
  problems,
})

export const failed = (errno: string): CallResult => ({ value: -1, errno, problems: [] })

/** A call that never waits. */
export const immediate = (result: CallResult): Attempt => ({ poll: () => result, deadline: OFF })

export const socketOf = (context: CallContext, expression: Expression | undefined): SocketFile | CallResult => {
  const file = context.files.get(numberOf(expression, context.config.definitions, "a file descriptor"))
  if (file === undefined) return failed("EBADF")
  return file.kind === "socket" ? file : failed("ENOTSOCK")
}

/** `socketOf` returned an error in place of a file. */
export const isResult = (value: SocketFile | CallResult): value is CallResult => "problems" in value

/** The value that a script expects in an argument against the one that is there. */
export const check = (
  context: CallContext,
  expected: Expression | undefined,
  actual: number,
  what: string,
): ReadonlyArray<string> => {
  if (expected === undefined || isEllipsis(expected)) return []
  const wanted = numberOf(expected, context.config.definitions, what)
  return wanted === actual ? [] : [`${what}: expected ${wanted}, got ${actual}`]
}

export const statusOf = (context: CallContext, file: SocketFile): SocketStatus | undefined =>
  file.id === undefined ? undefined : context.machine.host.status(file.id)

const ERRNO_OF: Readonly<Record<CloseReason, string | undefined>> = {
  done: undefined,
  ConnectionRefused: "ECONNREFUSED",
  ConnectionReset: "ECONNRESET",
  ConnectionTimedOut: "ETIMEDOUT",
  ConnectionAborted: "ECONNABORTED",
  HostUnreachable: "EHOSTUNREACH",
}

/** The connection's error that nobody has been told yet. */
export const pendingError = (context: CallContext, file: SocketFile): string | undefined => {
  if (file.errorTaken) return undefined
  const closed = statusOf(context, file)?.closed
  if (closed === undefined) return undefined
  // Linux's tcp_reset says EPIPE where the peer had already closed its side.
  if (closed.reason === "ConnectionReset" && file.flow?.peerClosed === true && !file.writeShut) return "EPIPE"
  return closed.errno ?? ERRNO_OF[closed.reason]
}

export const takeError = (context: CallContext, file: SocketFile): string | undefined => {
  const error = pendingError(context, file)
  if (error !== undefined) file.errorTaken = true
  return error
}

const OPENING = ["SYN-SENT", "SYN-RECEIVED"]

/** The handshake is over, whatever became of the connection since. */
export const isOpen = (status: SocketStatus): boolean => status.closed === undefined && !OPENING.includes(status.state)
