import type { Watch } from "../../../host/notices.ts"
import { OFF } from "../../../tcp/time.ts"
import type { CallAction, Expression } from "../ast.ts"
import { isRefused, type SocketFile } from "../files.ts"
import { unsupported } from "../scriptError.ts"
import { SYMBOLS } from "../symbols.ts"
import { fieldOf, fieldsOf, isEllipsis, itemsOf, numberOf, numberOr } from "../values.ts"
import {
  type Attempt,
  type Call,
  type CallContext,
  type CallResult,
  check,
  done,
  failed,
  immediate,
  isOpen,
  isResult,
  pendingError,
  socketOf,
  statusOf,
  takeError,
} from "./context.ts"
import { inqMessages, receiveError, watchOf } from "./errorQueue.ts"
import { openTo, withTimeout } from "./open.ts"
import { isReadable } from "./poll.ts"

const { MSG_DONTWAIT = 0, MSG_WAITALL = 0, MSG_NOSIGNAL = 0, MSG_FASTOPEN = 0, MSG_OOB = 0 } = SYMBOLS
const { MSG_PEEK = 0, MSG_MORE = 0, MSG_EOR = 0, MSG_ZEROCOPY = 0, MSG_ERRQUEUE = 0 } = SYMBOLS

/** Flags that a receiving or sending call here may have; the rest is refused by name. */
const checkFlags = (action: CallAction, flags: number, more = 0): void => {
  const known = MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL | more
  const rest = flags & ~known
  if (rest === 0) return
  const names = Object.entries(SYMBOLS).filter(([name, bit]) => name.startsWith("MSG_") && (rest & bit) !== 0)
  unsupported(action.at, `the flag ${names.map(([name]) => name).join("|") || rest} of ${action.name}`)
}

export const read: Call = (context, action) =>
  intoNowhere(context, action) ??
  receive(context, action, numberOf(action.args[2], context.config.definitions, "a length"), 0)

export const recv: Call = (context, action) => {
  const { definitions } = context.config
  const flags = numberOr(action.args[3], definitions, "flags", 0)
  const nowhere = intoNowhere(context, action)
  return nowhere ?? receive(context, action, numberOf(action.args[2], definitions, "a length"), flags)
}

export const readv: Call = (context, action) => receive(context, action, vectorLength(context, action.args[1]), 0)

export const recvmsg: Call = (context, action) => {
  const { definitions } = context.config
  const flags = numberOr(action.args[2], definitions, "flags", 0)
  const fields = fieldsOf(action.args[1] ?? ELLIPSIS, "a message header")
  if ((flags & MSG_ERRQUEUE) !== 0) {
    const file = socketOf(context, action.args[0])
    return immediate(isResult(file) ? file : receiveError(context, file, fields))
  }
  const attempt = receive(context, action, vectorLength(context, fieldOf(fields, "msg_iov")), flags)
  const messages = inqMessages(context, action)
  return {
    ...attempt,
    poll: () => {
      const result = attempt.poll()
      if (result === "blocks" || result.value < 0) return result
      return {
        ...result,
        problems: [
          ...result.problems,
          ...check(context, fieldOf(fields, "msg_flags"), 0, "msg_flags"),
          ...messages.flatMap((message) => compareInq(context, action, message)),
        ],
      }
    },
  }
}

/** What is left to be read (TCP_INQ). */
const compareInq = (context: CallContext, action: CallAction, message: Expression): ReadonlyArray<string> => {
  const file = socketOf(context, action.args[0])
  if (isResult(file) || file.noted.get("TCP_INQ") !== 1) return ["no control message: TCP_INQ is off"]
  const status = statusOf(context, file)
  // Linux's tcp_inq_hint: the end of data counts as one when it is all that is left.
  const left = status === undefined || status.recvQ > 0 ? (status?.recvQ ?? 0) : Number(file.flow?.peerClosed === true)
  return check(context, fieldOf(fieldsOf(message, "a control message"), "cmsg_data"), left, "TCP_CM_INQ")
}

const ELLIPSIS: Expression = { _tag: "Ellipsis", at: { line: 1, column: 1 } }

/** Octets of an iovec array: `[{..., 1000}, {"text", 4}]`. */
const vectorLength = (context: CallContext, vector: Expression | undefined): number =>
  vector === undefined || isEllipsis(vector)
    ? 0
    : itemsOf(vector, "an iovec").reduce((total, item) => total + partLength(context, item), 0)

const partLength = (context: CallContext, item: Expression): number => {
  const fields = fieldsOf(item, "a part of an iovec")
  return numberOf(fieldOf(fields, "iov_len") ?? fields[1]?.value, context.config.definitions, "a length")
}

/** RECEIVE as recv(2) does it: what is there, or the end, or the error; else wait. */
export const receive = (context: CallContext, action: CallAction, length: number, flags: number): Attempt => {
  const file = socketOf(context, action.args[0])
  if (isResult(file)) return immediate(file)
  checkFlags(action, flags, MSG_PEEK)
  const waits = !file.nonBlocking && (flags & MSG_DONTWAIT) === 0
  // Linux's sock_rcvlowat.
  const wanted = !waits
    ? Math.min(1, length)
    : (flags & MSG_WAITALL) !== 0
      ? length
      : Math.min(length, file.options.receiveLowWater)
  const deadline = file.receiveTimeout === 0 ? OFF : context.machine.now + file.receiveTimeout
  let received = 0
  let asleep = false
  const poll = (): CallResult | "blocks" => {
    const status = statusOf(context, file)
    if (file.role !== "connection" || file.id === undefined || status === undefined) return failed("ENOTCONN")
    // A reader that sleeps is not woken by less, even where it wants less (tcp_data_ready).
    const late = deadline !== OFF && context.machine.now >= deadline
    if (asleep && !late && !isReadable(context, file)) return "blocks"
    asleep = true
    if ((flags & MSG_PEEK) !== 0) received = 0
    const outcome = take(context, file, length - received, (flags & MSG_PEEK) !== 0)
    received += outcome.count
    context.machine.settle()
    if (received > 0 && (received >= wanted || outcome.over)) return done(received)
    if (outcome.over || file.readShut) {
      const error = status.state === "CLOSE-WAIT" ? undefined : takeError(context, file)
      return received === 0 && error !== undefined && !outcome.ended ? failed(error) : done(received)
    }
    if (received > 0 && (late || !waits)) return done(received)
    return waits ? "blocks" : failed("EAGAIN")
  }
  return { poll: withTimeout(context, deadline, poll), deadline }
}

/** Takes up to `max` octets from the socket. `over`: no more will come; `ended`: because the peer closed in order. */
const take = (
  context: CallContext,
  file: SocketFile,
  max: number,
  peek: boolean,
): { readonly count: number; readonly over: boolean; readonly ended: boolean } => {
  const { host, now } = context.machine
  const skipped = peek ? Math.max(0, file.peekOffset) : 0
  let count = 0
  while (file.id !== undefined && count < max) {
    const bytes = peek ? host.peek(file.id, skipped + max) : host.read(file.id, max - count, now)
    if (bytes === "empty") break
    if (bytes === "end" || isRefused(bytes)) {
      return { count, over: true, ended: file.flow?.peerClosed === true || pendingError(context, file) === undefined }
    }
    count += Math.max(0, bytes.length - skipped)
    if (peek) break
  }
  if (file.peekOffset >= 0) file.peekOffset = Math.max(0, file.peekOffset + (peek ? count : -count))
  return { count, over: false, ended: false }
}

export const write: Call = (context, action) =>
  fromNowhere(context, action) ?? transmit(context, action, payload(context, action.args[1], action.args[2]), 0)

export const send: Call = (context, action) => {
  const flags = numberOr(action.args[3], context.config.definitions, "flags", 0)
  return (
    fromNowhere(context, action) ?? transmit(context, action, payload(context, action.args[1], action.args[2]), flags)
  )
}

export const writev: Call = (context, action) => transmit(context, action, vectorPayload(context, action.args[1]), 0)

export const sendmsg: Call = (context, action) => {
  const flags = numberOr(action.args[2], context.config.definitions, "flags", 0)
  const fields = fieldsOf(action.args[1] ?? ELLIPSIS, "a message header")
  const vector = fieldOf(fields, "msg_iov")
  const pieces = vector?._tag === "Array" ? vector.items.length : 1
  return transmit(context, action, vectorPayload(context, vector), flags, pieces)
}

/** A script asks what happens without a buffer: EFAULT, where there is an octet to be copied. */
const fromNowhere = (context: CallContext, action: CallAction): Attempt | undefined =>
  isNull(action.args[1]) && numberOf(action.args[2], context.config.definitions, "a length") > 0
    ? immediate(failed("EFAULT"))
    : undefined

const intoNowhere = (context: CallContext, action: CallAction): Attempt | undefined => {
  const file = isNull(action.args[1]) ? socketOf(context, action.args[0]) : undefined
  const waiting = file === undefined || isResult(file) ? 0 : (statusOf(context, file)?.recvQ ?? 0)
  return waiting > 0 ? fromNowhere(context, action) : undefined
}

const isNull = (argument: Expression | undefined): boolean => argument?._tag === "Name" && argument.name === "NULL"

/** `length` octets, beginning with the text where one is given. */
const payload = (context: CallContext, data: Expression | undefined, length: Expression | undefined): Uint8Array => {
  const bytes = new Uint8Array(numberOf(length, context.config.definitions, "a length"))
  if (data?._tag === "Text") bytes.set(new TextEncoder().encode(data.value).subarray(0, bytes.length))
  return bytes
}

const vectorPayload = (context: CallContext, vector: Expression | undefined): Uint8Array => {
  const parts = vector === undefined || isEllipsis(vector) ? [] : itemsOf(vector, "an iovec")
  const bytes = new Uint8Array(vectorLength(context, vector))
  let at = 0
  for (const part of parts) {
    const fields = fieldsOf(part, "a part of an iovec")
    const piece = payload(
      context,
      fieldOf(fields, "iov_base") ?? fields[0]?.value,
      fieldOf(fields, "iov_len") ?? fields[1]?.value,
    )
    bytes.set(piece, at)
    at += piece.length
  }
  return bytes
}

/** SEND as send(2) does it: all of it in a blocking call, what there is room for in the other kind. */
export const transmit = (
  context: CallContext,
  action: CallAction,
  bytes: Uint8Array,
  flags: number,
  pieces = 1,
): Attempt => {
  const file = socketOf(context, action.args[0])
  if (isResult(file)) return immediate(file)
  checkFlags(action, flags, MSG_FASTOPEN | MSG_OOB | MSG_MORE | MSG_EOR | MSG_ZEROCOPY)
  const more = (flags & MSG_MORE) !== 0
  const urgent = (flags & MSG_OOB) !== 0
  const record = (flags & MSG_EOR) !== 0
  const watch = watchOf(file, (flags & MSG_ZEROCOPY) !== 0)
  const fragments = watch?.released === true ? pieces : 1
  const waits = !file.nonBlocking && (flags & MSG_DONTWAIT) === 0
  if (file.role === "new" && ((flags & MSG_FASTOPEN) !== 0 || file.deferred !== undefined)) {
    const to = file.deferred ?? action.args[4]
    file.deferred = undefined
    return fastOpen(context, file, to, bytes, waits, watch)
  }
  let sent = 0
  const poll = (): CallResult | "blocks" => {
    const { machine } = context
    const status = statusOf(context, file)
    if (file.role !== "connection" || file.id === undefined || status === undefined) return failed("EPIPE")
    const error = sent > 0 ? pendingError(context, file) : takeError(context, file)
    if (error !== undefined) return sent > 0 ? done(sent) : failed(error)
    if (file.writeShut || status.closed !== undefined) return sent > 0 ? done(sent) : failed("EPIPE")
    // What Fast Open has handed over is written to before the handshake is over.
    if (!isSending(status.state) && !file.connected) return waits ? "blocks" : failed("EAGAIN")
    if (bytes.length === 0) return done(0)
    for (;;) {
      const part = bytes.subarray(sent, nextCut(sent, bytes.length, fragments))
      const cut = record || sent + part.length < bytes.length
      const n = machine.host.write(file.id, part, machine.now, urgent, more, cut)
      if (typeof n !== "number") return sent > 0 ? done(sent) : failed(n.errno === "ENOBUFS" ? "EAGAIN" : n.errno)
      if (watch !== undefined && n > 0) machine.host.watch(file.id, { ...watch, goesOn: sent > 0 })
      sent += n
      machine.settle()
      if (sent === bytes.length) return done(sent)
      // What has just left may have grown the window, and with it the room.
      if (n === 0) break
    }
    if (waits) return "blocks"
    return sent > 0 ? done(sent) : failed("EAGAIN")
  }
  const deadline = file.sendTimeout === 0 ? OFF : context.machine.now + file.sendTimeout
  return { poll: withTimeout(context, deadline, poll), deadline }
}

/** Linux's MAX_SKB_FRAGS: pages that are sent from where they are, in one segment. */
const MOST_FRAGMENTS = 17

/** Where the segment ends that begins at `from`, of `length` octets in so many pieces. */
const nextCut = (from: number, length: number, pieces: number): number =>
  pieces <= MOST_FRAGMENTS ? length : Math.min(length, from + Math.floor((MOST_FRAGMENTS * length) / pieces))

/** connect(2) and send(2) in one (RFC 7413 section 4.1): the data goes with the SYN where a cookie is known. */
const fastOpen = (
  context: CallContext,
  file: SocketFile,
  to: Expression | undefined,
  bytes: Uint8Array,
  waits: boolean,
  watch: Watch | undefined,
): Attempt => {
  const refused = openTo(context, file, to, bytes)
  if (refused !== undefined) return immediate(refused)
  if (watch !== undefined && file.id !== undefined) context.machine.host.watch(file.id, watch)
  const carried = (): boolean => {
    const tcb = statusOf(context, file)?.tcb
    return tcb?._tag === "SYN-SENT" && tcb.synData > 0
  }
  if (carried()) return immediate(done(bytes.length))
  if (!waits) return immediate(failed("EINPROGRESS"))
  const poll = (): CallResult | "blocks" => {
    const error = takeError(context, file)
    if (error !== undefined) return failed(error)
    const status = statusOf(context, file)
    return status !== undefined && isOpen(status) ? done(bytes.length) : "blocks"
  }
  return { poll, deadline: OFF }
}

const isSending = (state: string): boolean => state !== "SYN-SENT" && state !== "SYN-RECEIVED"
