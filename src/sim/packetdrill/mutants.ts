import { CWR, ECE, FIN, PSH, RST, SYN, URG } from "../../wire/tcpSegment.ts"
import type { CallAction, EventTime, Expression, IcmpAction, IpSpec, Script, ScriptEvent, TcpAction } from "./ast.ts"
import { mutantsOfArguments } from "./mutantArguments.ts"
import { mutantsOfCode } from "./mutantCode.ts"
import { mutantsOfOptions } from "./mutantOptions.ts"
import { formatFlags } from "./packet.ts"

/** A script with one expectation made wrong: a runner that checks what it says must fail it. */
export interface Mutant {
  readonly event: ScriptEvent
  /** Which kind of expectation: "flags", "seq", "time", ... */
  readonly kind: MutantKind
  /** What was changed, for a reader. */
  readonly what: string
  readonly script: Script
}

export type MutantKind =
  | "flags"
  | "seq"
  | "length"
  | "ack"
  | "win"
  | "urg"
  | "ip"
  | "option"
  | "option order"
  | "time"
  | "result"
  | "errno"
  | "argument"
  | "assertion"
  | "icmp"

/** What the run does not look at, so that a mutant of it is the same script (see `docs/packetdrill.md`). */
export interface Unchecked {
  readonly ignorePsh: boolean
  /** Half the width outside of which a time is wrong. */
  readonly tolerance: number
  readonly tolerancePercent: number
}

interface Variant {
  readonly kind: MutantKind
  readonly what: string
  readonly event: ScriptEvent
}

/** Every mutant of a script, one changed expectation each. What a script leaves open has none. */
export const mutantsOf = (script: Script, unchecked: Unchecked): ReadonlyArray<Mutant> =>
  script.events.flatMap((event, index) =>
    variantsOf(event, unchecked).map(({ kind, what, event: changed }) => ({
      event,
      kind,
      what,
      script: { ...script, events: script.events.with(index, changed) },
    })),
  )

const variantsOf = (event: ScriptEvent, unchecked: Unchecked): ReadonlyArray<Variant> => {
  const { action } = event
  switch (action._tag) {
    case "Tcp":
      return action.direction === "outbound" ? [...ofTime(event, unchecked), ...ofTcp(event, action, unchecked)] : []
    case "Icmp":
      return action.direction === "outbound" ? [...ofTime(event, unchecked), ...ofIcmp(event, action)] : []
    case "Call":
      return ofCall(event, action, unchecked)
    case "Code":
      return mutantsOfCode(action.text).map(({ what, text }) => ({
        kind: "assertion" as const,
        what,
        event: { ...event, action: { ...action, text } },
      }))
    case "Command":
      return []
  }
}

/** Further than any tolerance: half of it again, and some. */
const beyond = (span: number, { tolerance, tolerancePercent }: Unchecked): number =>
  Math.ceil(1.5 * Math.max(tolerance, (tolerancePercent / 100) * (span + 2 * tolerance)) * 1.1) + 1000

/** An expected packet is looked for later than it comes, or sooner (not before the event that it follows). */
const ofTime = (event: ScriptEvent, unchecked: Unchecked): ReadonlyArray<Variant> => {
  const { time } = event
  if (time._tag === "Any") return []
  const { from, to } = spanOf(time)
  const shift = to - from + beyond(to, unchecked)
  const later = { kind: "time" as const, what: "a later time", event: { ...event, time: shifted(time, shift) } }
  if (time._tag === "Absolute" || time._tag === "AbsoluteRange" || from < shift) return [later]
  return [later, { kind: "time", what: "an earlier time", event: { ...event, time: shifted(time, -shift) } }]
}

type Timed = Exclude<EventTime, { readonly _tag: "Any" }>

const spanOf = (time: Timed): { readonly from: number; readonly to: number } => {
  switch (time._tag) {
    case "Absolute":
      return { from: time.at, to: time.at }
    case "Relative":
      return { from: time.after, to: time.after }
    case "AbsoluteRange":
    case "RelativeRange":
      return time
  }
}

const shifted = (time: Timed, by: number): Timed => {
  switch (time._tag) {
    case "Absolute":
      return { ...time, at: time.at + by }
    case "Relative":
      return { ...time, after: time.after + by }
    case "AbsoluteRange":
    case "RelativeRange":
      return { ...time, from: time.from + by, to: time.to + by }
  }
}

const FLAGS = [FIN, SYN, RST, PSH, URG, ECE, CWR]

const ofTcp = (event: ScriptEvent, action: TcpAction, unchecked: Unchecked): ReadonlyArray<Variant> => {
  const variants: Array<Variant> = []
  const add = (kind: MutantKind, what: string, change: Partial<TcpAction>): void => {
    variants.push({ kind, what, event: { ...event, action: { ...action, ...change } } })
  }
  for (const bit of FLAGS) {
    if (bit === PSH && unchecked.ignorePsh) continue
    add("flags", `${formatFlags(action.flags)} to ${formatFlags(action.flags ^ bit)}`, { flags: action.flags ^ bit })
  }
  // The sequence number of our SYN is what the script counts from: any will do.
  const names = (action.flags & SYN) !== 0 && action.seq.kind === "relative"
  if (action.seq.kind !== "any" && !names) {
    add("seq", "seq + 1", { seq: { ...action.seq, value: (action.seq.value + 1) >>> 0 } })
  }
  add("length", "length + 1", { length: action.length + 1 })
  if (action.ack === undefined) add("ack", "ack 1", { ack: { kind: "relative", value: 1 } })
  else if (action.ack.kind !== "any") {
    add("ack", "ack + 1", { ack: { ...action.ack, value: (action.ack.value + 1) >>> 0 } })
  }
  if (action.window !== undefined) add("win", "win ^ 1", { window: action.window ^ 1 })
  add("urg", "urg + 1", { urgent: (action.urgent ?? 0) + 1 })
  for (const ip of ofIp(action.ip)) add("ip", "the IP header", { ip })
  if (action.options !== "any") {
    for (const { kind, what, options } of mutantsOfOptions(action.options)) add(kind, what, { options })
  }
  return variants
}

/** Flow labels are names that the script gives: the first of them may be any. */
const ofIp = (ip: IpSpec): ReadonlyArray<IpSpec> => [
  ...(ip.ecn === undefined ? [] : [{ ...ip, ecn: ip.ecn === "ce" ? ("noecn" as const) : ("ce" as const) }]),
  ...(ip.tos === undefined ? [] : [{ ...ip, tos: ip.tos ^ 4 }]),
  ...(ip.ttl === undefined ? [] : [{ ...ip, ttl: ip.ttl ^ 1 }]),
]

const ofIcmp = (event: ScriptEvent, action: IcmpAction): ReadonlyArray<Variant> => {
  const variants: Array<Variant> = []
  const add = (what: string, change: Partial<IcmpAction>): void => {
    variants.push({ kind: "icmp", what, event: { ...event, action: { ...action, ...change } } })
  }
  add("type 200", { type: "200", code: undefined })
  add("code 77", { code: "77" })
  if (action.mtu !== undefined) add("mtu + 1", { mtu: action.mtu + 1 })
  if (action.quoted !== undefined && action.quoted.seq.kind !== "any") {
    const seq = { ...action.quoted.seq, value: (action.quoted.seq.value + 1) >>> 0 }
    add("quoted seq + 1", { quoted: { ...action.quoted, seq } })
  }
  return variants
}

/** Their result is the number that the script gives to a descriptor: another would be as good. */
const NAMING = new Set(["socket", "accept", "accept4", "epoll_create", "epoll_create1"])

const ofCall = (event: ScriptEvent, action: CallAction, unchecked: Unchecked): ReadonlyArray<Variant> => {
  const variants: Array<Variant> = []
  const add = (kind: MutantKind, what: string, change: Partial<CallAction>): void => {
    variants.push({ kind, what, event: { ...event, action: { ...action, ...change } } })
  }
  const { result, at } = action
  const number = (value: number): Expression => ({ _tag: "Number", at, value })
  if (result._tag !== "Ellipsis") {
    const value = result._tag === "Number" ? result.value : undefined
    if (value !== undefined && value >= 0) {
      if (!NAMING.has(action.name)) add("result", "result + 1", { result: number(value + 1), errno: undefined })
      add("result", "-1 ENOMEM", { result: number(-1), errno: "ENOMEM" })
    }
    if (value === -1) add("result", "result 0", { result: number(0), errno: undefined })
    if (action.errno !== undefined) {
      add("errno", `${action.errno} to ENOSPC`, { errno: "ENOSPC" })
    }
  }
  if (action.until !== undefined) {
    add("time", "a later return", { until: action.until + beyond(action.until, unchecked) })
  }
  for (const { what, args } of mutantsOfArguments(action)) add("argument", what, { args })
  return variants
}
