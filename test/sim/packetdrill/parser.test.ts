import { describe, expect, test } from "bun:test"
import type { CallAction, Expression, ScriptEvent, TcpAction } from "../../../src/sim/packetdrill/ast.ts"
import { expectedLine } from "../../../src/sim/packetdrill/match.ts"
import { parseScript } from "../../../src/sim/packetdrill/parser.ts"
import { ScriptError } from "../../../src/sim/packetdrill/scriptError.ts"

const parsed = (source: string) => {
  const script = parseScript(source)
  if (script instanceof ScriptError) throw script
  return script
}

const event = (source: string): ScriptEvent => {
  const [first] = parsed(source).events
  if (first === undefined) throw new Error("no event")
  return first
}

const packet = (source: string): TcpAction => {
  const { action } = event(source)
  if (action._tag !== "Tcp") throw new Error(action._tag)
  return action
}

const call = (source: string): CallAction => {
  const { action } = event(source)
  if (action._tag !== "Call") throw new Error(action._tag)
  return action
}

describe("times", () => {
  test.each([
    ["0 > . 1:1(0)", { _tag: "Absolute", at: 0 }],
    ["1.5 > . 1:1(0)", { _tag: "Absolute", at: 1_500_000 }],
    [".25 > . 1:1(0)", { _tag: "Absolute", at: 250_000 }],
    ["+0 > . 1:1(0)", { _tag: "Relative", after: 0 }],
    ["+.1 > . 1:1(0)", { _tag: "Relative", after: 100_000 }],
    ["+ 0.000001 > . 1:1(0)", { _tag: "Relative", after: 1 }],
    ["1~2 > . 1:1(0)", { _tag: "AbsoluteRange", from: 1_000_000, to: 2_000_000 }],
    ["+.1~+.2 > . 1:1(0)", { _tag: "RelativeRange", from: 100_000, to: 200_000 }],
    ["+.1~.2 > . 1:1(0)", { _tag: "RelativeRange", from: 100_000, to: 200_000 }],
    ["* > . 1:1(0)", { _tag: "Any" }],
  ] as const)("%s", (source, time) => {
    expect(event(source).time).toEqual(time)
  })

  test.each([
    ["0...0.2 accept(3, ..., ...) = 4", 200_000],
    ["+0...0.200 accept(3, ..., ...) = 4", 200_000],
    ["+.1...+.3 accept(3, ..., ...) = 4", 300_000],
    ["+.1 accept(3, ..., ...) = 4", undefined],
  ])("%s returns at %p", (source, until) => {
    expect(call(source).until).toBe(until)
  })
})

describe("packets are read and written alike", () => {
  test.each([
    "S 0:0(0) win 32792 <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 8>",
    "S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK,nop,wscale 7>",
    "P. 1:1001(1000) ack 1",
    "F. 1:1(0) ack 1 win 0",
    "R 1:1(0)",
    "- 1:1(0)",
    "SEW 0:0(0) <mss 1460>",
    "SE. 0:0(0) ack 1 <mss 1460>",
    "FPU. 1:101(100) ack 1 win 100 urg 50",
    "SEWA 0:0(0)",
    "[ect0] P. 1:1001(1000) ack 1",
    "[ce, ttl 64] P. 1:1001(1000) ack 1",
    "[tos 0x10] . 1:1(0) ack 1",
    ". 1:1(0) ack 1 <nop,nop,sack 2001:3001 4001:5001>",
    ". 4294967295:9(10) ack 1",
    "R. !0:0(0) ack 1001",
    ". 1:1(0) ack !77",
    ". ...:...(100) ack ...",
    ". 1:1(0) ack 1 <...>",
    "S 0:0(0) <mss 1460,FO,nop,nop>",
    "S. 0:0(0) ack 1 <mss 1460,FO eb7ca71c66d9e7f4,nop,nop>",
    "S 0:100(100) <mss 1460,FOEXP 0102030405060708,nop,nop>",
    ". 1:1(0) ack 1 <md5 000102030405060708090a0b0c0d0e0f,nop,nop>",
    ". 1:1(0) ack 1 <kind 99 0102>",
    ". 1:1(0) ack 1 <nop,nop,TS val ... ecr 700>",
    "S 0:0(0) <mss 1460,eol,eol>",
  ])("%s", (line) => {
    expect(expectedLine(packet(`+0 > ${line}`)).replaceAll(":0(0) ack 1001", ":0(0) ack 1001")).toBe(line)
  })

  test("flags in any order, digits for accurate ECN", () => {
    expect(packet("+0 > .P 1:2(1) ack 1").flags).toBe(packet("+0 > P. 1:2(1) ack 1").flags)
    expect(packet("+0 > 5. 1:1(0) ack 1").flags).toBe(0x150)
  })

  test("comments end nowhere but at their end", () => {
    const script = parsed(
      "// one\n/* two\n three */ 0 > . 1:1(0) ack 1 // four\n+0 > . 1:1(0) ack 1 /* five */ <nop,nop>",
    )
    expect(script.events.map(({ at }) => at.line)).toEqual([3, 4])
  })
})

test.each([
  ["icmp unreachable frag_needed mtu 1200 [1:1461(1460)]", "unreachable", "frag_needed", 1200, 1],
  ["icmp packet_too_big mtu 1280 [1:1441(1440)]", "packet_too_big", undefined, 1280, 1],
  ["icmp unreachable host_unreachable [0:0(0)]", "unreachable", "host_unreachable", undefined, 0],
  ["icmp echo_request", "echo_request", undefined, undefined, undefined],
  ["icmp type 3 code 4 mtu 600 [5:5(0)]", "3", "4", 600, 5],
])("%s", (line, type, code, mtu, seq) => {
  const { action } = event(`+0 < ${line}\n+0 > . 1:1(0)`)
  expect(action).toMatchObject({ _tag: "Icmp", type, code, mtu })
  expect(action._tag === "Icmp" ? action.quoted?.seq.value : undefined).toBe(seq)
})

const shape = (expression: Expression): unknown => {
  switch (expression._tag) {
    case "Ellipsis":
      return "..."
    case "Number":
      return expression.value
    case "Text":
      return `"${expression.value}"`
    case "Name":
      return expression.name
    case "Or":
      return expression.parts.map(shape).join("|")
    case "Not":
      return `~${shape(expression.of)}`
    case "Array":
      return expression.items.map(shape)
    case "Struct":
      return Object.fromEntries(expression.fields.map(({ name, value }, i) => [name ?? i, shape(value)]))
    case "Apply":
      return `${expression.name}(${expression.args.map(shape).join(", ")})`
  }
}

describe("calls", () => {
  test.each([
    ["socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3", ["...", "SOCK_STREAM|SOCK_NONBLOCK", "IPPROTO_TCP"], 3],
    [
      "setsockopt(3, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0",
      [3, "SOL_SOCKET", "SO_LINGER", { onoff: 1, linger: 0 }, 8],
      0,
    ],
    [
      "poll([{fd=3, events=POLLIN|POLLOUT, revents=POLLOUT}], 1, -1) = 1",
      [[{ fd: 3, events: "POLLIN|POLLOUT", revents: "POLLOUT" }], 1, -1],
      1,
    ],
    [
      "readv(4, [{..., 1000}, {..., 10}], 2) = 1010",
      [
        4,
        [
          { 0: "...", 1: 1000 },
          { 0: "...", 1: 10 },
        ],
        2,
      ],
      1010,
    ],
    [
      "recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{...,1000}], msg_flags=0}, 0) = 1000",
      [4, { msg_name: "...", msg_iov: [{ 0: "...", 1: 1000 }], msg_flags: 0 }, 0],
      1000,
    ],
    [
      'bind(3, {sa_family = AF_INET, sin_port = htons(8080), sin_addr = inet_addr("192.168.0.1")}, ...) = 0',
      [3, { sa_family: "AF_INET", sin_port: "htons(8080)", sin_addr: 'inet_addr("192.168.0.1")' }, "..."],
      0,
    ],
    ['write(4, "GET /\\r\\n"..., 7) = 7', [4, '"GET /\r\n"', 7], 7],
    ["fcntl(3, F_SETFL, ~0x800) = 0", [3, "F_SETFL", "~2048"], 0],
    ["fcntl(3, F_GETFL) = 0x2 (flags O_RDWR)", [3, "F_GETFL"], 2],
    ["read(4, ..., 10) = -1 EAGAIN (Resource temporarily unavailable)", [4, "...", 10], -1],
    ["bind(3, ..., ...) = -1 EADDRNOTAVAIL (Can't assign requested address)", [3, "...", "..."], -1],
  ])("%s", (source, args, result) => {
    const action = call(`+0 ${source}\n+0 > . 1:1(0)`)
    expect(action.args.map(shape)).toEqual(args)
    expect(shape(action.result)).toBe(result)
  })

  test("an errno and a remark", () => {
    expect(call("+0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)").errno).toBe("EINPROGRESS")
    expect(call("+0 close(3) = 0 // done").errno).toBeUndefined()
  })
})

test("flags before the script, bare and in its comments", () => {
  const { flags } = parsed("// --mtu=1200 --ip_version=ipv6\n--tolerance_usecs=10000\n-D X=1\n\n`true`\n0 > . 1:1(0)")
  expect(flags.map(({ name, value }) => [name, value])).toEqual([
    ["mtu", "1200"],
    ["ip_version", "ipv6"],
    ["tolerance_usecs", "10000"],
    ["D", "X=1"],
  ])
})

test("commands before the first event and among them, code over several lines", () => {
  const script = parsed("`a\nb`\n0 `c`\n+0 %{\nassert 1\n}%")
  expect(script.setup.map(({ text }) => text)).toEqual(["a\nb"])
  expect(script.events.map(({ action }) => action._tag)).toEqual(["Command", "Code"])
})

describe("errors name the place", () => {
  test.each([
    ["0 > . 1:1(0) ack 1\n+0 < . 1:1(0) ack 1", 2, 4, "needs a window"],
    ["0 > . 1:5(0)", 1, 7, "disagree"],
    ["0 > Q 1:1(0)", 1, 5, "unknown TCP flag"],
    ["0 < . 1:1(0) ack 1 win 1 <...>", 1, 26, "outbound"],
    ["* < . 1:1(0) ack 1 win 1", 1, 1, "outbound"],
    ["1~2 < . 1:1(0) ack 1 win 1", 1, 1, "outbound"],
    ["2~1 > . 1:1(0)", 1, 1, "backwards"],
    ["0...1 > . 1:1(0)", 1, 1, "only a call"],
    ["0 > . 1:1(0) ack 1 <mss>", 1, 24, "an MSS"],
    ["0 > . 1:1(0) ack 1 <foo 1>", 1, 25, "unknown TCP option"],
    ["0 read(3, ..., 10 = 10", 1, 19, 'expected ")"'],
    ["0 > . 1:1(0) win 70000", 1, 18, "out of range"],
    ["0 ", 1, 3, "expected"],
    ["0 `sleep", 1, 3, "not ended"],
    ["0 /* no end", 1, 3, "does not end"],
    ["hello", 1, 1, "a time"],
  ])("%j", (source, line, column, message) => {
    const error = parseScript(source)
    expect(error).toBeInstanceOf(ScriptError)
    if (!(error instanceof ScriptError)) return
    expect([error.kind, error.at.line, error.at.column]).toEqual(["syntax", line, column])
    expect(error.message).toContain(message)
  })
})

test.each([
  ["0 > udp (1000)", "udp"],
  ["0 < sctp: INIT[]", "sctp"],
  ["0 < ipv4 192.0.2.1 > 192.168.0.1: . 1:1(0) ack 1 win 1", "ipv4"],
  ["0 > . 1:1(0) ack 1 <...> /udp(9899 > 9899)", "/udp"],
  ["0 < S 0:0(0) win 1 <mss 1460,mp_capable v1 flags[flag_h] nokey>", "mp_capable"],
  ["0 > . 1:1(0) ack 1 <ECN e1b 1>", "ECN"],
])("%s is unsupported, by name", (source, name) => {
  const error = parseScript(source)
  expect(error instanceof ScriptError && error.kind === "unsupported" && error.message.includes(name)).toBe(true)
})
