import { describe, expect, test } from "bun:test"
import { Effect, Option } from "effect"
import * as Tcp from "../../src/net/Tcp.ts"
import { CLIENT, on, pair, run, SERVER, string, text } from "./support.ts"

const PORT = 179
const ao = (peer: string, sendId: number, recvId: number) => ({ peer, key: "a secret", sendId, recvId })

describe("signed connections of an application", () => {
  const cases: ReadonlyArray<readonly [string, Partial<Tcp.ConnectOptions>, Tcp.ListenOptions]> = [
    [
      "TCP-MD5, one peer, one prefix",
      { md5: [{ peer: SERVER, key: "a secret" }] },
      { md5: [{ peer: "10.0.0.0/24", key: text("a secret") }] },
    ],
    ["TCP-AO", { ao: [ao(SERVER, 1, 2)] }, { ao: [ao(`${CLIENT}/32`, 2, 1)] }],
    ["TTL 255 and no less", { ttl: 255, minTtl: 255 }, { ttl: 255, minTtl: 255 }],
  ]
  for (const [name, client, server] of cases) {
    test(name, () =>
      run(
        Effect.gen(function* () {
          const stacks = yield* pair()
          const listener = yield* on(stacks.server)(Tcp.listen({ port: PORT, ...server }))
          const connection = yield* on(stacks.client)(Tcp.connect({ host: SERVER, port: PORT, ...client }))
          const accepted = yield* listener.accept
          yield* connection.write(text("hello"))
          expect(string(Option.getOrThrow(yield* accepted.read))).toBe("hello")
        }),
      ),
    )
  }

  test("a peer that signs with something else gets no answer", () =>
    run(
      Effect.gen(function* () {
        const stacks = yield* pair()
        const keys = (key: string) => ({ md5: [{ peer: "10.0.0.0/24", key }] })
        yield* on(stacks.server)(Tcp.listen({ port: PORT, ...keys("one") }))
        const attempt = Tcp.connect({ host: SERVER, port: PORT, ...keys("other"), timeout: "100 millis" })
        const error = yield* Effect.flip(on(stacks.client)(attempt))
        expect(error._tag).toBe("ConnectionTimedOut")
        expect(stacks.server.tcpCounters["TCPMD5Failure"]).toBe(1)
        expect(stacks.server.tcpCounters["OutSegs"]).toBe(0)
      }),
    ))

  const nonsense: ReadonlyArray<readonly [string, Tcp.ConnectionOptions, string, string]> = [
    ["81 octets of key", { md5: [{ peer: SERVER, key: "x".repeat(81) }] }, "md5", "80 octets, not 81"],
    ["an empty key", { md5: [{ peer: SERVER, key: "" }] }, "md5", "not 0"],
    ["a name for a peer", { md5: [{ peer: "router", key: "k" }] }, "md5", '"router" is neither'],
    ["a prefix of 33", { ao: [ao("10.0.0.0/33", 1, 1)] }, "ao", '"10.0.0.0/33" is neither'],
    ["both kinds", { md5: [{ peer: SERVER, key: "k" }], ao: [ao(SERVER, 1, 1)] }, "ao", "not both"],
    ["an id of 256", { ao: [ao(SERVER, 256, 1)] }, "ao", "0 to 255"],
    ["one id for two keys", { ao: [ao(SERVER, 1, 1), ao("10.0.0.0/8", 2, 1)] }, "ao", "share an id"],
    ["a key to begin with that is none", { ao: [ao(SERVER, 1, 1)], aoCurrent: 2 }, "ao", "sends as 2"],
    ["a TTL of 0", { ttl: 0 }, "ttl", "1 to 255"],
    ["a minimum TTL of 256", { minTtl: 256 }, "minTtl", "1 to 255"],
  ]
  for (const [name, options, argument, reason] of nonsense) {
    test(`nonsense says what is wrong: ${name}`, () =>
      run(
        Effect.gen(function* () {
          const stacks = yield* pair()
          const connect = on(stacks.client)(Tcp.connect({ host: SERVER, port: PORT, ...options }))
          const listen = on(stacks.client)(Tcp.listen({ port: PORT, ...options }))
          for (const error of [yield* Effect.flip(connect), yield* Effect.flip(listen)]) {
            expect(error).toBeInstanceOf(Tcp.InvalidArgument)
            expect(error).toMatchObject({ argument })
            expect(error.message).toContain(reason)
          }
        }),
      ))
  }
})
