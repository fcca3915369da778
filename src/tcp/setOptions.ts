import { isAlgorithm, switchTo } from "./congestion/registry.ts"
import type { Refused, Step, Why } from "./effect.ts"
import { within } from "./fastOpen.ts"
import { rescheduleKeepalive, startKeepalive, stopKeepalive } from "./keepalive.ts"
import { resized } from "./receiveMemory/limit.ts"
import { end } from "./sendQueue.ts"
import type { Listen, SocketOptions, Synchronized, Tcb } from "./tcb.ts"
import { owe } from "./text.ts"
import { type Micros, OFF } from "./time.ts"
import { arm, cancel, type Out } from "./timers.ts"

/** setsockopt(2) on a block: what the options say from here on, and what setting them does at once. */
export const setOptions = (tcb: Tcb, changed: Partial<SocketOptions>, now: Micros): Step | Refused => {
  const wrong = refusal(changed)
  if (wrong !== undefined) return wrong
  switch (tcb._tag) {
    case "CLOSED":
    case "TIME-WAIT":
      return refuse("RFC9293-3.10:connection-over")
    case "LISTEN":
      return { tcb: { ...tcb, options: { ...tcb.options, ...changed } } satisfies Listen, effects: [] }
    case "SYN-SENT":
      return { tcb: { ...tcb, options: { ...tcb.options, ...changed } }, effects: [] }
    case "SYN-RECEIVED":
      switch (tcb.open) {
        case "passive":
          return refuse("RFC9293-3.10:not-accepted")
        case "active":
          return {
            tcb: { ...tcb, sent: { ...tcb.sent, options: { ...tcb.sent.options, ...changed } } },
            effects: [],
          }
        case "fast":
          return within(tcb, (inner) => ofConnection(inner, changed, now))
      }
      break
    default:
      return ofConnection(tcb, changed, now)
  }
}

/** The options of a connection, in whatever state; undefined: it is over. */
export const optionsOf = (tcb: Tcb): SocketOptions | undefined => {
  switch (tcb._tag) {
    case "CLOSED":
    case "TIME-WAIT":
      return undefined
    case "SYN-RECEIVED":
      if (tcb.open === "fast") return tcb.tcb.options
      return tcb.open === "active" ? tcb.sent.options : tcb.options
    default:
      return tcb.options
  }
}

/** Values that setsockopt(2) answers with EINVAL. */
export const refusal = (changed: Partial<SocketOptions>): Refused | undefined => {
  const { congestion: name } = changed
  if (name !== undefined && name !== "" && !isAlgorithm(name))
    return { ...refuse("netfold:no-such-congestion-control"), errno: "ENOENT" }
  const wrong = outOfRange(changed)
  return wrong === undefined ? undefined : refuse(`netfold:${wrong.name}-out-of-range`)
}

/** The first value that no socket takes, and what would be. */
export const outOfRange = (
  changed: Partial<SocketOptions>,
): { readonly name: string; readonly value: number; readonly least: number; readonly most: number } | undefined => {
  for (const [name, least, most] of RANGES) {
    const value = changed[name]
    if (value === undefined || value === 0) continue
    if (Number.isNaN(value) || value < least || value > most) return { name, value, least, most }
  }
  return undefined
}

type Numeric = { [K in keyof SocketOptions]: SocketOptions[K] extends number ? K : never }[keyof SocketOptions]

const SECOND: Micros = 1_000_000
/** Linux's MAX_TCP_KEEPIDLE and MAX_TCP_KEEPINTVL. */
const LONGEST_KEEPALIVE = 32767 * SECOND

/** 0 stands for the default everywhere. */
const RANGES: ReadonlyArray<readonly [name: Numeric, least: number, most: number]> = [
  ["keepIdle", SECOND, LONGEST_KEEPALIVE],
  ["keepInterval", SECOND, LONGEST_KEEPALIVE],
  ["keepCount", 1, 127],
  ["synCount", 1, 127],
  ["tos", 0, 255],
  // Linux's TCP_MIN_MSS and MAX_TCP_WINDOW.
  ["maxSegment", 88, 32767],
  ["userTimeout", 1, Number.POSITIVE_INFINITY],
  // Linux's TCP_TIMEOUT_MIN, two ticks of a clock of 1000 Hz; TCP_RTO_MIN, TCP_RTO_MAX and TCP_DELACK_MAX.
  ["minRto", 2000, 200_000],
  ["maxRto", SECOND, 120 * SECOND],
  ["maxDelayedAck", 2000, 200_000],
  ["receiveBuffer", 1, 2 ** 30],
  ["sendBuffer", 1, 2 ** 30],
  ["receiveLowWater", 1, 2 ** 30],
  ["notSentLowWater", 1, 0xffffffff],
  ["windowClamp", 1, 2 ** 30],
  ["maxPacingRate", 1, Number.POSITIVE_INFINITY],
]

/** Linux's least window clamp, half of SOCK_MIN_RCVBUF. */
const LEAST_CLAMP = 1152

const ofConnection = (before: Synchronized, changed: Partial<SocketOptions>, now: Micros): Step => {
  const out: Out = []
  const tcb: Synchronized = { ...before, options: { ...before.options, ...changed } }
  const kept = keepalive(userTimeout(tcb, before, out), before, changed, now, out)
  const sized = congestion(buffers(kept, changed), changed, now)
  return { tcb: acks(pushed(sized, changed), changed), effects: out }
}

const keepalive = (
  tcb: Synchronized,
  before: Synchronized,
  changed: Partial<SocketOptions>,
  now: Micros,
  out: Out,
): Synchronized => {
  if (changed.keepAlive !== undefined && changed.keepAlive !== before.options.keepAlive) {
    return changed.keepAlive ? startKeepalive(tcb, now, out) : stopKeepalive(tcb, out)
  }
  return changed.keepIdle === undefined ? tcb : rescheduleKeepalive(tcb, now, out)
}

/** A timeout that runs already ends when the new one would have. */
const userTimeout = (tcb: Synchronized, before: Synchronized, out: Out): Synchronized => {
  const { user } = tcb.timers
  const { userTimeout: next } = tcb.options
  if (user === OFF || next === before.options.userTimeout) return tcb
  return {
    ...tcb,
    timers:
      next === 0
        ? cancel(tcb.timers, "user", out)
        : arm(tcb.timers, "user", user - before.options.userTimeout + next, out),
  }
}

/** TCP_CONGESTION of a connection in use: another algorithm goes on from the windows that it finds. */
const congestion = (tcb: Synchronized, changed: Partial<SocketOptions>, now: Micros): Synchronized => {
  if (changed.congestion === undefined) return tcb
  const name = changed.congestion === "" ? tcb.link.context.settings.tcpCongestionControl : changed.congestion
  const cc = switchTo(name, tcb.cc, tcb.snd.mss, now)
  return cc === tcb.cc ? tcb : { ...tcb, cc }
}

/** A smaller buffer takes back nothing that was announced (RFC 9293 section 3.8.6, SHLD-14). */
const buffers = (tcb: Synchronized, changed: Partial<SocketOptions>): Synchronized => {
  const { receiveBuffer, windowClamp, receiveLowWater } = changed
  if (tcb.drs.memory !== undefined) {
    return { ...tcb, drs: { ...tcb.drs, memory: resized(tcb, tcb.drs.memory, changed) } }
  }
  let { rcv } = tcb
  if (receiveBuffer !== undefined && receiveBuffer > 0) rcv = { ...rcv, buf: receiveBuffer }
  if (windowClamp !== undefined) {
    rcv = { ...rcv, clamp: windowClamp === 0 ? Number.POSITIVE_INFINITY : Math.max(windowClamp, LEAST_CLAMP) }
  }
  // What a reader waits for must fit (Linux's tcp_set_rcvlowat).
  if (receiveLowWater !== undefined && tcb.options.receiveBuffer === 0 && receiveLowWater > rcv.buf) {
    rcv = { ...rcv, buf: Math.min(receiveLowWater, tcb.link.context.settings.tcpRmem[2] / 2) }
  }
  return rcv === tcb.rcv ? tcb : { ...tcb, rcv }
}

/** TCP_NODELAY pushes what waits, corked or not (Linux's __tcp_sock_set_nodelay). */
const pushed = (tcb: Synchronized, { noDelay }: Partial<SocketOptions>): Synchronized =>
  noDelay === true ? { ...tcb, snd: { ...tcb.snd, push: end(tcb.queue) } } : tcb

/** TCP_QUICKACK: an ACK that waits leaves, and the next ones do not wait; or they all do from here on. */
const acks = (tcb: Synchronized, { quickAck }: Partial<SocketOptions>): Synchronized => {
  if (quickAck === undefined) return tcb
  if (!quickAck) return { ...tcb, rcv: { ...tcb.rcv, pingpong: true } }
  const quick: Synchronized = {
    ...tcb,
    rcv: { ...tcb.rcv, quick: Math.max(tcb.rcv.quick, QUICK_ACKS), pingpong: false },
  }
  return tcb.rcv.due === "later" ? owe(quick, "now", "Linux:TCP_QUICKACK") : quick
}

/** Linux's TCP_MAX_QUICKACKS. */
const QUICK_ACKS = 16

const refuse = (why: Why): Refused => ({ _tag: "Refused", errno: "EINVAL", why })
