import { describe, expect, test } from "bun:test"
import { Effect, Schema } from "effect"
import { memoryPair } from "../../src/device/memory.ts"
import * as Dhcp from "../../src/net/Dhcp.ts"
import * as Inspect from "../../src/net/Inspect.ts"
import * as Udp from "../../src/net/Udp.ts"
import { Stack } from "../../src/runtime/stack.ts"
import { ipv4, UNSPECIFIED4 } from "../../src/wire/address.ts"
import { parseAddress } from "../../src/wire/addressText.ts"
import { CLIENT, on, pair, run, SERVER, settle, text } from "./support.ts"

const address = (written: string) => parseAddress(written) ?? UNSPECIFIED4
const HOUR = 3_600_000_000

describe("what ip shows of a stack", () => {
  test("addresses: scope, broadcast, lifetimes in seconds, none where they are for ever", () =>
    run(
      Effect.gen(function* () {
        const { client } = yield* pair({}, undefined, {}, { ipv6: "static", dadTransmits: 0 })
        const now = client.network.now()
        client.network.addAddress(0, {
          address: address("2001:db8::2"),
          prefixLength: 64,
          preferredUntil: now + HOUR,
          validUntil: now + 2 * HOUR,
        })
        yield* settle()
        const [shown, ...more] = yield* Inspect.interfaces(client)
        expect(more).toEqual([])
        expect(shown).toMatchObject({ index: 1, layer: "ethernet", mtu: 1500 })
        expect(shown?.addresses).toMatchObject([
          {
            family: 4,
            address: CLIENT,
            prefixLength: 24,
            broadcast: "10.0.0.255",
            scope: "global",
            state: "preferred",
          },
          { family: 6, scope: "link", origin: "link-local", prefixLength: 64 },
          { family: 6, address: "2001:db8::2", scope: "global", origin: "static" },
        ])
        const [static4, linkLocal, timed] = shown?.addresses ?? []
        expect([static4?.valid, static4?.preferred, linkLocal?.valid]).toEqual([undefined, undefined, undefined])
        // Whole seconds that are left, and some of the first may be gone.
        expect(timed?.preferred).toBeWithin(3590, 3601)
        expect(timed?.valid).toBeWithin(7190, 7201)
        expect(linkLocal?.address).toStartWith("fe80::")
        expect(linkLocal?.address).not.toContain("%")
      }),
    ))

  test("routes: an address's own and those given, networks without host bits, the default first", () =>
    run(
      Effect.gen(function* () {
        const { client } = yield* pair()
        const via = address(SERVER)
        client.network.addRoute({ prefix: ipv4(0), prefixLength: 0, via, interface: 0, metric: 7 })
        expect(yield* Inspect.routes(client)).toMatchObject([
          { prefix: "0.0.0.0", prefixLength: 0, via: SERVER, protocol: "static", metric: 7 },
          { prefix: "10.0.0.0", prefixLength: 24, protocol: "kernel", source: CLIENT, metric: 0 },
        ])
      }),
    ))

  test("a lease: its route is DHCP's, its address dynamic and its lifetime the lease's", () =>
    run(
      Effect.gen(function* () {
        const [near, far] = memoryPair()
        const server = yield* Stack.make({ interfaces: [{ device: near, addresses: [`${SERVER}/24`] }], closeGrace: 0 })
        yield* on(server)(Dhcp.server({ first: "10.0.0.50", leaseSeconds: 600 }))
        const client = yield* Stack.make({ interfaces: [{ device: far, addresses: [], dhcp: true }], closeGrace: 0 })
        yield* on(client)(Effect.timeout(Dhcp.leased(), "5 seconds"))
        client.network.addRoute({ prefix: ipv4(0), prefixLength: 0, via: address("10.0.0.9"), interface: 0, metric: 9 })
        expect(yield* Inspect.routes(client)).toMatchObject([
          { prefix: "0.0.0.0", via: SERVER, protocol: "dhcp" },
          { prefix: "0.0.0.0", via: "10.0.0.9", protocol: "static" },
          { prefix: "10.0.0.0", protocol: "kernel", source: "10.0.0.50" },
        ])
        const [shown] = yield* Inspect.interfaces(client)
        expect(shown?.addresses).toMatchObject([{ address: "10.0.0.50", origin: "dynamic" }])
        expect(shown?.addresses[0]?.valid).toBeWithin(590, 601)
      }),
    ))

  test("neighbours: one that answers, one that does not", () =>
    run(
      Effect.gen(function* () {
        const { client } = yield* pair()
        const socket = yield* on(client)(Udp.bind({}))
        for (const host of [SERVER, "10.0.0.9"]) yield* socket.send(text("x"), { address: address(host), port: 9 })
        yield* settle()
        const rows = yield* Inspect.neighbours(client)
        expect(rows).toMatchObject([
          { family: 4, address: SERVER, state: "REACHABLE", router: false, mac: expect.stringMatching(/^02:/) },
          { family: 4, address: "10.0.0.9", state: "INCOMPLETE", router: false },
        ])
        expect(rows[1]).not.toHaveProperty("mac")
      }),
    ))

  test("all of it survives JSON and its schema", () =>
    run(
      Effect.gen(function* () {
        const { client } = yield* pair({}, undefined, {}, { ipv6: "static" })
        const all = { interfaces: yield* Inspect.interfaces(client), routes: yield* Inspect.routes(client) }
        const schema = Schema.Struct({
          interfaces: Schema.Array(Inspect.InterfaceRow),
          routes: Schema.Array(Inspect.RouteRow),
        })
        expect(Schema.decodeUnknownSync(Schema.parseJson(schema))(JSON.stringify(all))).toEqual(all)
      }),
    ))
})
