import { expect, test } from "bun:test"
import { Effect, Either, TestContext } from "effect"
import * as Tcp from "../../src/net/Tcp.ts"
import { on, pair, run, SERVER, settle, text } from "./support.ts"

const CLIENTS = 64

/** Under a clock that stands still: whoever has to be sent anything again is never served. */
const served = (settings: Parameters<typeof pair>[0], take: boolean) =>
  run(
    Effect.gen(function* () {
      const both = yield* pair(settings)
      const listener = yield* on(both.server)(Tcp.listen({ port: 80, backlog: 4 }))
      if (take) listener.onConnection((connection) => connection.tryWrite(text("hello")))
      // Link addresses are known before the crowd comes: only three packets wait for one.
      const first = Tcp.connectPlain(both.client, { host: SERVER, port: 80 }, {})
      yield* settle()
      if (Either.isRight(first)) first.right.abort()
      yield* settle()
      let answers = 0
      for (let n = 0; n < CLIENTS; n++) {
        Tcp.connectPlain(both.client, { host: SERVER, port: 80 }, { onData: () => answers++ })
      }
      yield* settle()
      return { answers, overflows: both.server.tcpCounters["ListenOverflows"] ?? 0 }
    }).pipe(Effect.provide(TestContext.TestContext)),
  )

test("backlog 4, 64 clients at once, an application that accepts: all are served, none is sent away", async () => {
  expect(await served({}, true)).toEqual({ answers: CLIENTS, overflows: 0 })
})

test("backlog 4, 64 clients at once, cookies for all: served too", async () => {
  expect(await served({ tcpSyncookies: 2 }, true)).toEqual({ answers: CLIENTS, overflows: 0 })
})

test("backlog 4, 64 clients at once, an application that does not accept: overflows, as always", async () => {
  const { answers, overflows } = await served({}, false)
  expect(answers).toBe(0)
  expect(overflows).toBeGreaterThan(0)
})
