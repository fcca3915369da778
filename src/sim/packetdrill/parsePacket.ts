import { ACK, AE, CWR, ECE, FIN, PSH, RST, SYN, URG } from "../../wire/tcpSegment.ts"
import type { Direction, IcmpAction, IpSpec, Numbered, OptionSpec, Position, SackSpec, TcpAction } from "./ast.ts"
import { NO_IP_SPEC } from "./ast.ts"
import { COOKIES } from "./cookies.ts"
import { Lexer } from "./lexer.ts"
import { syntax, unsupported } from "./scriptError.ts"

const MD5_DIGEST = 16

/** Protocols that packetdrill's dialects know and this one refuses by name. */
const REFUSED = ["udp", "udplite", "sctp", "gre", "mpls", "ipv4", "ipv6", "dccp"]

/** The rest of a packet's line, its direction having been taken. */
export const parsePacket = (lexer: Lexer, direction: Direction, at: Position): TcpAction | IcmpAction => {
  const ip = parseIp(lexer)
  const refused = lexer.looksLike(/[a-z]/y) ? REFUSED.find((name) => lexer.sees(name)) : undefined
  if (refused !== undefined) return unsupported(lexer.position(), `${refused} packets`)
  return lexer.take("icmp") || lexer.take("icmpv6")
    ? parseIcmp(lexer, direction, ip, at)
    : parseTcp(lexer, direction, ip, at)
}

const parseTcp = (lexer: Lexer, direction: Direction, ip: IpSpec, at: Position): TcpAction => {
  const flags = parseFlags(lexer)
  const { seq, length } = parseRange(lexer)
  const ack = lexer.take("ack") ? parseNumbered(lexer, "an acknowledgment number") : undefined
  const window = lexer.take("win") ? parseWindow(lexer) : undefined
  const urgent = lexer.take("urg") ? lexer.unsigned("an urgent pointer", 0xffff) : undefined
  const optionsAt = lexer.position()
  const options = parseOptions(lexer)
  if (lexer.sees("/")) unsupported(lexer.position(), "TCP encapsulated in UDP (/udp)")
  if (direction === "inbound") {
    if (window === undefined) syntax(at, "an inbound packet needs a window (win)")
    if (options === "any") return syntax(optionsAt, "<...> is for outbound packets only")
    if (options.some((option) => option._tag === "md5" && option.digest === "any")) {
      syntax(optionsAt, "<md5 ...> is for outbound packets only")
    }
    if (seq.kind === "any" || ack?.kind === "any") syntax(at, "an inbound packet needs its numbers")
  }
  return { _tag: "Tcp", at, direction, ip, flags, seq, length, ack, window, urgent, options }
}

const parseWindow = (lexer: Lexer): number | undefined =>
  lexer.take("...") ? undefined : lexer.unsigned("a window", 0xffff)

/** `[ect0]`, `[tos 0x10, ttl 64]`: what the IP header says, in brackets or parentheses. */
const parseIp = (lexer: Lexer): IpSpec => {
  let spec = NO_IP_SPEC
  for (;;) {
    const close = lexer.take("[") ? "]" : lexer.take("(") ? ")" : undefined
    if (close === undefined) return spec
    while (!lexer.take(close)) {
      spec = { ...spec, ...parseIpField(lexer) }
      lexer.take(",")
    }
  }
}

const parseIpField = (lexer: Lexer): Partial<IpSpec> => {
  const name = lexer.word() ?? lexer.fail("expected a field of the IP header")
  switch (name) {
    case "noecn":
    case "ect0":
    case "ect1":
    case "ect01":
    case "ce":
      return { ecn: name }
    case "ecn":
      return {}
    case "tos":
    case "tclass":
      return { tos: lexer.unsigned("a type of service", 0xff) }
    case "ttl":
    case "hlim":
      return { ttl: lexer.unsigned("a time to live", 0xff) }
    case "flowlabel":
      return { flowLabel: lexer.unsigned("a flow label", 0xf_ffff) }
    default:
      return lexer.fail(`unknown field "${name}" of the IP header, before`)
  }
}

const FLAG_BITS: Readonly<Record<string, number>> = {
  F: FIN,
  S: SYN,
  R: RST,
  P: PSH,
  ".": ACK,
  U: URG,
  E: ECE,
  W: CWR,
  A: AE,
}

const parseFlags = (lexer: Lexer): number => {
  const at = lexer.position()
  const text = lexer.need(/-|[A-Z0-7.]+(?=[ \t])/y, "TCP flags")
  let bits = 0
  for (const letter of text === "-" ? "" : text) bits |= flagBits(letter, at)
  return bits
}

/** A digit is the three bits of accurate ECN's counter (AE, CWR, ECE) as a number. */
const flagBits = (letter: string, at: Position): number =>
  letter >= "0" && letter <= "7"
    ? (Number(letter) & 4 ? AE : 0) | (Number(letter) & 2 ? CWR : 0) | (Number(letter) & 1 ? ECE : 0)
    : (FLAG_BITS[letter] ?? syntax(at, `unknown TCP flag "${letter}"`))

/** `start:end(length)`. */
const parseRange = (lexer: Lexer): { readonly seq: Numbered; readonly length: number } => {
  const at = lexer.position()
  const seq = parseNumbered(lexer, "a sequence number")
  const end = lexer.take(":") ? parseNumbered(lexer, "a sequence number") : undefined
  if (end === undefined && seq.kind !== "any") lexer.fail('expected ":"')
  if (end === undefined && !lexer.sees("(")) return { seq, length: 0 }
  lexer.expect("(")
  const length = lexer.unsigned("a payload length", 0xffff)
  lexer.expect(")")
  const consistent = end === undefined || end.kind === "any" || (seq.value + length) >>> 0 === end.value
  if (seq.kind !== "any" && !consistent) {
    syntax(at, `sequence numbers and payload length disagree: ${seq.value} + ${length} is not ${end.value}`)
  }
  return { seq, length }
}

const parseNumbered = (lexer: Lexer, what: string): Numbered => {
  if (lexer.take("...")) return { kind: "any", value: 0 }
  const absolute = lexer.take("!")
  const value = lexer.unsigned(what)
  return { kind: absolute || lexer.take("!") ? "absolute" : "relative", value }
}

const parseOptions = (lexer: Lexer): ReadonlyArray<OptionSpec> | "any" => {
  // A new event never begins with "<", so what follows is this packet's.
  if (lexer.match(/</y) === undefined) return []
  if (lexer.take("...")) {
    lexer.expect(">")
    return "any"
  }
  const options: Array<OptionSpec> = []
  if (lexer.match(/>/y) !== undefined) return options
  do options.push(parseOption(lexer))
  while (lexer.take(","))
  lexer.expect(">")
  return options
}

/** Accurate ECN, TCP-AO, experiments, and Multipath TCP. */
const REFUSED_OPTIONS = /^(?:ECN|ACCECN|exp|exp_.*|ao|tcpao|mp_\w+|dss|dss_\w+|add_addr\w*|remove_addr\w*)$/i

const parseOption = (lexer: Lexer): OptionSpec => {
  const name = lexer.word() ?? lexer.fail("expected a TCP option")
  switch (name) {
    case "nop":
    case "eol":
    case "sackOK":
      return { _tag: name }
    case "mss":
      return { _tag: "mss", value: lexer.unsigned("an MSS", 0xffff) }
    case "wscale":
      return { _tag: "wscale", shift: lexer.unsigned("a window scale", 0xff) }
    case "sack":
      return { _tag: "sack", blocks: parseSackBlocks(lexer) }
    case "TS":
      return parseTimestamps(lexer)
    case "FO":
    case "FOEXP":
      return { _tag: "fastOpen", experimental: name === "FOEXP", cookie: parseHex(lexer) }
    case "md5":
    case "MD5":
      return { _tag: "md5", digest: parseDigest(lexer) }
    case "kind":
      return { _tag: "raw", kind: lexer.unsigned("an option's kind", 0xff), data: rawData(lexer) }
    default:
      if (REFUSED_OPTIONS.test(name)) return unsupported(lexer.position(), `the TCP option ${name}`)
      return lexer.fail(`unknown TCP option "${name}", before`)
  }
}

const parseSackBlocks = (lexer: Lexer): ReadonlyArray<SackSpec> => {
  const blocks: Array<SackSpec> = []
  while (lexer.looksLike(/!?[0-9]/y)) {
    const left = parseNumbered(lexer, "a SACK block's left edge")
    lexer.expect(":")
    blocks.push({ left, right: parseNumbered(lexer, "a SACK block's right edge") })
  }
  return blocks
}

const parseTimestamps = (lexer: Lexer): OptionSpec => {
  lexer.expect("val")
  const val = parseNumbered(lexer, "a timestamp")
  lexer.expect("ecr")
  return { _tag: "ts", val, ecr: parseNumbered(lexer, "a timestamp") }
}

const parseHex = (lexer: Lexer): Uint8Array | "any" => {
  if (lexer.take("...")) return "any"
  const name = lexer.match(/[A-Z][A-Z0-9]*_[A-Z0-9_]*/y)
  if (name !== undefined) {
    const value = lexer.definitions.get(name) ?? COOKIES[name] ?? lexer.fail(`${name} is not defined, before`)
    return parseHex(new Lexer(value))
  }
  const digits = lexer.match(/(?:0x)?[0-9a-fA-F]+/y)?.replace(/^0x/, "") ?? ""
  return digits.length % 2 === 0
    ? Uint8Array.fromHex(digits)
    : lexer.fail("an odd number of hexadecimal digits, before")
}

/** 16 octets, `...`, or `valid`; nothing at all stands for `valid`. */
const parseDigest = (lexer: Lexer): Uint8Array | "any" | "valid" => {
  if (lexer.take("valid") || lexer.sees(",") || lexer.sees(">")) return "valid"
  const digest = parseHex(lexer)
  return digest === "any" || digest.length === MD5_DIGEST
    ? digest
    : lexer.fail(`an MD5 digest has ${MD5_DIGEST} octets, not ${digest.length}, before`)
}

const rawData = (lexer: Lexer): Uint8Array => {
  const data = parseHex(lexer)
  return data === "any" ? lexer.fail("an option's octets are needed, before") : data
}

const parseIcmp = (lexer: Lexer, direction: Direction, ip: IpSpec, at: Position): IcmpAction => {
  const type = lexer.take("type") ? String(lexer.unsigned("an ICMP type", 0xff)) : lexer.word()
  if (type === undefined) return lexer.fail("expected an ICMP type")
  const code = lexer.take("code")
    ? String(lexer.unsigned("an ICMP code", 0xff))
    : lexer.sees("mtu") || !lexer.sameLine()
      ? undefined
      : lexer.word()
  const mtu = lexer.take("mtu") ? lexer.unsigned("an MTU") : undefined
  if (!lexer.take("[")) return { _tag: "Icmp", at, direction, ip, type, code, mtu, quoted: undefined }
  const refused = REFUSED.find((name) => lexer.sees(name))
  if (refused !== undefined) unsupported(lexer.position(), `${refused} packets`)
  lexer.take("tcp")
  const quoted = parseRange(lexer)
  lexer.expect("]")
  return { _tag: "Icmp", at, direction, ip, type, code, mtu, quoted }
}
