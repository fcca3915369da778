import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { bulk, sink } from "../../../src/sim/network/apps/bulk.ts"
import type { LogEvent } from "../../../src/sim/network/log.ts"
import { tcpIn } from "../../../src/sim/network/packet.ts"
import { Transfer, type TransferSpec } from "../../../src/sim/network/transfer.ts"
import { World } from "../../../src/sim/network/world.ts"
import { ALGORITHMS } from "../../../src/tcp/congestion/registry.ts"
import { cubicWindow, rateOf, renoWindow } from "../../../src/tcp/congestion/response.ts"
import { CODEL, PERFECT, type QueueSpec, red } from "../../../src/wire/impairment/spec.ts"
import { CWR, ECE, SYN } from "../../../src/wire/tcpSegment.ts"
import { B, PORT, pairSpec, SECOND } from "./scene.ts"

/** Minutes of virtual time, on a machine that may be busy. */
setDefaultTimeout(120_000)

const RATE = 5_000_000
const DELAY = 20_000
const PRODUCT = (RATE * 2 * DELAY) / 8 / SECOND
const taildrop = (octets: number): QueueSpec => ({ _tag: "taildrop", packets: 0, octets })

const endless = (given: Partial<TransferSpec>, rate = RATE, delay = DELAY): TransferSpec => {
  const way = { ...PERFECT, rate, delay }
  return {
    seed: 1,
    there: { ...way, queue: taildrop(PRODUCT) },
    back: way,
    mtu: 1500,
    flows: 1,
    octets: Number.POSITIVE_INFINITY,
    startEvery: 0,
    until: 10 * SECOND,
    settings: {},
    ...given,
  }
}

describe("two flows share a bottleneck for 60 s", () => {
  for (const tcpCongestionControl of ALGORITHMS) {
    // BBR needs room for its probes: with less two flows of version 1 lose much of what they send.
    for (const products of tcpCongestionControl === "bbr" ? [1, 2] : [0.5, 1, 2]) {
      test(`${tcpCongestionControl}, a queue of ${products} bandwidth-delay products: Jain's index is 0.9 at least`, () => {
        const way = { ...PERFECT, rate: RATE, delay: DELAY }
        const there = { ...way, queue: taildrop(products * PRODUCT) }
        const { fairness, goodput } = new Transfer(
          endless({ there, flows: 2, startEvery: SECOND / 2, until: 60 * SECOND, settings: { tcpCongestionControl } }),
        ).run()
        expect(fairness).toBeGreaterThanOrEqual(0.9)
        expect(goodput).toBeGreaterThan(0.85 * RATE)
      })
    }
  }
})

describe("0.1 % of random loss at 100 Mbit/s and 20 ms, against the response function", () => {
  const window = { reno: renoWindow(0.001), cubic: cubicWindow(0.001, 0.02) }
  for (const tcpCongestionControl of ["cubic", "reno"] as const) {
    test(`${tcpCongestionControl}: what it says, and no more than chance and slow start add`, () => {
      const way = { ...PERFECT, rate: 100_000_000, delay: 10_000 }
      const there = { ...way, loss: 0.001, queue: taildrop(250_000) }
      const { goodput, counters } = new Transfer(
        endless({ there, back: way, until: 30 * SECOND, settings: { tcpCongestionControl } }),
      ).run()
      const share = goodput / (8 * rateOf(window[tcpCongestionControl], 0.02, 1448))
      expect(share).toBeGreaterThan(0.95)
      expect(share).toBeLessThan(1.5)
      expect(counters["TCPTimeouts"]).toBe(0)
    })
  }

  test("bbr: nine tenths of the link", () => {
    const way = { ...PERFECT, rate: 100_000_000, delay: 10_000 }
    const there = { ...way, loss: 0.001, queue: taildrop(250_000) }
    const settings = { tcpCongestionControl: "bbr" } as const
    const { goodput } = new Transfer(endless({ there, back: way, until: 4 * SECOND, settings })).run()
    expect(goodput).toBeGreaterThan(85_000_000)
  })
})

describe("1 Gbit/s at a round trip of 100 ms", () => {
  test("fills within four seconds without a setting: both buffers grow to what it takes", () => {
    const way = { ...PERFECT, rate: 1_000_000_000, delay: 50_000 }
    const there = { ...way, queue: taildrop(12_500_000) }
    const transfer = new Transfer({ ...endless({ there, back: way, until: 4 * SECOND }), coalesce: 50 })
    const { counters } = transfer.run()
    const [third = 0, fourth = 0] = [2, 3].map((second) => transfer.perSecond[second]?.[0])
    // 1448 octets of 1514 are payload.
    expect((fourth - third) * 8).toBeGreaterThan(0.95 * 956_000_000)
    expect(counters["RetransSegs"]).toBe(0)
  })
})

describe("ECN (RFC 3168) through a queue that marks", () => {
  const queues = [
    ["CoDel", { ...CODEL, ecn: true }],
    // An average that follows the queue within slow start's last round trips, so that marks come in time.
    ["RED", { ...red(900_000, true), weight: 0.02, low: 30_000, high: 300_000 }],
  ] as const
  for (const [name, queue] of queues) {
    for (const tcpCongestionControl of ["cubic", "reno"] as const) {
      test(`${name}, ${tcpCongestionControl}: CE is echoed and answered, and nothing is lost`, () => {
        const seen = { marked: 0, ece: 0, cwr: 0, lost: 0, again: 0 }
        const flagged = (event: LogEvent, host: string, flag: number): boolean =>
          event._tag === "Sent" &&
          event.host === host &&
          ((tcpIn(event.bytes)?.segment.flags ?? 0) & (flag | SYN)) === flag
        const count = (event: LogEvent): void => {
          if (event._tag === "Marked") seen.marked++
          if (event._tag === "Lost") seen.lost++
          if (flagged(event, "server", ECE)) seen.ece++
          if (flagged(event, "client", CWR)) seen.cwr++
        }
        const there = { ...PERFECT, rate: 20_000_000, delay: 10_000, queue }
        const settings = { tcpEcn: 1, tcpCongestionControl } as const
        const spec = endless({ there, until: 20 * SECOND, settings, receiverSettings: settings }, 20_000_000, 10_000)
        const { goodput, counters } = new Transfer(spec, [count]).run()
        expect(seen.marked).toBeGreaterThan(5)
        // The echo goes on until CWR has come, and one CWR answers a round trip's marks.
        expect(seen.ece).toBeGreaterThan(seen.marked)
        expect(seen.cwr).toBeGreaterThan(5)
        expect(seen.cwr).toBeLessThanOrEqual(seen.marked)
        expect({ lost: seen.lost, again: counters["RetransSegs"] }).toEqual({ lost: 0, again: 0 })
        expect(goodput).toBeGreaterThan(0.8 * 20_000_000)
      })
    }
  }
})

describe("loss detection on a path that never reorders", () => {
  test("no reordering is seen, nothing goes again in vain, no time-out", () => {
    const way = { ...PERFECT, rate: 50_000_000, delay: 10_000 }
    const there = { ...way, loss: 0.005, queue: taildrop(125_000) }
    const { counters, links } = new Transfer(endless({ there, back: way })).run()
    expect(counters["TCPSACKReorder"]).toBe(0)
    expect(counters["TCPTimeouts"]).toBe(0)
    // What was lost last may not have gone again yet.
    const lost = links[0]?.counters.lost ?? 0
    expect(lost).toBeGreaterThan(50)
    expect(counters["RetransSegs"]).toBeGreaterThanOrEqual(lost - 20)
    expect(counters["RetransSegs"]).toBeLessThanOrEqual(lost)
  })
})

describe("interfaces that keep what arrives for 100 us", () => {
  const run = (coalesce: number) => {
    const world = new World(pairSpec({ there: { rate: 1_000_000_000, delay: 1000 }, coalesce }))
    const received = sink(world.machine("b"), PORT)
    bulk(world.machine("a"), { to: { address: B, port: PORT }, octets: 3_000_000 })
    world.run()
    expect(received).toMatchObject([{ octets: 3_000_000, intact: true, reason: "done" }])
    return world.fabric.reports()[1]?.counters.sent ?? 0
  }
  test("the same octets, with a fraction of the ACKs", () => {
    expect(run(100)).toBeLessThan(run(0) / 2)
  })
})
