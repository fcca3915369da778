import { isAlgorithm } from "../../../tcp/congestion/registry.ts"
import { FAST_OPEN_KEY } from "../../../tcp/fastOpenKey.ts"
import { end } from "../../../tcp/sendQueue.ts"
import { distance } from "../../../tcp/seq.ts"
import { outOfRange } from "../../../tcp/setOptions.ts"
import { isSynchronized, type SocketOptions } from "../../../tcp/tcb.ts"
import type { CallAction, Expression } from "../ast.ts"
import type { SocketFile } from "../files.ts"
import { unsupported } from "../scriptError.ts"
import { SYMBOLS } from "../symbols.ts"
import { algorithmOf, MODULES } from "../sysctl.ts"
import { type Definitions, fieldOf, fieldsOf, numberOf, numberOr } from "../values.ts"
import {
  type Call,
  type CallContext,
  type CallResult,
  done,
  failed,
  immediate,
  isResult,
  socketOf,
  statusOf,
} from "./context.ts"
import { checkFunctionBlock, NOTED, nameOf, numberIn, SECONDS, STACK, textIn } from "./optionTable.ts"
import { settledBy } from "./optionValues.ts"
import { withMd5Key } from "./signatures.ts"

export const setsockopt: Call = (context, action) => {
  const file = socketOf(context, action.args[0])
  if (isResult(file)) return immediate(file)
  return immediate(set(context, action, file, nameOf(context, action), action.args[3]))
}

/** Where the stack keeps it: microseconds, negative when off. */
const LINGER: string = "linger"

/** Every option that is a number takes an int's octets at least. */
const tooShort = ({ args }: CallAction, value: Expression | undefined, definitions: Definitions): boolean =>
  value?._tag === "Array" && value.items[0]?._tag === "Number" && numberOr(args[4], definitions, "a length", INT) < INT

const INT = 4

/** IP_PMTUDISC_OMIT. */
const MOST_PMTUDISC = 5

/** Linux's SOCK_MIN_SNDBUF. */
const LEAST_SEND_BUFFER = 4608

/** 0 takes back what was set before. */
const ZERO_IS_DEFAULT: ReadonlySet<string> = new Set(["TCP_MAXSEG", "TCP_LINGER2"])

/** 0 stands for the stack's default inside, and outside for nothing: Linux refuses it. */
const NEVER_ZERO: ReadonlySet<string> = new Set([
  "TCP_KEEPIDLE",
  "TCP_KEEPINTVL",
  "TCP_KEEPCNT",
  "TCP_SYNCNT",
  "TCP_RTO_MIN_US",
  "TCP_RTO_MAX_MS",
  "TCP_DELACK_MAX_US",
])

const set = (
  context: CallContext,
  action: CallAction,
  file: SocketFile,
  name: string,
  value: Expression | undefined,
): CallResult => {
  const { definitions } = context.config
  if (tooShort(action, value, definitions)) return failed("EINVAL")
  switch (name) {
    case "SO_LINGER": {
      const fields = fieldsOf(only(value) ?? action.result, "linger")
      const on = numberOf(fieldOf(fields, "onoff", "l_onoff") ?? fields[0]?.value, definitions, "l_onoff") !== 0
      const seconds = numberOf(fieldOf(fields, "linger", "l_linger") ?? fields[1]?.value, definitions, "l_linger")
      file.linger = { on, seconds }
      return LINGER in file.options ? change(context, file, { [LINGER]: on ? seconds * SECONDS : -1 }) : done(0)
    }
    case "SO_RCVTIMEO":
    case "SO_SNDTIMEO": {
      const micros = timeIn(context, action, value)
      if (name === "SO_RCVTIMEO") file.receiveTimeout = micros
      else file.sendTimeout = micros
      return done(0)
    }
    case "SO_SNDBUF":
    case "SO_SNDBUFFORCE": {
      // Linux counts memory, twice what is asked for (sock_setsockopt).
      const octets = numberIn(context, value)
      const linux = context.config.settings.profile.name === "linux"
      return change(context, file, { sendBuffer: linux ? Math.max(2 * octets, LEAST_SEND_BUFFER) : octets })
    }
    case "SO_ZEROCOPY": {
      const on = numberIn(context, value)
      if (on !== 0 && on !== 1) return failed("EINVAL")
      file.zeroCopy = on === 1
      return done(0)
    }
    case "SO_PEEK_OFF":
      file.peekOffset = numberIn(context, value)
      return done(0)
    case "SO_PASSCRED":
    case "SO_PASSSEC":
      return failed("EOPNOTSUPP")
    case "IP_MTU_DISCOVER":
    case "IPV6_MTU_DISCOVER": {
      // Packets here always say that they are not to be fragmented, and heed what the path is known to carry.
      const how = numberIn(context, value)
      const { IP_PMTUDISC_WANT, IP_PMTUDISC_DO } = SYMBOLS
      if (how < 0 || how > MOST_PMTUDISC) return failed("EINVAL")
      if (how !== IP_PMTUDISC_WANT && how !== IP_PMTUDISC_DO) return unsupported(action.at, `${name} ${how}`)
      file.noted.set(name, how)
      return done(0)
    }
    case "SO_TIMESTAMPING":
      return setStamping(context, action, file, numberIn(context, value))
    case "TCP_FASTOPEN_KEY": {
      const key = octetsIn(value)
      if (key === undefined || (key.length !== FAST_OPEN_KEY && key.length !== 2 * FAST_OPEN_KEY)) {
        return failed("EINVAL")
      }
      return change(context, file, { fastOpenKey: key })
    }
    case "TCP_MD5SIG":
    case "TCP_MD5SIG_EXT": {
      const key = only(value)
      // FreeBSD's is a switch: its keys are IPsec's.
      if (key?._tag !== "Struct") return unsupported(action.at, `${name} without a struct tcp_md5sig`)
      const changed = withMd5Key(file, key, context.config.remote, name === "TCP_MD5SIG_EXT", definitions)
      return typeof changed === "string" ? failed(changed) : change(context, file, { authentication: changed })
    }
    default:
  }
  if (name === "TCP_FUNCTION_BLK") checkFunctionBlock(value)
  if (name === "TCP_CONGESTION") return setCongestion(context, action, file, value)
  const given = value?._tag === "Array" || value?._tag === "Number" ? numberIn(context, value) : 0
  const settings = context.machine.settings
  const counts = settings.profile.name === "linux" ? settledBy(name, given, { role: file.role, settings }) : given
  if (typeof counts === "string") return failed(counts)
  if (NOTED.has(name)) {
    file.noted.set(name, counts)
    return done(0)
  }
  const known = STACK[name]
  if (known === undefined || !(known[0] in file.options)) return unsupported(action.at, `the option ${name}`)
  return assign(context, file, name, known, counts)
}

/**
 * Notices are numbered by octets from here on (Linux's sk_tskey), which needs a connection: counted from what is not
 * acknowledged, or with OPT_ID_TCP from what is written next.
 */
const setStamping = (context: CallContext, action: CallAction, file: SocketFile, bits: number): CallResult => {
  const { SOF_TIMESTAMPING_OPT_ID = 0, SOF_TIMESTAMPING_OPT_ID_TCP = 0 } = SYMBOLS
  const { SOF_TIMESTAMPING_OPT_STATS = 0, SOF_TIMESTAMPING_OPT_TSONLY = 0 } = SYMBOLS
  const has = (bit: number): boolean => (bits & bit) !== 0
  if (bits < 0 || bits > EVERY_STAMPING) return failed("EINVAL")
  if (has(SOF_TIMESTAMPING_OPT_ID_TCP) && !has(SOF_TIMESTAMPING_OPT_ID)) return failed("EINVAL")
  if (has(SOF_TIMESTAMPING_OPT_STATS)) {
    if (!has(SOF_TIMESTAMPING_OPT_TSONLY)) return failed("EINVAL")
    return unsupported(action.at, "SOF_TIMESTAMPING_OPT_STATS")
  }
  const tcb = statusOf(context, file)?.tcb
  if ((bits & SOF_TIMESTAMPING_OPT_ID & ~file.stamping.bits) === 0) {
    file.stamping = { ...file.stamping, bits }
    return done(0)
  }
  if (tcb === undefined || !isSynchronized(tcb)) return failed("EINVAL")
  const first = has(SOF_TIMESTAMPING_OPT_ID_TCP) ? end(tcb.queue) : tcb.snd.una
  file.stamping = { bits, from: distance(first, tcb.link.iss) - 1 }
  return done(0)
}

/** SOF_TIMESTAMPING_MASK. */
const EVERY_STAMPING = 2 ** 19 - 1

/** `[{...}]` for `{...}`. */
const only = (value: Expression | undefined): Expression | undefined =>
  value?._tag === "Array" ? value.items[0] : value

const timeIn = (context: CallContext, action: CallAction, value: Expression | undefined): number => {
  const fields = fieldsOf(only(value) ?? action.result, "a timeval")
  const seconds = numberOr(fieldOf(fields, "tv_sec") ?? fields[0]?.value, context.config.definitions, "tv_sec", 0)
  const micros = numberOr(fieldOf(fields, "tv_usec") ?? fields[1]?.value, context.config.definitions, "tv_usec", 0)
  return seconds * SECONDS + micros
}

/** A string's characters as octets. */
const octetsIn = (value: Expression | undefined): Uint8Array | undefined => {
  const text = textIn(value)
  return text === undefined ? undefined : Uint8Array.from(text, (character) => character.charCodeAt(0))
}

/** What a kernel has as a module, and this stack not at all, is no error of the script's. */
const checkAlgorithm = ({ at, errno }: CallAction, name: string): void => {
  if (MODULES.has(name) && errno === undefined) unsupported(at, `the congestion control ${name}`)
}

const setCongestion = (
  context: CallContext,
  action: CallAction,
  file: SocketFile,
  value: Expression | undefined,
): CallResult => {
  const name = algorithmOf(textIn(value) ?? "")
  checkAlgorithm(action, name)
  return isAlgorithm(name) ? change(context, file, { congestion: name }) : failed("ENOENT")
}

const assign = (
  context: CallContext,
  file: SocketFile,
  name: string,
  [field, unit]: readonly [string, number],
  value: number,
): CallResult => {
  const before = Object.entries(file.options).find(([key]) => key === field)?.[1]
  if (typeof before === "boolean") {
    file.noted.set(name, value)
    return change(context, file, { [field]: value !== 0 })
  }
  const counts = inStack(name, value)
  if ((counts < 0 && name !== "TCP_LINGER2") || (counts === 0 && NEVER_ZERO.has(name))) return failed("EINVAL")
  const changed = change(context, file, { [field]: counts * unit })
  if (changed.errno !== undefined) return changed
  if (value === 0 && ZERO_IS_DEFAULT.has(name)) file.noted.delete(name)
  else file.noted.set(name, value)
  return changed
}

/** Some are unsigned in Linux, and then the largest of all is no limit. */
const inStack = (name: string, value: number): number => {
  if (name === "SO_MAX_PACING_RATE") return value === -1 ? 0 : value >>> 0
  return name === "TCP_NOTSENT_LOWAT" ? value >>> 0 : value
}

/** Of a socket that the host does not know yet, the options are kept until it does. */
const change = (context: CallContext, file: SocketFile, changed: Partial<SocketOptions>): CallResult => {
  if (file.id === undefined && outOfRange(changed) !== undefined) return failed("EINVAL")
  file.options = { ...file.options, ...changed }
  if (file.id === undefined) return done(0)
  const refused = context.machine.host.setOptions(file.id, changed, context.machine.now)
  context.machine.settle()
  return refused === undefined ? done(0) : failed(refused.errno)
}
