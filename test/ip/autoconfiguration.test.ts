import { describe, expect, test } from "bun:test"
import { addressConflictDetection, begin, duplicateAddressDetection, timeout } from "../../src/ip/detection.ts"
import * as own from "../../src/ip/ownAddress.ts"
import { tooBig } from "../../src/ip/pathMtu.ts"
import { full, take } from "../../src/ip/rateLimit.ts"
import * as discovery from "../../src/ip/routerDiscovery.ts"
import { ipv6, UNSPECIFIED6 } from "../../src/wire/address.ts"
import { formatAddress, parseIpv6 } from "../../src/wire/addressText.ts"
import { FOREVER, type PrefixInformation, type RouterAdvertisement } from "../../src/wire/ndp.ts"
import { OFF } from "../../src/wire/time.ts"

const SECOND = 1_000_000
const HOUR = 3600
const ip = (text: string) => parseIpv6(text) ?? UNSPECIFIED6

describe("detection of duplicates", () => {
  const course = (policy: Parameters<typeof timeout>[1], chance = 0) => {
    const said: Array<string> = []
    let detection: ReturnType<typeof begin> | undefined = begin(policy, 300_000, 0)
    while (detection !== undefined) {
      const now: number = detection.deadline
      const step = timeout(detection, policy, chance, now)
      said.push(`${now / SECOND}s ${step.says ?? "-"}${step.unique ? " ours" : ""}`)
      detection = step.detection
    }
    return said
  }

  test("RFC 4862: one question after the delay, ours a second later", () => {
    expect(course(duplicateAddressDetection(1))).toEqual(["0.3s Probe", "1.3s - ours"])
  })

  test("RFC 5227: three questions, the last wait longer, two announcements", () => {
    expect(course(addressConflictDetection, 0.5)).toEqual([
      "0.3s Probe",
      "1.8s Probe",
      "3.3s Probe",
      "5.3s Announce ours",
      "7.3s Announce ours",
    ])
  })
})

describe("an address made from an advertised prefix (RFC 4862 section 5.5.3)", () => {
  const advertised = (validLifetime: number, preferredLifetime = Math.min(validLifetime, HOUR)): PrefixInformation => ({
    prefix: ip("2001:db8::"),
    prefixLength: 64,
    onLink: true,
    autonomous: true,
    validLifetime,
    preferredLifetime,
  })
  const made = (validSeconds: number): own.OwnAddress => ({
    address: ip("2001:db8::5"),
    prefixLength: 64,
    origin: "autoconf",
    state: "preferred",
    preferredUntil: HOUR * SECOND,
    validUntil: validSeconds === FOREVER ? OFF : validSeconds * SECOND,
    policy: duplicateAddressDetection(1),
    detection: undefined,
    attempts: 0,
  })

  test.each([
    // remaining, advertised, valid afterwards; seconds
    ["longer than two hours is believed", 10 * HOUR, 3 * HOUR, 3 * HOUR],
    ["longer than what remains is believed", HOUR / 2, HOUR, HOUR],
    ["shorter, with two hours or less left: ignored", HOUR, 60, HOUR],
    ["shorter, with more than two hours left: two hours", 10 * HOUR, 60, 2 * HOUR],
    ["nothing, with more than two hours left: two hours", 10 * HOUR, 0, 2 * HOUR],
    ["for ever", HOUR, FOREVER, FOREVER],
    ["shorter than for ever: two hours", FOREVER, 60, 2 * HOUR],
  ])("%s", (_, remaining, offered, valid) => {
    const after = own.refresh(made(remaining), advertised(offered), 0)
    expect(after.validUntil).toBe(valid === FOREVER ? OFF : valid * SECOND)
  })

  test("the preferred lifetime is believed in any case: 0 deprecates at once", () => {
    const after = own.refresh(made(HOUR), advertised(60, 0), 0)
    expect(after).toMatchObject({ state: "deprecated", validUntil: HOUR * SECOND })
    expect(own.isUsable(after)).toBe(true)
  })

  test.each([
    ["not autonomous", { autonomous: false }],
    ["link-local", { prefix: ip("fe80::") }],
    ["of a group", { prefix: ip("ff0e::") }],
    ["not of 64 bits", { prefixLength: 80 }],
    ["preferred for longer than valid", { validLifetime: 10, preferredLifetime: 20 }],
  ])("a prefix %s makes none", (_, some) => {
    expect(own.lifetimesOf({ ...advertised(HOUR), ...some }, 0)).toBeUndefined()
  })

  test("its life: preferred, deprecated, gone", () => {
    const step = (now: number) => own.timeout({ ...made(2 * HOUR) }, 0, now * SECOND)
    expect(step(HOUR - 1).own?.state).toBe("preferred")
    expect(step(HOUR).own?.state).toBe("deprecated")
    expect(step(2 * HOUR)).toMatchObject({ own: undefined, effects: [{ _tag: "Expired" }] })
    expect(own.deadlineOf(made(2 * HOUR))).toBe(HOUR * SECOND)
  })
})

describe("what routers say", () => {
  const ra = (some: Partial<RouterAdvertisement>): RouterAdvertisement => ({
    _tag: "RouterAdvertisement",
    hopLimit: 0,
    managed: false,
    other: false,
    preference: "medium",
    lifetime: 1800,
    reachableTime: 0,
    retransTimer: 0,
    sourceMac: undefined,
    mtu: 0,
    prefixes: [],
    resolvers: [],
    ...some,
  })
  const router = (n: number) => ipv6(0xfe800000, 0, 0, n)
  const heard = (some: Partial<RouterAdvertisement>, before = discovery.SILENT, now = 0, n = 1) =>
    discovery.advertised(before, router(n), ra(some), 1500, now)

  test("asking: after the delay, then at intervals that double up to an hour, until a router answers (RFC 7559)", () => {
    let state = discovery.solicit(discovery.SILENT, 500_000, 0)
    const asked: Array<number> = []
    for (let i = 0; i < 14; i++) {
      const now = discovery.deadlineOf(state)
      asked.push(now / SECOND)
      const step = discovery.timeout(state, 0.5, now)
      expect(step.asks).toBe(true)
      state = step.discovery
    }
    const gaps = asked.slice(1).map((at, i) => at - (asked[i] ?? 0))
    expect(asked[0]).toBe(0.5)
    expect(gaps).toEqual([4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600, 3600])
    expect(heard({ lifetime: 0 }, state).solicitation).toBeDefined()
    expect(heard({}, state).solicitation).toBeUndefined()
  })

  test("a router, heard again, and no more: lifetime 0, or time", () => {
    const known = heard({})
    expect(known.routers.map(({ address, until }) => [formatAddress(address), until])).toEqual([
      ["fe80::1", 1800 * SECOND],
    ])
    expect(heard({}, known, 60 * SECOND).routers[0]?.until).toBe(1860 * SECOND)
    expect(heard({ lifetime: 0 }, known).routers).toEqual([])
    expect(discovery.timeout(known, 0, 1799 * SECOND).discovery.routers).toHaveLength(1)
    expect(discovery.timeout(known, 0, 1800 * SECOND).discovery.routers).toEqual([])
  })

  test.each([
    [1279, 0],
    [1280, 1280],
    [1500, 1500],
    [1501, 0],
  ])("an MTU of %d: %d", (mtu, believed) => {
    expect(heard({ mtu }).mtu).toBe(believed)
  })

  test("any number of routers, prefixes and resolvers: never more than are kept", () => {
    let state = discovery.SILENT
    for (let n = 0; n < 1000; n++) {
      const prefix = {
        prefix: ipv6(0x20010000 + n, 0, 0, 0),
        prefixLength: 64,
        onLink: true,
        autonomous: false,
        validLifetime: 600,
        preferredLifetime: 600,
      }
      const resolvers = [{ address: router(n), lifetime: 600 }]
      state = heard({ prefixes: [prefix], resolvers }, state, 0, n)
    }
    const { routers, prefixes, resolvers } = state
    expect([routers.length, prefixes.length, resolvers.length]).toEqual([
      discovery.MOST_ROUTERS,
      discovery.MOST_PREFIXES,
      discovery.MOST_RESOLVERS,
    ])
  })
})

describe("a report that a packet was too big", () => {
  const known = { mtu: 1400, until: 10 * SECOND }
  test.each([
    // family, known, reported, length, believed
    ["IPv6, smaller", 6, undefined, 1400, 0, 1400],
    ["IPv6, the smallest there is", 6, undefined, 1280, 0, 1280],
    ["IPv6, smaller than that: a mistake or an attack", 6, undefined, 1279, 0, undefined],
    ["IPv6, larger than the link", 6, undefined, 1600, 0, undefined],
    ["IPv6, no smaller than known", 6, known, 1450, 0, undefined],
    ["IPv4, smaller", 4, undefined, 1000, 1500, 1000],
    ["IPv4, tiny: Linux's min_pmtu", 4, undefined, 68, 1500, 552],
    ["IPv4, not said: the next plateau below the packet (RFC 1191 section 7)", 4, undefined, 0, 1500, 1492],
    ["IPv4, not said, about a packet of 1492", 4, undefined, 0, 1492, 1006],
  ] as const)("%s", (_, family, before, reported, length, believed) => {
    expect(tooBig(before, family, reported, length, 1500, 0)?.mtu).toBe(believed as never)
  })

  test("what is known is forgotten in time: a larger one may be learnt then", () => {
    expect(tooBig(known, 6, 1450, 0, 1500, 11 * SECOND)?.mtu).toBe(1450)
  })
})

test("a rate: so many at once, so many per second, none lost to rounding", () => {
  const rate = { perSecond: 10, burst: 3 }
  let bucket = full(rate, 0)
  const taken = (now: number) => {
    let n = 0
    for (let after = take(bucket, rate, now); after !== undefined; after = take(bucket, rate, now)) {
      bucket = after
      n++
    }
    return n
  }
  expect([0, 0, 50_000, 100_000, 150_000, 200_000, 10 * SECOND].map(taken)).toEqual([3, 0, 0, 1, 0, 1, 3])
})
