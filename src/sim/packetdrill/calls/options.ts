import { isAlgorithm } from "../../../tcp/congestion/registry.ts"
import { FAST_OPEN_KEY, parseFastOpenKey } from "../../../tcp/fastOpenKey.ts"
import { distance } from "../../../tcp/seq.ts"
import { isSynchronized, type SocketOptions } from "../../../tcp/tcb.ts"
import type { CallAction, Expression } from "../ast.ts"
import type { SocketFile } from "../files.ts"
import { unsupported } from "../scriptError.ts"
import { ERRNO, optionName, SYMBOLS } from "../symbols.ts"
import { fieldOf, fieldsOf, isEllipsis, itemsOf, numberOf, numberOr, resolve } from "../values.ts"
import {
  type Call,
  type CallContext,
  type CallResult,
  check,
  done,
  failed,
  immediate,
  isResult,
  socketOf,
  statusOf,
  takeError,
} from "./context.ts"

const MILLISECONDS = 1000
const SECONDS = 1_000_000

/** Options that the stack has: the name of the setting, and microseconds or octets of one unit. */
const STACK: Readonly<Record<string, readonly [field: string, unit: number]>> = {
  TCP_NODELAY: ["noDelay", 1],
  TCP_CORK: ["cork", 1],
  TCP_NOPUSH: ["cork", 1],
  TCP_USER_TIMEOUT: ["userTimeout", MILLISECONDS],
  TCP_MAXUNACKTIME: ["userTimeout", SECONDS],
  SO_RCVBUF: ["receiveBuffer", 1],
  SO_RCVBUFFORCE: ["receiveBuffer", 1],
  SO_SNDBUF: ["sendBuffer", 1],
  SO_SNDBUFFORCE: ["sendBuffer", 1],
  SO_REUSEADDR: ["reuseAddress", 1],
  SO_REUSEPORT: ["reusePort", 1],
  IP_FREEBIND: ["freeBind", 1],
  SO_KEEPALIVE: ["keepAlive", 1],
  TCP_KEEPIDLE: ["keepIdle", SECONDS],
  TCP_KEEPINTVL: ["keepInterval", SECONDS],
  TCP_KEEPCNT: ["keepCount", 1],
  TCP_MAXSEG: ["maxSegment", 1],
  TCP_QUICKACK: ["quickAck", 1],
  TCP_DEFER_ACCEPT: ["deferAccept", SECONDS],
  TCP_SYNCNT: ["synCount", 1],
  TCP_LINGER2: ["linger2", SECONDS],
  TCP_WINDOW_CLAMP: ["windowClamp", 1],
  TCP_NOTSENT_LOWAT: ["notSentLowWater", 1],
  TCP_CONGESTION: ["congestion", 1],
  SO_MAX_PACING_RATE: ["maxPacingRate", 1],
  IP_MINTTL: ["minTtl", 1],
  TCP_FASTOPEN: ["fastOpen", 1],
  TCP_FASTOPEN_NO_COOKIE: ["fastOpenNoCookie", 1],
  SO_RCVLOWAT: ["receiveLowWater", 1],
  IP_TOS: ["tos", 1],
  IPV6_TCLASS: ["tos", 1],
  IP_TTL: ["ttl", 1],
  IPV6_UNICAST_HOPS: ["ttl", 1],
}

/** Where the stack keeps it: microseconds, negative when off. */
const LINGER: string = "linger"

/** Options that change nothing that a script of packets can see. */
const NOTED = new Set([
  "SO_DEBUG",
  "SO_PRIORITY",
  "SO_MARK",
  "SO_DONTROUTE",
  "SO_BUSY_POLL",
  "SO_INCOMING_CPU",
  "IPV6_V6ONLY",
  "IP_RECVERR",
  "IPV6_RECVERR",
  "TCP_FUNCTION_BLK",
  "TCP_THIN_DUPACK",
  "TCP_INQ",
  "TCP_FASTOPEN_CONNECT",
  "SO_TIMESTAMP",
])

const nameOf = (context: CallContext, action: CallAction): string => {
  const { definitions } = context.config
  const option = resolve(action.args[2] ?? action.result, definitions)
  if (option._tag === "Name") return option.name
  const level = numberOf(action.args[1], definitions, "a level")
  const number = numberOf(option, definitions, "an option")
  return optionName(level, number) ?? unsupported(option.at, `option ${number} of level ${level}`)
}

/** The number in `[1]`, in `1`, or in a buffer of another shape's first place. */
const numberIn = (context: CallContext, value: Expression | undefined): number => {
  const found = value?._tag === "Array" ? value.items[0] : value
  return numberOf(found, context.config.definitions, "an option's value")
}

export const setsockopt: Call = (context, action) => {
  const file = socketOf(context, action.args[0])
  if (isResult(file)) return immediate(file)
  return immediate(set(context, action, file, nameOf(context, action), action.args[3]))
}

const set = (
  context: CallContext,
  action: CallAction,
  file: SocketFile,
  name: string,
  value: Expression | undefined,
): CallResult => {
  const { definitions } = context.config
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
    case "SO_ZEROCOPY": {
      const on = numberIn(context, value)
      if (on !== 0 && on !== 1) return failed("EINVAL")
      file.zeroCopy = on === 1
      return done(0)
    }
    case "IP_MTU_DISCOVER":
    case "IPV6_MTU_DISCOVER": {
      // Packets here always say that they are not to be fragmented, and heed what the path is known to carry.
      const how = numberIn(context, value)
      const { IP_PMTUDISC_WANT, IP_PMTUDISC_DO } = SYMBOLS
      if (how !== IP_PMTUDISC_WANT && how !== IP_PMTUDISC_DO) return unsupported(action.at, `${name} ${how}`)
      file.noted.set(name, how)
      return done(0)
    }
    case "SO_TIMESTAMPING":
      return setStamping(context, file, numberIn(context, value))
    case "TCP_FASTOPEN_KEY": {
      const key = octetsIn(value)
      if (key === undefined || (key.length !== FAST_OPEN_KEY && key.length !== 2 * FAST_OPEN_KEY)) {
        return failed("EINVAL")
      }
      return change(context, file, { fastOpenKey: key })
    }
    case "SO_ERROR":
    case "SO_TYPE":
    case "SO_ACCEPTCONN":
    case "TCP_INFO":
      return failed("ENOPROTOOPT")
    default:
  }
  if (name === "TCP_FUNCTION_BLK") checkFunctionBlock(value)
  if (NOTED.has(name)) {
    file.noted.set(name, value?._tag === "Array" ? numberIn(context, value) : 0)
    return done(0)
  }
  const known = STACK[name]
  if (known === undefined || !(known[0] in file.options)) return unsupported(action.at, `the option ${name}`)
  return assign(context, file, name, known, value)
}

/** Notices are numbered by octets from here on (Linux's sk_tskey), which needs a connection. */
const setStamping = (context: CallContext, file: SocketFile, bits: number): CallResult => {
  const { SOF_TIMESTAMPING_OPT_ID = 0 } = SYMBOLS
  const tcb = statusOf(context, file)?.tcb
  if ((bits & SOF_TIMESTAMPING_OPT_ID & ~file.stamping.bits) === 0) {
    file.stamping = { ...file.stamping, bits }
    return done(0)
  }
  if (tcb === undefined || !isSynchronized(tcb)) return failed("EINVAL")
  file.stamping = { bits, from: distance(tcb.snd.una, tcb.link.iss) - 1 }
  return done(0)
}

/** FreeBSD's default stack is the one that the profile stands for. */
const checkFunctionBlock = (value: Expression | undefined): void => {
  if (value?._tag !== "Struct") return
  const name = fieldOf(value.fields, "function_set_name")
  if (name?._tag === "Text" && name.value !== "freebsd") unsupported(name.at, `the TCP stack "${name.value}"`)
}

/** `[{...}]` for `{...}`. */
const only = (value: Expression | undefined): Expression | undefined =>
  value?._tag === "Array" ? value.items[0] : value

const timeIn = (context: CallContext, action: CallAction, value: Expression | undefined): number => {
  const fields = fieldsOf(only(value) ?? action.result, "a timeval")
  const seconds = numberOr(fieldOf(fields, "tv_sec") ?? fields[0]?.value, context.config.definitions, "tv_sec", 0)
  const micros = numberOr(fieldOf(fields, "tv_usec") ?? fields[1]?.value, context.config.definitions, "tv_usec", 0)
  return seconds * SECONDS + micros
}

/** A string, or an array of one. */
const textIn = (value: Expression | undefined): string | undefined => {
  const inner = value?._tag === "Array" ? value.items[0] : value
  return inner?._tag === "Text" ? inner.value : undefined
}

/** A string's characters as octets. */
const octetsIn = (value: Expression | undefined): Uint8Array | undefined => {
  const text = textIn(value)
  return text === undefined ? undefined : Uint8Array.from(text, (character) => character.charCodeAt(0))
}

const assign = (
  context: CallContext,
  file: SocketFile,
  name: string,
  [field, unit]: readonly [string, number],
  value: Expression | undefined,
): CallResult => {
  const before = Object.entries(file.options).find(([key]) => key === field)?.[1]
  const text = textIn(value)
  const next = text ?? (typeof before === "boolean" ? numberIn(context, value) !== 0 : numberIn(context, value) * unit)
  if (typeof next === "number" && next < 0) return failed("EINVAL")
  if (name === "TCP_CONGESTION" && (text === undefined || !isAlgorithm(text))) return failed("ENOENT")
  if (text === undefined) file.noted.set(name, numberIn(context, value))
  return change(context, file, { [field]: next })
}

/** Of a socket that the host does not know yet, the options are kept until it does. */
const change = (context: CallContext, file: SocketFile, changed: Partial<SocketOptions>): CallResult => {
  file.options = { ...file.options, ...changed }
  if (file.id === undefined) return done(0)
  const refused = context.machine.host.setOptions(file.id, changed, context.machine.now)
  context.machine.settle()
  return refused === undefined ? done(0) : failed(refused.errno)
}

export const getsockopt: Call = (context, action) => {
  const file = socketOf(context, action.args[0])
  if (isResult(file)) return immediate(file)
  const name = nameOf(context, action)
  const value = action.args[3]
  if (name === "TCP_INFO") return immediate(compareInfo(context, file, value))
  if (name === "SO_LINGER") {
    const fields = value?._tag === "Struct" ? value.fields : []
    return immediate(
      done(0, [
        ...check(context, fieldOf(fields, "onoff", "l_onoff"), Number(file.linger.on), "l_onoff"),
        ...check(context, fieldOf(fields, "linger", "l_linger"), file.linger.seconds, "l_linger"),
      ]),
    )
  }
  const actual = get(context, action, file, name)
  const expected = value?._tag === "Array" ? value.items[0] : value
  if (typeof actual === "string") {
    const wanted = textIn(value)
    const matches = wanted === undefined || wanted === actual
    return immediate(done(0, matches ? [] : [`${name}: got "${actual}"`]))
  }
  return immediate(done(0, check(context, expected, actual, name)))
}

const get = (context: CallContext, action: CallAction, file: SocketFile, name: string): number | string => {
  const status = statusOf(context, file)
  const tcb = status?.tcb
  const linux = context.config.settings.profile.name === "linux"
  switch (name) {
    case "SO_ERROR":
      return ERRNO[takeError(context, file) ?? ""] ?? 0
    case "SO_ZEROCOPY":
      return Number(file.zeroCopy)
    case "SO_TIMESTAMPING":
      return file.stamping.bits
    case "TCP_FASTOPEN_KEY": {
      const key = file.options.fastOpenKey ?? parseFastOpenKey(context.machine.settings.tcpFastopenKey)
      return String.fromCharCode(...(key ?? []))
    }
    case "SO_TYPE":
      return 1
    case "SO_PROTOCOL":
      return 6
    case "SO_DOMAIN":
      return file.family === 4 ? 2 : 10
    case "SO_ACCEPTCONN":
      return file.role === "listener" ? 1 : 0
    case "TCP_CONGESTION":
      if (tcb !== undefined && "cc" in tcb) return tcb.cc.algorithm
      return file.options.congestion === "" ? context.config.settings.tcpCongestionControl : file.options.congestion
    case "TCP_MAXSEG":
      if (tcb !== undefined && "snd" in tcb) return tcb.snd.mss
      return file.noted.get(name) ?? (context.config.family === 4 ? 536 : 1220)
    case "SO_RCVBUF":
      if (tcb !== undefined && "rcv" in tcb) return tcb.rcv.buf
      // Linux counts its own overhead: what is asked for is doubled.
      return (file.noted.get(name) ?? 0) * (linux ? 2 : 1) || context.config.settings.tcpRmem[1]
    case "SO_SNDBUF":
      return (file.noted.get(name) ?? 0) * (linux ? 2 : 1) || context.config.settings.tcpWmem[1]
    default:
  }
  const noted = file.noted.get(name)
  if (noted !== undefined) return noted
  if (NOTED.has(name)) return 0
  const known = STACK[name]
  const entry = known === undefined ? undefined : Object.entries(file.options).find(([key]) => key === known[0])
  if (known === undefined || entry === undefined) return unsupported(action.at, `the option ${name}`)
  const option: unknown = entry[1]
  if (typeof option === "string") return option
  return typeof option === "boolean" ? Number(option) : Math.floor(Number(option) / known[1])
}

/** FreeBSD's numbers of states (netinet/tcp_fsm.h) by Linux's, which begin with ESTABLISHED as 1. */
const FREEBSD_STATES = [0, 4, 2, 3, 6, 9, 10, 0, 5, 8, 1, 7]

const compareInfo = (context: CallContext, file: SocketFile, expected: Expression | undefined): CallResult => {
  const status = statusOf(context, file)
  if (expected === undefined || isEllipsis(expected)) return done(0)
  const info = status === undefined ? new Map([["tcpi_state", 7]]) : context.machine.info(status)
  const freebsd = context.config.settings.profile.name === "freebsd"
  const problems: Array<string> = []
  for (const field of fieldsOf(expected, "tcp_info")) {
    const linux = info.get(field.name ?? "")
    const actual = freebsd && field.name === "tcpi_state" ? FREEBSD_STATES[linux ?? 0] : linux
    if (isEllipsis(field.value)) continue
    if (actual === undefined) return unsupported(field.value.at, `${field.name} of TCP_INFO`)
    problems.push(...check(context, field.value, actual, field.name ?? ""))
  }
  return done(0, problems)
}

export const fcntl: Call = (context, action) => {
  const file = socketOf(context, action.args[0])
  if (isResult(file)) return immediate(file)
  const { definitions } = context.config
  const command = numberOf(action.args[1], definitions, "a command")
  switch (command) {
    case 4:
      file.nonBlocking = (numberOf(action.args[2], definitions, "flags") & 0o4000) !== 0
      return immediate(done(0))
    case 3:
      return immediate(done(2 | (file.nonBlocking ? 0o4000 : 0)))
    case 1:
    case 2:
      return immediate(done(0))
    default:
      return unsupported(action.at, `fcntl ${command}`)
  }
}

export const ioctl: Call = (context, action) => {
  const file = socketOf(context, action.args[0])
  if (isResult(file)) return immediate(file)
  const request = resolve(action.args[1] ?? action.result, context.config.definitions)
  const name = request._tag === "Name" ? request.name : ""
  const value = action.args[2]
  const status = statusOf(context, file)
  const expected = value === undefined || value._tag !== "Array" ? value : itemsOf(value, "a value")[0]
  switch (name) {
    case "FIONBIO":
      file.nonBlocking = numberIn(context, value) !== 0
      return immediate(done(0))
    case "SIOCINQ":
    case "FIONREAD":
      if (file.role === "listener") return immediate(failed("EINVAL"))
      return immediate(done(0, check(context, expected, status?.recvQ ?? 0, name)))
    case "SIOCOUTQ":
    case "TIOCOUTQ":
    case "FIONWRITE":
      if (file.role === "listener") return immediate(failed("EINVAL"))
      return immediate(done(0, check(context, expected, status?.sendQ ?? 0, name)))
    case "SIOCOUTQNSD": {
      const tcb = status?.tcb
      const sent = tcb !== undefined && "snd" in tcb ? (tcb.snd.nxt - tcb.queue.start) >>> 0 : 0
      return immediate(done(0, check(context, expected, Math.max(0, (status?.sendQ ?? 0) - sent), name)))
    }
    case "SIOCATMARK": {
      const atMark = file.id !== undefined && context.machine.host.atMark(file.id)
      return immediate(done(0, check(context, expected, Number(atMark), name)))
    }
    default:
      return unsupported(request.at, `ioctl ${name}`)
  }
}
