import type { CallAction, Expression } from "../ast.ts"
import { unsupported } from "../scriptError.ts"
import { optionName } from "../symbols.ts"
import { fieldOf, numberOf, resolve } from "../values.ts"
import type { CallContext } from "./context.ts"

const MILLISECONDS = 1000
export const SECONDS = 1_000_000

/** Options that the stack has: the name of the setting, and microseconds or octets of one unit. */
export const STACK: Readonly<Record<string, readonly [field: string, unit: number]>> = {
  TCP_NODELAY: ["noDelay", 1],
  TCP_CORK: ["cork", 1],
  TCP_NOPUSH: ["cork", 1],
  TCP_USER_TIMEOUT: ["userTimeout", MILLISECONDS],
  TCP_MAXUNACKTIME: ["userTimeout", SECONDS],
  TCP_RTO_MIN_US: ["minRto", 1],
  TCP_RTO_MAX_MS: ["maxRto", MILLISECONDS],
  TCP_DELACK_MAX_US: ["maxDelayedAck", 1],
  SO_RCVBUF: ["receiveBuffer", 1],
  SO_RCVBUFFORCE: ["receiveBuffer", 1],
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
  TCP_THIN_LINEAR_TIMEOUTS: ["thinLinearTimeouts", 1],
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

/** Options that change nothing that a script of packets can see. */
export const NOTED = new Set([
  "SO_DEBUG",
  "SO_PRIORITY",
  "SO_MARK",
  "SO_DONTROUTE",
  "SO_BROADCAST",
  "SO_NO_CHECK",
  "SO_RXQ_OVFL",
  "SO_LOCK_FILTER",
  "SO_SELECT_ERR_QUEUE",
  "SO_TXREHASH",
  "IP_BIND_ADDRESS_NO_PORT",
  "IP_RECVTOS",
  "IP_RECVTTL",
  "IP_PKTINFO",
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
  "SO_BINDTODEVICE",
  "SO_PREFER_BUSY_POLL",
])

export const nameOf = (context: CallContext, action: CallAction): string => {
  const { definitions } = context.config
  const option = resolve(action.args[2] ?? action.result, definitions)
  if (option._tag === "Name") return option.name
  const level = numberOf(action.args[1], definitions, "a level")
  const number = numberOf(option, definitions, "an option")
  return optionName(level, number) ?? unsupported(option.at, `option ${number} of level ${level}`)
}

/** The number in `[1]`, in `1`, or in a buffer of another shape's first place. */
export const numberIn = (context: CallContext, value: Expression | undefined): number => {
  const found = value?._tag === "Array" ? value.items[0] : value
  return numberOf(found, context.config.definitions, "an option's value")
}

/** A string, or an array of one. */
export const textIn = (value: Expression | undefined): string | undefined => {
  const inner = value?._tag === "Array" ? value.items[0] : value
  return inner?._tag === "Text" ? inner.value : undefined
}

/** FreeBSD's default stack is the one that the profile stands for. */
export const checkFunctionBlock = (value: Expression | undefined): void => {
  if (value?._tag !== "Struct") return
  const name = fieldOf(value.fields, "function_set_name")
  if (name?._tag === "Text" && name.value !== "freebsd") unsupported(name.at, `the TCP stack "${name.value}"`)
}
