import type { Notice, Watch } from "../../../host/notices.ts"
import type { Micros } from "../../../tcp/time.ts"
import type { CallAction, Expression, Field } from "../ast.ts"
import type { SocketFile } from "../files.ts"
import { unsupported } from "../scriptError.ts"
import { SYMBOLS } from "../symbols.ts"
import { fieldOf, fieldsOf, isEllipsis, itemsOf, numberOf, numberOr } from "../values.ts"
import { type CallContext, type CallResult, check, done, failed } from "./context.ts"

const { SOL_SOCKET = 0, SOL_IP = 0, SOL_IPV6 = 0, IP_RECVERR = 0, IPV6_RECVERR = 0, SCM_TIMESTAMPING = 0 } = SYMBOLS
const { MSG_ERRQUEUE = 0, MSG_TRUNC = 0, ENOMSG = 0 } = SYMBOLS
const { SO_EE_ORIGIN_TIMESTAMPING = 0, SO_EE_ORIGIN_ZEROCOPY = 0, SO_EE_CODE_ZEROCOPY_COPIED = 0 } = SYMBOLS
const { SCM_TSTAMP_SND = 0, SCM_TSTAMP_SCHED = 0, SCM_TSTAMP_ACK = 0 } = SYMBOLS
const {
  SOF_TIMESTAMPING_TX_SOFTWARE = 0,
  SOF_TIMESTAMPING_TX_SCHED = 0,
  SOF_TIMESTAMPING_TX_ACK = 0,
  SOF_TIMESTAMPING_SOFTWARE = 0,
  SOF_TIMESTAMPING_OPT_ID = 0,
  SOF_TIMESTAMPING_OPT_TSONLY = 0,
} = SYMBOLS

/** What a write of this socket is to be followed by; undefined: nothing. */
export const watchOf = (file: SocketFile, zeroCopy: boolean): Watch | undefined => {
  const { bits } = file.stamping
  const scheduled = (bits & SOF_TIMESTAMPING_TX_SCHED) !== 0
  const sent = (bits & SOF_TIMESTAMPING_TX_SOFTWARE) !== 0
  const acknowledged = (bits & SOF_TIMESTAMPING_TX_ACK) !== 0
  const released = zeroCopy && file.zeroCopy
  return scheduled || sent || acknowledged || released ? { scheduled, sent, acknowledged, released } : undefined
}

/** recvmsg(2) with MSG_ERRQUEUE: the oldest entry, with its control messages as Linux's ip_recv_error writes them. */
export const receiveError = (context: CallContext, file: SocketFile, header: ReadonlyArray<Field>): CallResult => {
  const notice = file.id === undefined ? undefined : context.machine.host.takeNotice(file.id)
  if (notice === undefined) return failed("EAGAIN")
  // The data that a time stamp is about comes along, and is cut off (OPT_TSONLY: does not).
  const cut = notice._tag === "Stamp" && (file.stamping.bits & SOF_TIMESTAMPING_OPT_TSONLY) === 0
  const flags = MSG_ERRQUEUE | (cut ? MSG_TRUNC : 0)
  return done(0, [
    ...check(context, fieldOf(header, "msg_flags"), flags, "msg_flags"),
    ...compareControl(context, fieldOf(header, "msg_control"), messagesOf(context, file, notice)),
  ])
}

/** A control message: its data are named numbers, or a time. */
interface ControlMessage {
  readonly level: number
  readonly type: number
  readonly data: Readonly<Record<string, number>> | Micros
}

const messagesOf = (context: CallContext, file: SocketFile, notice: Notice): ReadonlyArray<ControlMessage> => {
  const v4 = context.config.family === 4
  const error = { level: v4 ? SOL_IP : SOL_IPV6, type: v4 ? IP_RECVERR : IPV6_RECVERR }
  if (notice._tag === "Released") {
    const data = {
      ee_errno: 0,
      ee_origin: SO_EE_ORIGIN_ZEROCOPY,
      ee_type: 0,
      // What goes to a tun device is always copied.
      ee_code: SO_EE_CODE_ZEROCOPY_COPIED,
      ee_info: notice.first,
      ee_data: notice.last,
    }
    return [{ ...error, data }]
  }
  const { bits, from } = file.stamping
  const data = {
    ee_errno: ENOMSG,
    ee_origin: SO_EE_ORIGIN_TIMESTAMPING,
    ee_type: 0,
    ee_code: 0,
    ee_info: STAMPS[notice.of],
    ee_data: (bits & SOF_TIMESTAMPING_OPT_ID) === 0 ? 0 : (notice.offset - from) >>> 0,
  }
  const stamp: ControlMessage = { level: SOL_SOCKET, type: SCM_TIMESTAMPING, data: notice.at }
  return (bits & SOF_TIMESTAMPING_SOFTWARE) === 0 ? [{ ...error, data }] : [stamp, { ...error, data }]
}

const STAMPS = { scheduled: SCM_TSTAMP_SCHED, sent: SCM_TSTAMP_SND, acknowledged: SCM_TSTAMP_ACK } as const

const compareControl = (
  context: CallContext,
  expected: Expression | undefined,
  messages: ReadonlyArray<ControlMessage>,
): ReadonlyArray<string> => {
  if (expected === undefined || isEllipsis(expected)) return []
  const items = itemsOf(expected, "msg_control")
  if (items.length !== messages.length) {
    return [`msg_control: expected ${items.length} control messages, got ${messages.length}`]
  }
  return items.flatMap((item, i) => {
    const message = messages[i]
    return message === undefined ? [] : compareMessage(context, fieldsOf(item, "a control message"), message)
  })
}

const compareMessage = (
  context: CallContext,
  fields: ReadonlyArray<Field>,
  { level, type, data }: ControlMessage,
): ReadonlyArray<string> => {
  const expected = fieldOf(fields, "cmsg_data")
  const problems = [
    ...check(context, fieldOf(fields, "cmsg_level"), level, "cmsg_level"),
    ...check(context, fieldOf(fields, "cmsg_type"), type, "cmsg_type"),
  ]
  if (problems.length > 0 || expected === undefined || isEllipsis(expected)) return problems
  const parts = fieldsOf(expected, "cmsg_data")
  return typeof data === "number" ? compareTime(context, parts, data) : compareNames(context, parts, data)
}

const compareNames = (
  context: CallContext,
  fields: ReadonlyArray<Field>,
  data: Readonly<Record<string, number>>,
): ReadonlyArray<string> =>
  fields.flatMap(({ name = "", value }) => {
    const actual = data[name] ?? unsupported(value.at, `${name} of a control message`)
    return check(context, value, actual, name)
  })

/** A time of the script's clock, to within the tolerance. */
const compareTime = (context: CallContext, fields: ReadonlyArray<Field>, at: Micros): ReadonlyArray<string> => {
  const { definitions, tolerance } = context.config
  const seconds = numberOr(fieldOf(fields, "scm_sec") ?? fields[0]?.value, definitions, "scm_sec", undefined)
  const nanos = numberOr(fieldOf(fields, "scm_nsec") ?? fields[1]?.value, definitions, "scm_nsec", undefined)
  if (seconds === undefined || nanos === undefined) return []
  const expected = seconds * 1_000_000 + nanos / 1000
  return Math.abs(expected - at) <= tolerance ? [] : [`SCM_TIMESTAMPING: expected ${expected} us, got ${at} us`]
}

/** The control messages that an ordinary recvmsg may ask for. */
export const inqMessages = (context: CallContext, action: CallAction): ReadonlyArray<Expression> => {
  const { definitions } = context.config
  const header = action.args[1]
  const control =
    header === undefined || isEllipsis(header)
      ? undefined
      : fieldOf(fieldsOf(header, "a message header"), "msg_control")
  const messages = control === undefined || isEllipsis(control) ? [] : itemsOf(control, "msg_control")
  for (const message of messages) {
    const fields = fieldsOf(message, "a control message")
    const level = numberOf(fieldOf(fields, "cmsg_level"), definitions, "cmsg_level")
    const type = numberOf(fieldOf(fields, "cmsg_type"), definitions, "cmsg_type")
    if (level !== SYMBOLS["SOL_TCP"] || type !== SYMBOLS["TCP_CM_INQ"]) {
      unsupported(message.at, "control messages of received data other than TCP_CM_INQ")
    }
  }
  return messages
}
