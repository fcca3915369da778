import { worthWaking } from "../../../tcp/calls.ts"
import { isSynchronized } from "../../../tcp/tcb.ts"
import { type Micros, OFF } from "../../../tcp/time.ts"
import type { Expression } from "../ast.ts"
import type { EpollFile, EpollInterest, SocketFile } from "../files.ts"
import { SYMBOLS } from "../symbols.ts"
import { fieldOf, fieldsOf, isEllipsis, itemsOf, numberOf, numberOr } from "../values.ts"
import {
  type Call,
  type CallContext,
  type CallResult,
  check,
  done,
  failed,
  immediate,
  pendingError,
  statusOf,
} from "./context.ts"

const { POLLIN = 0, POLLOUT = 0, POLLERR = 0, POLLHUP = 0, POLLNVAL = 0, POLLRDHUP = 0 } = SYMBOLS
const { POLLRDNORM = 0, POLLWRNORM = 0 } = SYMBOLS
const { EPOLLET = 0, EPOLLONESHOT = 0, EPOLLEXCLUSIVE = 0, EPOLLWAKEUP = 0 } = SYMBOLS
/** What may stand beside EPOLLEXCLUSIVE, which can only be added (epoll_ctl(2)). */
const WITH_EXCLUSIVE = POLLIN | POLLOUT | POLLERR | POLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE

/** What poll(2) says of a socket now: Linux's tcp_poll, case by case. */
const readiness = (context: CallContext, file: SocketFile): number => {
  const status = statusOf(context, file)
  if (file.role === "listener") return (status?.recvQ ?? 0) > 0 ? POLLIN | POLLRDNORM : 0
  if (status === undefined) return POLLOUT | POLLWRNORM | POLLHUP
  const { tcb, closed } = status
  let ready = pendingError(context, file) === undefined && status.notices !== true ? 0 : POLLERR
  if (closed !== undefined || !isSynchronized(tcb)) {
    if (closed === undefined && status.state !== "TIME-WAIT") return ready
    return ready | POLLIN | POLLRDNORM | POLLRDHUP | POLLOUT | POLLWRNORM | POLLHUP
  }
  const readEnd = tcb.rcv.fin || file.readShut
  if (readEnd && tcb.snd.fin) ready |= POLLHUP
  if (readEnd) ready |= POLLIN | POLLRDNORM | POLLRDHUP
  // SO_RCVLOWAT, unless so much cannot come (tcp_stream_is_readable).
  const enough = status.recvQ >= file.options.receiveLowWater || tcb.rcv.buf - tcb.rcv.unread <= tcb.rcv.mss
  if (status.recvQ > 0 && enough) ready |= POLLIN | POLLRDNORM
  if (tcb.snd.fin || worthWaking(tcb)) ready |= POLLOUT | POLLWRNORM
  return ready
}

/** There is something to read, or to be told. */
export const isReadable = (context: CallContext, file: SocketFile): boolean =>
  (readiness(context, file) & (POLLIN | POLLERR | POLLHUP)) !== 0

export const poll: Call = (context, action) => {
  const { definitions } = context.config
  const items = itemsOf(action.args[0] ?? action.result, "pollfds").map((item) => fieldsOf(item, "a pollfd"))
  const deadline = deadlineOf(context, action.args[2])
  const attempt = (): CallResult | "blocks" => {
    const found = items.map((fields) => {
      const fd = numberOf(fieldOf(fields, "fd"), definitions, "a file descriptor")
      const events = numberOr(fieldOf(fields, "events"), definitions, "events", 0)
      const file = context.files.get(fd)
      const expected = fieldOf(fields, "revents")
      if (fd < 0) return { expected, revents: 0, fd }
      if (file?.kind !== "socket") return { expected, revents: POLLNVAL, fd }
      return { expected, revents: readiness(context, file) & (events | POLLERR | POLLHUP), fd }
    })
    const ready = found.filter(({ revents }) => revents !== 0).length
    if (ready === 0 && !expired(context, deadline)) return "blocks"
    return done(
      ready,
      found.flatMap(({ expected, revents, fd }) => check(context, expected, revents, `revents of ${fd}`)),
    )
  }
  return { poll: attempt, deadline }
}

/** poll(2)'s milliseconds: negative for ever. */
const deadlineOf = (context: CallContext, timeout: Expression | undefined): Micros => {
  const milliseconds = numberOr(timeout, context.config.definitions, "a time-out", -1)
  return milliseconds < 0 ? OFF : context.machine.now + milliseconds * 1000
}

const expired = (context: CallContext, deadline: Micros): boolean => deadline !== OFF && context.machine.now >= deadline

export const epollCreate: Call = (context, action) => {
  const fd = numberOf(action.result, context.config.definitions, "a file descriptor")
  if (context.files.has(fd)) return immediate(done(fd, [`file descriptor ${fd} is in use`]))
  context.files.set(fd, { kind: "epoll", fd, interest: new Map() })
  return immediate(done(fd))
}

const epollOf = (context: CallContext, expression: Expression | undefined): EpollFile | undefined => {
  const file = context.files.get(numberOf(expression, context.config.definitions, "a file descriptor"))
  return file?.kind === "epoll" ? file : undefined
}

const CTL_ADD = 1
const CTL_DEL = 2

export const epollCtl: Call = (context, action) => {
  const { definitions } = context.config
  const epoll = epollOf(context, action.args[0])
  if (epoll === undefined) return immediate(failed("EINVAL"))
  const operation = numberOf(action.args[1], definitions, "an operation")
  const fd = numberOf(action.args[2], definitions, "a file descriptor")
  if (!context.files.has(fd)) return immediate(failed("EBADF"))
  const known = epoll.interest.has(fd)
  if (operation === CTL_ADD ? known : !known) return immediate(failed(known ? "EEXIST" : "ENOENT"))
  if (operation === CTL_DEL) {
    epoll.interest.delete(fd)
    return immediate(done(0))
  }
  const event = action.args[3]
  const fields = event === undefined || isEllipsis(event) ? [] : fieldsOf(event, "an epoll_event")
  const events = numberOr(fieldOf(fields, "events"), definitions, "events", 0)
  const data = numberOr(fieldOf(fields, "fd", "u32", "u64", "ptr", "data"), definitions, "data", fd)
  const before = epoll.interest.get(fd)?.events ?? 0
  const exclusive = ((events | before) & EPOLLEXCLUSIVE) !== 0
  if (exclusive && (operation !== CTL_ADD || (events & ~WITH_EXCLUSIVE) !== 0)) return immediate(failed("EINVAL"))
  epoll.interest.set(fd, { events, data, reported: false })
  return immediate(done(0))
}

export const epollWait: Call = (context, action) => {
  const { definitions } = context.config
  const epoll = epollOf(context, action.args[0])
  if (epoll === undefined) return immediate(failed("EINVAL"))
  const expected = action.args[1]
  const most = numberOr(action.args[2], definitions, "a number of events", 1)
  const deadline = deadlineOf(context, action.args[3])
  const attempt = (): CallResult | "blocks" => {
    const found = ready(context, epoll).slice(0, most)
    if (found.length === 0 && !expired(context, deadline)) return "blocks"
    for (const { interest } of found) {
      interest.reported = true
      if ((interest.events & EPOLLONESHOT) !== 0) interest.events = 0
    }
    return done(found.length, compareEvents(context, expected, found))
  }
  return { poll: attempt, deadline }
}

interface ReadyEvent {
  readonly interest: EpollInterest
  readonly events: number
}

const ready = (context: CallContext, epoll: EpollFile): ReadonlyArray<ReadyEvent> => {
  const found: Array<ReadyEvent> = []
  for (const [fd, interest] of epoll.interest) {
    const file = context.files.get(fd)
    if (file?.kind !== "socket" || interest.events === 0) continue
    const events = readiness(context, file) & (interest.events | POLLERR | POLLHUP)
    const stirred = file.id !== undefined && context.machine.stirred.delete(file.id)
    if (stirred) interest.reported = false
    if (events === 0 || ((interest.events & EPOLLET) !== 0 && interest.reported)) continue
    found.push({ interest, events })
  }
  return found
}

const compareEvents = (
  context: CallContext,
  expected: Expression | undefined,
  found: ReadonlyArray<ReadyEvent>,
): ReadonlyArray<string> => {
  if (expected === undefined || isEllipsis(expected)) return []
  const items = expected._tag === "Array" ? expected.items : [expected]
  return items.flatMap((item, i) => {
    const event = found[i]
    if (event === undefined) return []
    const fields = fieldsOf(item, "an epoll_event")
    return [
      ...check(context, fieldOf(fields, "events"), event.events, `events of event ${i + 1}`),
      ...check(
        context,
        fieldOf(fields, "fd", "u32", "u64", "ptr", "data"),
        event.interest.data,
        `data of event ${i + 1}`,
      ),
    ]
  })
}
