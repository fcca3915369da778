import { describe, expect, test } from "bun:test"
import { meanLoss } from "../../../src/wire/impairment/loss.ts"
import { type Frame, Pipe } from "../../../src/wire/impairment/pipe.ts"
import { type Impairment, PERFECT } from "../../../src/wire/impairment/spec.ts"
import { OFF } from "../../../src/wire/time.ts"

interface Numbered extends Frame {
  readonly id: number
}

/** A pipe, and what has come out of it: number and time, losses by reason. */
const scene = (spec: Partial<Impairment>, seed = 1) => {
  const arrived: Array<readonly [id: number, at: number]> = []
  const frames: Array<Numbered> = []
  const lost: Array<readonly [id: number, why: string, at: number]> = []
  const pipe = new Pipe<Numbered>({ ...PERFECT, ...spec }, "ethernet", seed, {
    lost: (frame, why, at) => lost.push([frame.id, why, at]),
    marked: () => {},
  })
  let sent = 0
  const until = (now: number): void => {
    for (;;) {
      const next = pipe.next()
      if (next === OFF || next > now) return
      pipe.advance(next, (frame) => {
        arrived.push([frame.id, next])
        frames.push(frame)
      })
    }
  }
  const send = (now: number, size = 1000): void => {
    until(now)
    pipe.send({ bytes: new Uint8Array(size).fill(0x55), corrupted: false, id: sent++ }, now)
  }
  return { pipe, arrived, frames, lost, send, until, finish: () => until(Number.POSITIVE_INFINITY) }
}

const many = (spec: Partial<Impairment>, count: number, seed = 1, every = 10) => {
  const s = scene(spec, seed)
  for (let i = 0; i < count; i++) s.send(i * every)
  s.finish()
  return s
}

describe("bandwidth and delay", () => {
  test("1000 octets at 8 Mbit/s take 1 ms each, and then the propagation", () => {
    const s = scene({ rate: 8_000_000, delay: 5000 })
    for (let i = 0; i < 3; i++) s.send(0)
    s.finish()
    expect(s.arrived).toEqual([
      [0, 6000],
      [1, 7000],
      [2, 8000],
    ])
  })

  test("a rate that is no whole number of microseconds a frame: exact in the long run", () => {
    // 121.12 us each.
    const s = scene({ rate: 100_000_000, queue: { _tag: "taildrop", packets: 20_000, octets: 0 } })
    for (let i = 0; i < 10_000; i++) s.send(0, 1514)
    s.finish()
    expect(s.arrived.at(-1)).toEqual([9999, 1_211_200])
  })

  test("no rate and no delay: at once", () => {
    const s = scene({})
    s.send(7)
    s.finish()
    expect(s.arrived).toEqual([[0, 7]])
  })
})

describe("a drop-tail queue", () => {
  test("of 2 packets: one on its way, two wait, the rest is dropped", () => {
    const s = scene({ rate: 8_000_000, queue: { _tag: "taildrop", packets: 2, octets: 0 } })
    for (let i = 0; i < 5; i++) s.send(0)
    expect(s.lost).toEqual([
      [3, "queue:full", 0],
      [4, "queue:full", 0],
    ])
    s.finish()
    expect(s.arrived.map(([id]) => id)).toEqual([0, 1, 2])
  })

  test("of 1500 octets: a frame that does not fit is dropped, a smaller one behind it is not", () => {
    const s = scene({ rate: 8_000_000, queue: { _tag: "taildrop", packets: 0, octets: 1500 } })
    s.send(0)
    s.send(0)
    s.send(0)
    s.send(0, 500)
    s.finish()
    expect(s.lost).toEqual([[2, "queue:full", 0]])
    expect(s.arrived.map(([id]) => id)).toEqual([0, 1, 3])
  })
})

describe("losses", () => {
  test("of 1 %: those of the seed, and about one in a hundred", () => {
    const s = many({ loss: 0.01 }, 100_000)
    expect(s.lost.length).toBe(many({ loss: 0.01 }, 100_000).lost.length)
    // Four standard deviations of a binomial distribution.
    expect(Math.abs(s.lost.length - 1000)).toBeLessThan(4 * Math.sqrt(1000 * 0.99))
    expect(s.arrived.length + s.lost.length).toBe(100_000)
    expect(new Set(s.lost.map(([, why]) => why))).toEqual(new Set(["wire:random-loss"]))
  })

  test("of everything", () => {
    expect(many({ loss: 1 }, 10).arrived).toEqual([])
  })

  test("other stages, switched on: the same frames are lost", () => {
    const alone = many({ loss: 0.02 }, 10_000).lost.map(([id]) => id)
    const among = many(
      { loss: 0.02, duplicate: 0.1, corrupt: 0.1, jitter: { spread: 5, shape: "uniform", overtaking: true } },
      10_000,
    )
    expect(among.lost.map(([id]) => id)).toEqual(alone)
  })

  test("in bursts: the share of Gilbert's and Elliott's channel, in runs as long as 1/toGood", () => {
    const burstLoss = { toBad: 0.01, toGood: 0.25, lossInBad: 1, lossInGood: 0 }
    const s = many({ burstLoss }, 200_000)
    const share = s.lost.length / 200_000
    expect(share).toBeCloseTo(meanLoss(burstLoss), 2)
    const ids = new Set(s.lost.map(([id]) => id))
    const runs = [...ids].filter((id) => !ids.has(id - 1)).length
    expect(ids.size / runs).toBeGreaterThan(3.7)
    expect(ids.size / runs).toBeLessThan(4.3)
  })
})

describe("corruption and duplication", () => {
  test("a corrupted frame differs in one bit, behind the link header", () => {
    const s = many({ corrupt: 1 }, 2000)
    for (const { bytes, corrupted } of s.frames) {
      const wrong = [...bytes.entries()].filter(([, octet]) => octet !== 0x55)
      expect(corrupted).toBe(true)
      expect(wrong).toHaveLength(1)
      const [[at, octet] = [0, 0]] = wrong
      expect(at).toBeGreaterThanOrEqual(14)
      expect([1, 2, 4, 8, 16, 32, 64, 128]).toContain(octet ^ 0x55)
    }
  })

  test("a duplicated frame arrives twice", () => {
    const s = many({ duplicate: 1 }, 3)
    expect(s.arrived.map(([id]) => id)).toEqual([0, 0, 1, 1, 2, 2])
  })
})

describe("delay that varies", () => {
  test("in turn: between its limits, and nobody overtakes", () => {
    const s = many({ delay: 1000, jitter: { spread: 300, shape: "normal", overtaking: false } }, 5000, 1, 50)
    const ids = s.arrived.map(([id]) => id)
    expect(ids).toEqual(ids.toSorted((x, y) => x - y))
    for (const [id, at] of s.arrived) expect(at - id * 50).toBeGreaterThanOrEqual(700)
  })

  test("overtaking: out of order, each within its limits", () => {
    const s = many({ delay: 1000, jitter: { spread: 300, shape: "uniform", overtaking: true } }, 5000, 1, 50)
    const ids = s.arrived.map(([id]) => id)
    expect(ids).not.toEqual(ids.toSorted((x, y) => x - y))
    for (const [id, at] of s.arrived) {
      expect(at - id * 50).toBeGreaterThanOrEqual(700)
      expect(at - id * 50).toBeLessThanOrEqual(1300)
    }
  })
})

describe("reordering", () => {
  test("by a distance of 3: the chosen ones arrive behind three others", () => {
    const s = many({ reorder: { probability: 0.02, distance: 3, delay: 1_000_000 } }, 5000)
    const place = new Map(s.arrived.map(([id], at) => [id, at]))
    const late = s.arrived
      .filter(([id], at) => s.arrived.slice(0, at).some(([before]) => before > id))
      .map(([id]) => id)
    expect(late.length).toBe(s.pipe.counters.reordered)
    for (const id of late.slice(0, -1)) expect((place.get(id) ?? 0) - id).toBeGreaterThanOrEqual(2)
  })

  test("by a distance, and nobody follows: after the delay", () => {
    const s = scene({ reorder: { probability: 1, distance: 3, delay: 7000 } })
    s.send(0)
    s.finish()
    expect(s.arrived).toEqual([[0, 7000]])
  })

  test("by delay alone", () => {
    const s = scene({ delay: 100, reorder: { probability: 1, distance: 0, delay: 50 } })
    s.send(0)
    s.send(10)
    s.finish()
    expect(s.arrived).toEqual([
      [0, 150],
      [1, 160],
    ])
  })
})

describe("limits of the link", () => {
  test("an IP packet above the MTU is lost, one of its size is not", () => {
    const s = scene({ mtu: 1000 })
    s.send(0, 1014)
    s.send(0, 1015)
    s.finish()
    expect(s.arrived.map(([id]) => id)).toEqual([0])
    expect(s.lost).toEqual([[1, "link:mtu", 0]])
  })

  test("an outage takes what reaches the wire in it: neither what left before nor what waits behind", () => {
    const s = scene({ rate: 8_000_000, delay: 10_000, outages: [[1500, 3500]] })
    for (let i = 0; i < 5; i++) s.send(0)
    s.finish()
    expect(s.arrived.map(([id]) => id)).toEqual([0, 3, 4])
    expect(s.lost.map(([id, why]) => [id, why])).toEqual([
      [1, "link:down"],
      [2, "link:down"],
    ])
  })
})
