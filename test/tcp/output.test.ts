import { describe, expect, test } from "bun:test"
import { output } from "../../src/tcp/output.ts"
import { next, open, sentRanges } from "./support/peer.ts"
import { connection, deadline, type Happened, MS, type Story, transmits, type WorldOptions } from "./support/world.ts"

/** Segments of 1000 octets, a window that does not limit. */
const M = 1000
const habits = { timestamps: false, mss: M, wnd: 60_000 }
const plain: WorldOptions = { habits, path: { mss: M } }
const noDelay: WorldOptions = { ...plain, socket: { noDelay: true } }
const corked: WorldOptions = { ...plain, socket: { cork: true } }

/** What leaves at each step of a story. */
const steps = (options: WorldOptions, story: Story): ReadonlyArray<ReadonlyArray<string>> => {
  let scene: Happened = open(options)
  return story.map(([at, words]) => {
    scene = next(scene, at, words)
    return sentRanges(scene)
  })
}

const ACK_ALL = "<ACK> seq=rcv.nxt ack=snd.nxt"

describe("Nagle's algorithm with Minshall's change (RFC 9293 section 3.7.4)", () => {
  test("nothing outstanding: a short segment leaves at once", () => {
    expect(steps(plain, [[100, "SEND 10"]])).toEqual([["0+10 PSH"]])
  })

  test("a short one outstanding: further ones wait for its ACK, and leave together", () => {
    const story: Story = [
      [100, "SEND 10"],
      [101, "SEND 10"],
      [102, "SEND 10"],
      [150, ACK_ALL],
    ]
    expect(steps(plain, story)).toEqual([["0+10 PSH"], [], [], ["10+20 PSH"]])
  })

  test("full ones outstanding: a short one leaves (Minshall)", () => {
    const story: Story = [
      [100, "SEND 2000"],
      [101, "SEND 10"],
      [102, "SEND 10"],
    ]
    expect(steps(plain, story)).toEqual([["0+1000", "1000+1000 PSH"], ["2000+10 PSH"], []])
  })

  test("a short one outstanding, then enough for a full one: the full one leaves, its tail waits", () => {
    const story: Story = [
      [100, "SEND 10"],
      [101, "SEND 1500"],
      [150, ACK_ALL],
    ]
    expect(steps(plain, story)).toEqual([["0+10 PSH"], ["10+1000"], ["1010+500 PSH"]])
  })

  test("TCP_NODELAY: every one leaves at once", () => {
    const story: Story = [
      [100, "SEND 10"],
      [101, "SEND 10"],
    ]
    expect(steps(noDelay, story)).toEqual([["0+10 PSH"], ["10+10 PSH"]])
  })

  test("a short one outstanding, then CLOSE: what waits leaves with the FIN", () => {
    const story: Story = [
      [100, "SEND 10"],
      [101, "SEND 20"],
      [102, "CLOSE"],
    ]
    expect(steps(plain, story)).toEqual([["0+10 PSH"], [], ["10+20 PSH FIN"]])
  })
})

describe("TCP_CORK", () => {
  test("short: waits, though nothing is outstanding; full ones leave", () => {
    const story: Story = [
      [100, "SEND 10"],
      [101, "SEND 1500"],
    ]
    expect(steps(corked, story)).toEqual([[], ["0+1000"]])
  })

  test("CLOSE: all leaves", () => {
    const story: Story = [
      [100, "SEND 10"],
      [101, "CLOSE"],
    ]
    expect(steps(corked, story)).toEqual([[], ["0+10 PSH FIN"]])
  })

  test("nothing else comes: leaves after all, on the persist timer", () => {
    const scene = open(corked, [[100, "SEND 10"]])
    const after = next(scene, deadline(scene, "persist") / MS, "persist timeout")
    expect(sentRanges(after)).toEqual(["0+10 PSH"])
  })
})

describe("FIN", () => {
  test("nothing queued: alone", () => {
    expect(steps(plain, [[100, "CLOSE"]])).toEqual([["0+0 FIN"]])
  })

  test("a short tail waits: with it", () => {
    const story: Story = [
      [100, "SEND 10500"],
      [101, "CLOSE"],
      [150, "<ACK> seq=rcv.nxt ack=snd.una+10000"],
    ]
    expect(steps(plain, story)[2]).toEqual(["10000+500 PSH FIN"])
  })

  test("last segment full: with it too", () => {
    const story: Story = [
      [100, "SEND 11000"],
      [101, "CLOSE"],
      [150, "<ACK> seq=rcv.nxt ack=snd.una+10000"],
    ]
    expect(steps(plain, story)[2]).toEqual(["10000+1000 PSH FIN"])
  })

  test("the window has no room for it: waits", () => {
    const story: Story = [
      [100, "SEND 1000"],
      [110, `${ACK_ALL} wnd=0`],
      [120, "CLOSE"],
      [130, `${ACK_ALL} wnd=1`],
    ]
    expect(steps(plain, story)).toEqual([["0+1000 PSH"], [], [], ["1000+0 FIN"]])
  })

  test("lost: sent again with its number", () => {
    const scene = open(plain, [[100, "CLOSE"]])
    expect(sentRanges(next(scene, deadline(scene, "retransmit") / MS, "retransmit timeout"))).toEqual(["0+0 FIN"])
  })

  test("lost with its data: sent again with it", () => {
    const scene = open(corked, [
      [100, "SEND 10"],
      [100, "CLOSE"],
    ])
    expect(sentRanges(next(scene, deadline(scene, "retransmit") / MS, "retransmit timeout"))).toEqual(["0+10 PSH FIN"])
  })
})

describe("silly-window avoidance of a sender (RFC 9293 section 3.8.6.2.1)", () => {
  const narrow = (wnd: number, more: Partial<WorldOptions> = {}): WorldOptions => ({
    ...plain,
    ...more,
    habits: { ...habits, wnd },
  })

  test("less window than a segment, less than half of the largest: waits for the override", () => {
    const scene = open(plain, [
      [100, "SEND 2000"],
      [150, `${ACK_ALL} wnd=400`],
      [160, "SEND 2000"],
    ])
    expect(sentRanges(scene)).toEqual([])
    const after = next(scene, deadline(scene, "persist") / MS, "persist timeout")
    expect(sentRanges(after)).toEqual(["2000+400 PSH"])
    expect(transmits(after.effects).map((t) => t.why)).toEqual(["RFC9293-3.8.6.2.1:override"])
  })

  test("all that waits fits: leaves", () => {
    const story: Story = [
      [100, "SEND 2000"],
      [150, `${ACK_ALL} wnd=400`],
      [160, "SEND 400"],
    ]
    expect(steps(plain, story)[2]).toEqual(["2000+400 PSH"])
  })

  test("a window that was never larger than a segment: half of it is worth sending", () => {
    // The largest is 800; segments are bound to half of it so that two fit.
    const story: Story = [[100, "SEND 2000"]]
    expect(steps(narrow(800), story)).toEqual([["0+400", "400+400"]])
  })

  test("any window: nothing leaves beyond its edge", () => {
    for (const wnd of [1, 10, 537, 999, 1000, 1001, 2500, 9999]) {
      const scene = open(narrow(wnd), [[100, "SEND 20000"]])
      const out = transmits(scene.effects)
      expect(out.reduce((n, t) => n + t.length, 0)).toBeLessThanOrEqual(wnd)
      expect(connection(scene).snd.nxt).toBeLessThanOrEqual(101 + wnd)
    }
  })

  test("the window opens: what waited leaves", () => {
    const story: Story = [
      [100, "SEND 2000"],
      [150, `${ACK_ALL} wnd=0`],
      [160, "SEND 3000"],
      [170, "<ACK> seq=rcv.nxt ack=snd.una wnd=2000"],
    ]
    expect(steps(plain, story)[3]).toEqual(["2000+1000", "3000+1000"])
  })

  test("the window shrinks behind what is out: nothing leaves, nothing is taken back", () => {
    const story: Story = [
      [100, "SEND 5000"],
      [110, "<ACK> seq=rcv.nxt ack=snd.una wnd=2000"],
      [120, "SEND 5000"],
      [130, "<ACK> seq=rcv.nxt ack=snd.una+1000 wnd=2000"],
    ]
    expect(steps(plain, story).slice(1)).toEqual([[], [], []])
  })
})

describe("segments", () => {
  // Bursts as large as the device takes; how large the rate makes them is in pacing.test.ts.
  const settings = { tcpMinTsoSegs: 64 }
  const big: WorldOptions = { ...plain, settings, path: { mss: M, burst: 64_000 } }

  test("a device that cuts: effects of whole segments, half of the window each, and their size; bursts are pushed", () => {
    const scene = open(big, [[100, "SEND 10000"]])
    expect(sentRanges(scene)).toEqual(["0+5000 PSH", "5000+5000 PSH"])
    expect(transmits(scene.effects).map((t) => t.segmentSize)).toEqual([M, M])
  })

  test("a device that cuts, a tail after full segments: goes along", () => {
    expect(sentRanges(open(big, [[100, "SEND 2500"]]))).toEqual(["0+2500 PSH"])
  })

  test("a device that cuts, a tail that Nagle holds: whole segments only", () => {
    const story: Story = [
      [100, "SEND 10"],
      [101, "SEND 2500"],
    ]
    expect(steps(big, story)).toEqual([["0+10 PSH"], ["10+2000 PSH"]])
  })

  test("a device that cuts, more than it takes at once: whole segments of no more", () => {
    const scene = open({ ...plain, settings, path: { mss: M, burst: 4500 } }, [[100, "SEND 10000"]])
    expect(sentRanges(scene)).toEqual(["0+4000 PSH", "4000+4000 PSH", "8000+2000 PSH"])
  })

  test("a device that cuts, a window of part of it: within the window", () => {
    const scene = open({ ...big, habits: { ...habits, wnd: 3500 } }, [[100, "SEND 10000"]])
    expect(sentRanges(scene)).toEqual(["0+3000 PSH"])
  })

  test("timestamps agreed: twelve octets less", () => {
    const scene = open({ habits: { mss: M }, path: { mss: M } }, [[100, "SEND 3000"]])
    expect(transmits(scene.effects).map((t) => t.length)).toEqual([988, 988, 988, 36])
  })

  test("SACK blocks go along: less by them, so that the segment fits the path", () => {
    const scene = open(plain, [
      [100, "SEND 500"],
      [110, "<ACK> seq=rcv.nxt+100 ack=snd.nxt data=100"],
      [120, "SEND 3000"],
    ])
    const [first] = transmits(scene.effects)
    expect(first?.options.sack.length).toBe(1)
    // 2 NOPs, kind, length, 8 for the block.
    expect(first?.length).toBe(M - 12)
  })

  test("MSS of both: the smaller counts; none given: 536 (RFC 9293 section 3.7.1)", () => {
    expect(transmits(open({ ...plain, path: { mss: 1460 } }, [[100, "SEND 5000"]]).effects)[0]?.length).toBe(M)
    expect(
      transmits(open({ ...plain, habits: { ...habits, mss: 1460 } }, [[100, "SEND 5000"]]).effects)[0]?.length,
    ).toBe(M)
    expect(transmits(open({ ...plain, habits: { ...habits, mss: 0 } }, [[100, "SEND 5000"]]).effects)[0]?.length).toBe(
      536,
    )
  })

  test("PSH: at the end of each write, not between", () => {
    expect(steps(plain, [[100, "SEND 2500"]])).toEqual([["0+1000", "1000+1000", "2000+500 PSH"]])
  })
})

describe("acknowledging (RFC 9293 section 3.8.6.3, RFC 5681 section 4.2)", () => {
  const full = "<ACK> seq=rcv.nxt ack=snd.nxt data=1000"

  test("one full segment: waits, at most 500 ms", () => {
    const scene = open(plain, [[200, full]])
    expect(transmits(scene.effects)).toEqual([])
    expect(deadline(scene, "delayedAck")).toBeLessThanOrEqual((200 + 500) * MS)
  })

  test("every second full segment: at once", () => {
    let scene = open(plain, [[200, full]])
    const acks: Array<number> = []
    for (let i = 0; i < 5; i++) {
      scene = next(scene, 201 + i, full)
      acks.push(...transmits(scene.effects).map((t) => t.ack - 301))
    }
    expect(acks).toEqual([2000, 4000, 6000])
  })

  test("several segments joined by the device: at once", () => {
    expect(transmits(open(plain, [[200, "<ACK> seq=rcv.nxt ack=snd.nxt data=3000"]]).effects).length).toBe(1)
  })

  test("a reply leaves: carries the ACK, the timer is off", () => {
    const scene = open(plain, [
      [200, full],
      [210, "SEND 10"],
    ])
    expect(transmits(scene.effects).map((t) => t.ack)).toEqual([1301])
    expect(connection(scene).timers.delayedAck).toBeLessThan(0)
  })

  test("the start of a connection with quick ACKs: at once, so often", () => {
    let scene = open({ ...plain, profile: { initialQuickAcks: 2 } })
    const counts: Array<number> = []
    for (let i = 0; i < 4; i++) {
      scene = next(scene, 200 + i, "<ACK> seq=rcv.nxt ack=snd.nxt data=10")
      counts.push(transmits(scene.effects).length)
    }
    expect(counts).toEqual([1, 1, 0, 0])
  })
})

describe("ACKs of the unacceptable are limited (RFC 5961 section 7)", () => {
  const sent = (...story: Story) => {
    let scene: Happened = open(plain)
    return story.map(([at, words]) => {
      scene = next(scene, at, words)
      return transmits(scene.effects).length
    })
  }

  test("challenges within tcpInvalidRatelimit: one", () => {
    expect(
      sent(
        [200, "<RST> seq=rcv.nxt+1"],
        [300, "<SYN> seq=rcv.nxt+1"],
        [699, "<ACK> seq=rcv.nxt ack=snd.nxt+1"],
        [700, "<RST> seq=rcv.nxt+1"],
      ),
    ).toEqual([1, 0, 0, 1])
  })

  test("bare ACKs outside of the window: limited; text again: always answered", () => {
    const old = "<ACK> seq=rcv.nxt-100 ack=snd.nxt"
    expect(sent([200, old], [210, old], [220, `${old} data=50`], [230, `${old} data=50`])).toEqual([1, 0, 1, 1])
  })
})

describe("no more than a turn's octets, what is sent again included (Linux's tcp_small_queue_check)", () => {
  const LIMIT = 3 * M
  /** Ten segments out, all lost to a time-out that has sent the first again, and a congestion window that lets all go. */
  const lost = (octets: number) => {
    const late = next(next(open(noDelay), 100, `SEND ${octets}`), 2000, "retransmit timeout")
    const tcb = connection(late)
    return { now: late.now, tcb: { ...tcb, cc: { ...tcb.cc, cwnd: 100 * M } } }
  }

  /** The segments of each turn, until nothing is left to send. */
  const turns = (limit: number, octets = 10 * M): ReadonlyArray<number> => {
    const { now, tcb: start } = lost(octets)
    let tcb = start
    const counts: Array<number> = []
    for (;;) {
      const step = output(tcb, now, limit)
      const sent = transmits(step.effects).reduce((sum, { length }) => sum + length, 0)
      if (sent === 0) return counts
      counts.push(sent / M)
      tcb = step.tcb
    }
  }

  test("the rest of what is lost goes in the next turns", () => {
    expect(turns(LIMIT)).toEqual([3, 3, 3])
  })

  test("at least one segment, however small the limit", () => {
    expect(turns(1)).toEqual(new Array<number>(9).fill(1))
  })

  test("without a limit all goes at once", () => {
    expect(turns(Number.POSITIVE_INFINITY)).toEqual([9])
  })

  test("new data takes what the lost has left of it", () => {
    expect(turns(6 * M, 19 * M)).toEqual([6, 6, 6])
  })
})
