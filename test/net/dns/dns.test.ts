import { describe, expect, test } from "bun:test"
import * as dns from "dns-packet"
import { Effect, Either, Stream } from "effect"
import * as Dns from "../../../src/net/Dns.ts"
import * as Tcp from "../../../src/net/Tcp.ts"
import * as Udp from "../../../src/net/Udp.ts"
import type { StackInterface } from "../../../src/runtime/stack.ts"
import { ipv6 } from "../../../src/wire/address.ts"
import { formatAddress } from "../../../src/wire/addressText.ts"
import { CLIENT, concat, on, pair, run, SERVER, string, text } from "../support.ts"

/** Long enough not to fit a datagram of 1232 octets. */
const MANY = Array.from({ length: 100 }, (_, n) => `192.0.2.${n}`)

/** Names of both families, of which the client reaches what is on its link, and nothing else. */
const DUAL: Readonly<Record<string, ReadonlyArray<string>>> = {
  "far6.example": ["2001:db8:9::1", "192.0.2.9", SERVER],
  "near6.example": ["192.0.2.9", SERVER, "2001:db8:9::1", "2001:db8:7::1"],
}

const answerTo = (question: Uint8Array, byTcp: boolean): Uint8Array => {
  const query = dns.decode(Buffer.from(question))
  const [asked] = query.questions ?? []
  if (asked === undefined) throw new Error("no question")
  const record = (data: string, type: "A" | "AAAA" = "A"): dns.Answer => ({
    name: asked.name,
    type,
    ttl: 60,
    class: "IN",
    data,
  })
  const base: dns.Packet = { type: "response", id: query.id ?? 0, questions: [asked] }
  if (asked.name === "www.example") return dns.encode({ ...base, answers: [record(SERVER)] })
  const both = DUAL[asked.name]
  if (both !== undefined) {
    const data = both.filter((address) => address.includes(":") === (asked.type === "AAAA"))
    const type = asked.type === "AAAA" ? "AAAA" : "A"
    return dns.encode({ ...base, answers: data.map((each) => record(each, type)) })
  }
  if (asked.name === "many.example") {
    return dns.encode(
      byTcp ? { ...base, answers: MANY.map((each) => record(each)) } : { ...base, flags: dns.TRUNCATED_RESPONSE },
    )
  }
  return dns.encode({ ...base, flags: 3 })
}

/** A name server on the server's stack, and a client that knows it. */
const worldOf = (network: Partial<StackInterface> = {}) =>
  Effect.gen(function* () {
    const stacks = yield* pair({}, undefined, { nameServers: [SERVER] }, network)
    const udp = yield* on(stacks.server)(Udp.bind({ port: 53 }))
    yield* Effect.forkScoped(
      Stream.runForEach(udp.stream, ({ payload, source }) => udp.send(answerTo(payload, false), source)),
    )
    const tcp = yield* on(stacks.server)(Tcp.listen({ port: 53 }))
    yield* Effect.forkScoped(
      tcp.run((peer) =>
        Stream.runForEach(peer.stream, (bytes) => {
          const message = answerTo(bytes.subarray(2), true)
          return peer.write(concat([Uint8Array.of(message.length >> 8, message.length), message]))
        }),
      ),
    )
    return stacks
  })
const world = worldOf()

describe("names", () => {
  test("lookup: the address that the stack's name server gives", () =>
    run(
      Effect.gen(function* () {
        const { client } = yield* world
        expect((yield* on(client)(Dns.lookup("www.example"))).map(formatAddress)).toEqual([SERVER])
      }),
    ))

  test("an answer that does not fit a datagram: by TCP", () =>
    run(
      Effect.gen(function* () {
        const { client } = yield* world
        expect((yield* on(client)(Dns.resolve("many.example", "A"))).map(formatAddress)).toEqual(MANY)
      }),
    ))

  test("connect by name: a connection with the host's address", () =>
    run(
      Effect.gen(function* () {
        const { client, server } = yield* world
        const listener = yield* on(server)(Tcp.listen({ port: 7 }))
        yield* Effect.forkScoped(listener.run((peer) => Stream.run(peer.stream, peer.sink)))
        const connection = yield* on(client)(Tcp.connect({ host: "www.example", port: 7 }))
        yield* connection.write(text("hello"))
        yield* connection.shutdown
        expect(Tcp.formatEndpoint(connection.remote)).toBe(`${SERVER}:7`)
        expect(string(concat(yield* Stream.runCollect(connection.stream)))).toBe("hello")
      }),
    ))

  test.each([
    ["a name that nobody has", "none.example", "HostNotFound"],
    ["an address with a mistake", "10.0.0.256", "InvalidArgument"],
    ["a name with a label that is too long", `${"a".repeat(64)}.example`, "ResolverFailed"],
  ] as const)("connect to %s: %s is %s", (_, host, tag) =>
    run(
      Effect.gen(function* () {
        const { client } = yield* world
        const result = yield* Effect.either(on(client)(Tcp.connect({ host, port: 7 })))
        expect(Either.isLeft(result) ? result.left._tag : "connected").toBe(tag)
      }),
    ),
  )

  test.each([
    ["IPv6 that no route leads to", "far6.example", [SERVER, "2001:db8:9::1", "192.0.2.9"]],
    ["IPv6 on the link", "near6.example", ["2001:db8:7::1", SERVER, "2001:db8:9::1", "192.0.2.9"]],
  ])("%s: in the order of RFC 6724, families by turns", (_, host, expected) =>
    run(
      Effect.gen(function* () {
        const { client } = yield* worldOf({ ipv6: "static", dadTransmits: 0 })
        client.network.addAddress(0, { address: ipv6(0x20010db8, 0x00070000, 0, 2), prefixLength: 64, detect: false })
        expect((yield* on(client)(Dns.lookup(host))).map(formatAddress)).toEqual(expected)
      }),
    ),
  )

  test("localhost: the stack itself, without asking", () =>
    run(
      Effect.gen(function* () {
        const { client } = yield* pair()
        expect((yield* on(client)(Dns.lookup("localhost"))).map(formatAddress)).toEqual([CLIENT])
      }),
    ))

  test("no name server: said at once, with the way out", () =>
    run(
      Effect.gen(function* () {
        const { client } = yield* pair()
        const error = yield* Effect.flip(on(client)(Dns.lookup("www.example")))
        expect(error.message).toContain("no name server is known")
      }),
    ))
})
