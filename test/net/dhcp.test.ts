import { describe, expect, test } from "bun:test"
import { Effect, Fiber, Stream } from "effect"
import { memoryPair } from "../../src/device/memory.ts"
import * as Dhcp from "../../src/net/Dhcp.ts"
import * as Tcp from "../../src/net/Tcp.ts"
import { Stack } from "../../src/runtime/stack.ts"
import { formatAddress } from "../../src/wire/addressText.ts"
import { on, run } from "./support.ts"

const SERVER = "198.18.0.1"

/** A stack that serves addresses, and one that has none yet. */
const world = (options: Dhcp.ServerOptions = {}) =>
  Effect.gen(function* () {
    const [near, far] = memoryPair()
    const server = yield* Stack.make({ interfaces: [{ device: near, addresses: [`${SERVER}/24`] }], closeGrace: 0 })
    const dhcp = yield* on(server)(Dhcp.server({ first: "198.18.0.50", nameServers: [SERVER], ...options }))
    const client = Stack.make({
      interfaces: [{ device: far, addresses: [], dhcp: { hostName: "lab" } }],
      closeGrace: "50 millis",
    })
    return { server, dhcp, client }
  })

describe("DHCP between two stacks", () => {
  test("a lease, and what came with it: an address, a route, a name server", () =>
    run(
      Effect.gen(function* () {
        const { server, dhcp, client } = yield* world()
        const stack = yield* client
        const lease = yield* on(stack)(Effect.timeout(Dhcp.leased(), "5 seconds"))
        expect(formatAddress(lease.address)).toBe("198.18.0.50")
        expect(stack.nameServers().map((address) => formatAddress(address))).toEqual([SERVER])
        expect(yield* dhcp.bindings).toMatchObject([{ hostName: "lab", state: "bound" }])

        const listener = yield* on(server)(Tcp.listen({ port: 7 }))
        yield* on(stack)(Tcp.connect({ host: SERVER, port: 7 }))
        const peer = yield* listener.accept
        expect(formatAddress(peer.remote.address)).toBe("198.18.0.50")
      }),
    ))

  test("a stack that ends gives its address back", () =>
    run(
      Effect.gen(function* () {
        const { dhcp, client } = yield* world()
        yield* Effect.scoped(
          Effect.gen(function* () {
            const stack = yield* client
            yield* on(stack)(Effect.timeout(Dhcp.leased(), "5 seconds"))
          }),
        )
        const given = Effect.map(dhcp.bindings, ({ length }) => length === 0)
        yield* Effect.repeat(Effect.zipRight(Effect.sleep("5 millis"), given), { until: (back) => back, times: 400 })
        expect(yield* dhcp.bindings).toEqual([])
      }),
    ))

  test("changes: none, an offer, a lease", () =>
    run(
      Effect.gen(function* () {
        const { dhcp, client } = yield* world()
        const seen = yield* Effect.fork(Stream.runCollect(Stream.take(dhcp.changes, 3)))
        yield* client
        const states = [...(yield* Fiber.join(seen))].map((bindings) => bindings.map(({ state }) => state))
        expect(states).toEqual([[], ["offered"], ["bound"]])
      }),
    ))

  test("a stack without a DHCP client: waiting for a lease is refused", () =>
    run(
      Effect.gen(function* () {
        const { server } = yield* world()
        expect((yield* Effect.flip(on(server)(Dhcp.leased()))).message).toContain("dhcp: true")
      }),
    ))

  test.each([
    ["a first address of another network", { first: "192.0.2.1" }, "first"],
    ["a last address before the first", { first: "198.18.0.9", last: "198.18.0.8" }, "last"],
    ["a lease of a second", { leaseSeconds: 1 }, "leaseSeconds"],
    ["a device that is not there", { device: "eth7" }, "device"],
  ] as const)("a server with %s: an invalid argument", (_, options, argument) =>
    run(
      Effect.gen(function* () {
        expect(yield* Effect.flip(world(options))).toMatchObject({ _tag: "InvalidArgument", argument })
      }),
    ),
  )
})
