import { expect, test } from "bun:test"
import { readdirSync } from "node:fs"
import { Effect, Option } from "effect"
import { memoryPair, Stack, Tcp, WarmUp } from "../../src/index.ts"

const descriptors = (): number => readdirSync("/proc/self/fd").length

test("a warm-up beside a stack that serves: it ends, the stack has answered meanwhile, nothing is left open", async () => {
  const [near, far] = memoryPair()
  const program = Effect.gen(function* () {
    const server = yield* Stack.make({ interfaces: [{ device: far, addresses: ["198.18.0.2/24"] }] })
    const client = yield* Stack.make({ interfaces: [{ device: near, addresses: ["198.18.0.1/24"] }] })
    const listener = yield* Effect.provideService(Tcp.listen({ port: 8080 }), Stack, server)
    listener.onConnection((connection) => connection.on({ onData: (each, bytes) => void each.tryWrite(bytes) }))
    // What a thread opens once, and keeps: its poller.
    yield* Effect.provideService(WarmUp.run, Stack, server)
    const before = descriptors()
    const warming = yield* Effect.fork(Effect.provideService(WarmUp.run, Stack, server))
    const connection = yield* Effect.provideService(Tcp.connect({ host: "198.18.0.2", port: 8080 }), Stack, client)
    yield* connection.write(new TextEncoder().encode("meanwhile"))
    const answer = Option.getOrThrow(yield* connection.read)
    expect(warming.unsafePoll()).toBeNull()
    yield* warming
    expect(descriptors()).toBe(before)
    expect(server.tcpCounters["PassiveOpens"]).toBe(1)
    return answer
  })
  const answer = await Effect.runPromise(Effect.scoped(program))
  expect(new TextDecoder().decode(answer)).toBe("meanwhile")
}, 60_000)

test("NETFOLD_WARM_UP is false, as in all tests: there is none", async () => {
  const [near] = memoryPair()
  const program = Effect.gen(function* () {
    const stack = yield* Stack.make({ interfaces: [{ device: near, addresses: ["198.18.0.2/24"] }] })
    // It would have to wait for its connections.
    Effect.runSync(Effect.provideService(WarmUp.configured, Stack, stack))
  })
  await Effect.runPromise(Effect.scoped(program))
})
