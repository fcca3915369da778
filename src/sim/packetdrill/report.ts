import type { Memory } from "../../tcp/receiveMemory/memory.ts"
import type { Request, State, Tcb } from "../../tcp/tcb.ts"
import { type Micros, OFF } from "../../tcp/time.ts"
import type { Position } from "./ast.ts"
import { type Flow, toScript } from "./flow.ts"

/** What a script came to. Unsupported counts neither as passed nor as failed. */
export type Outcome =
  | { readonly _tag: "Passed"; readonly notes: ReadonlyArray<string> }
  | { readonly _tag: "Failed"; readonly failure: Failure; readonly notes: ReadonlyArray<string> }
  | {
      readonly _tag: "Unsupported"
      readonly at: Position
      readonly what: string
      readonly notes: ReadonlyArray<string>
    }

/** Why a script failed, for people and for `--json`. */
export interface Failure {
  readonly at: Position
  /** The script's line. */
  readonly line: string
  readonly kind: "syntax" | "packet" | "timing" | "call" | "command" | "assertion" | "left-over" | "crash"
  readonly message: string
  readonly expected: string | undefined
  readonly seen: { readonly packet: string; readonly at: Micros; readonly why: string } | undefined
  /** Field by field. */
  readonly differences: ReadonlyArray<string>
  /** The connection before the event and after it. */
  readonly before: TcbView | undefined
  readonly after: TcbView | undefined
  /** What had been thrown away since the event before, and why. */
  readonly drops: ReadonlyArray<string>
}

/** A block in a few words: what a reader compares. */
export interface TcbView {
  readonly state: State
  readonly fields: Readonly<Record<string, number | string | boolean>>
}

/** Sequence numbers are shown as the script counts them. */
export const viewTcb = (tcb: Tcb, flow: Flow | undefined): TcbView => ({
  state: tcb._tag,
  fields: fieldsOf(tcb, flow),
})

const fieldsOf = (tcb: Tcb, flow: Flow | undefined): TcbView["fields"] => {
  const ours = (seq: number): number => (flow === undefined ? seq : toScript(flow, "ours", seq, false))
  const peers = (seq: number): number => (flow === undefined ? seq : toScript(flow, "peers", seq, false))
  switch (tcb._tag) {
    case "CLOSED":
      return {}
    case "LISTEN":
      return { backlog: tcb.backlog, requests: tcb.requests, waiting: tcb.waiting }
    case "SYN-SENT":
      return { iss: ours(tcb.iss), retransmits: tcb.retransmits, queued: tcb.queue.length }
    case "SYN-RECEIVED":
      return tcb.open === "active"
        ? { iss: ours(tcb.sent.iss), irs: peers(tcb.irs) }
        : requestFields(tcb.open === "fast" ? tcb.request : tcb, ours, peers)
    case "TIME-WAIT":
      return { sndNxt: ours(tcb.sndNxt), rcvNxt: peers(tcb.rcvNxt) }
    default:
      return {
        "snd.una": ours(tcb.snd.una),
        "snd.nxt": ours(tcb.snd.nxt),
        "snd.wnd": tcb.snd.wnd,
        "snd.mss": tcb.snd.mss,
        queued: tcb.queue.length,
        "rcv.nxt": peers(tcb.rcv.nxt),
        "rcv.edge": peers(tcb.rcv.edge),
        "rcv.unread": tcb.rcv.unread,
        "rcv.due": tcb.rcv.due,
        ...memoryFields(tcb.drs.memory),
        cwnd: tcb.cc.cwnd,
        ssthresh: tcb.cc.ssthresh,
        phase: tcb.recovery.phase,
        srtt: tcb.rto.srtt,
        rto: tcb.rto.rto,
        backoff: tcb.rto.backoff,
        retransmit: timer(tcb.timers.retransmit),
        persist: timer(tcb.timers.persist),
        delayedAck: timer(tcb.timers.delayedAck),
      }
  }
}

/** What waits takes, of how much, and the window to announce. */
const memoryFields = (memory: Memory | undefined): TcbView["fields"] =>
  memory === undefined
    ? {}
    : { "rcv.memory": memory.alloc, "rcv.limit": memory.rcvbuf, "rcv.ssthresh": memory.ssthresh }

const timer = (at: Micros): string => (at === OFF ? "off" : formatSeconds(at))

const requestFields = (
  request: Request,
  ours: (seq: number) => number,
  peers: (seq: number) => number,
): TcbView["fields"] => ({
  iss: ours(request.iss),
  irs: peers(request.irs),
  retransmits: request.retransmits,
})

export const formatSeconds = (at: Micros): string => `${(at / 1e6).toFixed(6)} s`

/** A failure as a person reads it. */
export const formatFailure = (file: string, failure: Failure): string => {
  const { at, line, kind, message, expected, seen, differences, before, after, drops } = failure
  const lines = [`${file}:${at.line}:${at.column}: ${kind}: ${message}`, `    ${line.trim()}`]
  if (expected !== undefined) lines.push(`  expected  ${expected}`)
  if (seen !== undefined) {
    lines.push(`  seen      ${seen.packet}`, `            at ${formatSeconds(seen.at)}, because ${seen.why}`)
  }
  for (const difference of differences) lines.push(`  - ${difference}`)
  if (before !== undefined) lines.push(`  before    ${formatView(before)}`)
  if (after !== undefined) lines.push(`  after     ${formatChange(before, after)}`)
  for (const drop of drops) lines.push(`  dropped   ${drop}`)
  return lines.join("\n")
}

const formatView = ({ state, fields }: TcbView): string =>
  [state, ...Object.entries(fields).map(([name, value]) => `${name}=${value}`)].join(" ")

/** After the event: what it changed, with both values. */
const formatChange = (before: TcbView | undefined, after: TcbView): string => {
  if (before === undefined) return formatView(after)
  const state = before.state === after.state ? after.state : `${before.state} -> ${after.state}`
  const names = [...new Set([...Object.keys(before.fields), ...Object.keys(after.fields)])]
  const changes = names
    .filter((name) => before.fields[name] !== after.fields[name])
    .map((name) => `${name} ${before.fields[name] ?? "none"} -> ${after.fields[name] ?? "none"}`)
  return [state, changes.join(", ") || "(unchanged)"].join(" ")
}
