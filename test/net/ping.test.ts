import { describe, expect, test } from "bun:test"
import { Chunk, Effect, Stream } from "effect"
import { eventText, headingText, statisticsText, timeText } from "../../src/cli/pingText.ts"
import { hopText } from "../../src/cli/traceroute.ts"
import * as Ping from "../../src/net/Ping.ts"
import * as Traceroute from "../../src/net/Traceroute.ts"
import { ipv4, ipv6 } from "../../src/wire/address.ts"
import { on, pair, run, SERVER } from "./support.ts"

const NOBODY = "10.0.0.99"

const pinged = (options: Ping.PingOptions) =>
  Effect.gen(function* () {
    const { client } = yield* pair()
    return Chunk.toReadonlyArray(yield* on(client)(Stream.runCollect(Ping.ping(options))))
  })

describe("ping", () => {
  test("three requests: a reply to each", () =>
    run(
      Effect.gen(function* () {
        const events = yield* pinged({ host: SERVER, count: 3, interval: 1 })
        // A slow machine may send the next before it sees the answer.
        const of = (wanted: number) => events.filter(({ sequence }) => sequence === wanted).map(({ _tag }) => _tag)
        expect([1, 2, 3].map(of)).toEqual(new Array(3).fill(["Sent", "Reply"]))
        const [reply] = events.filter(({ _tag }) => _tag === "Reply")
        expect(reply).toMatchObject({ size: 56, ttl: 64, duplicate: false, damaged: false })
      }),
    ))

  test("nobody answers: timed out", () =>
    run(
      Effect.gen(function* () {
        const events = yield* pinged({ host: NOBODY, count: 1, timeout: 20 })
        expect(events).toEqual([
          { _tag: "Sent", sequence: 1 },
          { _tag: "TimedOut", sequence: 1 },
        ])
      }),
    ))

  test.each([
    [{ host: "nobody" }, "InvalidArgument"],
    [{ host: SERVER, size: 65_508 }, "InvalidArgument"],
    [{ host: SERVER, count: 0 }, "InvalidArgument"],
    [{ host: SERVER, ttl: 0 }, "InvalidArgument"],
  ])("with %j: %s", (options, tag) =>
    run(
      Effect.gen(function* () {
        expect(yield* Effect.flip(pinged(options))).toMatchObject({ _tag: tag })
      }),
    ),
  )

  test("nowhere: each request says why it did not leave", () =>
    run(
      Effect.gen(function* () {
        const events = yield* pinged({ host: "192.0.2.1", count: 2, interval: 1 })
        expect(events).toMatchObject([
          { _tag: "NotSent", sequence: 1, error: { _tag: "NetworkUnreachable" } },
          { _tag: "NotSent", sequence: 2, error: { _tag: "NetworkUnreachable" } },
        ])
      }),
    ))
})

describe("the statistics of ping", () => {
  const from = ipv4(0x0a000001)
  const reply = (sequence: number, rtt: number, duplicate = false): Ping.PingEvent => ({
    _tag: "Reply",
    sequence,
    from,
    size: 56,
    ttl: 64,
    rtt,
    duplicate,
    damaged: false,
  })
  const events: ReadonlyArray<Ping.PingEvent> = [
    { _tag: "Sent", sequence: 1 },
    reply(1, 1000),
    { _tag: "Sent", sequence: 2 },
    reply(2, 3000),
    reply(2, 5000, true),
    { _tag: "Sent", sequence: 3 },
    { _tag: "TimedOut", sequence: 3 },
  ]
  const statistics = Ping.statisticsOf(events.reduce(Ping.withEvent, Ping.noSums))

  test("as iputils has them: duplicates count in the times, not in what was received", () => {
    expect(statistics).toMatchObject({ transmitted: 3, received: 2, duplicates: 1, errors: 0 })
    expect(statistics.loss).toBeCloseTo(33.333, 2)
    expect(statistics.rtt).toMatchObject({ min: 1000, average: 3000, max: 5000 })
    expect(statistics.rtt?.deviation).toBeCloseTo(Math.sqrt(8 / 3) * 1000, 6)
  })

  test("as text", () => {
    expect(statisticsText(SERVER, statistics, 2_003_400)).toEqual([
      "",
      `--- ${SERVER} ping statistics ---`,
      "3 packets transmitted, 2 received, +1 duplicates, 33.3333% packet loss, time 2003ms",
      "rtt min/avg/max/mdev = 1.000/3.000/5.000/1.633 ms",
    ])
    expect(headingText("www.example", ipv4(0x0a000001), 56)).toBe("PING www.example (10.0.0.1) 56(84) bytes of data.")
    expect(headingText("www.example", ipv6(0x20010db8, 0, 0, 1), 56)).toBe(
      "PING www.example(2001:db8::1) 56 data bytes",
    )
    expect(events.map(eventText)).toEqual([
      undefined,
      "64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=1.00 ms",
      undefined,
      "64 bytes from 10.0.0.1: icmp_seq=2 ttl=64 time=3.00 ms",
      "64 bytes from 10.0.0.1: icmp_seq=2 ttl=64 time=5.00 ms (DUP!)",
      undefined,
      "no answer yet for icmp_seq=3",
    ])
  })

  test("without a reply: no times", () => {
    const none = Ping.statisticsOf({ ...Ping.noSums, transmitted: 1 })
    expect([none.loss, none.rtt]).toEqual([100, undefined])
    expect(statisticsText(SERVER, none, 0)).toHaveLength(3)
  })

  test.each([
    [45, "0.045"],
    [1234, "1.23"],
    [12_345, "12.3"],
    [123_456, "123"],
  ])("%i us is shown as %s ms", (micros, expected) => {
    expect(timeText(micros)).toBe(expected)
  })
})

describe("traceroute", () => {
  const traced = (options: Traceroute.TracerouteOptions) =>
    Effect.gen(function* () {
      const { client } = yield* pair()
      return Chunk.toReadonlyArray(yield* on(client)(Stream.runCollect(Traceroute.traceroute(options))))
    })

  test.each(["udp", "icmp"] as const)("by %s to a neighbour: one hop, which is the last", (method) =>
    run(
      Effect.gen(function* () {
        const hops = yield* traced({ host: SERVER, method })
        expect(hops).toMatchObject([{ ttl: 1, isLast: true }])
        expect(hops[0]?.probes).toHaveLength(3)
        for (const probe of hops[0]?.probes ?? [])
          expect(probe).toMatchObject({ _tag: "Answer", from: { d: 0x0a000001 } })
      }),
    ),
  )

  test("to nobody: silence, up to the last hop", () =>
    run(
      Effect.gen(function* () {
        const hops = yield* traced({ host: NOBODY, maxHops: 2, queries: 1, timeout: 10 })
        expect(hops).toEqual([
          { ttl: 1, probes: [{ _tag: "Silence" }], isLast: false },
          { ttl: 2, probes: [{ _tag: "Silence" }], isLast: false },
        ])
      }),
    ))

  test("a hop as text: an address is named when it changes, marks say what stopped a probe", () => {
    const probe = (d: number, rtt: number, problem?: Traceroute.IcmpProblem): Traceroute.Probe => ({
      _tag: "Answer",
      from: ipv4(d),
      rtt,
      ...(problem === undefined ? {} : { problem }),
    })
    const at = (ttl: number, ...probes: ReadonlyArray<Traceroute.Probe>): string =>
      hopText({ ttl, probes, isLast: false })
    expect(at(1, probe(0x0a000001, 120), probe(0x0a000001, 50), probe(0x0a000001, 40))).toBe(
      " 1  10.0.0.1  0.120 ms  0.050 ms  0.040 ms",
    )
    expect(at(12, { _tag: "Silence" }, probe(0x0a000001, 1000, "HostUnreachable"), probe(0x0a000002, 2000))).toBe(
      "12  *  10.0.0.1  1.000 ms !H  10.0.0.2  2.000 ms",
    )
  })
})
