import type { Transmit } from "../../../src/tcp/effect.ts"
import { slice } from "../../../src/tcp/sendQueue.ts"
import { add } from "../../../src/tcp/seq.ts"
import {
  ACK,
  CWR,
  ECE,
  FIN,
  hasSyn,
  NO_OPTIONS,
  PSH,
  RST,
  type SackBlock,
  type Segment,
  SYN,
  URG,
} from "../../../src/wire/tcpSegment.ts"

/**
 * Segments as RFC 9293 writes them: "<SYN,ACK> seq=iss ack=irs+1 wnd=100 data=10". A value is a sum
 * of numbers and of the variables of an `Env`. Read by `segment`, written by `text`.
 */
export type Env = Readonly<Record<string, number>>

/** The octet at a sequence number of either stream, so that every payload can be checked by its place. */
export const octetAt = (seq: number): number => (seq ^ (seq >>> 8) ^ (seq >>> 16)) & 0xff

export const octets = (seq: number, length: number): Uint8Array => {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = octetAt(add(seq, i))
  return bytes
}

/** The value of "snd.una-max.wnd-1". */
export const value = (expression: string, env: Env): number => {
  let total = 0
  let sign = 1
  for (const token of expression.match(/[a-z][a-z.]*|\d+|[+-]|./g) ?? []) {
    if (token === "+") sign = 1
    else if (token === "-") sign = -1
    else if (/^\d+$/.test(token)) total += sign * Number(token)
    else {
      const known = env[token]
      if (known === undefined) throw new Error(`no variable "${token}" in "${expression}"`)
      total += sign * known
    }
  }
  return total
}

const FLAGS = [
  ["SYN", SYN],
  ["FIN", FIN],
  ["RST", RST],
  ["PSH", PSH],
  ["URG", URG],
  ["ACK", ACK],
  ["ECE", ECE],
  ["CWR", CWR],
] as const

const FIELDS = ["seq", "ack", "wnd", "up", "data", "tsval", "ecr", "ts", "ws", "sack"] as const
type Field = (typeof FIELDS)[number]
type Fields = { readonly [F in Field]?: string }

const read = (notation: string): { readonly flags: number; readonly fields: Fields } => {
  const match = /^<([A-Z,]*)>((?: [a-z]+=\S+)*)$/.exec(notation)
  if (match === null) throw new Error(`not a segment: ${notation}`)
  let flags = 0
  for (const name of (match[1] ?? "").split(",").filter((n) => n !== "")) {
    const flag = FLAGS.find(([n]) => n === name)
    if (flag === undefined) throw new Error(`no flag "${name}" in ${notation}`)
    flags |= flag[1]
  }
  const fields: { [F in Field]?: string } = {}
  for (const pair of (match[2] ?? "").split(" ").filter((p) => p !== "")) {
    const [name, of = ""] = pair.split("=")
    const field = FIELDS.find((f) => f === name)
    if (field === undefined) throw new Error(`no field "${name}" in ${notation}`)
    fields[field] = of
  }
  return { flags, fields }
}

/** What the peer puts into its segments where the notation does not say. */
export interface Habits {
  readonly wnd: number
  readonly mss: number
  /** Timestamps: TS.Recent as its own clock, unless false. */
  readonly timestamps: boolean
  readonly tsEcr: number
  readonly sack: boolean
}

/** A segment of the peer's. A SYN carries MSS and SACK-permitted (and `ws=`), everything timestamps unless `ts=none`. */
export const segment = (notation: string, env: Env, habits: Habits): Segment => {
  const { flags, fields } = read(notation)
  const of = (field: Field, otherwise: number): number => {
    const expression = fields[field]
    return expression === undefined ? otherwise : value(expression, env)
  }
  const syn = (flags & SYN) !== 0
  const stamped = fields.ts === undefined ? habits.timestamps : fields.ts !== "none"
  const seq = of("seq", 0) >>> 0
  return {
    seq,
    ack: of("ack", 0) >>> 0,
    flags,
    wnd: of("wnd", habits.wnd),
    up: of("up", 0),
    options: {
      ...NO_OPTIONS,
      mss: syn ? habits.mss : undefined,
      sackPermitted: syn && habits.sack,
      windowScale: syn && fields.ws !== undefined ? Number(fields.ws) : undefined,
      sack: fields.sack === undefined ? [] : blocks(fields.sack, env),
      tsVal: stamped ? of("tsval", env["ts.recent"] ?? 0) >>> 0 : undefined,
      tsEcr: stamped ? ((flags & ACK) !== 0 ? of("ecr", habits.tsEcr) : 0) >>> 0 : undefined,
    },
    payload: octets(syn ? add(seq, 1) : seq, of("data", 0)),
  }
}

const blocks = (list: string, env: Env): ReadonlyArray<SackBlock> =>
  list.split(",").map((block) => {
    const [left = "", right = ""] = block.split("..")
    return { left: value(left, env) >>> 0, right: value(right, env) >>> 0 }
  })

/** The parts of a segment that are compared, with the numbers in place. */
interface Shown {
  readonly seq: number
  readonly ack: number
  readonly flags: number
  readonly wnd: number
  readonly up: number
  readonly data: number
  readonly mss: number | undefined
  readonly windowScale: number | undefined
  readonly sackPermitted: boolean
  readonly tsVal: number | undefined
  readonly tsEcr: number | undefined
  readonly sack: ReadonlyArray<SackBlock>
}

const show = (s: Shown): string => {
  const flags = FLAGS.filter(([, bit]) => (s.flags & bit) !== 0).map(([name]) => name)
  const options = [
    s.mss === undefined ? "" : `mss ${s.mss}`,
    s.windowScale === undefined ? "" : `ws ${s.windowScale}`,
    s.sackPermitted ? "sackOK" : "",
    s.tsVal === undefined ? "" : `ts ${s.tsVal} ${s.tsEcr}`,
    s.sack.length === 0 ? "" : `sack ${s.sack.map((b) => `${b.left}..${b.right}`).join(",")}`,
  ].filter((o) => o !== "")
  return [
    `<${flags.join(",")}> seq=${s.seq}`,
    (s.flags & ACK) === 0 ? "" : `ack=${s.ack}`,
    `wnd=${s.wnd}`,
    s.up === 0 ? "" : `up=${s.up}`,
    s.data === 0 ? "" : `data=${s.data}`,
    options.length === 0 ? "" : `<${options.join(", ")}>`,
  ]
    .filter((part) => part !== "")
    .join(" ")
}

/** A segment that a reducer sent, in full; fails where the payload is not what the application gave. */
export const text = (sent: Transmit): string => {
  const first = (sent.flags & SYN) !== 0 ? add(sent.seq, 1) : sent.seq
  if (sent.length > 0) {
    const payload = sent.queue === undefined ? new Uint8Array(0) : slice(sent.queue, first, sent.length)
    const wanted = octets(first, sent.length)
    if (payload.length !== wanted.length || payload.some((b, i) => b !== wanted[i])) {
      throw new Error(`payload at ${first}, ${sent.length} octets, is not what was given to send`)
    }
  }
  const { options } = sent
  return show({ ...sent, ...options, data: sent.length })
}

/** What every segment of ours says where the notation does not. */
export interface Manners {
  readonly mss: number
  readonly timestamps: boolean
  /** Our timestamp clock now. */
  readonly clock: number
  readonly sack: boolean
}

/**
 * A segment that ought to be sent, in full. Where not said otherwise: WND is what remains up to
 * RCV.EDGE, the right edge as the peer was last told; TSecr is TS.Recent; a RST has neither,
 * unless it says what it echoes.
 */
export const expected = (notation: string, env: Env, manners: Manners): string => {
  const { flags, fields } = read(notation)
  const of = (field: Field, otherwise: number): number => {
    const expression = fields[field]
    return expression === undefined ? otherwise : value(expression, env)
  }
  const syn = (flags & SYN) !== 0
  const rst = (flags & RST) !== 0
  const ack = of("ack", 0) >>> 0
  const left = syn ? (env["rcv.nxt"] ?? 0) : ack
  const edge = env["rcv.edge"] ?? 0
  const stamped = manners.timestamps && (!rst || fields.ecr !== undefined)
  return show({
    seq: of("seq", 0) >>> 0,
    ack,
    flags,
    wnd: of("wnd", rst ? 0 : Math.max(0, (edge - left) | 0)),
    up: of("up", 0),
    data: of("data", 0),
    mss: syn ? manners.mss : undefined,
    windowScale: syn && fields.ws !== undefined ? Number(fields.ws) : undefined,
    sackPermitted: syn && manners.sack,
    tsVal: stamped ? manners.clock : undefined,
    tsEcr: stamped ? of("ecr", (flags & ACK) === 0 ? 0 : (env["ts.recent"] ?? 0)) >>> 0 : undefined,
    sack: fields.sack === undefined ? [] : blocks(fields.sack, env),
  })
}

export const startOfText = (seg: Segment): number => (hasSyn(seg) ? add(seg.seq, 1) : seg.seq)
