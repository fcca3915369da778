import { beforeAll, describe, expect, test } from "bun:test"
import { octetsPerRequest } from "../../bench/flood/syns.ts"
import { type FloodResult, flood } from "../../bench/flood/world.ts"
import { SECOND } from "./scene.ts"

const MEBI = 1 << 20
const RATE = 10_000
const CLIENTS = 100

/** The same flood, with cookies and without; see bench/flood/world.ts. */
const attacked = (tcpSyncookies: 0 | 1 | 2): FloodResult =>
  flood({ settings: { tcpSyncookies }, rate: RATE, clients: CLIENTS, seconds: 1 })

/** How many real clients were answered within 3 s of their SYN. */
const served = ({ waits }: FloodResult): number => waits.filter((wait) => wait <= 3 * SECOND).length

for (const [name, mode] of [
  ["cookies when needed", 1],
  ["cookies always", 2],
] as const) {
  describe(`a flood of SYNs, ${name}`, () => {
    let result: FloodResult
    beforeAll(() => {
      result = attacked(mode)
    }, 30_000)

    test("99 of 100 real clients are served within 3 s", () => {
      expect(served(result)).toBeGreaterThanOrEqual(99)
    })

    test("an established transfer keeps half of its rate", () => {
      expect(result.before).toBeGreaterThan(MEBI)
      expect(result.during).toBeGreaterThanOrEqual(result.before / 2)
    })

    test("memory grows by 64 MiB at most", () => {
      expect(result.growth).toBeLessThanOrEqual(64 * MEBI)
    })

    test("the counters say why: cookies for all that the queue had no room for, and back from real clients only", () => {
      const { counters, syns, requests } = result
      expect(counters["SyncookiesSent"]).toBeGreaterThan(syns * 0.99)
      expect(counters["SyncookiesRecv"]).toBeGreaterThanOrEqual(99)
      expect(counters["SyncookiesRecv"]).toBeLessThanOrEqual(CLIENTS)
      expect(counters["PassiveOpens"]).toBe(CLIENTS)
      expect(counters["ListenDrops"] ?? 0).toBe(0)
      expect(requests).toBe(mode === 1 ? 129 : 0)
    })
  })
}

describe("a flood of SYNs, no cookies", () => {
  let result: FloodResult
  beforeAll(() => {
    result = attacked(0)
  }, 30_000)

  test("hardly a real client gets in", () => {
    expect(served(result)).toBeLessThan(10)
  })

  test("the counters say why: SYNs that found the queue full", () => {
    const { counters, drops, syns } = result
    expect(counters["TCPReqQFullDrop"]).toBeGreaterThan(syns * 0.99)
    expect(counters["ListenDrops"]).toBe(counters["TCPReqQFullDrop"] ?? 0)
    expect(drops["Linux:SYN-queue-full"]).toBe(counters["ListenDrops"] ?? 0)
    expect(counters["SyncookiesSent"] ?? 0).toBe(0)
  })

  test("who is connected already notices nothing", () => {
    expect(result.during).toBeGreaterThanOrEqual(result.before / 2)
    expect(result.growth).toBeLessThanOrEqual(64 * MEBI)
  })
})

describe("more SYNs than the server can look at", () => {
  let result: FloodResult
  beforeAll(() => {
    // 480 a millisecond, where a listener handles 400 and the whole server 512 frames.
    result = flood({ settings: { tcpSyncookies: 0 }, rate: 480_000, clients: 0, seconds: 0.5 })
  }, 30_000)

  test("wait for the listener's turn, then are dropped; the established transfer keeps half of its rate", () => {
    expect(result.drops["gVisor:listener-inbox-full"]).toBeGreaterThan(1000)
    expect(result.during).toBeGreaterThanOrEqual(result.before / 2)
  })
})

test("the same flood twice ends in the same numbers", () => {
  const run = () => {
    const { growth, ...rest } = flood({ rate: 5000, clients: 10, seconds: 0.2 })
    return { ...rest, growth: growth >= 0 }
  }
  expect(run()).toEqual(run())
})

test("a half-open request keeps less than Linux's 304 octets", () => {
  expect(octetsPerRequest(50_000)).toBeLessThan(200)
}, 30_000)
