import { describe, expect, test } from "bun:test"
import { ipv4, ipv6, type MacAddress } from "../../../src/wire/address.ts"
import { sum } from "../../../src/wire/checksum.ts"
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, writeEthernet } from "../../../src/wire/ethernet.ts"
import { CE, ECT_0, ECT_1, ecnOf, markCe, NOT_ECT } from "../../../src/wire/impairment/ecn.ts"
import { makeQueue } from "../../../src/wire/impairment/queue.ts"
import { CODEL, type QueueSpec, red } from "../../../src/wire/impairment/spec.ts"
import { writeIpv4 } from "../../../src/wire/ipv4.ts"
import { writeIpv6 } from "../../../src/wire/ipv6.ts"
import { Random } from "../../../src/wire/random.ts"

const MS = 1000
const SIZE = 1500

const scene = (spec: QueueSpec, { ecn = false, octetTime = 0.08, seed = 1 } = {}) => {
  const drops: Array<readonly [id: number, why: string, at: number]> = []
  const marks: Array<readonly [id: number, at: number]> = []
  let now = 0
  const queue = makeQueue<number>(
    spec,
    octetTime,
    {
      drop: (id, why) => drops.push([id, why, now]),
      mark: (id) => {
        if (ecn) marks.push([id, now])
        return ecn
      },
    },
    new Random(seed),
  )
  const at = (time: number) => {
    now = time
    return { enqueue: (id: number) => queue.enqueue(id, SIZE, now), dequeue: () => queue.dequeue(now)?.frame }
  }
  return { queue, drops, marks, at }
}

/** Keeps a standing queue of `depth` frames: one in, one out, every `every`. Gives the times of drops. */
const standing = (s: ReturnType<typeof scene>, depth: number, every: number, until: number, start = 0) => {
  let id = 0
  for (let i = 0; i < depth; i++) s.at(start).enqueue(id++)
  for (let now = start + every; now <= until; now += every) {
    // What is dropped is replaced, so that the load does not give way.
    while (s.queue.length < depth) s.at(now).enqueue(id++)
    s.at(now).dequeue()
  }
}

describe("CoDel (RFC 8289)", () => {
  test("a queue that stays below the target: nothing is dropped", () => {
    const s = scene(CODEL)
    standing(s, 4, MS, 5000 * MS)
    expect(s.drops).toEqual([])
  })

  test("a burst that is gone within an interval: nothing is dropped", () => {
    const s = scene(CODEL)
    for (let id = 0; id < 80; id++) s.at(0).enqueue(id)
    for (let now = MS; now <= 80 * MS; now += MS) s.at(now).dequeue()
    expect(s.drops).toEqual([])
  })

  test("a standing queue: the first drop an interval after the wait was too long, the next by interval / sqrt(count)", () => {
    const s = scene(CODEL)
    standing(s, 20, MS, 600 * MS)
    const times = s.drops.map(([, , at]) => at)
    // Frames entered at 0: the sixth, at 5 ms, is the first that waited for the target.
    expect(times[0]).toBe(105 * MS)
    let due = 105 * MS
    for (const [index, at] of times.entries()) {
      if (index === 0) due += 100 * MS
      else {
        // Dropped at the first dequeue at or after the law's time.
        expect(at).toBe(Math.ceil(due / MS) * MS)
        due += (100 * MS) / Math.sqrt(index + 1)
      }
    }
    expect(times.length).toBeGreaterThan(8)
    expect(new Set(s.drops.map(([, why]) => why))).toEqual(new Set(["codel:RFC8289-5:drop"]))
  })

  test("soon after an episode: the drop rate is taken up where it was", () => {
    const s = scene(CODEL)
    standing(s, 20, MS, 600 * MS)
    const before = s.drops.length
    while (s.queue.length > 0) s.at(601 * MS).dequeue()
    standing(s, 20, MS, 800 * MS, 610 * MS)
    const times = s.drops.slice(before).map(([, , at]) => at)
    const [first = 0, second = 0] = times
    // Not the 100 ms of a first episode.
    expect(second - first).toBeLessThan(60 * MS)
  })

  test("frames that are ECN-capable: marked by the same law, and none dropped", () => {
    const plain = scene(CODEL)
    standing(plain, 20, MS, 300 * MS)
    const s = scene({ ...CODEL, ecn: true }, { ecn: true })
    standing(s, 20, MS, 300 * MS)
    expect(s.drops).toEqual([])
    expect(s.marks.map(([, at]) => at)).toEqual(plain.drops.map(([, , at]) => at))
  })

  test("full: the last frame is dropped", () => {
    const s = scene({ ...CODEL, packets: 2 })
    for (let id = 0; id < 3; id++) s.at(0).enqueue(id)
    expect(s.drops).toEqual([[2, "queue:full", 0]])
  })
})

describe("RED", () => {
  const spec = { ...red(90_000, false), weight: 1 }

  test("an average below the lower threshold: nothing is dropped", () => {
    const s = scene(spec)
    standing(s, 6, MS, 1000 * MS)
    expect(s.drops).toEqual([])
  })

  test("between the thresholds: about the share of the slope, evenly spread", () => {
    const s = scene(spec)
    // 12 frames of 1500: 18,000 of 10,000 to 30,000, so 40 % of the way to one in ten.
    let id = 0
    const load = (now: number): void => {
      const before = s.drops.length
      while (s.queue.length < 13 && s.drops.length === before) s.at(now).enqueue(id++)
    }
    for (let now = 0; now < 20_000 * MS; now += MS) {
      load(now)
      while (s.queue.length > 12) s.at(now).dequeue()
    }
    const share = s.drops.length / id
    // Uniform gaps of mean (1/p + 1) / 2 (Floyd and Jacobson, section 7).
    expect(share).toBeGreaterThan(0.06)
    expect(share).toBeLessThan(0.09)
    const gaps = s.drops.slice(1).map(([at], index) => at - (s.drops[index]?.[0] ?? 0))
    expect(gaps.reduce((most, gap) => Math.max(most, gap), 0)).toBeLessThanOrEqual(26)
  })

  test("an average above twice the upper threshold: everything is dropped, ECN or not", () => {
    const s = scene({ ...spec, ecn: true, octets: 200_000 }, { ecn: true })
    for (let id = 0; id < 60; id++) s.at(0).enqueue(id)
    expect(s.queue.octets).toBeLessThan(2 * spec.high + SIZE)
  })

  test("idleness: the average decays as if frames had passed", () => {
    const s = scene({ ...red(90_000, false), weight: 0.1 })
    for (let id = 0; id < 16; id++) s.at(0).enqueue(id)
    while (s.queue.length > 0) s.at(10 * MS).dequeue()
    for (let id = 20; id < 24; id++) s.at(10_000 * MS).enqueue(id)
    expect(s.drops).toEqual([])
    expect(s.queue.length).toBe(4)
  })
})

describe("CE", () => {
  const frame = (family: 4 | 6, ecn: number): Uint8Array => {
    const out = new Uint8Array(14 + 40)
    const mac = 0x02_00_00_00_00_01 as MacAddress
    writeEthernet(out, 0, { destination: mac, source: mac, etherType: family === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6 })
    if (family === 4) {
      writeIpv4(out, 14, {
        source: ipv4(1),
        destination: ipv4(2),
        protocol: 6,
        ttl: 64,
        tos: 0xb8 | ecn,
        identification: 7,
        dontFragment: true,
        moreFragments: false,
        fragmentOffset: 0,
        options: new Uint8Array(0),
        payloadLength: 20,
      })
    } else {
      const addresses = { source: ipv6(1, 2, 3, 4), destination: ipv6(5, 6, 7, 8) }
      writeIpv6(out, 14, {
        ...addresses,
        nextHeader: 6,
        hopLimit: 64,
        trafficClass: 0xb8 | ecn,
        flowLabel: 5,
        payloadLength: 0,
      })
    }
    return out
  }

  for (const family of [4, 6] as const) {
    for (const ecn of [ECT_0, ECT_1, CE]) {
      test(`IPv${family}, codepoint ${ecn}: set, and nothing else changes`, () => {
        const marked = frame(family, ecn)
        expect(markCe(marked, "ethernet")).toBe(true)
        expect(marked).toEqual(frame(family, CE))
        expect(ecnOf(marked, "ethernet")).toBe(CE)
        if (family === 4) expect(sum(marked, 14, 20)).toBe(0xffff)
        expect(markCe(marked.subarray(14), "ip")).toBe(true)
      })
    }

    test(`IPv${family}, not ECN-capable: left alone`, () => {
      const plain = frame(family, NOT_ECT)
      expect(markCe(plain, "ethernet")).toBe(false)
      expect(plain).toEqual(frame(family, NOT_ECT))
    })
  }

  test("ARP: left alone", () => {
    const arp = frame(4, ECT_0)
    arp[13] = 6
    expect(markCe(arp, "ethernet")).toBe(false)
  })
})
