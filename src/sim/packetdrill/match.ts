import { ACK, PSH, SYN } from "../../wire/tcpSegment.ts"
import type { IcmpAction, IpSpec, Numbered, OptionSpec, TcpAction } from "./ast.ts"
import { withDigest } from "./digests.ts"
import { cookieToScript, cookieToWire, type Flow, toScript, toWire } from "./flow.ts"
import { icmpNumbers } from "./icmpNames.ts"
import { formatNumbered, formatOptions } from "./options.ts"
import { ecnOf, formatFlags, formatIp, formatLine, octetsOf, type Seen, type SeenIcmp, type SeenTcp } from "./packet.ts"

/** How strictly packets are compared. */
export interface MatchRules {
  readonly ignorePsh: boolean
  /** Microseconds of a tick of the stack's timestamps; 0: they are not compared. */
  readonly tsTick: number
  readonly tolerance: number
  /** What the peer's segments and ours are signed with (TCP_MD5SIG). */
  readonly md5Key: Uint8Array | undefined
}

/** What differs between the packet that a script expects and one that was seen; empty: they match. */
export const compareTcp = (
  action: TcpAction,
  seen: Seen,
  body: SeenTcp,
  flow: Flow,
  rules: MatchRules,
): ReadonlyArray<string> => {
  const found: Array<string> = [...seen.faults]
  const differ = (what: string, expected: string | number, actual: string | number): void => {
    if (expected !== actual) found.push(`${what}: expected ${expected}, got ${actual}`)
  }
  const unchecked = rules.ignorePsh ? ~PSH : -1
  differ("flags", formatFlags(action.flags & unchecked), formatFlags(body.flags & unchecked))
  const syn = (body.flags & SYN) !== 0
  number(differ, "seq", action.seq, body.seq, toScript(flow, "ours", body.seq, syn))
  differ("payload length", action.length, body.length)
  number(differ, "ack", action.ack ?? ZERO, body.ack, ackInScript(body, flow))
  if (action.window !== undefined) differ("win", action.window, body.wnd)
  differ("urg", action.urgent ?? 0, body.up)
  compareIp(differ, action.ip, seen, flow)
  if (action.options !== "any") {
    const expected = withDigest(action.options, octetsOf(seen), rules.md5Key)
    compareOptions(found, expected, seen, body, flow, rules)
  }
  return found
}

/** Without the flag the field is no number of the peer's. */
const ackInScript = (body: SeenTcp, flow: Flow): number =>
  (body.flags & ACK) === 0 ? body.ack : toScript(flow, "peers", body.ack, (body.flags & SYN) !== 0)

const ZERO: Numbered = { kind: "absolute", value: 0 }

type Differ = (what: string, expected: string | number, actual: string | number) => void

const number = (differ: Differ, what: string, expected: Numbered, wire: number, script: number): void => {
  if (expected.kind === "any") return
  differ(what, expected.value, expected.kind === "absolute" ? wire : script)
}

const compareIp = (differ: Differ, ip: IpSpec, seen: Seen, flow: Flow): void => {
  const ecn = ecnOf(seen.tos)
  if (ip.ecn === "ect01") {
    if (ecn !== "ect0" && ecn !== "ect1") differ("ecn", "ect01", ecn)
  } else if (ip.ecn !== undefined) differ("ecn", ip.ecn, ecn)
  if (ip.tos !== undefined) differ("tos", ip.tos, seen.tos)
  if (ip.ttl !== undefined) differ("ttl", ip.ttl, seen.ttl)
  if (ip.flowLabel === undefined || seen.source.family !== 6) return
  // The stack chooses its labels; the script names them, and says when there is another one.
  const known = flow.labels.get(ip.flowLabel)
  if (known === undefined) {
    for (const [name, label] of flow.labels) {
      if (label === seen.flowLabel) return differ("flowlabel", ip.flowLabel, name)
    }
    flow.labels.set(ip.flowLabel, seen.flowLabel)
  } else differ("flowlabel", known, seen.flowLabel)
}

const compareOptions = (
  found: Array<string>,
  expected: ReadonlyArray<OptionSpec>,
  seen: Seen,
  body: SeenTcp,
  flow: Flow,
  rules: MatchRules,
): void => {
  const same =
    expected.length === body.options.length &&
    expected.every((option, i) => sameOption(option, body.options[i] ?? { _tag: "eol" }, flow))
  const actual = inScript(body.options, expected, flow)
  if (!same)
    found.push(`options: expected ${formatOptions(expected) || "none"}, got ${formatOptions(actual) || "none"}`)
  const [stamp, sent] = [stampOf(expected), stampOf(body.options)]
  if (rules.tsTick === 0 || stamp === undefined || sent === undefined || stamp.val.kind === "any") return
  const first = flow.firstStamp
  if (first === undefined) return
  const expectedTicks = stamp.val.value - first.script
  const actualTicks = (sent.val.value - first.live) | 0
  if (Math.abs(expectedTicks - actualTicks) * rules.tsTick > rules.tolerance) {
    found.push(`TS val: expected ${stamp.val.value}, got ${first.script + actualTicks} (at ${seen.at / 1e6} s)`)
  }
}

/** Timestamps of ours are not compared here: their start is the stack's secret. */
const sameOption = (expected: OptionSpec, actual: OptionSpec, flow: Flow): boolean => {
  switch (expected._tag) {
    case "ts":
      return actual._tag === "ts" && sameNumber(expected.ecr, actual.ecr)
    case "sack":
      return (
        actual._tag === "sack" &&
        expected.blocks.length === actual.blocks.length &&
        expected.blocks.every((block, i) => {
          const other = actual.blocks[i]
          return (
            other !== undefined && sameEdge(block.left, other.left, flow) && sameEdge(block.right, other.right, flow)
          )
        })
      )
    case "fastOpen":
      return (
        actual._tag === "fastOpen" &&
        actual.experimental === expected.experimental &&
        sameOctets(expected.cookie === "any" ? "any" : cookieToWire(flow, expected.cookie), actual.cookie)
      )
    case "md5":
      if (actual._tag !== "md5" || expected.digest === "valid" || actual.digest === "valid") return false
      return sameOctets(expected.digest, actual.digest)
    case "raw":
      return actual._tag === "raw" && actual.kind === expected.kind && sameOctets(expected.data, actual.data)
    case "mss":
      return actual._tag === "mss" && actual.value === expected.value
    case "wscale":
      return actual._tag === "wscale" && actual.shift === expected.shift
    default:
      return actual._tag === expected._tag
  }
}

/** SACK blocks of ours speak of the peer's numbers; a SYN has none. */
const sameEdge = (expected: Numbered, actual: Numbered, flow: Flow): boolean =>
  expected.kind === "any" || toWire(flow, "peers", expected, false) === actual.value

const sameNumber = (expected: Numbered, actual: Numbered): boolean =>
  expected.kind === "any" || expected.value === actual.value

/** "any" stands for whatever octets there are. */
const sameOctets = (expected: Uint8Array | "any", actual: Uint8Array | "any"): boolean =>
  expected === "any" || (actual !== "any" && expected.toHex() === actual.toHex())

const stampOf = (
  options: ReadonlyArray<OptionSpec> | "any",
): { readonly val: Numbered; readonly ecr: Numbered } | undefined => {
  if (options === "any") return undefined
  for (const option of options) if (option._tag === "ts") return option
  return undefined
}

/** Learns what a matched packet tells of the stack's own numbers. */
export const learn = (action: TcpAction, seen: Seen, body: SeenTcp, flow: Flow): void => {
  const sent = stampOf(body.options)
  const stamp = stampOf(action.options)
  if (sent === undefined) return
  if (stamp === undefined || stamp.val.kind === "any") {
    flow.unwritten = sent.val.value
    return
  }
  flow.stamps.set(stamp.val.value, sent.val.value)
  flow.firstStamp ??= { script: stamp.val.value, live: sent.val.value, at: seen.at }
}

/** Our ISN, if this is the SYN that a connection of ours begins with. */
export const issOf = (action: TcpAction, body: SeenTcp, flow: Flow): Flow["iss"] => {
  const fresh = flow.iss === undefined || flow.ended
  if ((action.flags & body.flags & SYN) === 0 || action.seq.kind !== "relative" || !fresh) return undefined
  return { wire: body.seq, script: action.seq.value }
}

/** A seen packet's numbers as the script counts, and timestamps by the names that it gave them. */
export const seenLine = (seen: Seen, body: SeenTcp, action: TcpAction | undefined, flow: Flow): string => {
  const seq = toScript(flow, "ours", body.seq, (body.flags & SYN) !== 0)
  const expected = action === undefined || action.options === "any" ? [] : action.options
  return formatLine({
    ip: action === undefined ? "" : formatIp(ipAsAsked(action.ip, seen)),
    flags: body.flags,
    seq: String(seq),
    end: String((seq + body.length) >>> 0),
    length: body.length,
    ack: (body.flags & ACK) !== 0 || body.ack !== 0 ? String(ackInScript(body, flow)) : undefined,
    window: body.wnd,
    urgent: body.up,
    options: inScript(body.options, expected, flow),
  })
}

const ipAsAsked = (asked: IpSpec, seen: Seen): IpSpec => ({
  ecn: asked.ecn === undefined ? undefined : ecnOf(seen.tos),
  tos: asked.tos === undefined ? undefined : seen.tos,
  ttl: asked.ttl === undefined ? undefined : seen.ttl,
  flowLabel: asked.flowLabel === undefined ? undefined : seen.flowLabel,
})

/** Numbers plain, and our timestamps (not compared) as the script wrote them. */
const inScript = (
  options: ReadonlyArray<OptionSpec>,
  expected: ReadonlyArray<OptionSpec>,
  flow: Flow,
): ReadonlyArray<OptionSpec> =>
  options.map((option) => {
    if (option._tag === "ts") {
      const val = stampOf(expected)?.val ?? plain(option.val)
      return { _tag: "ts", val, ecr: plain(option.ecr) }
    }
    if (option._tag === "fastOpen" && option.cookie !== "any") {
      return { ...option, cookie: cookieToScript(flow, option.cookie) }
    }
    if (option._tag !== "sack") return option
    return {
      _tag: "sack",
      blocks: option.blocks.map((b) => ({ left: edge(b.left, flow), right: edge(b.right, flow) })),
    }
  })

const edge = ({ value }: Numbered, flow: Flow): Numbered => ({
  kind: "relative",
  value: toScript(flow, "peers", value, false),
})

const plain = ({ value }: Numbered): Numbered => ({ kind: "relative", value })

/** The script's line for an expected packet, tidied. */
export const expectedLine = (action: TcpAction): string =>
  formatLine({
    ip: formatIp(action.ip),
    flags: action.flags,
    seq: formatNumbered(action.seq),
    end: action.seq.kind === "any" ? "..." : String((action.seq.value + action.length) >>> 0),
    length: action.length,
    ack: action.ack === undefined ? undefined : formatNumbered(action.ack),
    window: action.window,
    urgent: action.urgent ?? 0,
    options: action.options,
  })

/** As `compareTcp`, for an ICMP message that the stack is expected to send. */
export const compareIcmp = (action: IcmpAction, seen: Seen, body: SeenIcmp, flow: Flow): ReadonlyArray<string> => {
  const found: Array<string> = [...seen.faults]
  const differ = (what: string, expected: string | number, actual: string | number): void => {
    if (expected !== actual) found.push(`${what}: expected ${expected}, got ${actual}`)
  }
  const numbers = icmpNumbers(seen.source.family, action.type, action.code)
  if (numbers === undefined) return [`unknown ICMP message ${action.type} ${action.code ?? ""}`]
  differ("type", numbers.type, body.type)
  differ("code", numbers.code, body.code)
  if (action.mtu !== undefined) differ("mtu", action.mtu, body.rest)
  compareIp(differ, action.ip, seen, flow)
  if (action.quoted !== undefined && action.quoted.seq.kind !== "any") {
    // What it quotes is a segment of the peer's, whose numbers are the script's own.
    differ("quoted seq", toWire(flow, "peers", action.quoted.seq, false), body.quoted?.seq ?? "nothing")
    differ("quoted port", flow.remote.port, body.quoted?.from.port ?? "nothing")
  }
  return found
}

export const icmpLine = (body: SeenIcmp): string => `icmp type ${body.type} code ${body.code}`
