import { describe, expect, test } from "bun:test"
import { initialWindow } from "../../src/tcp/congestion/initial.ts"
import { next, open, sentRanges } from "./support/peer.ts"
import { connection, deadline, type Happened, MS, play, type WorldOptions } from "./support/world.ts"

/** Segments of 1000 octets, a window that does not limit, much to send. */
const M = 1000
const wide: WorldOptions = {
  habits: { timestamps: false, mss: M, wnd: 65_535, sack: false },
  path: { mss: M },
  socket: { sendBuffer: 1_000_000 },
  settings: { tcpCongestionControl: "reno" },
}
/** Without F-RTO, which sends something new first: scripts for it are in test/packetdrill/rfc5682. */
const plain: WorldOptions = { ...wide, settings: { ...wide.settings, tcpFrto: 0 } }
const sending = (octets: number, options: WorldOptions = wide): Happened => open(options, [[100, `SEND ${octets}`]])

const cc = (scene: Happened) => {
  const { cc, recovery } = connection(scene)
  return { ...cc, recovering: recovery.phase === "recovery" }
}

/** Cumulative ACKs of n more octets, one by one; all that leaves in answer. */
const acked = (
  scene: Happened,
  at: number,
  ...octets: ReadonlyArray<number>
): { scene: Happened; sent: ReadonlyArray<string> } => {
  let now = scene
  const sent: Array<string> = []
  for (const n of octets) {
    now = next(now, at, `<ACK> seq=rcv.nxt ack=snd.una+${n}`)
    sent.push(...sentRanges(now))
  }
  return { scene: now, sent }
}

const duplicates = (scene: Happened, at: number, n: number) => acked(scene, at, ...new Array<number>(n).fill(0))

const ranges = (from: number, n: number): ReadonlyArray<string> =>
  Array.from({ length: n }, (_, i) => `${from + i * M}+${M}`)

describe("initial window (RFC 6928 section 2)", () => {
  test.each([
    [536, 5360],
    [1000, 10_000],
    [1460, 14_600],
    [2000, 14_600],
    [9000, 18_000],
    [65_495, 130_990],
  ])("MSS %d: min(10*MSS, max(2*MSS, 14600)) = %d", (mss, octets) => {
    expect(initialWindow(mss, 10)).toBe(octets)
  })

  test("much to send: ten segments leave, and no more", () => {
    expect(sentRanges(sending(30_000))).toEqual(ranges(0, 10))
  })

  test("the SYN was lost more than once: one segment", () => {
    const lost = play({ ...open(wide), tcb: { _tag: "CLOSED" } }, [
      [0, "OPEN active"],
      [1000, "retransmit timeout"],
      [3000, "retransmit timeout"],
      [3100, "<SYN,ACK> seq=irs ack=iss+1"],
      [3100, "SEND 30000"],
    ])
    expect(sentRanges(lost)).toEqual(ranges(0, 1))
  })
})

describe("slow start and congestion avoidance (RFC 5681 section 3.1)", () => {
  test("slow start: each segment acknowledged lets two out", () => {
    const { sent } = acked(sending(60_000), 200, M, M, M)
    expect(sent).toEqual(ranges(10_000, 6))
  })

  test("slow start: a window acknowledged doubles it", () => {
    const { scene } = acked(sending(100_000), 200, ...new Array<number>(10).fill(M))
    expect(cc(scene).cwnd).toBe(20 * M)
  })

  test("congestion avoidance: a window acknowledged adds one segment", () => {
    // After a time-out with ten segments out SSTHRESH is five.
    let scene = next(sending(100_000, plain), 400, "retransmit timeout")
    expect(cc(scene)).toMatchObject({ cwnd: M, ssthresh: 5 * M })
    scene = acked(scene, 410, ...new Array<number>(4).fill(M)).scene
    expect(cc(scene).cwnd).toBe(5 * M)
    scene = acked(scene, 420, ...new Array<number>(5).fill(M)).scene
    expect(cc(scene).cwnd).toBe(6 * M)
    scene = acked(scene, 430, ...new Array<number>(6).fill(M)).scene
    expect(cc(scene).cwnd).toBe(7 * M)
  })

  test("a window that was not used: does not grow", () => {
    let scene = sending(2000)
    scene = acked(scene, 200, M, M).scene
    expect(cc(scene).cwnd).toBe(10 * M)
  })

  test("idle for longer than the RTO: no more than the initial window again (section 4.1)", () => {
    let scene = acked(sending(20_000), 200, ...new Array<number>(20).fill(M)).scene
    expect(cc(scene).cwnd).toBeGreaterThan(10 * M)
    scene = next(scene, 5000, "SEND 40000")
    expect(sentRanges(scene)).toEqual(ranges(20_000, 10))
  })

  test("idle for less than the RTO: the window stays", () => {
    let scene = acked(sending(20_000), 200, ...new Array<number>(20).fill(M)).scene
    const { cwnd } = cc(scene)
    scene = next(scene, 210, "SEND 60000")
    expect(sentRanges(scene)).toEqual(ranges(20_000, cwnd / M))
  })
})

describe("a window that the application leaves unused (RFC 2861 section 3.2, RFC 7661)", () => {
  /** Forty segments of window, in congestion avoidance; then a write of so many segments every 100 ms, acknowledged at once. */
  const trickled = (segments: number, writes: number, settings = {}): Happened => {
    let scene = sending(30_000, { ...wide, settings: { ...wide.settings, ...settings } })
    scene = acked(scene, 200, ...new Array<number>(30).fill(M)).scene
    expect(cc(scene).cwnd).toBe(40 * M)
    for (let n = 1; n <= writes; n++) {
      scene = next(scene, 200 + 100 * n, `SEND ${segments * M}`)
      scene = next(scene, 201 + 100 * n, "<ACK> seq=rcv.nxt ack=snd.nxt")
    }
    return scene
  }

  test("within an RTO: it stays", () => {
    expect(cc(trickled(4, 1)).cwnd).toBe(40 * M)
  })

  test("for an RTO: half way down to what was used, ten segments at least; for two: half way again", () => {
    // The RTO is 300 ms at most.
    expect(cc(trickled(4, 4)).cwnd).toBe(25 * M)
    expect(cc(trickled(4, 6)).cwnd).toBe(17 * M)
  })

  test("SSTHRESH remembers three quarters of it, where slow start had ended below", () => {
    const start = trickled(4, 1)
    const { tcb } = start
    if (!("snd" in tcb) || !("cc" in tcb)) throw new Error("no connection")
    let scene: Happened = { ...start, tcb: { ...tcb, cc: { ...tcb.cc, ssthresh: 20 * M } } }
    for (let n = 2; n <= 4; n++) {
      scene = next(scene, 200 + 100 * n, `SEND ${4 * M}`)
      scene = next(scene, 201 + 100 * n, "<ACK> seq=rcv.nxt ack=snd.nxt")
    }
    expect(cc(scene)).toMatchObject({ cwnd: 25 * M, ssthresh: 30 * M })
  })

  test("for long: the initial window, and no less", () => {
    expect(cc(trickled(4, 60)).cwnd).toBeWithin(10 * M, 12 * M)
  })

  test("sixteen segments are used each time: no less than they", () => {
    expect(cc(trickled(16, 60)).cwnd).toBeGreaterThanOrEqual(16 * M)
  })

  test("tcpSlowStartAfterIdle off: it stays", () => {
    expect(cc(trickled(4, 60, { tcpSlowStartAfterIdle: false })).cwnd).toBe(40 * M)
  })
})

describe("duplicate ACKs (RFC 5681 section 3.2, RFC 3042, RFC 6582)", () => {
  test("the first and the second: limited transmit, one new segment each", () => {
    const { scene, sent } = duplicates(sending(30_000), 200, 2)
    expect(sent).toEqual(ranges(10_000, 2))
    expect(cc(scene).cwnd).toBe(10 * M)
  })

  test("limited transmit, the peer's window is full: nothing", () => {
    const narrow = { ...wide, habits: { ...wide.habits, wnd: 10_000 } }
    expect(duplicates(sending(30_000, narrow), 200, 2).sent).toEqual([])
  })

  test("the third: the first unacknowledged segment again, SSTHRESH half of the flight, CWND the pipe and one", () => {
    const { scene, sent } = duplicates(sending(10_000), 200, 3)
    expect(sent).toEqual([`0+${M}`])
    // Three arrived and one is lost: a pipe of six, and the fast retransmit.
    expect(cc(scene)).toMatchObject({ ssthresh: 5 * M, cwnd: 7 * M, recovering: true })
  })

  test("a small flight: SSTHRESH is two segments at least", () => {
    const { scene } = duplicates(sending(4000), 200, 3)
    expect(cc(scene).ssthresh).toBe(2 * M)
  })

  test("more of them than segments behind the first: no loss, the path reorders", () => {
    const { scene, sent } = duplicates(sending(3000), 200, 3)
    expect(sent).toEqual([])
    expect(connection(scene).recovery).toMatchObject({ phase: "disorder", reordering: 3, reorderings: 1 })
  })

  test("further ones: one new segment for each two, as SSTHRESH is half (RFC 6937bis section 6.2)", () => {
    // Ten and two by limited transmit are out. Of RecoverFS 10 the third delivers the first: ceil(1*5/10) = 1 is sent.
    const third = duplicates(sending(40_000), 200, 3)
    expect(cc(third.scene)).toMatchObject({ ssthresh: 5 * M, cwnd: 9 * M })
    expect(duplicates(third.scene, 201, 1).sent).toEqual([])
    expect(duplicates(third.scene, 201, 2).sent).toEqual(ranges(12_000, 1))
    expect(duplicates(third.scene, 201, 7).sent).toEqual(ranges(12_000, 3))
  })

  test("not duplicates: with text, with another window, with nothing outstanding", () => {
    let scene = sending(10_000)
    for (const words of [
      "<ACK> seq=rcv.nxt ack=snd.una data=10",
      "<ACK> seq=rcv.nxt ack=snd.una data=10",
      "<ACK> seq=rcv.nxt ack=snd.una data=10",
      "<ACK> seq=rcv.nxt ack=snd.una wnd=60000",
      "<ACK> seq=rcv.nxt ack=snd.una wnd=61000",
      "<ACK> seq=rcv.nxt ack=snd.una wnd=62000",
    ]) {
      scene = next(scene, 200, words)
      expect(sentRanges(scene)).toEqual([])
    }
    const idle = acked(sending(1000), 200, M).scene
    expect(duplicates(idle, 210, 5).sent).toEqual([])
  })

  test("new data between: counted from the start again", () => {
    let scene = duplicates(sending(10_000), 200, 2).scene
    scene = acked(scene, 210, M).scene
    const { sent } = duplicates(scene, 220, 2)
    expect(sent).toEqual([])
    expect(duplicates(scene, 220, 3).sent).toEqual([`${M}+${M}`])
  })

  test("partial ACK: the next hole at once", () => {
    // The first and the fourth are lost: eight duplicates.
    const eighth = duplicates(sending(10_000), 200, 8).scene
    const { scene, sent } = acked(eighth, 300, 3 * M)
    expect(sent).toEqual([`${3 * M}+${M}`])
    expect(cc(scene).recovering).toBe(true)
  })

  test("full ACK: recovery lasts until something above it is acknowledged, then CWND is SSTHRESH (section 3.2 step 1)", () => {
    const ninth = duplicates(sending(30_000), 200, 9).scene
    const full = acked(ninth, 300, 12 * M).scene
    expect(cc(full).recovering).toBe(true)
    const above = acked(full, 310, M).scene
    expect(cc(above)).toMatchObject({ recovering: false, cwnd: 5 * M, ssthresh: 5 * M })
  })

  test("three duplicates of what recovery was about, after a time-out: not again (section 3.2, step 2)", () => {
    let scene = next(sending(10_000), 400, "retransmit timeout")
    scene = acked(scene, 410, M).scene
    const before = cc(scene)
    const { scene: after, sent } = duplicates(scene, 420, 3)
    expect(cc(after).recovering).toBe(false)
    expect(cc(after).cwnd).toBe(before.cwnd)
    // What limited transmit lets out is part of going back, never the first segment once more.
    expect(sent).not.toContain(`${M}+${M}`)
  })
})

describe("time-outs (RFC 5681 section 3.1, RFC 6298 section 5)", () => {
  test("the first: one segment again, CWND one segment, SSTHRESH half of the flight", () => {
    const scene = next(sending(30_000), 400, "retransmit timeout")
    expect(sentRanges(scene)).toEqual([`0+${M}`])
    expect(cc(scene)).toMatchObject({ cwnd: M, ssthresh: 5 * M })
  })

  test("the second of the same segment: SSTHRESH stays", () => {
    let scene = next(sending(30_000), 400, "retransmit timeout")
    scene = next(scene, deadline(scene, "retransmit") / MS, "retransmit timeout")
    expect(cc(scene)).toMatchObject({ cwnd: M, ssthresh: 5 * M })
  })

  test("then ACKs: what was lost goes again in slow start, before anything new", () => {
    const lost = next(sending(30_000, plain), 400, "retransmit timeout")
    const first = acked(lost, 410, M)
    expect(first.sent).toEqual(ranges(M, 2))
    // All of the rest had arrived: new data follows.
    const rest = acked(first.scene, 420, 9 * M)
    expect(rest.sent[0]).toBe(`${10 * M}+${M}`)
  })

  test("during recovery: recovery ends", () => {
    const third = duplicates(sending(10_000), 200, 3).scene
    const scene = next(third, deadline(third, "retransmit") / MS, "retransmit timeout")
    expect(cc(scene)).toMatchObject({ recovering: false, cwnd: M })
  })

  test("over the wrap: fast retransmit, partial and full ACK as anywhere", () => {
    const iss = 0xffff_ffff - 2500
    const eighth = duplicates(sending(11_000, { ...wide, iss }), 200, 8)
    expect(eighth.sent).toEqual([`${10 * M}+${M} PSH`, `0+${M}`])
    const partial = acked(eighth.scene, 300, 3 * M)
    expect(partial.sent).toEqual([`${3 * M}+${M}`])
    const more = next(acked(partial.scene, 400, 8 * M).scene, 401, "SEND 1000")
    expect(cc(acked(more, 500, M).scene).recovering).toBe(false)
  })
})
