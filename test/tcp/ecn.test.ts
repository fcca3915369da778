import { describe, expect, test } from "bun:test"
import type { Transmit } from "../../src/tcp/effect.ts"
import { CE, type Codepoint, ECT0, NOT_ECT } from "../../src/wire/ecn.ts"
import { CWR, ECE, SYN } from "../../src/wire/tcpSegment.ts"
import {
  closed,
  connection,
  eventOf,
  type Happened,
  happen,
  MS,
  play,
  type Scene,
  transmits,
  type WorldOptions,
} from "./support/world.ts"

/** RFC 3168 section 6.1, rule by rule. */

const M = 1000
const offering: WorldOptions = {
  habits: { timestamps: false, mss: M, wnd: 65_535 },
  path: { mss: M },
  socket: { sendBuffer: 1_000_000, noDelay: true },
  settings: { tcpCongestionControl: "reno", tcpEcn: 1 },
}

/** A segment that arrives with a codepoint in its IP header. */
const marked = (scene: Scene, at: number, words: string, ecn: Codepoint): Happened => {
  const before = { ...scene, now: at * MS }
  const event = eventOf(words, before)
  if (event._tag !== "SegmentArrives") throw new Error(`no segment: ${words}`)
  return happen(before, { ...event, segment: { ...event.segment, ecn } })
}

const agreed = (options: WorldOptions = offering): Happened =>
  play(closed(options), [
    [0, "OPEN active"],
    [100, "<SYN,ACK,ECE> seq=irs ack=iss+1"],
  ])

const flagsOf = (sent: Transmit | undefined): string =>
  [
    (sent?.flags ?? 0) & ECE ? "ECE" : "",
    (sent?.flags ?? 0) & CWR ? "CWR" : "",
    sent?.ecn === ECT0 ? "ECT" : sent?.ecn === NOT_ECT ? "not-ECT" : "other",
  ]
    .filter((word) => word !== "")
    .join(" ")

const out = (scene: Happened): ReadonlyArray<string> => transmits(scene.effects).map(flagsOf)

describe("an active open (section 6.1.1)", () => {
  test.each([
    [1, "ECE CWR not-ECT"],
    [0, "not-ECT"],
    // Only in answer.
    [2, "not-ECT"],
  ] as const)("tcpEcn %d: the SYN says %s", (tcpEcn, said) => {
    const scene = play(closed({ ...offering, settings: { tcpEcn } }), [[0, "OPEN active"]])
    expect(out(scene)).toEqual([said])
  })

  test.each([
    ["<SYN,ACK,ECE>", true],
    // The echo of something that does not understand.
    ["<SYN,ACK,ECE,CWR>", false],
    ["<SYN,ACK,CWR>", false],
    ["<SYN,ACK>", false],
  ] as const)("answered by %s: agreed is %p", (flags, yes) => {
    const scene = play(closed(offering), [
      [0, "OPEN active"],
      [100, `${flags} seq=irs ack=iss+1`],
    ])
    expect(connection(scene).link.agreed.ecn).toBe(yes)
  })

  test("not offered, and agreed to all the same: not believed", () => {
    const scene = play(closed({ ...offering, settings: { tcpEcn: 2 } }), [
      [0, "OPEN active"],
      [100, "<SYN,ACK,ECE> seq=irs ack=iss+1"],
    ])
    expect(connection(scene).link.agreed.ecn).toBe(false)
  })
})

describe("a passive open (section 6.1.1)", () => {
  const answer = (tcpEcn: 0 | 1 | 2, words: string, ecn: Codepoint): number => {
    const listening = play(closed({ ...offering, settings: { tcpEcn } }), [[0, "OPEN passive"]])
    const scene = marked(listening, 100, words, ecn)
    const spawned = scene.effects.flatMap((effect) => (effect._tag === "Spawn" ? effect.effects : [effect]))
    const synAck = transmits(spawned).find(({ flags }) => (flags & SYN) !== 0)
    if (synAck === undefined) throw new Error("no SYN-ACK")
    expect(synAck.ecn).toBe(NOT_ECT)
    return synAck.flags & (ECE | CWR)
  }

  test.each([
    [2, "<SYN,ECE,CWR> seq=irs", NOT_ECT, ECE],
    [1, "<SYN,ECE,CWR> seq=irs", NOT_ECT, ECE],
    [0, "<SYN,ECE,CWR> seq=irs", NOT_ECT, 0],
    [2, "<SYN,ECE> seq=irs", NOT_ECT, 0],
    [2, "<SYN,CWR> seq=irs", NOT_ECT, 0],
    [2, "<SYN> seq=irs", NOT_ECT, 0],
    // A SYN must not be ECT: something on the way rewrites the field.
    [2, "<SYN,ECE,CWR> seq=irs", ECT0, 0],
    [2, "<SYN,ECE,CWR> seq=irs", CE, 0],
  ] as const)("tcpEcn %d, %s with codepoint %d: the SYN-ACK has flags %d", (tcpEcn, words, ecn, flags) => {
    expect(answer(tcpEcn, words, ecn)).toBe(flags)
  })
})

describe("the sender (section 6.1.2)", () => {
  const window = () => play(agreed(), [[100, `SEND ${100 * M}`]])

  test("new data is ECT", () => {
    expect(out(window()).every((flags) => flags === "ECT")).toBe(true)
    expect(out(window()).length).toBe(10)
  })

  test("data sent again is not ECT (section 6.1.5)", () => {
    expect(out(play(window(), [[1200, "retransmit timeout"]])).at(0)).toBe("not-ECT")
  })

  test("a window probe is not ECT (section 6.1.6)", () => {
    const full = play(agreed(), [
      [100, `SEND ${M}`],
      [200, "<ACK> seq=rcv.nxt ack=snd.nxt wnd=0"],
      [210, `SEND ${M}`],
    ])
    const probe = play(full, [[1200, "persist timeout"]])
    expect(out(probe)).toEqual(["not-ECT"])
  })

  test("an echo halves the window, and the next new data says CWR, once", () => {
    const echo = play(window(), [[200, `<ACK,ECE> seq=rcv.nxt ack=snd.una+${M}`]])
    // Of nine segments that are left in flight.
    expect(connection(echo).cc.ssthresh).toBe(4500)
    expect(connection(echo).recovery.phase).toBe("cwr")
    let scene: Happened = echo
    const said = [...out(echo)]
    for (let n = 0; n < 8; n++) {
      scene = play(scene, [[201 + n, `<ACK,ECE> seq=rcv.nxt ack=snd.una+${M}`]])
      said.push(...out(scene))
    }
    expect(said.filter((flags) => flags === "CWR ECT").length).toBe(1)
    expect(said[0]).toBe("CWR ECT")
    // Echoes within the same window of data are the same congestion.
    expect(connection(scene).cc.ssthresh).toBe(4500)
  })

  test("an echo behind that window is new congestion", () => {
    let scene: Happened = play(window(), [[200, `<ACK,ECE> seq=rcv.nxt ack=snd.una+${M}`]])
    for (let n = 0; n < 12; n++) scene = play(scene, [[201 + n, `<ACK> seq=rcv.nxt ack=snd.una+${M}`]])
    expect(connection(scene).recovery.phase).toBe("open")
    const before = connection(scene).cc.ssthresh
    scene = play(scene, [[300, `<ACK,ECE> seq=rcv.nxt ack=snd.una+${M}`]])
    expect(connection(scene).recovery.phase).toBe("cwr")
    expect(connection(scene).cc.ssthresh).toBeLessThan(before)
  })

  test("an echo of a peer with which it was not agreed: ignored", () => {
    const scene = play(closed({ ...offering, settings: { ...offering.settings, tcpEcn: 0 } }), [
      [0, "OPEN active"],
      [100, "<SYN,ACK> seq=irs ack=iss+1"],
      [100, `SEND ${100 * M}`],
      [200, `<ACK,ECE> seq=rcv.nxt ack=snd.una+${M}`],
    ])
    expect(connection(scene).recovery.phase).toBe("open")
    expect(out(scene).every((flags) => flags === "not-ECT")).toBe(true)
  })
})

describe("the receiver (section 6.1.3)", () => {
  const data = (scene: Scene, at: number, ecn: Codepoint, flags = "ACK"): Happened =>
    marked(scene, at, `<${flags}> seq=rcv.nxt ack=snd.nxt data=${M}`, ecn)

  test("a mark: ECE on every ACK until CWR comes", () => {
    let scene = data(agreed(), 200, CE)
    const said = [...out(scene)]
    for (let n = 0; n < 6; n++) {
      scene = data(scene, 201 + n, ECT0)
      said.push(...out(scene))
    }
    expect(said.length).toBeGreaterThan(3)
    expect(said.every((flags) => flags === "ECE not-ECT")).toBe(true)
    const answered = data(scene, 220, ECT0, "ACK,CWR")
    // The answer goes out at once, and is the first without the echo.
    expect(out(answered)).toEqual(["not-ECT"])
  })

  test("CWR on a segment that is marked itself: the echo goes on", () => {
    const scene = data(data(agreed(), 200, CE), 210, CE, "ACK,CWR")
    expect(out(scene)).toEqual(["ECE not-ECT"])
  })

  test("a mark on a segment without data, or where ECN was not agreed: no echo", () => {
    const bare = marked(agreed(), 200, "<ACK> seq=rcv.nxt ack=snd.nxt", CE)
    expect(connection(bare).ecn.echo).toBe(false)
    const not = play(closed({ ...offering, settings: { tcpEcn: 0 } }), [
      [0, "OPEN active"],
      [100, "<SYN,ACK> seq=irs ack=iss+1"],
    ])
    expect(connection(data(not, 200, CE)).ecn.echo).toBe(false)
  })

  test("a mark on a segment outside of the window: no echo (section 6.1.5, an attack)", () => {
    const scene = marked(agreed(), 200, `<ACK> seq=rcv.nxt-${M} ack=snd.nxt data=10`, CE)
    expect(connection(scene).ecn.echo).toBe(false)
  })

  test("pure ACKs are not ECT (section 6.1.4)", () => {
    const scene = data(data(agreed(), 200, ECT0), 201, ECT0)
    expect(out(scene)).toEqual(["not-ECT"])
  })
})
