import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { connect, type Socket as NodeSocket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import {
  briefText,
  interfaceRecord,
  interfaceText,
  neighbourRecord,
  neighbourText,
  routeRecord,
  routeText,
} from "../../src/cli/ipText.ts"
import { shownBy, spelledOut } from "../../src/cli/ipWords.ts"
import type { InterfaceAddress, InterfaceRow, NeighbourRow, RouteRow } from "../../src/net/Inspect.ts"
import { type Child, netfold } from "./child.ts"
import { freePort } from "./freePort.ts"

const given: InterfaceAddress = {
  family: 4,
  address: "198.18.0.2",
  prefixLength: 24,
  broadcast: "198.18.0.255",
  scope: "global",
  origin: "static",
  state: "preferred",
}
const leased: InterfaceAddress = { ...given, origin: "dynamic", valid: 100, preferred: 50 }
const linkLocal: InterfaceAddress = {
  family: 6,
  address: "fe80::2",
  prefixLength: 64,
  scope: "link",
  origin: "link-local",
  state: "preferred",
}
const made: InterfaceAddress = {
  ...linkLocal,
  address: "2001:db8::3",
  scope: "global",
  origin: "autoconf",
  state: "deprecated",
  valid: 100,
  preferred: 0,
}
const row: InterfaceRow = {
  index: 2,
  name: "d0",
  layer: "ethernet",
  mtu: 1500,
  mac: "5e:d3:2e:09:53:a6",
  addresses: [leased, made, linkLocal],
}

describe("an interface", () => {
  test("on a link: the lines of ip addr", () => {
    expect(interfaceText(row, true)).toEqual([
      "2: d0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 state UNKNOWN",
      "    link/ether 5e:d3:2e:09:53:a6 brd ff:ff:ff:ff:ff:ff",
      "    inet 198.18.0.2/24 brd 198.18.0.255 scope global dynamic d0",
      "       valid_lft 100sec preferred_lft 50sec",
      "    inet6 2001:db8::3/64 scope global deprecated dynamic stable-privacy",
      "       valid_lft 100sec preferred_lft 0sec",
      "    inet6 fe80::2/64 scope link stable-privacy",
      "       valid_lft forever preferred_lft forever",
    ])
  })

  test("without link addresses: a point to point link", () => {
    const { mac: _, ...bare } = row
    expect(interfaceText({ ...bare, layer: "ip", addresses: [] }, true)).toEqual([
      "2: d0: <POINTOPOINT,MULTICAST,NOARP,UP,LOWER_UP> mtu 1500 state UNKNOWN",
      "    link/none",
    ])
  })

  test.each<[InterfaceAddress["state"], string]>([
    ["preferred", "scope global"],
    ["tentative", "scope global tentative"],
    ["deprecated", "scope global deprecated"],
    ["duplicated", "scope global dadfailed tentative"],
  ])("an address that is %s: %s", (state, words) => {
    const [, line = ""] = interfaceText({ ...row, addresses: [{ ...given, family: 6, state }] }, false)
    expect(line).toEndWith(words)
  })

  test("briefly: one line", () => {
    expect(briefText({ ...row, addresses: [given, linkLocal] })).toBe(
      "d0               UNKNOWN        198.18.0.2/24 fe80::2/64",
    )
  })

  test("as a record: ip's field names, its number for ever", () => {
    expect(interfaceRecord({ ...row, addresses: [leased, linkLocal] })).toEqual({
      ifindex: 2,
      ifname: "d0",
      flags: ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"],
      mtu: 1500,
      operstate: "UNKNOWN",
      link_type: "ether",
      address: "5e:d3:2e:09:53:a6",
      broadcast: "ff:ff:ff:ff:ff:ff",
      addr_info: [
        {
          family: "inet",
          local: "198.18.0.2",
          prefixlen: 24,
          broadcast: "198.18.0.255",
          scope: "global",
          dynamic: true,
          label: "d0",
          valid_life_time: 100,
          preferred_life_time: 50,
        },
        {
          family: "inet6",
          local: "fe80::2",
          prefixlen: 64,
          scope: "link",
          "stable-privacy": true,
          valid_life_time: 4294967295,
          preferred_life_time: 4294967295,
        },
      ],
    })
  })
})

const route: RouteRow = {
  family: 4,
  prefix: "198.18.0.0",
  prefixLength: 24,
  device: "d0",
  protocol: "kernel",
  metric: 0,
}
const anywhere6: RouteRow = { ...route, family: 6, prefix: "::", prefixLength: 0, via: "fe80::9", protocol: "ra" }

describe("a route", () => {
  test.each<[string, RouteRow, string]>([
    [
      "an address's own",
      { ...route, source: "198.18.0.2" },
      "198.18.0.0/24 dev d0 proto kernel scope link src 198.18.0.2",
    ],
    [
      "leased, to anywhere",
      { ...route, prefix: "0.0.0.0", prefixLength: 0, via: "198.18.0.1", protocol: "dhcp", metric: 100 },
      "default via 198.18.0.1 dev d0 proto dhcp metric 100",
    ],
    [
      "to one host",
      { ...route, prefix: "198.18.98.1", prefixLength: 32, via: "198.18.0.7", protocol: "static" },
      "198.18.98.1 via 198.18.0.7 dev d0 proto static",
    ],
    [
      "on an IPv6 link",
      { ...route, family: 6, prefix: "2001:db8::", prefixLength: 64, metric: 256 },
      "2001:db8::/64 dev d0 proto kernel metric 256 pref medium",
    ],
    [
      "of a router that advertises itself",
      { ...anywhere6, metric: 1024, expires: 99, preference: "high" },
      "default via fe80::9 dev d0 proto ra metric 1024 expires 99sec pref high",
    ],
  ])("%s: ip's line", (_, given, line) => {
    expect(routeText(given, true)).toBe(line)
    expect(routeText(given, false)).toBe(line.replace(" dev d0", ""))
  })

  test("as a record: ip's field names", () => {
    expect(routeRecord({ ...route, source: "198.18.0.2" })).toEqual({
      dst: "198.18.0.0/24",
      dev: "d0",
      protocol: "kernel",
      scope: "link",
      prefsrc: "198.18.0.2",
      flags: [],
    })
    expect(routeRecord({ ...anywhere6, metric: 1024, expires: 99 })).toEqual({
      dst: "default",
      gateway: "fe80::9",
      dev: "d0",
      protocol: "ra",
      metric: 1024,
      flags: [],
      expires: 99,
      pref: "medium",
    })
  })
})

const neighbour: NeighbourRow = {
  family: 4,
  address: "198.18.0.9",
  device: "d0",
  mac: "02:00:00:00:00:01",
  router: false,
  state: "STALE",
}
const { mac: _mac, ...unanswered } = neighbour

describe("a neighbour", () => {
  test.each<[string, NeighbourRow, string, object]>([
    [
      "known",
      neighbour,
      "198.18.0.9 dev d0 lladdr 02:00:00:00:00:01 STALE",
      { dst: "198.18.0.9", dev: "d0", lladdr: "02:00:00:00:00:01", state: ["STALE"] },
    ],
    [
      "that is a router",
      { ...neighbour, family: 6, address: "fe80::9", router: true, state: "REACHABLE" },
      "fe80::9 dev d0 lladdr 02:00:00:00:00:01 router REACHABLE",
      { dst: "fe80::9", dev: "d0", lladdr: "02:00:00:00:00:01", router: null, state: ["REACHABLE"] },
    ],
    [
      "that is asked for",
      { ...unanswered, state: "INCOMPLETE" },
      "198.18.0.9 dev d0 INCOMPLETE",
      { dst: "198.18.0.9", dev: "d0", state: ["INCOMPLETE"] },
    ],
  ])("%s: ip's line and record", (_, given, line, record) => {
    expect(neighbourText(given, true)).toBe(line)
    expect(neighbourRecord(given)).toEqual(record)
  })
})

describe("words", () => {
  const nothing = { dev: undefined, nud: undefined, isDefault: false }
  test.each<[ReadonlyArray<string>, ReturnType<typeof shownBy>]>([
    [[], nothing],
    [["show"], nothing],
    [["ls", "dev", "d0"], { ...nothing, dev: "d0" }],
    [["d0"], { ...nothing, dev: "d0" }],
    [["show", "nud", "REACHABLE", "dev", "d0"], { ...nothing, dev: "d0", nud: "reachable" }],
    [["nud", "all"], nothing],
    [["default"], { ...nothing, isDefault: true }],
  ])("%p", (words, shown) => {
    expect(shownBy(words, ["dev", "nud", "default"])).toEqual(shown)
  })

  test.each([
    [["dev"], /dev takes/],
    [["show", "nud", "cold"], /nud takes one of incomplete/],
    [["add", "198.18.0.9/24", "dev", "d0"], /looked at, not changed/],
    [["show", "table", "5"], /"table" is not understood/],
  ])("%p: refused", (words, problem) => {
    expect(shownBy(words, ["dev", "nud"])).toMatch(problem)
  })

  test("ip's long options with one dash: as the parser wants them, of these commands only", () => {
    expect(spelledOut(["bun", "netfold", "addr", "-br", "-json", "-4"])).toEqual([
      "bun",
      "netfold",
      "addr",
      "--brief",
      "--json",
      "-4",
    ])
    expect(spelledOut(["bun", "netfold", "lab", "ip", "-br"])).toEqual(["bun", "netfold", "lab", "ip", "-br"])
  })
})

describe("netfold addr, route and neigh of a running echo", () => {
  let directory = ""
  let running: Child | undefined
  let talking: NodeSocket | undefined
  const env = () => ({ NETFOLD_RUNTIME_DIR: directory })
  const ask = (...words: ReadonlyArray<string>) => netfold(words, { env: env() }).ended

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "netfold-ip-"))
    const port = await freePort()
    running = netfold(["echo", "--port", String(port)], { env: env() })
    await running.line(/start/)
    talking = connect(port, "127.0.0.1")
    const socket = talking
    // What comes back has crossed the link: the stacks have met.
    await new Promise((resolve) => socket.once("data", resolve).write("hello"))
  }, 30_000)

  afterAll(async () => {
    talking?.destroy()
    running?.kill("SIGTERM")
    await running?.ended
    rmSync(directory, { recursive: true })
  })

  test("addr -br: each stack under its name", async () => {
    const { status, stdout } = await ask("addr", "-br")
    expect(status).toBe(0)
    expect(stdout).toBe(
      [
        `#echo pid=${running?.pid} stack=server`,
        "server           UNKNOWN        198.18.0.2/24",
        `#echo pid=${running?.pid} stack=client`,
        "client           UNKNOWN        198.18.0.1/24",
        "",
      ].join("\n"),
    )
  }, 30_000)

  test("route -j dev: of that device", async () => {
    const { stdout } = await ask("route", "-j", "show", "dev", "client")
    expect(JSON.parse(stdout)).toMatchObject([
      { pid: running?.pid, process: "echo", stack: "client", dst: "198.18.0.0/24", prefsrc: "198.18.0.1" },
    ])
  }, 30_000)

  test("neigh -j: each stack knows the other", async () => {
    const { stdout } = await ask("neigh", "-j")
    expect(JSON.parse(stdout)).toMatchObject([
      { stack: "server", dst: "198.18.0.1", dev: "server" },
      { stack: "client", dst: "198.18.0.2", dev: "client" },
    ])
  }, 30_000)

  test("a device that is nobody's: one line that names those there are, status 1", async () => {
    expect(await ask("neigh", "dev", "eth9")).toEqual({
      status: 1,
      stdout: "",
      stderr: 'netfold: device "eth9" does not exist: there are server, client\n',
    })
  }, 30_000)
})
