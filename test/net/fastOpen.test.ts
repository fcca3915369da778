import { describe, expect, test } from "bun:test"
import { Effect, Stream } from "effect"
import { memoryPair, Stack, Tcp } from "../../src/index.ts"

const octets = (text: string) => new TextEncoder().encode(text)

const exchange = (text: string, client: typeof Stack.Service) =>
  Effect.scoped(
    Effect.gen(function* () {
      const connection = yield* Tcp.connect({ host: "198.18.0.2", port: 7, fastOpen: octets(text) })
      yield* connection.shutdown
      return yield* Stream.mkString(Stream.decodeText(connection.stream))
    }).pipe(Effect.provideService(Stack, client)),
  )

describe("Tcp, fast open", () => {
  test("connect with early data, twice: the second SYN carries it", () =>
    Effect.gen(function* () {
      const [near, far] = memoryPair()
      const settings = { tcpFastopen: 3 }
      const client = yield* Stack.make({ interfaces: [{ device: near, addresses: ["198.18.0.1/24"] }], settings })
      const server = yield* Stack.make({ interfaces: [{ device: far, addresses: ["198.18.0.2/24"] }], settings })
      const listener = yield* Tcp.listen({ port: 7, fastOpen: 8 }).pipe(Effect.provideService(Stack, server))
      yield* Effect.forkScoped(listener.run((peer) => Stream.run(peer.stream, peer.sink)))

      expect(yield* exchange("first", client)).toBe("first")
      expect(client.tcpCounters["TCPFastOpenActive"]).toBe(0)
      expect(yield* exchange("second", client)).toBe("second")
      expect(client.tcpCounters["TCPFastOpenActive"]).toBe(1)
      expect(server.tcpCounters["TCPFastOpenPassive"]).toBe(1)
    }).pipe(Effect.scoped, Effect.runPromise))

  test("connect with early data, fast open off: the data follows the handshake", () =>
    Effect.gen(function* () {
      const [near, far] = memoryPair()
      const settings = { tcpFastopen: 0 }
      const client = yield* Stack.make({ interfaces: [{ device: near, addresses: ["198.18.0.1/24"] }], settings })
      const server = yield* Stack.make({ interfaces: [{ device: far, addresses: ["198.18.0.2/24"] }] })
      const listener = yield* Tcp.listen({ port: 7 }).pipe(Effect.provideService(Stack, server))
      yield* Effect.forkScoped(listener.run((peer) => Stream.run(peer.stream, peer.sink)))

      expect(yield* exchange("late", client)).toBe("late")
      expect(client.tcpCounters["TCPFastOpenCookieReqd"]).toBe(0)
    }).pipe(Effect.scoped, Effect.runPromise))
})
