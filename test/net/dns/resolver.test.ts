import { describe, expect, test } from "bun:test"
import * as dns from "dns-packet"
import { Effect, Either, Fiber, TestClock, TestContext } from "effect"
import type { ResolveError } from "../../../src/net/dns/errors.ts"
import type { RecordType } from "../../../src/net/dns/message.ts"
import { type Exchange, makeResolver } from "../../../src/net/dns/resolver.ts"
import type { Endpoint, IpAddress } from "../../../src/wire/address.ts"
import { formatAddress, formatEndpoint, parseAddress } from "../../../src/wire/addressText.ts"
import { ip } from "../../wire/support.ts"

const SERVERS: ReadonlyArray<Endpoint> = [
  { address: ip("198.18.0.53"), port: 53 },
  { address: ip("198.18.0.54"), port: 53 },
]

/** What a server says to a question; undefined: nothing. */
type Says = (asked: {
  readonly name: string
  readonly type: string
  readonly by: "udp" | "tcp"
  readonly server: string
}) => (Partial<dns.Packet> & { readonly rcode?: number }) | undefined

const record = (name: string, type: RecordType, data: string, ttl: number): dns.Answer => ({
  name,
  type,
  data,
  ttl,
  class: "IN",
})
const alias = (name: string, data: string, ttl: number): dns.Answer => ({ name, type: "CNAME", data, ttl, class: "IN" })
const soa = (minimum: number, ttl = 3600): dns.Answer => ({
  name: "example",
  type: "SOA",
  ttl,
  class: "IN",
  data: { mname: "ns.example", rname: "root.example", serial: 1, refresh: 1, retry: 1, expire: 1, minimum },
})

/** A net of two servers that say the same, and what they were asked. */
const world = (says: Says) => {
  const asked: Array<string> = []
  const answer = (by: "udp" | "tcp", server: Endpoint, message: Uint8Array): Uint8Array | undefined => {
    const query = dns.decode(Buffer.from(message))
    const [one] = query.questions ?? []
    if (one === undefined) throw new Error("no question")
    asked.push(`${by} ${formatEndpoint(server)} ${one.type} ${one.name}`)
    const said = says({ name: one.name, type: one.type, by, server: formatEndpoint(server) })
    if (said === undefined) return undefined
    const { rcode = 0, flags = 0, ...rest } = said
    return dns.encode({ type: "response", id: query.id ?? 0, questions: [one], ...rest, flags: flags | rcode })
  }
  const exchange: Exchange = {
    udp: (server, message, accepts) =>
      Effect.suspend(() => {
        const bytes = answer("udp", server, message)
        return bytes === undefined || !accepts(bytes) ? Effect.never : Effect.succeed(bytes)
      }),
    tcp: (server, message) =>
      Effect.suspend(() => {
        const bytes = answer("tcp", server, message)
        return bytes === undefined ? Effect.fail({ why: "refused" }) : Effect.succeed(bytes)
      }),
  }
  return { asked, exchange }
}

type Ask = (name: string, type: RecordType) => Effect.Effect<ReadonlyArray<IpAddress>, ResolveError>

/** Runs in virtual time; the servers are asked three seconds each, twice around. */
const run = <A>(
  says: Says,
  program: (ask: Ask) => Effect.Effect<A>,
): Promise<{ readonly result: A; readonly asked: ReadonlyArray<string> }> => {
  const { asked, exchange } = world(says)
  let id = 0
  const all = Effect.gen(function* () {
    const ask = yield* makeResolver({
      servers: Effect.succeed(SERVERS),
      timeout: "3 seconds",
      attempts: 2,
      capacity: 8,
      exchange,
      nextId: Effect.sync(() => ++id),
    })
    const fiber = yield* Effect.fork(program(ask))
    yield* TestClock.adjust("1 minute")
    return { result: yield* Fiber.join(fiber), asked }
  })
  return Effect.runPromise(Effect.provide(all, TestContext.TestContext))
}

const outcome = (ask: Effect.Effect<ReadonlyArray<IpAddress>, ResolveError>): Effect.Effect<string> =>
  Effect.map(Effect.either(ask), (result) =>
    Either.isRight(result)
      ? result.right.map((address) => formatAddress(address)).join(" ")
      : result.left._tag === "HostNotFound"
        ? `not found, ${result.left.why}, ${result.left.ttl} s`
        : `failed: ${result.left.reason}`,
  )

const one = (says: Says, type: RecordType = "A") => run(says, (ask) => outcome(ask("www.example", type)))

describe("resolver", () => {
  const rows: ReadonlyArray<readonly [string, Says, string]> = [
    [
      "two addresses",
      () => ({ answers: [record("www.example", "A", "192.0.2.1", 60), record("www.example", "A", "192.0.2.2", 60)] }),
      "192.0.2.1 192.0.2.2",
    ],
    ["a name in other letters", () => ({ answers: [record("WWW.Example.", "A", "192.0.2.1", 60)] }), "192.0.2.1"],
    [
      "an alias and its address",
      () => ({ answers: [alias("www.example", "host.example", 60), record("host.example", "A", "192.0.2.7", 60)] }),
      "192.0.2.7",
    ],
    [
      "an address of another name",
      () => ({ answers: [record("evil.example", "A", "192.0.2.66", 60)] }),
      "not found, RFC2308-2.2:NODATA, 60 s",
    ],
    ["no such name", () => ({ rcode: 3, authorities: [soa(300)] }), "not found, RFC1035-4.1.1:NXDOMAIN, 300 s"],
    [
      "no such name, its SOA is to be forgotten sooner",
      () => ({ rcode: 3, authorities: [soa(300, 20)] }),
      "not found, RFC1035-4.1.1:NXDOMAIN, 20 s",
    ],
    ["no addresses of this family", () => ({ authorities: [soa(100)] }), "not found, RFC2308-2.2:NODATA, 100 s"],
    ["SERVFAIL of both servers", () => ({ rcode: 2 }), "failed: RFC1035-4.1.1:SERVFAIL"],
    ["silence of both servers", () => undefined, "failed: 198.18.0.54:53 does not answer"],
    [
      "aliases in a circle",
      () => ({ answers: [alias("www.example", "a.example", 60), alias("a.example", "www.example", 60)] }),
      "not found, RFC2308-2.2:NODATA, 60 s",
    ],
  ]
  test.each(rows)("%s", async (_, says, expected) => {
    expect((await one(says)).result).toBe(expected)
  })

  test("AAAA: IPv6 addresses", async () => {
    const says: Says = () => ({ answers: [record("www.example", "AAAA", "2001:db8::7", 60)] })
    expect((await one(says, "AAAA")).result).toBe("2001:db8::7")
    expect(parseAddress("2001:db8::7")).toBeDefined()
  })

  test("an alias that the message does not resolve: asked for next", async () => {
    const { result, asked } = await one(({ name }) =>
      name === "www.example"
        ? { answers: [alias("www.example", "other.example", 60)] }
        : { answers: [record("other.example", "A", "192.0.2.9", 60)] },
    )
    expect(result).toBe("192.0.2.9")
    expect(asked).toEqual(["udp 198.18.0.53:53 A www.example", "udp 198.18.0.53:53 A other.example"])
  })

  test("aliases without end: given up", async () => {
    let n = 0
    const { result } = await one(({ name }) => ({ answers: [alias(name, `n${n++}.example`, 60)] }))
    expect(result).toBe("failed: its aliases lead nowhere")
  })

  test("the first server is silent: the second, after the time-out", async () => {
    const { result, asked } = await one(({ server }) =>
      server === "198.18.0.53:53" ? undefined : { answers: [record("www.example", "A", "192.0.2.1", 60)] },
    )
    expect(result).toBe("192.0.2.1")
    expect(asked).toEqual(["udp 198.18.0.53:53 A www.example", "udp 198.18.0.54:53 A www.example"])
  })

  test("a truncated answer: asked again by TCP", async () => {
    const { result, asked } = await one(({ by }) =>
      by === "udp" ? { flags: dns.TRUNCATED_RESPONSE } : { answers: [record("www.example", "A", "192.0.2.1", 60)] },
    )
    expect(result).toBe("192.0.2.1")
    expect(asked).toEqual(["udp 198.18.0.53:53 A www.example", "tcp 198.18.0.53:53 A www.example"])
  })

  test("an answer to another question is passed over (RFC 5452)", async () => {
    const { result } = await one(({ server }) => ({
      questions:
        server === "198.18.0.53:53"
          ? [{ type: "A", name: "other.example", class: "IN" }]
          : [{ type: "A", name: "www.example", class: "IN" }],
      answers: [record("www.example", "A", "192.0.2.1", 60)],
    }))
    expect(result).toBe("192.0.2.1")
  })

  test("the same name twice within its time: asked once; afterwards: again", async () => {
    const { asked } = await run(
      () => ({ answers: [record("www.example", "A", "192.0.2.1", 10)] }),
      (ask) =>
        Effect.gen(function* () {
          yield* outcome(ask("www.example", "A"))
          yield* outcome(ask("WWW.example.", "A"))
          yield* Effect.sleep("11 seconds")
          yield* outcome(ask("www.example", "A"))
        }),
    )
    expect(asked.length).toBe(2)
  })

  test("many at once: one question", async () => {
    const { asked } = await run(
      () => ({ answers: [record("www.example", "A", "192.0.2.1", 10)] }),
      (ask) =>
        Effect.all(
          Array.from({ length: 20 }, () => outcome(ask("www.example", "A"))),
          { concurrency: "unbounded" },
        ),
    )
    expect(asked.length).toBe(1)
  })

  test("no such name: remembered as long as its SOA says", async () => {
    const { asked } = await run(
      () => ({ rcode: 3, authorities: [soa(10)] }),
      (ask) =>
        Effect.gen(function* () {
          yield* outcome(ask("www.example", "A"))
          yield* Effect.sleep("9 seconds")
          yield* outcome(ask("www.example", "A"))
          yield* Effect.sleep("2 seconds")
          yield* outcome(ask("www.example", "A"))
        }),
    )
    expect(asked.length).toBe(2)
  })

  test("a failure of the servers is not remembered", async () => {
    let broken = true
    const { result } = await run(
      () => (broken ? { rcode: 2 } : { answers: [record("www.example", "A", "192.0.2.1", 10)] }),
      (ask) =>
        Effect.gen(function* () {
          const first = yield* outcome(ask("www.example", "A"))
          broken = false
          return [first, yield* outcome(ask("www.example", "A"))]
        }),
    )
    expect(result).toEqual(["failed: RFC1035-4.1.1:SERVFAIL", "192.0.2.1"])
  })

  test("a name with a label of 64 octets: refused without asking", async () => {
    const { result, asked } = await run(
      () => undefined,
      (ask) => outcome(ask(`${"a".repeat(64)}.example`, "A")),
    )
    expect(result).toBe("failed: it is not a host name (RFC1035-2.3.4)")
    expect(asked).toEqual([])
  })
})
