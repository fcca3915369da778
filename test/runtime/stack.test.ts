import { describe, expect, test } from "bun:test"
import { ConfigProvider, Duration, Effect, Exit, Fiber, Metric, Scope, TestClock, TestContext } from "effect"
import { type Device, NO_OFFLOAD } from "../../src/device/device.ts"
import { memoryPair } from "../../src/device/memory.ts"
import { fromConfig } from "../../src/net/Settings.ts"
import * as Tcp from "../../src/net/Tcp.ts"
import { InvalidArgument } from "../../src/runtime/errors.ts"
import * as Metrics from "../../src/runtime/metrics.ts"
import { Stack } from "../../src/runtime/stack.ts"
import { defaultSettings, freebsd } from "../../src/tcp/settings.ts"
import { CLIENT, on, pair, run, SERVER, settle, text } from "../net/support.ts"

/** Counts the calls of one method. */
const counting = (device: Device, method: keyof Device): { readonly device: Device; readonly calls: () => number } => {
  let calls = 0
  return {
    calls: () => calls,
    device: new Proxy(device, {
      get: (target, key) => {
        const value = Reflect.get(target, key, target)
        if (key === method) calls++
        return typeof value === "function" ? value.bind(target) : value
      },
    }),
  }
}

describe("a stack", () => {
  test("with nothing to do stops polling, and a frame wakes it", () =>
    run(
      Effect.gen(function* () {
        const [left, right] = memoryPair()
        const polled = counting(left, "receive")
        const make = (device: Device, address: string) =>
          Stack.make({
            interfaces: [{ device, addresses: [`${address}/24`] }],
            settings: { ipUnprivilegedPortStart: 0 },
            closeGrace: 0,
          })
        const server = yield* make(polled.device, SERVER)
        const client = yield* make(right, CLIENT)
        yield* settle(300)
        const idle = polled.calls()
        yield* settle(300)
        expect(polled.calls()).toBe(idle)
        yield* on(server)(Tcp.listen({ port: 7 }))
        yield* on(client)(Tcp.connect({ host: SERVER, port: 7 }))
        expect(polled.calls()).toBeGreaterThan(idle)
        yield* settle(300)
        const after = polled.calls()
        yield* settle(300)
        expect(polled.calls()).toBe(after)
      }),
    ))

  for (const { busyPoll, goesOn } of [
    { busyPoll: Duration.infinity, goesOn: true },
    { busyPoll: Duration.millis(20), goesOn: false },
  ]) {
    test(`with busyPoll of ${Duration.format(busyPoll)}: a frame has it look for more, ${goesOn ? "and never sleep" : "until the time is over"}`, () =>
      run(
        Effect.gen(function* () {
          const [left, right] = memoryPair()
          const polled = counting(left, "receive")
          yield* Stack.make({
            interfaces: [{ device: polled.device, addresses: [`${SERVER}/24`] }],
            busyPoll,
          })
          const before = polled.calls()
          right.reserve(60)?.fill(0xff)
          right.commit(60, NO_OFFLOAD)
          right.flush()
          yield* settle(300)
          const busy = polled.calls()
          expect(busy).toBeGreaterThan(goesOn ? before + 200 : before)
          // Longer than the shorter of the two, however slow a turn is.
          yield* Effect.promise(() => Bun.sleep(30))
          const later = polled.calls()
          yield* settle(300)
          if (goesOn) expect(polled.calls()).toBeGreaterThan(later + 200)
          else expect(polled.calls()).toBe(later)
        }),
      ))
  }

  test("sends what several writes of one turn leave as few segments", () =>
    run(
      Effect.gen(function* () {
        const { server, client, devices } = yield* pair()
        const listener = yield* on(server)(Tcp.listen({ port: 7 }))
        const connection = yield* on(client)(Tcp.connect({ host: SERVER, port: 7, noDelay: true }))
        const accepted = yield* listener.accept
        yield* settle()
        const before = devices[1].counters.txPackets
        for (let i = 0; i < 100; i++) yield* connection.write(text("x"))
        yield* settle()
        expect((yield* accepted.status)?.recvQ).toBe(100)
        expect(devices[1].counters.txPackets - before).toBe(1)
      }),
    ))

  test("whose peer never answers gives up by its own timers, driven by TestClock", () =>
    Effect.runPromise(
      Effect.gen(function* () {
        const [near] = memoryPair()
        const stack = yield* Stack.make({ interfaces: [{ device: near, addresses: [`${CLIENT}/24`] }], closeGrace: 0 })
        const connecting = yield* Effect.fork(Effect.flip(on(stack)(Tcp.connect({ host: SERVER, port: 7 }))))
        yield* settle(5)
        yield* TestClock.adjust("5 minutes")
        yield* settle(5)
        expect(["HostUnreachable", "ConnectionTimedOut"]).toContain((yield* Fiber.join(connecting))._tag)
      }).pipe(Effect.scoped, Effect.provide(TestContext.TestContext)),
    ))

  test("that ends by its scope sends FINs, closes its devices and answers no more calls", () =>
    run(
      Effect.gen(function* () {
        const { server, devices } = yield* pair()
        const listener = yield* on(server)(Tcp.listen({ port: 7 }))
        const scope = yield* Scope.make()
        const [, device] = devices
        const extra = yield* Scope.extend(pair(), scope)
        const held = yield* on(extra.server)(Scope.extend(Tcp.listen({ port: 7 }), scope))
        const client = yield* on(extra.client)(Scope.extend(Tcp.connect({ host: SERVER, port: 7 }), scope))
        const { plain } = yield* Scope.extend(held.accept, scope)
        let closed = false
        plain.on({
          onReadable: () => {},
          onClose: () => {
            closed = true
          },
        })
        yield* Scope.close(scope, Exit.void)
        expect(closed).toBe(true)
        expect(client.plain.over).toBe(true)
        expect(extra.devices[0].reserve(60)).toBeUndefined()
        expect(device.reserve(60)).toBeDefined()
        expect(listener.address.port).toBe(7)
      }),
    ))

  test("made with nonsense says what is wrong", () =>
    run(
      Effect.gen(function* () {
        const [device] = memoryPair()
        const address = yield* Effect.flip(Stack.make({ interfaces: [{ device, addresses: ["10.0.0.1"] }] }))
        expect(address).toBeInstanceOf(InvalidArgument)
        expect(address.message).toContain('"10.0.0.1"')
        const secret = yield* Effect.flip(Stack.make({ interfaces: [], secret: new Uint8Array(8) }))
        expect(secret.message).toContain("secret")
      }),
    ))

  test("brings its metrics up to date on demand", () =>
    run(
      Effect.gen(function* () {
        const { server, client } = yield* pair()
        yield* on(server)(Tcp.listen({ port: 7 }))
        yield* on(client)(Tcp.connect({ host: SERVER, port: 7 }))
        yield* on(client)(Metrics.update)
        const snapshot = yield* Metric.value(Metric.gauge("netfold_tcp_ActiveOpens"))
        expect(snapshot.value).toBe(1)
        expect(Metrics.stats(client)).toMatchObject({ connections: 1, retransmits: 0 })
      }),
    ))
})

describe("settings", () => {
  const env = (entries: Readonly<Record<string, string>>) => {
    const provider = ConfigProvider.fromMap(new Map(Object.entries(entries)), { pathDelim: "_" })
    return Effect.runSync(Effect.either(Effect.withConfigProvider(fromConfig, provider)))
  }

  test("without configuration are the defaults", () => {
    expect(env({})).toMatchObject({ _tag: "Right", right: defaultSettings })
  })

  test("come from names behind NETFOLD_", () => {
    expect(
      env({
        NETFOLD_PROFILE: "freebsd",
        NETFOLD_TCP_SYN_RETRIES: "3",
        NETFOLD_TCP_SACK: "false",
        NETFOLD_TCP_RMEM: "4096 8192 16384",
        NETFOLD_TIME_WAIT: "5 seconds",
      }),
    ).toMatchObject({
      _tag: "Right",
      right: {
        ...defaultSettings,
        profile: freebsd,
        tcpSynRetries: 3,
        tcpSack: false,
        tcpRmem: [4096, 8192, 16384],
        timeWait: 5_000_000,
      },
    })
  })

  test("that make no sense are refused", () => {
    for (const wrong of [
      { NETFOLD_PROFILE: "plan9" },
      { NETFOLD_TCP_SYNCOOKIES: "3" },
      { NETFOLD_TCP_RMEM: "1 2" },
      { NETFOLD_SOMAXCONN: "-1" },
    ]) {
      expect(env(wrong)._tag).toBe("Left")
    }
  })
})
