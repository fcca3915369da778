import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync, statSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { flatten, line, since } from "../../src/cli/nstat.ts"
import { type Child, netfold } from "./child.ts"
import { freePort } from "./freePort.ts"

describe("nstat's numbers", () => {
  test("groups, flattened: nstat's names, and no state among them", () => {
    const counters = {
      Ip: { InHdrErrors: 1 },
      Ip6: {},
      Udp: { InDatagrams: 4 },
      Udp6: {},
      Icmp: { InErrors: 2 },
      Icmp6: {},
      Tcp: { InSegs: 3, CurrEstab: 9 },
      TcpExt: { ListenOverflows: 4 },
      Drop: { "Linux:accept-queue-full": 5 },
    }
    expect(flatten(counters)).toEqual({
      IpInHdrErrors: 1,
      UdpInDatagrams: 4,
      IcmpInErrors: 2,
      TcpInSegs: 3,
      TcpExtListenOverflows: 4,
      "Drop:Linux:accept-queue-full": 5,
    })
  })

  test("counters since others: what was added, and all of one that went back", () => {
    expect(since({ a: 5, b: 2, c: 1 }, { a: 3, b: 4 })).toEqual({ a: 2, b: 2, c: 1 })
  })

  test("a line: nstat's columns", () => {
    expect(line("TcpExtListenOverflows", 12)).toBe("TcpExtListenOverflows           12                 0.0")
  })
})

describe("netfold nstat", () => {
  let port = 0
  let directory = ""
  let echo: Child

  const nstat = async (...words: ReadonlyArray<string>): Promise<string> => {
    const ended = await netfold(["nstat", ...words], { env: { NETFOLD_RUNTIME_DIR: directory } }).ended
    expect(ended).toMatchObject({ status: 0, stderr: "" })
    return ended.stdout
  }

  /** One connection more, made and ended. */
  const visit = () =>
    new Promise<void>((resolve) => {
      const socket = connect({ port, host: "127.0.0.1" }, () => socket.end("x"))
      socket.resume()
      socket.once("close", () => resolve())
    })

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "netfold-nstat-"))
    port = await freePort()
    echo = netfold(["echo", "--port", String(port), "--json"], { env: { NETFOLD_RUNTIME_DIR: directory } })
    await echo.line(/"message":"start"/)
  }, 30_000)

  afterAll(() => {
    echo.kill("SIGKILL")
    rmSync(directory, { recursive: true })
  })

  test("asked twice with a connection between: the increment; with -a: all; with -s: not remembered", async () => {
    await visit()
    const server = new RegExp(`^#echo pid=${echo.pid} stack=server$`, "m")
    expect(await nstat()).toMatch(server)
    expect(await nstat("TcpPassive*")).not.toContain("TcpPassiveOpens")
    await visit()
    expect(await nstat("-s")).toMatch(/^TcpPassiveOpens +1 +0\.0$/m)
    expect(await nstat()).toMatch(/^TcpPassiveOpens +1 +0\.0$/m)
    expect(await nstat("-a")).toMatch(/^TcpPassiveOpens +2 +0\.0$/m)
    expect(statSync(join(directory, `${echo.pid}.nstat`)).mode & 0o777).toBe(0o600)
  }, 60_000)

  test("-az and --json: every counter, by stack", async () => {
    const views: unknown = JSON.parse(await nstat("-az", "--json"))
    expect(views).toMatchObject([
      { pid: echo.pid, process: "echo", stack: "server", counters: { TcpExtListenOverflows: 0, TcpExtTCPTimeouts: 0 } },
      { stack: "client" },
    ])
  }, 30_000)

  test("-z and patterns: those alone", async () => {
    const [, ...lines] = (await nstat("-az", "TcpExtListen*", "TcpInErrs")).split("#echo")[1]?.trim().split("\n") ?? []
    expect(lines.map((each) => each.split(" ")[0])).toEqual(["TcpInErrs", "TcpExtListenOverflows", "TcpExtListenDrops"])
  }, 30_000)
})
