import { describe, expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { breachesOf, HOUSE, importsOf, roomOf } from "./house.ts"

const ROOT = join(import.meta.dir, "../..")

const sources = ["src", "ffi"].flatMap((directory) =>
  readdirSync(join(ROOT, directory), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.[cm]?[jt]sx?$/.test(name))
    .map((name) => {
      const file = `${directory}/${name.replaceAll("\\", "/")}`
      return { file, source: readFileSync(join(ROOT, file), "utf8").replace(/^#!.*/, "") }
    }),
)

describe("the house", () => {
  test("every file of src and ffi: imports only what an arrow leads to it from", () => {
    const breaches = sources.flatMap(({ file, source }) => breachesOf(file, source))
    expect(breaches.map(({ file, line, what, rule }) => `${file}:${line} ${what}: ${rule}`)).toEqual([])
  })

  test("every import that Bun's own parser sees: seen here too", () => {
    const transpiler = new Bun.Transpiler({ loader: "ts" })
    for (const { file, source } of sources) {
      const seen = new Set(importsOf(source).map(({ specifier }) => specifier))
      const missed = transpiler.scanImports(source).filter(({ path }) => !seen.has(path))
      expect({ file, missed }).toEqual({ file, missed: [] })
    }
  })

  test("the rooms that exist: those of the design, and files in each of the pure ones", () => {
    const rooms = new Set(sources.map(({ file }) => roomOf(file)))
    for (const room of rooms) expect(Object.keys(HOUSE)).toContain(room ?? "nowhere")
    for (const room of ["ffi", "wire", "tcp", "ip", "host", "device"]) expect(rooms).toContain(room)
  })

  test("the arrows: no room is reached from itself", () => {
    const above = (room: string, seen: ReadonlyArray<string>): void => {
      expect(seen).not.toContain(room)
      for (const other of HOUSE[room]?.rooms ?? []) above(other, [...seen, room])
    }
    for (const room of Object.keys(HOUSE)) above(room, [])
  })
})

describe("a wrong file", () => {
  const wrong: ReadonlyArray<readonly [file: string, source: string, what: string, rule: string]> = [
    // file                     source                                              named                  rule
    ["src/wire/a.ts", 'import { x } from "../tcp/seq.ts"', "../tcp/seq.ts", "wire imports no other room"],
    ["src/wire/a.ts", 'import { Effect } from "effect"', "effect", "wire imports no module"],
    ["src/wire/a.ts", 'import { readFileSync } from "node:fs"', "node:fs", "wire imports no module"],
    ["src/tcp/a.ts", 'import { x } from "../ip/route.ts"', "../ip/route.ts", "tcp and ip do not know each other"],
    ["src/ip/a.ts", 'import type { X } from "../tcp/tcb.ts"', "../tcp/tcb.ts", "tcp and ip do not know each other"],
    ["src/tcp/a.ts", 'import { x } from "../host/host.ts"', "../host/host.ts", "tcp imports only wire"],
    ["src/tcp/a.ts", 'export * from "../host/host.ts"', "../host/host.ts", "tcp imports only wire"],
    [
      "src/tcp/a.ts",
      'import { sha256 } from "@noble/hashes/sha2.js"',
      "@noble/hashes/sha2.js",
      "tcp imports no module",
    ],
    [
      "src/host/a.ts",
      'const x = await import("../runtime/x.ts")',
      "../runtime/x.ts",
      "host imports only wire, tcp, ip",
    ],
    ["src/host/a.ts", "const x = await import(name)", "(computed)", "of modules host imports @noble/hashes/*"],
    ["src/host/a.ts", 'import "effect"', "effect", "of modules host imports @noble/hashes/*"],
    ["src/device/a.ts", 'import { dlopen } from "bun:ffi"', "bun:ffi", "only ffi imports bun:ffi"],
    ["src/device/a.ts", 'type X = import("../host/types.ts").X', "../host/types.ts", "device imports only wire, ffi"],
    [
      "src/device/a.ts",
      'new Worker(new URL("../host/x.ts", import.meta.url))',
      "../host/x.ts",
      "device imports only wire, ffi",
    ],
    ["src/runtime/a.ts", 'import { Tcp } from "../net/Tcp.ts"', "../net/Tcp.ts", "runtime imports only"],
    ["src/runtime/a.ts", 'import { x } from "../sim/x.ts"', "../sim/x.ts", "runtime imports only"],
    ["src/net/a.ts", 'import { x } from "../cli/x.ts"', "../cli/x.ts", "net imports only"],
    ["src/sim/pd/a.ts", 'import { x } from "../../runtime/x.ts"', "../../runtime/x.ts", "sim imports only"],
    ["src/sim/a.ts", 'import { Effect } from "effect"', "effect", "of modules sim imports @noble/hashes/*"],
    ["ffi/a.ts", 'import { x } from "../src/wire/bytes.ts"', "../src/wire/bytes.ts", "ffi imports no other room"],
    [
      "src/net/a.ts",
      'import p from "../../package.json"',
      "../../package.json",
      "package.json is for the command line",
    ],
    [
      "src/wire/a.ts",
      'import { x } from "../../test/wire/support.ts"',
      "../../test/wire/support.ts",
      "wire imports no other room",
    ],
    ["src/cellar/a.ts", "", "cellar", "there is no such room"],
    ["src/tcp/a.ts", "const now = Date.now()", "Date", "tcp is pure"],
    ["src/tcp/a.ts", "const t = performance.now()", "performance", "tcp is pure"],
    ["src/ip/a.ts", "const x = Math.random()", "Math.random", "ip is pure"],
    ["src/host/a.ts", "console.log(1)", "console", "host is pure"],
    ["src/host/a.ts", 'if (process.env["X"]) y()', "process", "host is pure"],
    ["src/host/a.ts", "setTimeout(f, 1)", "setTimeout", "host is pure"],
    ["src/wire/a.ts", "const x = `$" + "{`$" + "{Date.now()}`}`", "Date", "wire is pure"],
    ["src/wire/a.ts", "const x = { ...process.env }", "process", "wire is pure"],
  ]

  test.each(wrong)("%s with %p: names %p", (file, source, what, rule) => {
    const breaches = breachesOf(file, source)
    expect(breaches.map((breach) => breach.what)).toEqual([what])
    expect(breaches[0]?.file).toBe(file)
    expect(breaches[0]?.rule).toStartWith(rule)
  })

  test("two imports on different lines: each with its line", () => {
    const source = '// a comment\nimport { a } from "effect"\n/* two\nlines */ import { b } from "bun"\n'
    expect(breachesOf("src/wire/a.ts", source).map(({ line, what }) => [line, what])).toEqual([
      [2, "effect"],
      [4, "bun"],
    ])
  })
})

describe("a right file", () => {
  const right: ReadonlyArray<readonly [file: string, source: string]> = [
    ["src/host/a.ts", 'import { sha256 } from "@noble/hashes/sha2.js"\nimport { x } from "../tcp/seq.ts"'],
    ["src/tcp/a.ts", 'import type { Endpoint } from "../wire/address.ts"\nimport { y } from "./b.ts"'],
    // Comments, strings, templates and regular expressions are not code.
    ["src/tcp/a.ts", '// import { x } from "effect"\n/** Date.now(), from "bun" */\nconst s = \'from "effect"\''],
    ["src/tcp/a.ts", 'const t = `import x from "effect" $' + '{a} Date`\nconst r = /from "effect" [/"]/g'],
    ["src/tcp/a.ts", "const x = a / b / c\nconst y = 4 / 2 // Date"],
    // Names of one's own, and properties, are not globals.
    ["src/tcp/a.ts", "const process = (x: number) => x\nprocess(1)"],
    ["src/tcp/a.ts", "interface X { readonly process: number; readonly Date?: string }\nx.performance\nMath.max(1, 2)"],
    ["ffi/a.ts", 'import { dlopen } from "bun:ffi"\nimport { openSync } from "node:fs"'],
    ["src/runtime/a.ts", 'import { Effect } from "effect"\nimport { x } from "../device/device.ts"\nDate.now()'],
    ["src/cli/a.ts", 'import p from "../../package.json"\nimport { run } from "../sim/x.ts"'],
    ["src/index.ts", 'export * as Tcp from "./net/Tcp.ts"'],
  ]

  test.each(right)("%s with %p: nothing to say", (file, source) => {
    expect(breachesOf(file, source)).toEqual([])
  })
})
