import type { ConnectCall } from "../../../host/types.ts"
import { OFF } from "../../../tcp/time.ts"
import { type Endpoint, type IpAddress, UNSPECIFIED4, UNSPECIFIED6 } from "../../../wire/address.ts"
import { EMPTY } from "../../../wire/tcpSegment.ts"
import type { Expression } from "../ast.ts"
import { isRefused, makeSocket, type SocketFile } from "../files.ts"
import type { Flow } from "../flow.ts"
import { unsupported } from "../scriptError.ts"
import { SYMBOLS } from "../symbols.ts"
import { addressOf, isEllipsis, numberOf, numberOr } from "../values.ts"
import {
  type Attempt,
  type Call,
  type CallContext,
  type CallResult,
  done,
  failed,
  immediate,
  isOpen,
  isResult,
  socketOf,
  statusOf,
  takeError,
} from "./context.ts"

const NONBLOCK = 0o4000
const TYPE_BITS = 0xf

export const socket: Call = (context, action) => {
  const { definitions, family } = context.config
  const domain = numberOr(action.args[0], definitions, "a domain", undefined)
  const type = numberOr(action.args[1], definitions, "a type", 1)
  const protocol = numberOr(action.args[2], definitions, "a protocol", 6)
  if ((type & TYPE_BITS) !== 1) unsupported(action.at, "sockets other than SOCK_STREAM")
  if (protocol !== 0 && protocol !== 6) unsupported(action.at, "protocols other than TCP")
  const fd = numberOf(action.result, definitions, "a file descriptor")
  if (fd < 0) return immediate(done(3))
  if (context.files.has(fd)) return immediate({ ...done(fd), problems: [`file descriptor ${fd} is in use`] })
  const file = makeSocket(fd, domain === undefined ? family : domain === 2 ? 4 : 6)
  file.nonBlocking = (type & NONBLOCK) !== 0
  context.files.set(fd, file)
  return immediate(done(fd))
}

/** open(2): of a file that scripts send from. */
export const open: Call = (context, action) => {
  const fd = numberOf(action.result, context.config.definitions, "a file descriptor")
  if (fd < 0) return immediate(done(3))
  if (context.files.has(fd)) return immediate(done(fd, [`file descriptor ${fd} is in use`]))
  context.files.set(fd, { kind: "plain", fd })
  return immediate(done(fd))
}

export const bind: Call = (context, action) => {
  const file = socketOf(context, action.args[0])
  if (isResult(file)) return immediate(file)
  if (file.bound !== undefined || file.role !== "new") return immediate(failed("EINVAL"))
  const { config } = context
  const wanted = addressOf(action.args[1], config.definitions)
  const given = !isEllipsis(action.args[1])
  // packetdrill binds to the local address where the script leaves it to it.
  const address = wanted.address ?? config.local
  const bound = { address: toFamily(address, config.local), port: wanted.port ?? (given ? 0 : config.bindPort) }
  if (inUse(context, file, bound)) return immediate(failed("EADDRINUSE"))
  file.bound = bound
  return immediate(done(0))
}

/** :: of a socket that speaks both families stands for 0.0.0.0 where the script runs over IPv4. */
const toFamily = (address: IpAddress, local: IpAddress): IpAddress => {
  if (address.family === local.family) return address
  return local.family === 4 ? UNSPECIFIED4 : UNSPECIFIED6
}

/** Linux's inet_csk_bind_conflict between sockets of the script: both must have said SO_REUSEADDR, and neither listen. */
const inUse = (context: CallContext, file: SocketFile, bound: Endpoint): boolean => {
  if (bound.port === 0) return false
  for (const other of context.files.values()) {
    if (other === file || other.kind !== "socket" || other.bound?.port !== bound.port) continue
    const shared = file.noted.get("SO_REUSEADDR") === 1 && other.noted.get("SO_REUSEADDR") === 1
    if (!shared || other.role === "listener") return true
  }
  return false
}

export const listen: Call = (context, action) => {
  const file = socketOf(context, action.args[0])
  if (isResult(file)) return immediate(file)
  if (file.role === "connection") return immediate(failed("EINVAL"))
  const backlog = numberOr(action.args[1], context.config.definitions, "a backlog", 1)
  const { host, now } = context.machine
  const { config } = context
  const local = file.bound ?? { address: anyOf(config.local), port: 0 }
  if (file.id !== undefined) {
    // Linux takes the new backlog. A script does this to say that the next SYN is a new connection's.
    context.listening({ address: config.local, port: statusOf(context, file)?.local.port ?? local.port })
    return immediate(done(0))
  }
  const { options } = file
  const id = host.listen({ address: local.address, port: local.port, backlog, options }, now)
  if (isRefused(id)) return immediate(failed(id.errno))
  file.id = id
  file.role = "listener"
  context.machine.settle()
  context.listening({ address: config.local, port: statusOf(context, file)?.local.port ?? local.port })
  return immediate(done(0))
}

const anyOf = (local: IpAddress): IpAddress => (local.family === 4 ? UNSPECIFIED4 : UNSPECIFIED6)

export const accept: Call = (context, action) => {
  const file = socketOf(context, action.args[0])
  if (isResult(file)) return immediate(file)
  if (file.role !== "listener" || file.id === undefined) return immediate(failed("EINVAL"))
  const { definitions } = context.config
  const flags = numberOr(action.args[3], definitions, "flags", 0)
  const { id: listener } = file
  const poll = (): CallResult | "blocks" => {
    const id = context.machine.host.accept(listener)
    if (id === undefined) return file.nonBlocking ? failed("EAGAIN") : "blocks"
    const status = context.machine.host.status(id)
    const fd = numberOf(action.result, definitions, "a file descriptor")
    if (fd < 0 || status?.remote === undefined) return done(file.fd + 1)
    if (context.files.has(fd)) return done(fd, [`file descriptor ${fd} is in use`])
    const accepted = makeSocket(fd, file.family)
    accepted.id = id
    accepted.role = "connection"
    accepted.connected = true
    accepted.options = file.options
    accepted.linger = file.linger
    accepted.peekOffset = file.peekOffset
    accepted.zeroCopy = file.zeroCopy
    for (const [name, value] of file.noted) accepted.noted.set(name, value)
    accepted.nonBlocking = (flags & NONBLOCK) !== 0
    accepted.flow = context.flowOf(status.local, status.remote)
    context.files.set(fd, accepted)
    context.concerns(accepted.flow)
    return done(fd)
  }
  const deadline = file.receiveTimeout === 0 ? OFF : context.machine.now + file.receiveTimeout
  return { poll: withTimeout(context, deadline, poll), deadline }
}

/** EAGAIN once a SO_RCVTIMEO or SO_SNDTIMEO has run out. */
export const withTimeout =
  (context: CallContext, deadline: number, poll: () => CallResult | "blocks") => (): CallResult | "blocks" => {
    const result = poll()
    return result === "blocks" && deadline !== OFF && context.machine.now >= deadline ? failed("EAGAIN") : result
  }

const isUnspecifiedFamily = (address: Expression | undefined): boolean =>
  address?._tag === "Name" && address.name === "AF_UNSPEC"

/** connect(2) to nobody: the connection is reset, the socket may be used anew (Linux's tcp_disconnect). */
const disconnect = (context: CallContext, file: SocketFile): CallResult => {
  const { machine } = context
  if (file.id !== undefined) machine.host.abort(file.id, machine.now)
  machine.settle()
  file.id = undefined
  file.role = "new"
  return done(0)
}

export const connect: Call = (context, action) => {
  const file = socketOf(context, action.args[0])
  if (isResult(file)) return immediate(file)
  if (file.role === "listener") return immediate(failed("EISCONN"))
  if (isUnspecifiedFamily(action.args[1])) return immediate(disconnect(context, file))
  if (file.deferred !== undefined) return immediate(failed("EISCONN"))
  const fresh = file.role === "new"
  if (fresh) {
    const asks = file.noted.get("TCP_FASTOPEN_CONNECT") === 1
    const remote = remoteOf(context, action.args[1])
    if (asks && context.machine.host.mayOpenFast(remote.address, file.options)) {
      file.deferred = action.args[1]
      return immediate(done(0))
    }
    const refused = openTo(context, file, action.args[1], asks ? EMPTY : undefined)
    if (refused !== undefined) return immediate(refused)
  }
  const deadline = file.sendTimeout === 0 ? OFF : context.machine.now + file.sendTimeout
  const poll = (): CallResult | "blocks" => {
    const status = statusOf(context, file)
    if (status === undefined) return failed("EBADF")
    if (status.closed !== undefined) return failed(takeError(context, file) ?? "ECONNABORTED")
    if (isOpen(status)) {
      // Linux reports success once to whoever asks again; BSDs say EISCONN at once.
      if (file.connected || (!fresh && context.config.settings.profile.name === "freebsd")) return failed("EISCONN")
      file.connected = true
      return done(0)
    }
    const late = deadline !== OFF && context.machine.now >= deadline
    if (late) return failed("EINPROGRESS")
    if (!file.nonBlocking) return "blocks"
    return failed(fresh ? "EINPROGRESS" : "EALREADY")
  }
  return { poll, deadline }
}

/** Begins an active open; answers what is refused at once. `fastOpen`: data for the SYN. */
export const openTo = (
  context: CallContext,
  file: SocketFile,
  to: Parameters<typeof addressOf>[0],
  fastOpen?: Uint8Array,
): CallResult | undefined => {
  const { config, machine } = context
  const remote = remoteOf(context, to)
  const { bound, options } = file
  const local: ConnectCall["local"] =
    bound === undefined
      ? { address: config.local }
      : {
          address: isAny(bound.address) ? config.local : bound.address,
          ...(bound.port === 0 ? {} : { port: bound.port }),
        }
  const id = machine.host.connect(
    { remote, local, options, ...(fastOpen === undefined ? {} : { fastOpen }) },
    machine.now,
  )
  if (isRefused(id)) return failed(id.errno)
  file.id = id
  file.role = "connection"
  machine.settle()
  const status = machine.host.status(id)
  if (status?.remote === undefined) return failed("EBADF")
  file.flow = context.flowOf(status.local, status.remote)
  context.concerns(file.flow)
  return undefined
}

const remoteOf = ({ config }: CallContext, to: Expression | undefined): Endpoint => {
  const wanted = addressOf(to, config.definitions)
  return { address: wanted.address ?? config.remote, port: wanted.port ?? config.connectPort }
}

const isAny = (address: IpAddress): boolean => address.a === 0 && address.b === 0 && address.d === 0

export const shutdown: Call = (context, action) => {
  const file = socketOf(context, action.args[0])
  if (isResult(file)) return immediate(file)
  const how = numberOf(action.args[1], context.config.definitions, "how")
  const status = statusOf(context, file)
  if (file.role !== "connection" || status === undefined || file.id === undefined) return immediate(failed("ENOTCONN"))
  if (status.closed !== undefined || status.state === "CLOSED" || status.state === "TIME-WAIT") {
    return immediate(failed("ENOTCONN"))
  }
  const { SHUT_RD, SHUT_WR, SHUT_RDWR } = SYMBOLS
  if (how === SHUT_RD || how === SHUT_RDWR) {
    file.readShut = true
    context.machine.host.shutdownRead(file.id, context.machine.now)
  }
  if (how === SHUT_WR || how === SHUT_RDWR) {
    if (!file.writeShut) context.machine.host.shutdown(file.id, context.machine.now)
    file.writeShut = true
    context.machine.settle()
  }
  return immediate(done(0))
}

export const close: Call = (context, action) => {
  const { definitions } = context.config
  const fd = numberOf(action.args[0], definitions, "a file descriptor")
  const file = context.files.get(fd)
  if (file === undefined) return immediate(failed("EBADF"))
  context.files.delete(fd)
  for (const other of context.files.values()) if (other.kind === "epoll") other.interest.delete(fd)
  const { host, now } = context.machine
  if (file.kind === "pipe") {
    if (file.end === "write") file.pipe.writers--
    else file.pipe.readers--
  }
  if (file.kind !== "socket" || file.id === undefined) return immediate(done(0))
  if (file.role === "connection" && file.linger.on && file.linger.seconds === 0) host.abort(file.id, now)
  else host.close(file.id, now)
  context.machine.settle()
  const { flow } = file
  const lingers = flow !== undefined && file.linger.on && file.linger.seconds > 0
  return lingers ? lingering(context, flow, file.linger.seconds) : immediate(done(0))
}

const SECONDS = 1_000_000
const FIN_UNACKNOWLEDGED: ReadonlyArray<string> = ["ESTABLISHED", "CLOSE-WAIT", "FIN-WAIT-1", "CLOSING", "LAST-ACK"]

/** SO_LINGER: close waits until the peer has acknowledged our FIN, or for so long. */
const lingering = (context: CallContext, flow: Flow, seconds: number): Attempt => {
  const { machine } = context
  const deadline = machine.now + seconds * SECONDS
  const waits = (): boolean =>
    FIN_UNACKNOWLEDGED.includes(machine.statusOf(flow)?.state ?? "") && machine.now < deadline
  return { poll: () => (waits() ? "blocks" : done(0)), deadline }
}
