import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { connect, createServer } from "node:net"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { Effect, type Scope } from "effect"
import * as ControlSocket from "../../src/net/ControlSocket.ts"
import { candidates, isDead, prepare } from "../../src/net/controlDirectory.ts"
import { LineSplitter } from "../../src/net/controlProtocol.ts"
import * as Tcp from "../../src/net/Tcp.ts"
import { ipv4 } from "../../src/wire/address.ts"
import { CLIENT, on, pair, run, SERVER } from "./support.ts"

let runtimeDirectory = ""
const before = process.env["NETFOLD_RUNTIME_DIR"]

beforeEach(() => {
  runtimeDirectory = mkdtempSync(join(tmpdir(), "netfold-control-"))
  process.env["NETFOLD_RUNTIME_DIR"] = runtimeDirectory
})

afterEach(() => {
  if (before === undefined) delete process.env["NETFOLD_RUNTIME_DIR"]
  else process.env["NETFOLD_RUNTIME_DIR"] = before
  rmSync(runtimeDirectory, { recursive: true })
})

const mode = (path: string): number => statSync(path).mode & 0o777

/** What a client of another kind gets for the octets that it sends. */
const said = (path: string, request: string): Promise<string> =>
  new Promise((resolve, reject) => {
    let got = ""
    const socket = connect(path, () => socket.write(request))
    socket.on("data", (bytes) => {
      got += bytes
      if (got.endsWith("\n")) socket.end()
    })
    socket.on("close", () => resolve(got))
    socket.on("error", reject)
  })

/** One process's view of two stacks. */
const serving = Effect.gen(function* () {
  const stacks = yield* pair()
  const path = yield* ControlSocket.open({ name: "test", stacks: { server: stacks.server, client: stacks.client } })
  return { ...stacks, path }
})

const within = (body: Effect.Effect<void, unknown, Scope.Scope>): Promise<void> => run(Effect.orDie(body))

describe("a control socket", () => {
  test("opened: the user's alone, in a directory that is", () =>
    within(
      Effect.gen(function* () {
        const { path } = yield* serving
        expect(path).toBe(join(runtimeDirectory, `${process.pid}.sock`))
        expect(mode(path)).toBe(0o600)
        expect(mode(dirname(path))).toBe(0o700)
      }),
    ))

  test("asked for sockets: rows by stack, with who answers", () =>
    within(
      Effect.gen(function* () {
        const { server, client } = yield* serving
        yield* on(server)(Tcp.listen({ port: 80 }))
        yield* on(client)(Tcp.connect({ host: SERVER, port: 80 }))
        const { processes, silent } = yield* ControlSocket.askAll({ ask: "sockets" })
        expect(silent).toEqual([])
        expect(processes).toMatchObject([
          {
            pid: process.pid,
            name: "test",
            stacks: [
              { name: "server", sockets: [{ state: "LISTEN", recvQ: 1 }, { state: "ESTABLISHED" }] },
              { name: "client", sockets: [{ state: "ESTABLISHED" }] },
            ],
          },
        ])
        const listening = yield* ControlSocket.askAll({ ask: "sockets", states: ["LISTEN"] })
        expect(listening.processes[0]?.stacks.map(({ sockets }) => sockets.length)).toEqual([1, 0])
      }),
    ))

  test("asked for more rows than a line holds: all of them", () =>
    within(
      Effect.gen(function* () {
        const { server } = yield* serving
        for (let port = 1; port <= 600; port++) yield* on(server)(Tcp.listen({ port }))
        const { processes } = yield* ControlSocket.askAll({ ask: "sockets" })
        const ports = processes[0]?.stacks[0]?.sockets.map(({ local }) => local.port) ?? []
        expect(new Set(ports).size).toBe(600)
      }),
    ))

  test("asked for summary and counters: of each stack", () =>
    within(
      Effect.gen(function* () {
        yield* serving
        const summary = (yield* ControlSocket.askAll({ ask: "summary" })).processes[0]?.stacks[0]
        expect(summary?.summary?.total).toBe(0)
        const counters = (yield* ControlSocket.askAll({ ask: "counters" })).processes[0]?.stacks[1]
        expect(counters?.counters?.TcpExt["ListenOverflows"]).toBe(0)
      }),
    ))

  test("asked for interfaces, routes and neighbours: of each stack", () =>
    within(
      Effect.gen(function* () {
        const { server, client } = yield* serving
        for (let n = 0; n < 300; n++) {
          server.network.addRoute({ prefix: ipv4(0xc0000200 + n), prefixLength: 32, via: undefined, interface: 0 })
        }
        yield* on(server)(Tcp.listen({ port: 80 }))
        yield* on(client)(Tcp.connect({ host: SERVER, port: 80 }))
        const asked = (ask: "interfaces" | "routes" | "neighbours") =>
          Effect.map(ControlSocket.askAll({ ask }), ({ processes }) => processes[0]?.stacks ?? [])
        expect((yield* asked("interfaces")).map(({ interfaces }) => interfaces[0]?.addresses[0]?.address)).toEqual([
          SERVER,
          CLIENT,
        ])
        // More than a line holds.
        expect((yield* asked("routes")).map(({ routes }) => routes.length)).toEqual([301, 1])
        expect((yield* asked("neighbours")).map(({ neighbours }) => neighbours[0]?.address)).toEqual([CLIENT, SERVER])
      }),
    ))

  const wrong: ReadonlyArray<readonly [stimulus: string, request: string, answer: RegExp]> = [
    ["another version", '{"netfold":2,"ask":"sockets"}\n', /^\{"error":"not a request of version 1/],
    ["an unknown question", '{"netfold":1,"ask":"secret"}\n', /^\{"error":/],
    ["no JSON", "GET / HTTP/1.1\r\n\r\n", /^\{"error":/],
    ["a line without end", "x".repeat(5000), /^\{"error":"a request is 4096 octets at most/],
    ["a line that is too long", `${"x".repeat(5000)}\n`, /^\{"error":"a request is 4096 octets at most/],
  ]
  for (const [stimulus, request, answer] of wrong) {
    test(`sent ${stimulus}: an error, and goes on serving others`, () =>
      within(
        Effect.gen(function* () {
          const { path } = yield* serving
          expect(yield* Effect.promise(() => said(path, request))).toMatch(answer)
          expect((yield* ControlSocket.askAll({ ask: "summary" })).processes.length).toBe(1)
        }),
      ))
  }

  test("whose scope ends: gone", async () => {
    let path = ""
    await within(
      Effect.map(serving, (opened) => {
        path = opened.path
      }),
    )
    expect(existsSync(path)).toBe(false)
  })

  test("left by a dead process, asked: removed without a word", () =>
    within(
      Effect.gen(function* () {
        const child = Bun.spawnSync(["true"])
        expect(isDead(child.pid)).toBe(true)
        const path = join(runtimeDirectory, `${child.pid}.sock`)
        yield* Effect.promise(() => leftBehind(path))
        expect(yield* ControlSocket.askAll({ ask: "summary" })).toEqual({ processes: [], silent: [] })
        expect(existsSync(path)).toBe(false)
      }),
    ))

  test("left by a dead process, another opened: removed by it", () =>
    within(
      Effect.gen(function* () {
        const path = join(runtimeDirectory, `${Bun.spawnSync(["true"]).pid}.sock`)
        yield* Effect.promise(() => leftBehind(path))
        expect(existsSync(path)).toBe(true)
        yield* serving
        expect(existsSync(path)).toBe(false)
      }),
    ))

  test("of a process that another namespace gave our pid: its name stays its own", () =>
    within(
      Effect.gen(function* () {
        const first = yield* serving
        const second = yield* serving
        expect(second.path).toBe(join(dirname(first.path), `${process.pid}-2.sock`))
        expect((yield* ControlSocket.askAll({ ask: "summary" })).processes.length).toBe(2)
      }),
    ))

  test("of a process that never answers: reported, and does not hold up the others", () =>
    within(
      Effect.gen(function* () {
        const { path } = yield* serving
        const mute = join(dirname(path), "1.sock")
        const server = createServer((socket) => socket.destroy())
        yield* Effect.async<void>((resume) => {
          server.listen(mute, () => resume(Effect.void))
        })
        const { processes, silent } = yield* ControlSocket.askAll({ ask: "summary" })
        expect(processes.length).toBe(1)
        expect(silent.map(({ message }) => message)).toEqual([`${mute}: hung up`])
        server.close()
      }),
    ))
})

/** As a process that is killed leaves it: there, and nobody listens. */
const leftBehind = async (path: string): Promise<void> => {
  const child = Bun.spawn(
    [
      process.execPath,
      "-e",
      `require("node:net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 9))`,
    ],
    { stdout: "ignore", stderr: "ignore" },
  )
  await child.exited
}

describe("the directory of control sockets", () => {
  const around = () => ({
    uid: process.geteuid?.() ?? 0,
    env: { XDG_RUNTIME_DIR: join(runtimeDirectory, "xdg") },
    temporary: join(runtimeDirectory, "tmp"),
    runUser: join(runtimeDirectory, "run"),
  })

  test("all candidates: the runtime directory, systemd's, then one below the temporary one", () => {
    const { uid } = around()
    expect(candidates(around())).toEqual([
      join(runtimeDirectory, "xdg", "netfold"),
      join(runtimeDirectory, "run", String(uid), "netfold"),
      join(runtimeDirectory, "tmp", `netfold-${uid}`),
    ])
    expect(candidates({ ...around(), env: { XDG_RUNTIME_DIR: "relative" } }).length).toBe(2)
    const env = { ...around().env, NETFOLD_RUNTIME_DIR: "/only/here" }
    expect(candidates({ ...around(), env })).toEqual(["/only/here"])
  })

  test("no runtime directory, prepared: below the temporary one, mode 0700", () => {
    mkdirSync(around().temporary)
    const made = prepare(around())
    expect(made).toEqual({ path: join(around().temporary, `netfold-${around().uid}`) })
    if ("path" in made) expect(mode(made.path)).toBe(0o700)
  })

  test("one open to others, prepared: refused by name", () => {
    mkdirSync(join(runtimeDirectory, "xdg", "netfold"), { recursive: true })
    chmodSync(join(runtimeDirectory, "xdg", "netfold"), 0o755)
    expect(prepare(around())).toMatchObject({ problem: expect.stringMatching(/xdg\/netfold is open to others/) })
  })

  test("one that is a symbolic link or a file, prepared: not followed", () => {
    mkdirSync(join(runtimeDirectory, "xdg"))
    mkdirSync(join(runtimeDirectory, "elsewhere"), { mode: 0o700 })
    symlinkSync(join(runtimeDirectory, "elsewhere"), join(runtimeDirectory, "xdg", "netfold"))
    mkdirSync(around().temporary)
    writeFileSync(join(around().temporary, `netfold-${around().uid}`), "")
    expect(prepare(around())).toMatchObject({
      problem: expect.stringMatching(/xdg\/netfold is no directory.*tmp\/netfold-[0-9]+ is no directory/),
    })
  })

  test("one of another user, prepared: refused by name", () => {
    mkdirSync(join(runtimeDirectory, "xdg", "netfold"), { recursive: true, mode: 0o700 })
    expect(prepare({ ...around(), uid: 12345 })).toMatchObject({
      problem: expect.stringMatching(/xdg\/netfold belongs to user [0-9]+, not 12345/),
    })
  })
})

test("lines in pieces, split: whole ones only, and the rest counted", () => {
  const splitter = new LineSplitter()
  expect(splitter.push("one\ntw")).toEqual(["one"])
  expect(splitter.waiting).toBe(2)
  expect(splitter.push("o\n\nlast")).toEqual(["two", ""])
  expect(splitter.waiting).toBe(4)
})
