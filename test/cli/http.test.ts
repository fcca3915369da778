import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { createServer } from "node:http"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { Deferred, Effect, Either, Layer, Option, type Scope, Stream } from "effect"
import { APPS, type App, listenerOf } from "../../src/cli/httpApps.ts"
import { answerFor, FILE_LENGTH, file } from "../../src/cli/httpContent.ts"
import * as NetfoldHttp from "../../src/net/HttpServer.ts"
import * as NodeHttp from "../../src/net/NodeHttp.ts"
import * as Tcp from "../../src/net/Tcp.ts"
import { Stack } from "../../src/runtime/stack.ts"
import { on, type Pair, pair, pattern, run, SERVER, settle, text } from "../net/support.ts"
import { type Child, netfold } from "./child.ts"
import { freePort } from "./freePort.ts"

/** A client that speaks HTTP by hand. */
const dial = (both: Pair) =>
  Effect.gen(function* () {
    const connection = yield* on(both.client)(Tcp.connect({ host: SERVER, port: 80 }))
    let got = ""
    /** What has come when it satisfies, or at the end, which "<end>" marks. */
    const until = (satisfied: (got: string) => boolean): Effect.Effect<string, Tcp.TcpError> =>
      Effect.gen(function* () {
        while (!satisfied(got)) {
          const next = yield* connection.read
          if (Option.isNone(next)) return `${got}<end>`
          got += Buffer.from(next.value).toString("latin1")
        }
        const all = got
        got = ""
        return all
      })
    const send = (head: string) => connection.write(text(head.replaceAll("\n", "\r\n")))
    return { connection, until, send }
  })

/** The pages of `netfold http`. */
const serving = (app: App) =>
  Effect.gen(function* () {
    const both = yield* pair()
    const listener = yield* on(both.server)(Tcp.listen({ port: 80, noDelay: true }))
    const counters = NodeHttp.serve(listener, createServer(yield* listenerOf(app)))
    return { ...both, counters, client: both.client }
  })

const within = (body: Effect.Effect<void, unknown, Scope.Scope>): Promise<void> => run(Effect.orDie(body))

for (const app of APPS) {
  describe(`http on the stack, by ${app}`, () => {
    test("one connection, requests in turn: answered on it, lengths and types right", () =>
      within(
        Effect.gen(function* () {
          const both = yield* serving(app)
          const { send, until } = yield* dial(both)
          for (let n = 0; n < 3; n++) {
            yield* send("GET / HTTP/1.1\nHost: a\n\n")
            const answer = yield* until((got) => got.endsWith("</html>\n"))
            expect(answer).toStartWith("HTTP/1.1 200 OK\r\n")
            expect(answer).toMatch(/^content-type: text\/html; charset=utf-8\r$/im)
            const [head = "", body = ""] = answer.split("\r\n\r\n")
            expect(head).toMatch(new RegExp(`^content-length: ${body.length}\r?$`, "im"))
          }
          expect(both.counters).toMatchObject({ connections: 1, open: 1 })
        }),
      ))

    test("requests sent ahead, the first slow: answers in the order of the requests", () =>
      within(
        Effect.gen(function* () {
          const { send, until } = yield* dial(yield* serving(app))
          yield* send(
            "GET /slow?ms=20 HTTP/1.1\nHost: a\n\nGET /slow?ms=0 HTTP/1.1\nHost: a\n\nGET /none HTTP/1.1\nHost: a\n\n",
          )
          const answers = yield* until((got) => got.includes("no such page"))
          expect([...answers.matchAll(/^after \d+ ms|^no such page/gm)].map(([found]) => found)).toEqual([
            "after 20 ms",
            "after 0 ms",
            "no such page",
          ])
        }),
      ))

    test("the file: 1 MiB, whole; with its own tag: 304; HEAD: the length alone", () =>
      within(
        Effect.gen(function* () {
          const { send, until } = yield* dial(yield* serving(app))
          yield* send("HEAD /file HTTP/1.1\nHost: a\n\n")
          const head = yield* until((got) => got.endsWith("\r\n\r\n"))
          expect(head).toMatch(/^content-length: 1048576\r$/im)
          const etag = /^etag: (.*)\r$/im.exec(head)?.[1] ?? ""
          expect(etag).toMatch(/^"[0-9a-f]{32}"$/)
          yield* send(`GET /file HTTP/1.1\nHost: a\nIf-None-Match: "other", ${etag}\n\n`)
          expect(yield* until((got) => got.endsWith("\r\n\r\n"))).toStartWith("HTTP/1.1 304 ")
          yield* send("GET /file HTTP/1.1\nHost: a\nConnection: close\n\n")
          const answer = yield* until(() => false)
          const body = Buffer.from(answer.slice(answer.indexOf("\r\n\r\n") + 4, -"<end>".length), "latin1")
          expect(body.length).toBe(FILE_LENGTH)
          expect(Bun.SHA256.hash(body)).toEqual(Bun.SHA256.hash(file()))
        }),
      ))

    test("HTTP/1.0 with keep-alive: kept; without: closed", () =>
      within(
        Effect.gen(function* () {
          const { send, until } = yield* dial(yield* serving(app))
          yield* send("GET /none HTTP/1.0\nConnection: Keep-Alive\n\n")
          expect(yield* until((got) => got.endsWith("ms=1000\n"))).toMatch(/^connection: keep-alive\r$/im)
          yield* send("GET /none HTTP/1.0\n\n")
          expect(yield* until(() => false)).toEndWith("ms=1000\n<end>")
        }),
      ))

    test("another method: 405 and which are allowed; no HTTP at all: 400 and the end", () =>
      within(
        Effect.gen(function* () {
          const both = yield* serving(app)
          const { send, until } = yield* dial(both)
          yield* send("POST / HTTP/1.1\nHost: a\nContent-Length: 1\n\nx")
          const answer = yield* until((got) => got.includes("only GET"))
          expect(answer).toStartWith("HTTP/1.1 405 ")
          expect(answer).toMatch(/^allow: GET, HEAD\r$/im)
          const other = yield* dial(both)
          yield* other.send("\u0001\u0002 nonsense\n\n")
          expect(yield* other.until(() => false)).toBe("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<end>")
        }),
      ))

    test("a client that resets while it waits: its connection is gone, the others are served", () =>
      within(
        Effect.gen(function* () {
          const both = yield* serving(app)
          const rude = yield* dial(both)
          yield* rude.send("GET /slow?ms=30000 HTTP/1.1\nHost: a\n\n")
          yield* settle(50)
          yield* rude.connection.abort
          const { send, until } = yield* dial(both)
          yield* send("GET /slow?ms=0 HTTP/1.1\nHost: a\n\n")
          expect(yield* until((got) => got.includes("after 0 ms"))).toStartWith("HTTP/1.1 200 OK")
          yield* settle(50)
          expect(both.counters).toMatchObject({ connections: 2, open: 1 })
        }),
      ))
  })
}

describe("an HttpServer of @effect/platform", () => {
  const apps = {
    /** How much came, and its hash. */
    sum: Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      const hash = new Bun.CryptoHasher("sha256")
      yield* Stream.runForEach(request.stream, (bytes) => Effect.sync(() => hash.update(bytes)))
      return HttpServerResponse.unsafeJson({ hash: hash.digest("hex"), from: Option.getOrNull(request.remoteAddress) })
    }),
  }

  const served = <E>(
    app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, HttpServerRequest.HttpServerRequest>,
  ) =>
    Effect.gen(function* () {
      const both = yield* pair({ tcpRmem: [4096, 65536, 65536], tcpWmem: [4096, 65536, 65536] })
      const layer = HttpServer.serve(app).pipe(
        Layer.provide(NetfoldHttp.layer({ port: 80 })),
        Layer.provide(Layer.succeed(Stack, both.server)),
      )
      yield* Layer.build(layer)
      return both
    })

  for (const kind of ["counted", "chunked"]) {
    test(`a ${kind} body of 2 MiB: read whole, by who sent it`, () =>
      within(
        Effect.gen(function* () {
          const both = yield* served(apps.sum)
          const { connection, send, until } = yield* dial(both)
          const body = pattern(2 << 20)
          const [head, before, after] =
            kind === "counted"
              ? [`Content-Length: ${body.length}`, "", ""]
              : ["Transfer-Encoding: chunked", `${body.length.toString(16)}\n`, "\n0\n\n"]
          yield* send(`POST /sum HTTP/1.1\nHost: a\n${head}\n\n${before}`)
          yield* connection.write(body)
          yield* send(after)
          const answer = yield* until((got) => got.endsWith("}"))
          const hash = new Bun.CryptoHasher("sha256").update(body).digest("hex")
          expect(JSON.parse(answer.slice(answer.indexOf("{")))).toEqual({ hash, from: "10.0.0.2" })
        }),
      ))
  }

  test("a streamed answer that nobody reads: made only as far as there is room, and then on", () =>
    within(
      Effect.gen(function* () {
        let made = 0
        const chunks = Stream.repeatEffect(
          Effect.sync(() => {
            made++
            return pattern(16_384)
          }),
        ).pipe(Stream.take(256))
        const both = yield* served(Effect.succeed(HttpServerResponse.stream(chunks)))
        const { send, until } = yield* dial(both)
        yield* send("GET / HTTP/1.1\nHost: a\n\n")
        yield* settle(300)
        expect(made).toBeLessThan(64)
        const answer = yield* until((got) => got.endsWith("\r\n0\r\n\r\n"))
        expect(answer.length).toBeGreaterThan(256 * 16_384)
        expect(made).toBe(256)
      }),
    ))

  test("a client that hangs up: an interruptible handler is interrupted", () =>
    within(
      Effect.gen(function* () {
        const interrupted = yield* Deferred.make<void>()
        const app = Effect.interruptible(
          Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined)),
        )
        const { send, connection } = yield* dial(yield* served(app))
        yield* send("GET / HTTP/1.1\nHost: a\n\n")
        yield* settle(50)
        yield* connection.abort
        yield* Deferred.await(interrupted)
      }),
    ))

  test("a handler that fails: 500", () =>
    within(
      Effect.gen(function* () {
        const { send, until } = yield* dial(yield* served(Effect.fail("wanted by the test")))
        yield* send("GET / HTTP/1.1\nHost: a\nConnection: close\n\n")
        expect(yield* until(() => false)).toStartWith("HTTP/1.1 500 ")
      }),
    ))

  test("whose scope ends: connections end, the port refuses", () =>
    within(
      Effect.gen(function* () {
        const both = yield* pair()
        const client = yield* Effect.scoped(
          Effect.gen(function* () {
            yield* on(both.server)(
              Effect.flatMap(NetfoldHttp.make({ port: 80 }), (server) =>
                server.serve(Effect.succeed(HttpServerResponse.empty())),
              ),
            )
            const made = yield* on(both.client)(Tcp.connect({ host: SERVER, port: 80 }))
            yield* settle(20)
            return made.plain
          }),
        )
        yield* settle(50)
        expect(client.over).toBe(true)
        const again = yield* Effect.either(on(both.client)(Tcp.connect({ host: SERVER, port: 80 })))
        expect(Either.getOrThrow(Either.flip(again))).toBeInstanceOf(Tcp.ConnectionRefused)
      }),
    ))
})

describe("an answer of netfold http", () => {
  const status = (target: string, method = "GET"): number =>
    answerFor({ method, target, ifNoneMatch: undefined }).status
  const cases: ReadonlyArray<readonly [target: string, status: number]> = [
    ["/", 200],
    ["/?x", 200],
    ["/file", 200],
    ["/slow", 200],
    ["/slow?ms=30000", 200],
    ["/slow?ms=30001", 400],
    ["/slow?ms=-1", 400],
    ["/slow?ms=1e3", 400],
    ["/file/", 404],
    ["//", 404],
  ]
  for (const [target, wanted] of cases) test(`${target}: ${wanted}`, () => expect(status(target)).toBe(wanted))

  test("If-None-Match with a star or a weak tag: 304, no body", () => {
    const { headers } = answerFor({ method: "GET", target: "/file", ifNoneMatch: undefined })
    for (const ifNoneMatch of ["*", `W/${headers["etag"]}`, `"a", ${headers["etag"]}`]) {
      const answer = answerFor({ method: "GET", target: "/file", ifNoneMatch })
      expect([answer.status, answer.body.length]).toEqual([304, 0])
    }
  })
})

describe("netfold http over memory", () => {
  const children: Array<Child> = []
  afterAll(() => {
    for (const child of children) child.kill("SIGKILL")
  })

  for (const app of APPS) {
    let url = ""
    beforeAll(async () => {
      const port = await freePort()
      url = `http://127.0.0.1:${port}`
      const child = netfold(["http", "--app", app, "--port", String(port), "--json", "--no-control"])
      children.push(child)
      await child.line(/"message":"start"/)
    }, 30_000)

    test(`--app ${app}, fetched by the kernel's client: the page, the file, and 50 at once`, async () => {
      const own = url
      expect(await (await fetch(`${own}/`)).text()).toContain("<title>netfold</title>")
      const got = await (await fetch(`${own}/file`)).bytes()
      expect(Bun.SHA256.hash(got)).toEqual(Bun.SHA256.hash(file()))
      const many = await Promise.all(Array.from({ length: 50 }, () => fetch(`${own}/slow?ms=1`).then((r) => r.text())))
      expect(new Set(many)).toEqual(new Set(["after 1 ms\n"]))
    }, 30_000)
  }
})
