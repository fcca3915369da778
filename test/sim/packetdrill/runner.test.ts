import { describe, expect, test } from "bun:test"
import { defaultRunOptions, type RunOptions } from "../../../src/sim/packetdrill/config.ts"
import { formatFailure, type Outcome } from "../../../src/sim/packetdrill/report.ts"
import { runScript } from "../../../src/sim/packetdrill/runner.ts"

const LISTENER = `
    0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
   +0 bind(3, ..., ...) = 0
   +0 listen(3, 1) = 0
`
const ESTABLISHED = `${LISTENER}
   +0 < S 0:0(0) win 32792 <mss 1000>
   +0 > S. 0:0(0) ack 1 <mss 1460>
  +.1 < . 1:1(0) ack 1 win 32792
   +0 accept(3, ..., ...) = 4
`

const run = (script: string, options: Partial<RunOptions> = {}): Outcome =>
  runScript(script, { ...defaultRunOptions, ...options })

/** "passed", "unsupported: what", or "kind: message" with the differences. */
const outcome = (script: string, options: Partial<RunOptions> = {}): string => {
  const result = run(script, options)
  if (result._tag === "Passed") return "passed"
  if (result._tag === "Unsupported") return `unsupported: ${result.what}`
  const { kind, message, differences } = result.failure
  return [`${kind}: ${message}`, ...differences].join("; ")
}

describe("an expected packet must agree in", () => {
  test.each([
    ["flags", "+0 > S 0:0(0) ack 1 <mss 1460>", "flags: expected S, got S."],
    ["seq", "+0 > S. 5:5(0) ack 1 <mss 1460>", undefined],
    ["length", "+0 > S. 0:10(10) ack 1 <mss 1460>", "payload length: expected 10, got 0"],
    ["ack", "+0 > S. 0:0(0) ack 2 <mss 1460>", "ack: expected 2, got 1"],
    ["win", "+0 > S. 0:0(0) ack 1 win 1 <mss 1460>", "win: expected 1"],
    ["urg", "+0 > S. 0:0(0) ack 1 urg 1 <mss 1460>", "urg: expected 1, got 0"],
    ["options", "+0 > S. 0:0(0) ack 1 <mss 1459>", "options: expected <mss 1459>, got <mss 1460>"],
    ["option order", "+0 > S. 0:0(0) ack 1 <nop,mss 1460>", "options: expected <nop,mss 1460>, got <mss 1460>"],
    ["no options", "+0 > S. 0:0(0) ack 1", "options: expected none, got <mss 1460>"],
    ["ttl", "+0 > [ttl 3] S. 0:0(0) ack 1 <mss 1460>", "ttl: expected 3, got 64"],
    ["tos", "+0 > [tos 0x10] S. 0:0(0) ack 1 <mss 1460>", "tos: expected 16, got 0"],
    ["ecn", "+0 > [ect0] S. 0:0(0) ack 1 <mss 1460>", "ecn: expected ect0, got noecn"],
    ["any options", "+0 > S. 0:0(0) ack 1 <...>", undefined],
    ["any ack", "+0 > S. 0:0(0) ack ... <...>", undefined],
    ["noecn", "+0 > [noecn] S. 0:0(0) ack 1 <...>", undefined],
  ])("%s", (_, line, difference) => {
    const result = outcome(`${LISTENER}+0 < S 0:0(0) win 32792 <mss 1000>\n${line}`)
    if (difference === undefined) expect(result).toBe("passed")
    else expect(result).toContain(difference)
  })
})

describe("sequence numbers", () => {
  test("a SYN says what we call our ISN; other segments count from it", () => {
    const script = ESTABLISHED.replace("> S. 0:0(0)", "> S. 700:700(0)")
    expect(outcome(`${script}+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1`)).toBe("passed")
    expect(outcome(`${script}+0 write(4, ..., 10) = 10\n+0 > P. 701:711(10) ack 1`)).toContain(
      "seq: expected 701, got 1",
    )
  })

  test("a SYN of the peer's is on the wire as written; its other segments count from it", () => {
    const script = `${LISTENER}+0 < S 4294967295:4294967295(0) win 1000 <mss 1000,sackOK>
      +0 > S. 0:0(0) ack 0 <...>
      +0 < . 1:1(0) ack 1 win 1000
      +0 accept(3, ..., ...) = 4
      +0 < P. 11:21(10) ack 1 win 1000
      +0 > . 1:1(0) ack 1 <nop,nop,sack 11:21>
      +0 < P. 1:11(10) ack 1 win 1000
      +0 > . 1:1(0) ack 21`
    expect(outcome(script)).toBe("passed")
    expect(outcome(script.replace("sack 11:21", "sack 11:22"))).toContain("got <nop,nop,sack 11:21>")
  })

  test("a SYN-ACK's acknowledgment counts as its SYN does", () => {
    const script = (ack: number) => `0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3
      +0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
      +0 > S 700:700(0) <...>
      +0 < S. 123:123(0) ack ${ack} win 5840 <mss 1040>
      +0 > . 1:1(0) ack 1`
    expect(outcome(script(701))).toBe("passed")
    expect(outcome(script(1))).toContain("flags: expected ., got R")
  })

  test("! stands for the number on the wire", () => {
    const script = `${LISTENER}+0 close(3) = 0\n+0 < S 10:10(0) win 1\n`
    expect(outcome(`${script}+0 > R. !0:0(0) ack !11`)).toBe("passed")
  })
})

describe("timestamps", () => {
  const script = (second: string, flags = "") => `${flags}${LISTENER}
   +0 < S 0:0(0) win 32792 <mss 1000,sackOK,TS val 700 ecr 0>
   +0 > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 100 ecr 700>
  +.1 < . 1:1(0) ack 1 win 32792 <nop,nop,TS val 800 ecr 100>
   +0 accept(3, ..., ...) = 4
   +0 write(4, ..., 100) = 100
   +0 > P. 1:101(100) ack 1 <nop,nop,TS val ${second} ecr 800>`

  test.each([
    ["12345", "", "passed"],
    ["200", "--tcp_ts_tick_usecs=1000\n", "passed"],
    ["203", "--tcp_ts_tick_usecs=1000\n", "passed"],
    ["210", "--tcp_ts_tick_usecs=1000\n", "TS val: expected 210, got 200"],
    ["190", "--tcp_ts_tick_usecs=1000\n", "TS val: expected 190, got 200"],
  ])("val %s with flags %j", (second, flags, expected) => {
    expect(outcome(script(second, flags))).toContain(expected)
  })

  test("ecr must be the peer's", () => {
    expect(outcome(script("200").replace("ecr 800>", "ecr 801>").replace("val 800", "val 800"))).toContain("options")
  })
})

describe("times of packets", () => {
  const script = (time: string) => `\`sysctl -q net.ipv4.tcp_early_retrans=0\`\n${ESTABLISHED}
   +0 write(4, ..., 100) = 100
   +0 > P. 1:101(100) ack 1
   ${time} > P. 1:101(100) ack 1`

  test.each([
    ["+.3", "passed"],
    ["+.303", "passed"],
    ["+.305", "timing"],
    ["+.295", "timing"],
    ["+0", "timing: nothing was sent by"],
    [".4", "passed"],
    ["*", "passed"],
    ["+.2~+.3", "passed"],
    ["+.25~+.35", "passed"],
    ["+.4~+.5", "timing: expected at"],
    [".1~.2", "timing"],
  ])("%s", (time, expected) => {
    expect(outcome(script(time))).toContain(expected)
  })

  test("a wider tolerance", () => {
    expect(outcome(`--tolerance_usecs=10000\n${script("+.305")}`)).toBe("passed")
  })

  test("after a range or *, the next relative time counts from when it happened", () => {
    expect(outcome(`${script("*")}\n+.6 > P. 1:101(100) ack 1`)).toBe("passed")
    expect(outcome(`${script("+.1~+.4")}\n+.6 > P. 1:101(100) ack 1`)).toBe("passed")
  })
})

describe("blocking calls", () => {
  test.each([
    ["+0...0.2 accept(3, ..., ...) = 4", "passed"],
    ["+0...0.1 accept(3, ..., ...) = 4", "timing: accept was to return at 0.100000 s"],
    ["+0...0.3 accept(3, ..., ...) = 4", "timing: accept was to return at 0.300000 s"],
    ["+0 accept(3, ..., ...) = 4", "call: accept has not returned"],
    ["+0...0.2 accept(3, ..., ...) = -1 EAGAIN", "call: accept returned 4"],
  ])("%s", (call, expected) => {
    expect(
      outcome(`${LISTENER}${call}
  +.1 < S 0:0(0) win 32792 <mss 1000>
   +0 > S. 0:0(0) ack 1 <mss 1460>
  +.1 < . 1:1(0) ack 1 win 32792
   +1 < . 1:1(0) ack 1 win 32792`),
    ).toContain(expected)
  })

  test("relative ones end relative to the event before", () => {
    expect(outcome(`${ESTABLISHED}+.1...0.2 read(4, ..., 10) = 5\n+.1 < P. 1:6(5) ack 1 win 1000`)).toBe("passed")
  })

  test("a second call waits for the first", () => {
    expect(
      outcome(
        `${ESTABLISHED}+0...0.1 read(4, ..., 10) = 5\n+.1 < P. 1:6(5) ack 1 win 1000\n+0 read(4, ..., 1) = -1 EAGAIN`,
      ),
    ).toContain("call: read has not returned")
  })

  test("a time-out set by SO_RCVTIMEO", () => {
    expect(
      outcome(`${ESTABLISHED}+0 setsockopt(4, SOL_SOCKET, SO_RCVTIMEO, {tv_sec=0, tv_usec=500000}, 16) = 0
        +0...0.5 read(4, ..., 10) = -1 EAGAIN (Resource temporarily unavailable)`),
    ).toBe("passed")
  })
})

test("--mss: a longer packet of the peer's is one that its device has joined, of segments of that size", () => {
  const script = `${ESTABLISHED}
   +0 < P. 1:2501(2500) ack 1 win 32792
   +0 > . 1:1(0) ack 2501
   +0 %{ assert tcpi_rcv_mss == 1000 and tcpi_data_segs_in == 1, (tcpi_rcv_mss, tcpi_data_segs_in) }%
   +0 < . 3501:5501(2000) ack 1 win 32792
   +0 > . 1:1(0) ack 2501
   +0 read(4, ..., 9000) = 2500`
  expect(outcome(`--mss=1000\n${script}`)).toBe("passed")
  expect(outcome(script)).toContain("(1460, 1)")
})

test("an expected packet may be a part of what is sent at once, cut where a device would cut it", () => {
  const script = (expected: string): string => `${ESTABLISHED}+0 write(4, ..., 4000) = 4000\n${expected}`
  const rest = "+0 > P. 3001:4001(1000) ack 1"
  expect(outcome(script("+0 > . 1:1001(1000) ack 1\n+0 > P. 1001:4001(3000) ack 1"))).toBe("passed")
  expect(outcome(script(`+0 > P. 1:3001(3000) ack 1\n${rest}`))).toBe("passed")
  expect(outcome(script("+0 > . 1:2501(2500) ack 1"))).toContain("payload length: expected 2500")
  expect(outcome(`--strict_segments\n${script("+0 > P. 1:3001(3000) ack 1")}`)).toContain("payload length")
})

describe("calls", () => {
  test.each([
    ["+0 write(4, ..., 100) = 100", "passed"],
    ["+0 write(4, ..., 100) = 99", "expected 99, got 100"],
    ["+0 write(9, ..., 100) = -1 EBADF (Bad file descriptor)", "passed"],
    ["+0 write(9, ..., 100) = -1 EPIPE", "expected -1 EPIPE, got -1 EBADF"],
    ["+0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n+0 read(4, ..., 1) = -1 EWOULDBLOCK", "passed"],
    ["+0 recv(4, ..., 1, MSG_DONTWAIT) = -1 EAGAIN", "passed"],
    ["+0 accept(4, ..., ...) = -1 EINVAL", "passed"],
    ["+0 listen(4, 1) = -1 EINVAL", "passed"],
    ["+0 bind(4, ..., ...) = -1 EINVAL", "passed"],
    ["+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 4", "file descriptor 4 is in use"],
    ["+0 getsockopt(4, SOL_SOCKET, SO_ERROR, [0], [4]) = 0", "passed"],
    ["+0 getsockopt(4, SOL_SOCKET, SO_ERROR, [ECONNRESET], [4]) = 0", "SO_ERROR: expected 104, got 0"],
    ["+0 getsockopt(4, IPPROTO_TCP, TCP_MAXSEG, [1000], [4]) = 0", "passed"],
    ["+0 poll([{fd=4, events=POLLIN|POLLOUT, revents=POLLOUT}], 1, 0) = 1", "passed"],
    ["+0 poll([{fd=4, events=POLLIN|POLLOUT, revents=POLLIN}], 1, 0) = 1", "revents of 4: expected 1, got 4"],
    ["+0 poll([{fd=4, events=POLLIN, revents=0}], 1, 0) = 0", "passed"],
    ["+0...0.1 poll([{fd=4, events=POLLIN, revents=0}], 1, 100) = 0", "passed"],
    [
      "+0 epoll_create(1) = 5\n+0 epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=EPOLLOUT, fd=4}) = 0\n+0 epoll_wait(5, {events=EPOLLOUT, fd=4}, 1, 0) = 1",
      "passed",
    ],
    ["+0 < P. 1:11(10) ack 1 win 1000\n+0 > . 1:1(0) ack 11\n+0 ioctl(4, SIOCINQ, [10]) = 0", "passed"],
    ["+0 < P. 1:11(10) ack 1 win 1000\n+0 > . 1:1(0) ack 11\n+0 readv(4, [{..., 4}, {..., 20}], 2) = 10", "passed"],
    [
      "+0 sendmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 30}], msg_flags=0}, 0) = 30\n+0 > P. 1:31(30) ack 1",
      "passed",
    ],
    ["+0 send(4, ..., 10, MSG_OOB) = 10\n+0 > PU. 1:11(10) ack 1 urg 10", "passed"],
    ["+0 recv(4, ..., 10, MSG_OOB) = 1", "unsupported: the flag MSG_OOB of recv"],
    ["+0 send(4, ..., 10, MSG_PROXY) = 10", "unsupported: the name MSG_PROXY"],
    ["+0 recv(4, ..., 10, MSG_EOR) = 10", "unsupported: the flag MSG_EOR of recv"],
    ["+0 splice(4, NULL, 5, NULL, 10, 0) = 10", "-1 EBADF"],
    ["+0 sendfile(4, 5, [0], 10) = -1 EBADF", "passed"],
    ['+0 open("/proc/self/exe", O_RDONLY) = 5\n+0 sendfile(4, 5, [0], 10) = 10\n+0 > P. 1:11(10) ack 1', "passed"],
    ["+0 sendfile(4, 3, [0], 10) = 10", "unsupported: sendfile from anything but a file"],
    [
      "+0 setsockopt(4, SOL_TCP, TCP_INQ, [1], 4) = 0\n+0 < P. 1:11(10) ack 1 win 1000\n+0 recvmsg(4, {msg_iov(1)=[{..., 4}], msg_flags=0, msg_control=[{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=6}]}, 0) = 4",
      "passed",
    ],
    [
      "+0 setsockopt(4, SOL_TCP, TCP_INQ, [1], 4) = 0\n+0 < P. 1:11(10) ack 1 win 1000\n+0 recvmsg(4, {msg_iov(1)=[{..., 4}], msg_control=[{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=7}]}, 0) = 4",
      "TCP_CM_INQ: expected 7, got 6",
    ],
    [
      "+0 setsockopt(4, SOL_TCP, TCP_INQ, [1], 4) = 0\n+0 < FP. 1:11(10) ack 1 win 1000\n+0 recvmsg(4, {msg_iov(1)=[{..., 10}], msg_control=[{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=1}]}, 0) = 10",
      "passed",
    ],
    [
      "+0 recvmsg(4, {msg_iov(1)=[{..., 4}], msg_control=[{cmsg_level=SOL_SOCKET, cmsg_type=SO_TIMESTAMPING, cmsg_data=7}]}, 0) = 4",
      "unsupported: control messages of received data other than TCP_CM_INQ",
    ],
    [
      "+0 setsockopt(4, SOL_SOCKET, SO_LINGER, [{onoff=1, linger=0}], 8) = 0\n+0 close(4) = 0\n+0 > R. 1:1(0) ack 1",
      "passed",
    ],
    ["+0 getsockopt(4, SOL_TCP, TCP_INFO, {tcpi_state=TCP_ESTABLISHED}, [104]) = 0", "passed"],
    ["+0 getsockopt(4, SOL_TCP, TCP_INFO, {tcpi_state=TCP_CLOSE}, [104]) = 0", "tcpi_state: expected 7, got 1"],
    ["+0 getsockopt(4, SOL_SOCKET, SO_RCVBUF, [540000], [4]) = 0", "passed"],
    ["+0 setsockopt(4, SOL_TCP, TCP_KEEPIDLE, [0], 4) = -1 EINVAL", "passed"],
    ["+0 getsockopt(4, SOL_TCP, TCP_KEEPIDLE, [7200], [4]) = 0", "passed"],
    ["+0 getsockopt(4, SOL_TCP, TCP_KEEPCNT, [8], [4]) = 0", "TCP_KEEPCNT: expected 8, got 9"],
    ["+0 getsockopt(4, SOL_TCP, TCP_SYNCNT, [5], [4]) = 0", "passed"],
    ["+0 setsockopt(4, SOL_TCP, TCP_NODELAY, [1], 2) = -1 EINVAL", "passed"],
    [
      "+0 setsockopt(3, SOL_TCP, TCP_DEFER_ACCEPT, [5], 4) = 0\n+0 getsockopt(3, SOL_TCP, TCP_DEFER_ACCEPT, [7], [4]) = 0",
      "passed",
    ],
    ["+0 socket(..., SOCK_STREAM, 0) = 5\n+0 setsockopt(5, SOL_TCP, TCP_MAXSEG, [10], 4) = -1 EINVAL", "passed"],
    ['+0 setsockopt(4, SOL_TCP, TCP_CONGESTION, "dctcp", 5) = 0', "unsupported: the congestion control dctcp"],
    ['+0 setsockopt(4, SOL_TCP, TCP_CONGESTION, "dctcp", 5) = -1 ENOENT', "passed"],
    [
      "+0 socket(..., SOCK_STREAM, 0) = 5\n+0 getsockopt(5, SOL_TCP, TCP_INFO, {tcpi_state=TCP_CLOSE, tcpi_snd_cwnd=10, tcpi_rto=1000000}, [9]) = 0",
      "passed",
    ],
    ["+0 getsockopt(3, SOL_TCP, TCP_INFO, {tcpi_state=TCP_LISTEN, tcpi_sacked=1, tcpi_rto=0}, [9]) = 0", "passed"],
    ["+0 setsockopt(4, SOL_TCP, TCP_MD5SIG, [1], 4) = 0", "unsupported: TCP_MD5SIG without a struct tcp_md5sig"],
    ["+0 < . 1:1(0) ack 1 win 9 <nop,nop,md5 valid>", "syntax: <md5 valid> needs a key"],
    ["+0 < . 1:1(0) ack 1 win 9 <nop,nop,md5 0011>", "syntax: an MD5 digest has 16 octets, not 2"],
  ])("%s", (call, expected) => {
    expect(outcome(ESTABLISHED + call)).toContain(expected)
  })
})

test("packets of other connections than the one that the script is about are not looked at, but for --strict", () => {
  const script = `${ESTABLISHED}+0 < P. 1:11(10) ack 1 win 1000
   +0 > . 1:1(0) ack 11
   +0 close(4) = 0
   +0 listen(3, 1) = 0
   +0 < S 0:0(0) win 32792 <mss 1000>
   +0 > S. 0:0(0) ack 1 <mss 1460>`
  expect(outcome(script)).toBe("passed")
  expect(outcome(script, { strict: true })).toContain("the packet is not of the connection that the script is about")
})

test("--mss: a joined packet out of order is answered once", () => {
  const script = `--mss=1000\n${ESTABLISHED.replace("<mss 1000>", "<mss 1000,nop,nop,sackOK>").replace("<mss 1460>", "<mss 1460,nop,nop,sackOK>")}
   +0 < . 1001:4001(3000) ack 1 win 32792
   +0 > . 1:1(0) ack 1 <nop,nop,sack 1001:4001>
   +0 < . 1:1001(1000) ack 1 win 32792
   +0 > . 1:1(0) ack 4001`
  expect(outcome(script)).toBe("passed")
})

test("FreeBSD knows RFC 5681's congestion control as newreno", () => {
  const script = `0 \`sysctl net.inet.tcp.cc.algorithm=newreno\`${ESTABLISHED}
   +0 getsockopt(4, IPPROTO_TCP, TCP_CONGESTION, "newreno", [16]) = 0
   +0 setsockopt(4, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5) = 0
   +0 getsockopt(4, IPPROTO_TCP, TCP_CONGESTION, "cubic", [16]) = 0
   +0 getsockopt(4, IPPROTO_TCP, TCP_FUNCTION_BLK, {function_set_name="freebsd", pcbcnt=...}, [36]) = 0`
  expect(outcome(script, { profile: "freebsd" })).toBe("passed")
})

test("FreeBSD numbers its states otherwise", () => {
  const script = `${ESTABLISHED}+0 getsockopt(4, IPPROTO_TCP, TCP_INFO, {tcpi_state=TCPS_ESTABLISHED}, [...]) = 0`
  expect(outcome(script, { profile: "freebsd" })).toBe("passed")
  expect(outcome(script)).toContain("tcpi_state: expected 4, got 1")
})

describe("the Fast Open cookie of the server under test", () => {
  const listener = `${LISTENER}+0 setsockopt(3, SOL_TCP, TCP_FASTOPEN, [1], 4) = 0\n`
  const opens = (cookie: string) => `${listener}+0 < S 0:100(100) win 32792 <mss 1000,FO ${cookie},nop,nop>
    +0 > S. 0:0(0) ack 101 <mss 1460>`

  test.each([
    ["TFO_COOKIE", {}],
    ["3021b9d889017eeb", {}],
    ["TFO_COOKIE", { TFO_COOKIE: "0102030405060708" }],
    ["0102030405060708", { TFO_COOKIE: "0102030405060708" }],
  ])("%s with %j opens at once", (cookie, definitions) => {
    expect(outcome(opens(cookie), { definitions: new Map(Object.entries(definitions)) })).toBe("passed")
  })

  test("another does not", () => {
    expect(outcome(opens("3021b9d889017eea"))).toContain("ack: expected 101, got 1")
  })

  test("is given under the script's name", () => {
    const asks = (cookie: string) => `${listener}+0 < S 0:0(0) win 32792 <mss 1000,FO,nop,nop>
      +0 > S. 0:0(0) ack 1 <mss 1460,FO ${cookie},nop,nop>`
    expect(outcome(asks("TFO_COOKIE"))).toBe("passed")
    expect(outcome(asks("0000000000000000"))).toContain("got <mss 1460,FO 3021b9d889017eeb,nop,nop>")
  })

  test("an unknown name is an error", () => {
    expect(outcome(opens("OTHER_COOKIE"))).toContain("syntax: OTHER_COOKIE is not defined")
  })
})

describe("commands", () => {
  test.each([
    ["sysctl -q net.ipv4.tcp_timestamps=0", "<mss 1460,nop,nop,sackOK,nop,wscale 8>"],
    ["sysctl -w net.ipv4.tcp_sack=0 net.ipv4.tcp_timestamps=0", "<mss 1460,nop,wscale 8>"],
    ["echo 0 > /proc/sys/net/ipv4/tcp_window_scaling", "<mss 1460,sackOK,TS val 100 ecr 0>"],
    [
      "../common/set_sysctls.py /proc/sys/net/ipv4/tcp_timestamps=0\nsysctl -q net.ipv4.tcp_sack=0",
      "<mss 1460,nop,wscale 8>",
    ],
    ["./defaults.sh", "<mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 8>"],
    ['sysctl -q net.ipv4.tcp_rmem="4096 87380 $((6*1024*1024))"', "<mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>"],
  ])("%s", (command, options) => {
    const script = `\`${command}\`\n0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0...0 connect(3, ..., ...) = -1 ETIMEDOUT\n+0 > S 0:0(0) ${options}`
    expect(
      outcome(
        script
          .replace("+0...0 connect", "+0 fcntl(3, F_SETFL, O_NONBLOCK) = 0\n+0 connect")
          .replace("ETIMEDOUT", "EINPROGRESS"),
      ),
    ).toBe("passed")
  })

  test("what is unknown is listed, and the script goes on", () => {
    const result = run(`\`sysctl -q net.ipv4.tcp_no_such_thing=1\`\n${ESTABLISHED}`)
    expect(result).toEqual({ _tag: "Passed", notes: ["without effect: sysctl net.ipv4.tcp_no_such_thing=1"] })
  })

  test("sleep lets time pass; the next event comes right after it or when it is due", () => {
    expect(outcome(`${ESTABLISHED}+0 \`sleep 1\`\n+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1`)).toBe("passed")
    expect(outcome(`${ESTABLISHED}+0 \`sleep 1\`\n+1 write(4, ..., 10) = 10\n1.1 > P. 1:11(10) ack 1`)).toBe("passed")
  })

  test("the socket table answers ss and sockstat; grep fails as it does", () => {
    expect(outcome(`${ESTABLISHED}+0 \`ss -tan | grep ESTAB\``)).toBe("passed")
    expect(outcome(`${ESTABLISHED}+0 \`sockstat -s | grep CLOSE_WAIT\``)).toContain("command:")
  })

  test("a sysctl that comes as an event counts from there on", () => {
    const script = (before: string) => `${before}0 \`sysctl -w net.inet.tcp.rfc1323=0\`${LISTENER}
      +0 < S 0:0(0) win 1000 <mss 1000,nop,wscale 2>
      +0 > S. 0:0(0) ack 1 <mss 1460>`
    expect(outcome(script(""), { profile: "freebsd" })).toBe("passed")
    expect(outcome(script("0 socket(..., SOCK_STREAM, 0) = 9\n"), { profile: "freebsd" })).toBe("passed")
  })

  test.each([
    ["nstat | grep TcpPassiveOpens", "passed"],
    ["nstat -z | grep TcpExtTCPTimeouts | grep -q ' 0 '", "passed"],
    ["nstat | grep TcpExtTCPTimeouts", '"TcpExtTCPTimeouts" is not in'],
    ["nstat -az | grep TcpExtTCPTimeouts | grep -q ' 1 '", '"TcpExtTCPTimeouts |  1 " is not in'],
    ["nstat | grep -v Tcp", '"Tcp" is not in'],
    ["nstat -n; nstat | grep TcpPassiveOpens", '"TcpPassiveOpens" is not in'],
    ["nstat -n; nstat -a | grep TcpPassiveOpens", "passed"],
    ['grep " 0A " /proc/net/tcp /proc/net/tcp6 | grep ":1F90"', "passed"],
    ['grep " 01 0" /proc/net/tcp | grep "0100A8C0:1F90 010200C0:9C40"', "passed"],
    ["cat /proc/net/tcp6 | grep 1F90", '"1F90" is not in'],
    ["grep root /etc/passwd", "unsupported: the command `grep root /etc/passwd`"],
    ["ip route change default dev tun0 mtu 1400", "unsupported: ip route while sockets are open"],
  ])("as an event: %s", (command, expected) => {
    expect(outcome(`${ESTABLISHED}+0 \`${command}\`\n`)).toContain(expected)
  })

  test("those at the end, without a time, clean up", () => {
    expect(outcome(`${ESTABLISHED}\`/tmp/sysctl_restore_\${PPID}.sh\``)).toBe("passed")
    expect(outcome(`${ESTABLISHED}\`true\`\n+0 close(4) = 0`)).toContain("syntax: expected nothing after")
  })

  test.each([
    ["nstat -n", "passed"],
    ["nstat | grep TcpExtNoSuchThing", "unsupported: the counter TcpExtNoSuchThing (nstat)"],
    ["nstat | awk ABC", "unsupported: the command `nstat | awk ABC`"],
    ["ip route change 192.0.2.0/24 dev tun0 initcwnd 3 rto_min 5ms mtu lock 1500 features ecn", "passed"],
    ["ip ro replace default dev tun0 initrwnd 3", "unsupported: initrwnd 3 of a route"],
    [
      "ip link set dev tun0 mtu 1400",
      "packet: the packet sent is not the one expected; options: expected <mss 1460>, got <mss 1360>",
    ],
    ["ip route replace default dev tun0 fastopen_no_cookie 1", "passed"],
    ["ip -6 route flush cache", "passed"],
    ["sysctl -q net.ipv4.tcp_congestion_control=dctcp", "unsupported: the congestion control dctcp"],
    ["sysctl -q net.ipv4.tcp_ecn=3", "unsupported: accurate ECN (tcp_ecn=3)"],
    ["ss -tni | grep cubic", "unsupported: the command `ss -tni | grep cubic`"],
    ["ip link set dev tun0 down", "unsupported: the command `ip link set dev tun0 down`"],
    ["ip tcp_metrics flush all > /dev/null 2>&1", "passed"],
    ["ip route show", "passed"],
    ["cat /proc/net/netstat", "passed"],
    ["cat /proc/net/netstat | grep TcpExt", "unsupported: the command `cat /proc/net/netstat | grep TcpExt`"],
    ["tc qdisc replace dev tun0 root pfifo", "passed"],
    ["tc qdisc replace dev tun0 root fq", "passed"],
    ["tc qdisc delete dev tun0 root 2>/dev/null ; tc qdisc add dev tun0 root pfifo", "passed"],
    ["tc qdisc add dev tun0 root pfifo limit 0", "unsupported: the command `tc qdisc add dev tun0 root pfifo limit 0`"],
    [
      "tc qdisc add dev tun0 root netem delay 10ms",
      "unsupported: the command `tc qdisc add dev tun0 root netem delay 10ms`",
    ],
    ["ethtool -K tun0 tso off gso off", "passed"],
    ["kldload -n tcp_rack", "passed"],
    ["kldload ipfw", "unsupported: the kernel module ipfw"],
    ["sysctl net.inet.tcp.functions_default=rack", "passed"],
  ])("%s", (command, expected) => {
    expect(outcome(`\`${command}\`\n${ESTABLISHED}`)).toBe(expected)
  })

  test("anything else makes a script unsupported", () => {
    expect(outcome(`\`iptables -A INPUT -j DROP\`\n${ESTABLISHED}`)).toContain("unsupported: the command `iptables")
  })
})

describe("the end", () => {
  const script = `${ESTABLISHED}+0 write(4, ..., 10) = 10`

  test("left-over packets are allowed, except in strict mode", () => {
    expect(outcome(script)).toBe("passed")
    expect(outcome(script, { strict: true })).toContain("left-over")
    expect(outcome(`--strict\n${script}`)).toContain("left-over")
  })
})

test("--ignore-psh", () => {
  const script = `${ESTABLISHED}+0 write(4, ..., 10) = 10\n+0 > . 1:11(10) ack 1`
  expect(outcome(script)).toContain("flags: expected ., got P.")
  expect(outcome(script, { ignorePsh: true })).toBe("passed")
})

test("definitions stand for what they are defined as", () => {
  const script = `${ESTABLISHED}+0 write(4, ..., SIZE) = SIZE\n+0 > P. 1:11(10) ack 1`
  expect(outcome(script, { definitions: new Map([["SIZE", "10"]]) })).toBe("passed")
  expect(outcome(`#define SIZE 10\n${script}`)).toBe("passed")
  expect(outcome(script)).toBe("unsupported: the name SIZE")
})

test("an unknown flag is an error, one for live networks unsupported", () => {
  expect(outcome(`--no_such_flag=1\n${LISTENER}`)).toContain("unknown flag")
  expect(outcome(`--wire_client_dev=eth0\n${LISTENER}`)).toContain("unsupported")
})

test("assertions see TCP_INFO of the connection under test", () => {
  expect(outcome(`${ESTABLISHED}+0 %{ assert tcpi_snd_mss == 1000 and tcpi_state == TCP_ESTABLISHED }%`)).toBe("passed")
  expect(outcome(`${ESTABLISHED}+0 %{ assert tcpi_snd_mss == 999 }%`)).toContain("tcpi_snd_mss = 1000")
})

test("a failure shows the line, both packets, the reason and the connection before and after", () => {
  const result = run(`${ESTABLISHED}+0 < P. 1:101(100) ack 1 win 1000\n+0 > . 1:1(0) ack 100`)
  expect(result._tag).toBe("Failed")
  if (result._tag !== "Failed") return
  const text = formatFailure("a.pkt", result.failure)
  expect(text.split("\n").slice(0, 3)).toEqual(
    [
      "a.pkt:11:4: packet: the packet sent is not the one expected",
      "+0 > . 1:1(0) ack 100",
      "  expected  . 1:1(0) ack 100",
    ].map((line, i) =>
      i === 0 ? "a.pkt:11:1: packet: the packet sent is not the one expected" : i === 1 ? `    ${line}` : line,
    ),
  )
  expect(text).toMatch(/seen {6}\. 1:1\(0\) ack 101 win [0-9]+\n {12}at 0\.100000 s, because \S+:\S+/)
  expect(text).toContain("- ack: expected 100, got 101")
  expect(text).toContain("before    ESTABLISHED snd.una=1")
})
