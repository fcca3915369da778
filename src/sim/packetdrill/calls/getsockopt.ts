import { parseFastOpenKey } from "../../../tcp/fastOpenKey.ts"
import type { TcpSettings } from "../../../tcp/settings.ts"
import type { CallAction, Expression } from "../ast.ts"
import type { SocketFile } from "../files.ts"
import { unsupported } from "../scriptError.ts"
import { ERRNO } from "../symbols.ts"
import { algorithmName } from "../sysctl.ts"
import { fieldOf, fieldsOf, isEllipsis } from "../values.ts"
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
import { checkFunctionBlock, NOTED, nameOf, SECONDS, STACK, textIn } from "./optionTable.ts"

export const getsockopt: Call = (context, action) => {
  const file = socketOf(context, action.args[0])
  if (isResult(file)) return immediate(file)
  const name = nameOf(context, action)
  const value = action.args[3]
  if (name === "TCP_INFO") return immediate(compareInfo(context, file, value))
  if (name === "TCP_FUNCTION_BLK") {
    checkFunctionBlock(value)
    return immediate(done(0))
  }
  if (name === "IP_MTU" || name === "IPV6_MTU") {
    // Whether a connection knows it depends on which of its routes is still cached.
    return file.role === "connection"
      ? unsupported(action.at, `${name} of a connection`)
      : immediate(failed("ENOTCONN"))
  }
  if (name === "SO_PASSCRED" || name === "SO_PASSSEC") return immediate(failed("EOPNOTSUPP"))
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
    case "SO_SNDLOWAT":
      return 1
    case "SO_INCOMING_NAPI_ID":
    case "TCP_IS_MPTCP":
      return 0
    case "SO_PROTOCOL":
      return 6
    case "SO_DOMAIN":
      return file.family === 4 ? 2 : 10
    case "SO_ACCEPTCONN":
      return file.role === "listener" ? 1 : 0
    case "SO_INCOMING_CPU":
      // There is one processor, and no packet has come over it yet.
      return file.noted.get(name) ?? (file.role === "connection" ? 0 : -1)
    case "SO_PEEK_OFF":
      return file.peekOffset
    case "TCP_CONGESTION":
      return algorithmName(
        tcb !== undefined && "cc" in tcb
          ? tcb.cc.algorithm
          : file.options.congestion || context.machine.settings.tcpCongestionControl,
        context.machine.settings,
      )
    case "TCP_MAXSEG":
      if (tcb !== undefined && "snd" in tcb) return tcb.snd.mss
      return file.noted.get(name) ?? (context.config.family === 4 ? 536 : 1220)
    case "SO_RCVBUF":
      if (tcb !== undefined && "drs" in tcb && tcb.drs.memory !== undefined) return tcb.drs.memory.rcvbuf
      // Linux counts its own overhead: what is asked for is doubled, and half of it is payload.
      if (tcb !== undefined && "rcv" in tcb) return tcb.rcv.buf * (linux ? 2 : 1)
      return (file.noted.get(name) ?? 0) * (linux ? 2 : 1) || context.config.settings.tcpRmem[1]
    case "SO_SNDBUF":
    case "SO_SNDBUFFORCE":
      return file.options.sendBuffer || context.machine.settings.tcpWmem[1]
    default:
  }
  const noted = file.noted.get(name)
  if (noted !== undefined && linux && name === "TCP_DEFER_ACCEPT") {
    return wholeRetransmissions(noted, context.machine.settings.profile.maxRto / SECONDS)
  }
  if (noted !== undefined) return noted
  const otherwise = linux ? defaultOf(name, context.machine.settings) : undefined
  if (otherwise !== undefined) return otherwise
  if (NOTED.has(name)) return 0
  const known = STACK[name]
  const entry = known === undefined ? undefined : Object.entries(file.options).find(([key]) => key === known[0])
  if (known === undefined || entry === undefined) return unsupported(action.at, `the option ${name}`)
  const option: unknown = entry[1]
  if (typeof option === "string") return option
  return typeof option === "boolean" ? Number(option) : Math.floor(Number(option) / known[1])
}

/** What Linux tells of an option that nobody has set. */
const defaultOf = (name: string, settings: TcpSettings): number | undefined => {
  switch (name) {
    case "TCP_KEEPIDLE":
      return settings.tcpKeepaliveTime / SECONDS
    case "TCP_KEEPINTVL":
      return settings.tcpKeepaliveIntvl / SECONDS
    case "TCP_KEEPCNT":
      return settings.tcpKeepaliveProbes
    case "TCP_SYNCNT":
      return settings.tcpSynRetries
    case "TCP_RTO_MIN_US":
      return settings.profile.minRto
    case "TCP_RTO_MAX_MS":
      return settings.profile.maxRto / 1000
    case "TCP_DELACK_MAX_US":
      return DELACK_MAX
    case "TCP_LINGER2":
      return settings.tcpFinTimeout / SECONDS
    case "IP_TTL":
    case "IPV6_UNICAST_HOPS":
      return 64
    case "IP_MTU_DISCOVER":
    case "IPV6_MTU_DISCOVER":
    case "SO_TXREHASH":
      return 1
    case "SO_MAX_PACING_RATE":
      return -1
    default:
      return undefined
  }
}

/** Linux keeps the time as retransmissions of a SYN-ACK, after 1, 3, 7, ... seconds (its secs_to_retrans). */
const wholeRetransmissions = (seconds: number, longest: number): number => {
  let total = 0
  let wait = 1
  for (let sent = 0; total < seconds && sent < MOST_RETRANSMISSIONS; sent++) {
    total += wait
    wait = Math.min(2 * wait, longest)
  }
  return total
}

/** Linux's TCP_DELACK_MAX, microseconds: how long an ACK might wait of a peer that is slow to send. */
const DELACK_MAX = 200_000

/** Of the counter's octet. */
const MOST_RETRANSMISSIONS = 255

/** FreeBSD's numbers of states (netinet/tcp_fsm.h) by Linux's, which begin with ESTABLISHED as 1. */
const FREEBSD_STATES = [0, 4, 2, 3, 6, 9, 10, 0, 5, 8, 1, 7]

const compareInfo = (context: CallContext, file: SocketFile, expected: Expression | undefined): CallResult => {
  const status = statusOf(context, file)
  if (expected === undefined || isEllipsis(expected)) return done(0)
  const info = context.machine.info(status)
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
