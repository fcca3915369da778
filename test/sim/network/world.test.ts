import { describe, expect, test } from "bun:test"
import { bulk, sink } from "../../../src/sim/network/apps/bulk.ts"
import { echo, onOff, requests, responder } from "../../../src/sim/network/apps/talk.ts"
import { explain } from "../../../src/sim/network/explain.ts"
import { LogHash } from "../../../src/sim/network/hash.ts"
import type { LogEvent } from "../../../src/sim/network/log.ts"
import { World } from "../../../src/sim/network/world.ts"
import { B, PORT, pairSpec, SECOND, transfer } from "./scene.ts"

const LOSSY = {
  rate: 20_000_000,
  delay: 15_000,
  loss: 0.02,
  reorder: { probability: 0.02, distance: 3, delay: 5000 },
  duplicate: 0.01,
}

describe("a run", () => {
  test("the hash of its log, which is the same on every machine", () => {
    const run = transfer(200_000, { seed: 2026, there: LOSSY })
    run.world.run()
    expect(run.received).toMatchObject([{ octets: 200_000, intact: true, reason: "done" }])
    // Another one after every change of what TCP sends, and after no other.
    expect(run.hash.digest()).toBe("135a8551b2858799e872d7ac4546a842cf9fa44e51ffd4bbb17dcdcf593acd10")
  })

  test("with the same seed: the same; with another: another", () => {
    const digest = (seed: number): string => {
      const run = transfer(100_000, { seed, there: LOSSY })
      run.world.run()
      return run.hash.digest()
    }
    expect(digest(1)).toBe(digest(1))
    expect(digest(1)).not.toBe(digest(2))
  })

  test("in steps of a millisecond: the same as at once", () => {
    const whole = transfer(100_000, { there: LOSSY })
    whole.world.run()
    const steps = transfer(100_000, { there: LOSSY })
    for (let now = 1000; steps.world.run(now); now += 1000) {}
    expect(steps.hash.digest()).toBe(whole.hash.digest())
  })

  test("watched by more: the same log", () => {
    const seen: Array<LogEvent> = []
    const run = transfer(50_000, { there: LOSSY, observers: [(event) => seen.push(event)] })
    run.world.run()
    const again = new LogHash()
    for (const event of seen) again.observe(event)
    expect(again.digest()).toBe(run.hash.digest())
  })

  test("says why each segment was sent and each frame lost", () => {
    const lines: Array<string> = []
    transfer(20_000, { there: { ...LOSSY, loss: 0.1 }, observers: [(event) => lines.push(explain(event))] }).world.run()
    expect(lines[0]).toBe("0.000000 a sends ARP who has 198.18.0.2, tell 198.18.0.1 (RFC4861-7.2.2:resolve)")
    const about = (words: RegExp): number => lines.filter((line) => words.test(line)).length
    expect(
      about(/a sends 198\.18\.0\.1:\d+ > 198\.18\.0\.2:9 \[S\] seq \d+ ack 0 win \d+ \(RFC9293-3\.10\.1:active-OPEN\)/),
    ).toBe(1)
    expect(about(/a to b: lost .* \(wire:random-loss\)/)).toBeGreaterThan(0)
    expect(lines.filter((line) => / sends /.test(line) && !/\([A-Za-z0-9.]+[-:].*\)$/.test(line))).toEqual([])
  })
})

describe("a link's limits as a transfer feels them", () => {
  test("20 Mbit/s: the goodput is what headers leave of it", () => {
    const run = transfer(10_000_000, {
      there: { rate: 20_000_000, delay: 1000, queue: { _tag: "taildrop", packets: 0, octets: 60_000 } },
    })
    run.world.run()
    const [received] = run.received
    const goodput = (10_000_000 * 8) / ((received?.endedAt ?? 0) / SECOND)
    expect(goodput / 20_000_000).toBeGreaterThan(0.9)
    expect(goodput / 20_000_000).toBeLessThan(1448 / 1514)
  })

  test("corruption: every flipped bit is caught by a checksum, and the octets arrive as they were", () => {
    const thrown = new Map<string, number>()
    const count = (event: LogEvent): void => {
      if (event._tag === "Thrown") thrown.set(event.why, (thrown.get(event.why) ?? 0) + 1)
    }
    const run = transfer(3_000_000, { there: { rate: 50_000_000, delay: 1000, corrupt: 0.02 }, observers: [count] })
    run.world.run()
    expect(run.received).toMatchObject([{ octets: 3_000_000, intact: true }])
    expect(thrown.get("tcp:bad-checksum")).toBeGreaterThan(10)
    expect(run.world.fabric.reports()[0]?.counters.corrupted).toBeGreaterThan(20)
  })

  test("a year of silence takes no time", () => {
    const world = new World(pairSpec({ there: { delay: 1000 } }))
    sink(world.machine("b"), PORT)
    const year = 365 * 86_400 * SECOND
    const before = performance.now()
    const sent = onOff(world.machine("a"), {
      to: { address: B, port: PORT },
      burst: 1000,
      silence: year / 12,
      bursts: 12,
    })
    world.run()
    expect(sent.written).toBe(12_000)
    expect(world.now).toBeGreaterThan((11 * year) / 12)
    expect(world.now / 1000 / (performance.now() - before)).toBeGreaterThan(1000)
  })
})

describe("applications", () => {
  test("an echo of bulk data: what was sent comes back, the window holds what is not taken yet", () => {
    const world = new World(pairSpec({ there: { rate: 10_000_000, delay: 5000, loss: 0.01 } }))
    echo(world.machine("b"), 7)
    const sent = bulk(world.machine("a"), { to: { address: B, port: 7 }, octets: 500_000 })
    world.run()
    expect(sent).toMatchObject({ written: 500_000, reason: "done" })
    expect(world.stuck()).toEqual([])
  })

  test("requests and responses: each takes a round trip and its octets' time", () => {
    const world = new World(pairSpec({ there: { delay: 20_000 } }))
    responder(world.machine("b"), 80, { request: 100, response: 5000 })
    const result = requests(world.machine("a"), {
      to: { address: B, port: 80 },
      request: 100,
      response: 5000,
      count: 20,
      think: 500_000,
    })
    world.run()
    expect(result.latencies).toHaveLength(20)
    for (const latency of result.latencies) expect(latency).toBe(40_000)
  })
})

describe("three hosts on a switch", () => {
  const star = (tableSize?: number) => {
    const lost: Array<LogEvent> = []
    const arrivals: Record<string, number> = {}
    const world = new World(
      {
        seed: 1,
        hosts: {
          a: { addresses: ["198.18.0.1/24"] },
          b: { addresses: ["198.18.0.2/24"] },
          c: { addresses: ["198.18.0.3/24"] },
        },
        switches: { s: tableSize === undefined ? {} : { tableSize } },
        links: ["a", "b", "c"].map((host) => ({ ends: [host, "s"] as const, there: { rate: 100_000_000, delay: 10 } })),
      },
      [
        (event) => {
          if (event._tag === "Lost") lost.push(event)
          if (event._tag === "Arrived") arrivals[event.host] = (arrivals[event.host] ?? 0) + 1
        },
      ],
    )
    const received = sink(world.machine("b"), PORT)
    bulk(world.machine("a"), { to: { address: B, port: PORT }, octets: 200_000 })
    world.run()
    return { received, arrivals, lost }
  }

  test("the third hears the ARP request and nothing else", () => {
    const { received, arrivals } = star()
    expect(received).toMatchObject([{ octets: 200_000, intact: true }])
    expect(arrivals["c"]).toBe(1)
  })

  test("a table with room for one address: frames are flooded, and the transfer works all the same", () => {
    const { received, arrivals } = star(1)
    expect(received).toMatchObject([{ octets: 200_000, intact: true }])
    expect(arrivals["c"]).toBeGreaterThan(50)
  })
})

describe("a network that makes no sense", () => {
  const hosts = { a: { addresses: ["198.18.0.1/24"] }, b: { addresses: ["198.18.0.2/24"] } }
  const cases = [
    [
      "two links at one interface",
      { hosts, links: [{ ends: ["a", "b"] }, { ends: ["a", "b"] }] },
      "has a link already",
    ],
    ["an interface that is not there", { hosts, links: [{ ends: ["a:1", "b"] }] }, "a has no interface 1"],
    [
      "a loop of switches",
      { hosts, switches: { s: {}, t: {} }, links: [{ ends: ["s", "t"] }, { ends: ["t", "s"] }] },
      "closes a loop",
    ],
    [
      "an address without a prefix",
      { hosts: { a: { addresses: ["198.18.0.1"] } }, links: [] },
      "no address with a prefix",
    ],
    ["a table without room", { hosts, switches: { s: { tableSize: 0 } }, links: [] }, "its table needs room"],
  ] as const
  for (const [name, spec, problem] of cases) {
    test(name, () => expect(() => new World({ seed: 1, ...spec })).toThrow(problem))
  }
})
