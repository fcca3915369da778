import { OFF } from "../../../tcp/time.ts"
import type { CallAction, Expression } from "../ast.ts"
import type { PipeFile, SocketFile } from "../files.ts"
import { unsupported } from "../scriptError.ts"
import { SYMBOLS } from "../symbols.ts"
import { isEllipsis, itemsOf, numberOf, numberOr } from "../values.ts"
import { type Attempt, type Call, type CallContext, type CallResult, done, failed, immediate } from "./context.ts"
import { read as readSocket, receive, transmit, write as writeSocket } from "./data.ts"

/** Octets that a pipe holds (fcntl(2), F_GETPIPE_SZ). */
const PIPE_SIZE = 65_536
const SPLICE_F_NONBLOCK = 2
const SPLICE_F_MORE = 4
const { MSG_MORE = 0, MSG_DONTWAIT = 0 } = SYMBOLS

/** pipe(2): `pipe([5, 6])`, of octets that nobody looks at. */
export const pipe: Call = (context, action) => {
  const { definitions } = context.config
  const ends = itemsOf(action.args[0] ?? action.result, "the ends of a pipe")
  const [reading, writing] = ends.map((end) => numberOf(end, definitions, "a file descriptor"))
  if (reading === undefined || writing === undefined) return unsupported(action.at, "a pipe without two ends")
  const shared = { octets: 0, writers: 1, readers: 1 }
  context.files.set(reading, { kind: "pipe", fd: reading, end: "read", pipe: shared })
  context.files.set(writing, { kind: "pipe", fd: writing, end: "write", pipe: shared })
  return immediate(done(0))
}

/** splice(2) between a pipe and a connection: octets move, and nothing else can be seen. */
export const splice: Call = (context, action) => {
  const { definitions } = context.config
  const from = fileOf(context, action.args[0])
  const to = fileOf(context, action.args[2])
  if (from === undefined || to === undefined) return immediate(failed("EBADF"))
  const length = numberOf(action.args[4], definitions, "a length")
  const flags = numberOr(action.args[5], definitions, "flags", 0)
  if (!isEllipsis(action.args[1]) && isOffset(action.args[1])) return immediate(failed("ESPIPE"))
  if (from.kind === "pipe" && to.kind === "socket") return intoSocket(context, action, from, length, flags)
  if (from.kind === "socket" && to.kind === "pipe") return outOfSocket(context, action, from, to, length, flags)
  if (from.kind !== "pipe" && to.kind !== "pipe") return immediate(failed("EINVAL"))
  return unsupported(action.at, "splice between anything but a pipe and a connection")
}

const fileOf = (context: CallContext, expression: Expression | undefined): ReturnType<CallContext["files"]["get"]> =>
  context.files.get(numberOf(expression, context.config.definitions, "a file descriptor"))

const isOffset = (expression: Expression | undefined): boolean =>
  expression !== undefined && !(expression._tag === "Name" && expression.name === "NULL")

/** What the pipe holds, sent. */
const intoSocket = (
  context: CallContext,
  action: CallAction,
  from: PipeFile,
  length: number,
  flags: number,
): Attempt => {
  const { pipe: source } = from
  if (from.end !== "read") return immediate(failed("EBADF"))
  if (source.octets === 0) {
    if (source.writers === 0) return immediate(done(0))
    return (flags & SPLICE_F_NONBLOCK) === 0 ? waitFor(() => source.octets > 0, 0) : immediate(failed("EAGAIN"))
  }
  const bytes = new Uint8Array(Math.min(length, source.octets))
  const more = (flags & SPLICE_F_MORE) === 0 ? 0 : MSG_MORE
  const socket = { ...action, args: [action.args[2] ?? action.result] }
  return taking(transmit(context, socket, bytes, more), (n) => {
    source.octets -= n
  })
}

/** What has arrived, into the pipe. */
const outOfSocket = (
  context: CallContext,
  action: CallAction,
  from: SocketFile,
  to: PipeFile,
  length: number,
  flags: number,
): Attempt => {
  const { pipe: target } = to
  if (to.end !== "write") return immediate(failed("EBADF"))
  if (target.readers === 0) return immediate(failed("EPIPE"))
  const room = Math.min(length, PIPE_SIZE - target.octets)
  if (room === 0) return immediate(failed("EAGAIN"))
  const waits = (flags & SPLICE_F_NONBLOCK) === 0 && !from.nonBlocking
  return taking(receive(context, action, room, waits ? 0 : MSG_DONTWAIT), (n) => {
    target.octets += n
  })
}

const waitFor = (come: () => boolean, value: number): Attempt => ({
  poll: () => (come() ? done(value) : "blocks"),
  deadline: OFF,
})

/** `take` is told how much a call has moved. */
const taking = (attempt: Attempt, take: (n: number) => void): Attempt => ({
  ...attempt,
  poll: (): CallResult | "blocks" => {
    const result = attempt.poll()
    if (result !== "blocks" && result.value > 0) take(result.value)
    return result
  },
})

/** write(2) and read(2), of a connection or a pipe. */
export const write: Call = (context, action) => throughPipe(context, action) ?? writeSocket(context, action)
export const read: Call = (context, action) => throughPipe(context, action) ?? readSocket(context, action)

/** Undefined: the file is no pipe. */
const throughPipe = (context: CallContext, action: CallAction): Attempt | undefined => {
  const file = fileOf(context, action.args[0])
  if (file?.kind !== "pipe") return undefined
  const length = numberOf(action.args[2], context.config.definitions, "a length")
  const { pipe: through, end } = file
  if ((action.name === "write") !== (end === "write")) return immediate(failed("EBADF"))
  if (end === "read") {
    const n = Math.min(length, through.octets)
    if (n === 0 && through.writers > 0) return waitFor(() => through.octets > 0, 0)
    through.octets -= n
    return immediate(done(n))
  }
  if (through.readers === 0) return immediate(failed("EPIPE"))
  const n = Math.min(length, PIPE_SIZE - through.octets)
  through.octets += n
  return immediate(done(n))
}

/** sendfile(2): as many octets of a file. */
export const sendfile: Call = (context, action) => {
  const { definitions } = context.config
  const from = fileOf(context, action.args[1])
  if (from === undefined) return immediate(failed("EBADF"))
  if (from.kind !== "plain") return unsupported(action.at, "sendfile from anything but a file")
  return transmit(context, action, new Uint8Array(numberOf(action.args[3], definitions, "a length")), 0)
}
