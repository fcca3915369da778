import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { connect, type Socket as NodeSocket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Either } from "effect"
import { ALL, parseFilter } from "../../src/cli/ssFilter.ts"
import { duration, infoText, type OwnedRow, summaryText, table, timerText } from "../../src/cli/ssText.ts"
import type { SocketRow } from "../../src/net/Inspect.ts"
import { type Child, netfold } from "./child.ts"
import { freePort } from "./freePort.ts"

const row: SocketRow = {
  socket: 2,
  state: "ESTABLISHED",
  recvQ: 0,
  sendQ: 12,
  local: { family: 4, address: "198.18.0.2", port: 80 },
  peer: { family: 4, address: "198.18.0.1", port: 40000 },
  orphan: false,
  timer: { name: "on", expires: 200, retransmits: 0 },
}
const listener: SocketRow = {
  socket: 1,
  state: "LISTEN",
  recvQ: 5,
  sendQ: 4,
  local: { family: 4, address: "0.0.0.0", port: 80 },
  orphan: false,
  info: { _tag: "Listener", requests: 3, young: 2, fastOpens: 0, drops: 0, cookies: true, deferAccept: 0 },
}
const owned = (each: SocketRow): OwnedRow => ({ pid: 42, process: "http", stack: "tap0", row: each })

describe("the table of ss", () => {
  const options = { states: true, header: true, processes: false, timers: false, info: false }

  test("a listener and a connection: ss's columns, addresses aligned at their colons", () => {
    expect(table([owned(listener), owned(row)], options)).toEqual([
      "State  Recv-Q Send-Q Local Address:Port Peer Address:Port",
      "LISTEN 5      4            0.0.0.0:80        0.0.0.0:*",
      "ESTAB  0      12        198.18.0.2:80     198.18.0.1:40000",
    ])
  })

  test("all options: owner and timer behind, information below", () => {
    expect(
      table([owned(listener), owned(row)], { ...options, header: false, processes: true, timers: true, info: true }),
    ).toEqual([
      'LISTEN 5      4         0.0.0.0:80    0.0.0.0:*     users:(("http",pid=42,stack=tap0,socket=1))',
      "\t requests:3 young:2 cookies",
      'ESTAB  0      12     198.18.0.2:80 198.18.0.1:40000 users:(("http",pid=42,stack=tap0,socket=2)) timer:(on,200ms,0)',
    ])
  })

  test("IPv6: brackets", () => {
    const v6: SocketRow = { ...listener, local: { family: 6, address: "::", port: 0 } }
    expect(table([owned(v6)], { ...options, header: false })[0]).toBe("LISTEN 5      4      [::]:* [::]:*")
  })

  test("a socket of both IP versions: an asterisk for the address, as the peer's of a listener", () => {
    const dual: SocketRow = { ...listener, local: { family: 6, address: "::", port: 80 }, dual: true }
    const only: SocketRow = { ...dual, dual: false }
    expect(table([owned(dual), owned(only)], { ...options, header: false })).toEqual([
      "LISTEN 5      4         *:80    *:*",
      "LISTEN 5      4      [::]:80 [::]:*",
    ])
  })

  test("durations: as iproute2 writes them", () => {
    const cases: ReadonlyArray<readonly [millis: number, text: string]> = [
      [0, "000ms"],
      [5, "005ms"],
      [200, "200ms"],
      [1000, "1sec"],
      [1500, "1.500ms"],
      [59_400, "59sec"],
      [60_000, "1min"],
      [69_999, "1min9sec"],
      [7_199_000, "119min"],
    ]
    for (const [millis, text] of cases) expect(duration(millis)).toBe(text)
    expect(timerText({ name: "timewait", expires: 59_999.6, retransmits: 0 })).toBe("timer:(timewait,1min,0)")
    expect(timerText({ name: "persist", expires: 400, retransmits: 3 })).toBe("timer:(persist,400ms,3)")
  })

  test("information on a connection: ss's words, windows in segments", () => {
    const text = infoText({
      _tag: "Connection",
      open: "passive",
      timestamps: true,
      sack: true,
      scale: { send: 7, receive: 10 },
      rto: 408.0004,
      backoff: 1,
      rtt: { smoothed: 4, variation: 2 },
      mss: 1448,
      receiveMss: 536,
      advertisedMss: 1460,
      congestionWindow: 14480,
      slowStartThreshold: 10136,
      recovering: false,
      duplicateAcks: 0,
      unacked: 4000,
      unsent: 100,
      retransmitting: 1448,
      sendWindow: 65536,
      receiveWindow: 64000,
      receiveSpace: 65535,
      outOfOrder: 0,
      lastSent: 10.9,
      age: 100,
      probes: 0,
    })
    expect(text).toBe(
      "ts sack reno wscale:7,10 rto:408 backoff:1 rtt:4/2 mss:1448 rcvmss:536 advmss:1460 cwnd:10 ssthresh:7 " +
        "send 28960000bps lastsnd:10 unacked:3 bytes_unacked:4000 retrans:1/0 rcv_space:65535 notsent:100 " +
        "snd_wnd:65536 rcv_wnd:64000",
    )
  })

  test("UDP sockets beside TCP's: their protocol in front, what they lost behind", () => {
    const { info: _, ...rest } = row
    const udp: SocketRow = { ...rest, protocol: "udp", state: "CLOSED", drops: 3 }
    const [header, first, info] = table([owned(udp)], { ...options, protocols: true, info: true })
    expect(header).toStartWith("Netid State")
    expect(first).toStartWith("udp   UNCONN")
    expect(info).toBe("\t drops:3")
  })

  test("the summary of two stacks: one sum", () => {
    const one = {
      total: 3,
      listening: 1,
      established: 1,
      synReceived: 0,
      timeWait: 1,
      orphaned: 0,
      closed: 0,
      ipv4: 3,
      ipv6: 0,
      udpIpv4: 0,
      udpIpv6: 0,
    }
    expect(summaryText([one, { ...one, synReceived: 1, total: 4, ipv6: 1, udpIpv4: 2 }])).toEqual([
      "Total: 9",
      "TCP:   7 (estab 2, closed 0, orphaned 0, synrecv 1, timewait 2)",
      "",
      "Transport Total     IP        IPv6",
      "UDP\t  2         2         0",
      "TCP\t  7         6         1",
      "INET\t  9         8         1",
    ])
  })
})

describe("a filter of ss", () => {
  const accepts = (words: string, each: SocketRow = row): boolean => {
    const { states, accepts: test } = Either.getOrThrow(parseFilter(words.split(" ").filter(Boolean), ALL))
    return states.has(each.state) && test(each)
  }

  const cases: ReadonlyArray<readonly [filter: string, connection: boolean, listens: boolean]> = [
    ["", true, true],
    ["state established", true, false],
    ["state listening state established", true, true],
    ["state connected", true, false],
    ["exclude listening", true, false],
    ["sport = :80", true, true],
    ["sport :80", true, true],
    ["dport = :80", false, false],
    ["( dport >= :1024 )", true, false],
    ["sport = 80 and dport = 40000", true, false],
    ["sport = 80 dport = 40001", false, false],
    ["sport = :81 or dport gt 39999", true, false],
    ["not sport = :80", false, false],
    ["! ( sport neq :80 )", true, true],
    ["src 198.18.0.2", true, false],
    ["dst 198.18.0.0/24", true, false],
    ["dst 198.18.0.1:40000", true, false],
    ["dst = 198.18.1.0/24", false, false],
    ["state established sport = :80 or sport = :7", true, false],
  ]
  for (const [filter, connection, listens] of cases) {
    test(`"${filter}": ${connection ? "the" : "no"} connection, ${listens ? "the" : "no"} listener`, () => {
      expect([accepts(filter), accepts(filter, listener)]).toEqual([connection, listens])
    })
  }

  const wrong: ReadonlyArray<readonly [filter: string, message: RegExp]> = [
    ["state bogus", /"bogus" is no state: established/],
    ["state", /the name of a state is missing/],
    ["( sport = :80", /a "\)" is missing/],
    ["sport = :http", /"http" is no port/],
    ["sport = :99999", /"99999" is no port/],
    ["dst nowhere", /"nowhere" is no address/],
    ["dst 1.2.3.4/64", /is no address/],
    ["colour = red", /"colour" is none of/],
    ["sport = :80 )", /"\)" was not expected/],
  ]
  for (const [filter, message] of wrong) {
    test(`"${filter}": says what is wrong`, () => {
      expect(Either.getOrThrow(Either.flip(parseFilter(filter.split(" "), ALL)))).toMatch(message)
    })
  }
})

describe("netfold ss", () => {
  let port = 0
  let directory = ""
  let echo: Child
  let client: NodeSocket

  const ss = (...words: ReadonlyArray<string>) =>
    netfold(["ss", ...words], { env: { NETFOLD_RUNTIME_DIR: directory } }).ended

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "netfold-ss-"))
    port = await freePort()
    echo = netfold(["echo", "--port", String(port), "--json"], { env: { NETFOLD_RUNTIME_DIR: directory } })
    await echo.line(/"message":"start"/)
    client = connect({ port, host: "127.0.0.1" })
    client.write("x")
    await new Promise((resolve) => client.once("data", resolve))
  }, 30_000)

  afterAll(() => {
    client.destroy()
    echo.kill("SIGKILL")
    rmSync(directory, { recursive: true })
  })

  test("an echo with one client, -tanpo: its listener and both ends, whose they are", async () => {
    const { status, stdout, stderr } = await ss("-tanpo")
    expect(stderr).toBe("")
    expect(status).toBe(0)
    const [header, ...lines] = stdout.trim().split("\n")
    expect(header).toMatch(/^State +Recv-Q Send-Q Local Address:Port +Peer Address:Port +Process$/)
    expect(lines.length).toBe(3)
    const users = `users:\\(\\("echo",pid=${echo.pid},stack=server,socket=\\d+\\)\\)`
    expect(lines[0]).toMatch(new RegExp(`^LISTEN +0 +4096 +0\\.0\\.0\\.0:7 +0\\.0\\.0\\.0:\\* +${users}$`))
    expect(lines[1]).toMatch(new RegExp(`^ESTAB +0 +0 +198\\.18\\.0\\.2:7 +198\\.18\\.0\\.1:\\d+ +${users}`))
  }, 30_000)

  test("a filter and -H -i: what it asks for, with TCP's view of it, and no State column for one state", async () => {
    const { stdout } = await ss("-Hi", "state", "established", "sport", "=", ":7")
    expect(stdout).toMatch(/^0 +0 +198\.18\.0\.2:7 +198\.18\.0\.1:\d+\n\t ts sack reno wscale:10,10 rto:\d+/)
    expect(stdout.trim().split("\n").length).toBe(2)
  }, 30_000)

  test("--json: records by RFC 9293's names", async () => {
    const rows: unknown = JSON.parse((await ss("-a", "--json", "--name", "echo")).stdout)
    expect(rows).toMatchObject([
      { pid: echo.pid, process: "echo", stack: "server", state: "LISTEN", sendQ: 4096 },
      { state: "ESTABLISHED", local: { address: "198.18.0.2", port: 7 } },
      { stack: "client", state: "ESTABLISHED" },
    ])
  }, 30_000)

  test("-s: numbers", async () => {
    expect((await ss("-s")).stdout).toStartWith(
      "Total: 3\nTCP:   3 (estab 2, closed 0, orphaned 0, synrecv 0, timewait 0)\n",
    )
  }, 30_000)

  test("nobody of that pid or name, or a wrong filter: one line, status 1 or 2", async () => {
    const [pid, name, filter] = await Promise.all([ss("--pid", "1"), ss("--name", "http"), ss("state", "bogus")])
    expect(pid).toMatchObject({ status: 1, stdout: "" })
    expect(pid.stderr).toMatch(
      /^netfold: no netfold process with pid 1 runs here \(looked for control sockets in .*\)\n$/,
    )
    expect(name.stderr).toMatch(/^netfold: no netfold process of the name http runs here/)
    expect(filter).toMatchObject({ status: 2, stdout: "" })
    expect(filter.stderr).toMatch(/^netfold: filter: "bogus" is no state.*\n$/)
  }, 30_000)

  test("a process started with --no-control: is not seen, and leaves no socket", async () => {
    const hidden = netfold(["echo", "--port", String(await freePort()), "--json", "--no-control"], {
      env: { NETFOLD_RUNTIME_DIR: directory },
    })
    await hidden.line(/"message":"start"/)
    expect(existsSync(join(directory, `${hidden.pid}.sock`))).toBe(false)
    hidden.kill("SIGKILL")
    await hidden.ended
  }, 30_000)

  test("two processes: both are listed with their pids and names; one that ends takes its socket along", async () => {
    const other = netfold(["http", "--port", String(await freePort()), "--json"], {
      env: { NETFOLD_RUNTIME_DIR: directory },
    })
    await other.line(/"message":"start"/)
    const { stdout } = await ss("-l")
    expect(stdout).toMatch(new RegExp(`users:\\(\\("echo",pid=${echo.pid},`))
    expect(stdout).toMatch(new RegExp(`users:\\(\\("http",pid=${other.pid},`))
    other.kill("SIGINT")
    expect((await other.ended).stderr).toBe("")
    expect(existsSync(join(directory, `${other.pid}.sock`))).toBe(false)
  }, 30_000)
})
