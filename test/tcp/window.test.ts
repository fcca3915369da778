import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { distance } from "../../src/tcp/seq.ts"
import { defaultSettings } from "../../src/tcp/settings.ts"
import { next, open, sentRanges } from "./support/peer.ts"
import { BUFFER, closed, connection, eventOf, type Happened, happen, MS, play, transmits } from "./support/world.ts"

const lastWindow = (scene: Happened): number | undefined => transmits(scene.effects).at(-1)?.wnd

describe("the receive window (RFC 9293 section 3.8.6)", () => {
  test("nothing is read: shrinks to zero by what arrives, its edge stays", () => {
    let scene = open()
    const { edge } = connection(scene).rcv
    for (const n of [5000, 5000, 120]) scene = next(scene, 200, `<ACK> seq=rcv.nxt ack=snd.nxt data=${n}`)
    const { rcv } = connection(scene)
    expect([rcv.nxt, rcv.edge]).toEqual([edge, edge])
    expect(rcv.unread).toBe(BUFFER)
  })

  test("closed, and read in small steps: no update until a segment fits (section 3.8.6.2.2)", () => {
    let scene = open({}, [[200, "<ACK> seq=rcv.nxt ack=snd.nxt data=rcv.wnd"]])
    expect(lastWindow(scene)).toBe(0)
    const updates: Array<readonly [number, number | undefined]> = []
    for (let read = 100; read <= 2000; read += 100) {
      scene = next(scene, 210, "RECEIVE 100")
      if (transmits(scene.effects).length > 0) updates.push([read, lastWindow(scene)])
    }
    // One MSS of 1012 octets; then what at least doubles it.
    expect(updates[0]).toEqual([1100, 1100])
    expect(updates.every(([, wnd], i) => i === 0 || (wnd ?? 0) >= 2 * (updates[i - 1]?.[1] ?? 0))).toBe(true)
  })

  test("of less than two segments, and without a scale: read empty, it opens by half at once, not octet by octet", () => {
    // The peer's full segment is 1012 octets, as much as the buffer holds.
    let scene = open({ socket: { receiveBuffer: 1100 } }, [
      [200, "<ACK> seq=rcv.nxt ack=snd.nxt data=1012"],
      [210, "RECEIVE 1012"],
    ])
    const steps: Array<number> = []
    for (let n = 0; n < 12; n++) {
      const { edge } = connection(scene).rcv
      scene = play(scene, [
        [220 + n, "<ACK> seq=rcv.nxt ack=snd.nxt data=12"],
        [220 + n, "RECEIVE 12"],
      ])
      steps.push(distance(connection(scene).rcv.edge, edge))
    }
    expect(steps.every((step) => step === 0 || step >= 550)).toBe(true)
    expect(connection(scene).rcv.unread).toBe(0)
  })

  test("after the peer's FIN: no updates", () => {
    const scene = open({}, [
      [200, "<FIN,ACK> seq=rcv.nxt ack=snd.nxt data=rcv.wnd"],
      [210, "RECEIVE 10120"],
    ])
    expect(transmits(scene.effects)).toEqual([])
  })

  test("any arrivals and reads: the edge never moves left, the buffer never overflows, the field says no more", () => {
    const step = fc.oneof(
      fc.record({ arrive: fc.integer({ min: 1, max: 5000 }), ahead: fc.constantFrom(0, 0, 0, 700) }),
      fc.record({ read: fc.integer({ min: 1, max: 6000 }) }),
    )
    const scale = fc.constantFrom(undefined, 3)
    fc.assert(
      fc.property(scale, fc.array(step, { maxLength: 60 }), (peerScale, steps) => {
        const scaled = peerScale === undefined ? {} : { peerScale, socket: { receiveBuffer: 300_000 } }
        let scene = open({ ...scaled, irs: 0xffff_f000 })
        let time = 200
        let edge = connection(scene).rcv.edge
        for (const s of steps) {
          time += 7
          const before: Happened = { ...scene, now: time * MS }
          const { unread } = connection(before).rcv
          const words =
            "read" in s
              ? `RECEIVE ${Math.min(s.read, unread)}`
              : `<ACK> seq=rcv.nxt+${s.ahead} ack=snd.nxt data=${s.arrive}`
          scene = happen(before, eventOf(words, before))
          const { rcv, link } = connection(scene)
          expect(distance(rcv.edge, edge)).toBeGreaterThanOrEqual(0)
          expect(distance(rcv.edge, rcv.nxt)).toBeGreaterThanOrEqual(0)
          expect(rcv.unread + rcv.queue.length).toBeLessThanOrEqual(rcv.buf)
          for (const t of transmits(scene.effects)) {
            expect(t.wnd).toBeLessThanOrEqual(65_535)
            expect(distance(rcv.edge, t.ack) - t.wnd * 2 ** link.agreed.rcvScale).toBeGreaterThanOrEqual(0)
          }
          edge = rcv.edge
        }
      }),
      { numRuns: 200 },
    )
  })

  test("growth, a fast reader: twice what was read in a round trip, up to tcpRmem's half", () => {
    let scene = open({ socket: { receiveBuffer: 0 }, peerScale: 7 })
    const first = connection(scene).rcv.buf
    expect(first).toBe(65_536)
    let time = 200
    for (let i = 0; i < 200; i++) {
      time += 10
      scene = play(scene, [
        [time, "<ACK> seq=rcv.nxt ack=snd.nxt data=40000"],
        [time, "RECEIVE 40000"],
      ])
    }
    // 100 ms of round trip: 400,000 octets each.
    expect(connection(scene).rcv.buf).toBeGreaterThanOrEqual(800_000)
    expect(connection(scene).rcv.buf).toBeLessThanOrEqual(defaultSettings.tcpRmem[2] / 2)
  })

  test("a buffer that the application chose: stays", () => {
    let scene = open()
    for (let i = 0; i < 50; i++) {
      scene = play(scene, [
        [200 + 50 * i, "<ACK> seq=rcv.nxt ack=snd.nxt data=5000"],
        [200 + 50 * i, "RECEIVE 5000"],
      ])
    }
    expect(connection(scene).rcv.buf).toBe(BUFFER)
  })
})

describe("window scaling (RFC 7323 section 2)", () => {
  const scaled = { peerScale: 4, socket: { receiveBuffer: 1_000_000 } } as const

  test("our SYN: the least shift that announces the buffer, an unscaled window", () => {
    const syn = play(closed(scaled), [[0, "OPEN active"]])
    const [sent] = transmits(syn.effects)
    // 1,000,000 / 2^4 = 62,500
    expect(sent?.options.windowScale).toBe(4)
    expect(sent?.wnd).toBe(65_535)
  })

  test("the peer's SYN,ACK: its window is not scaled; later ones are", () => {
    let scene = open(scaled)
    expect(connection(scene).snd.wnd).toBe(10_000)
    scene = next(scene, 200, "<ACK> seq=rcv.nxt ack=snd.nxt wnd=20000")
    expect(connection(scene).snd.wnd).toBe(320_000)
  })

  test("the ACK of a passive open: scaled", () => {
    const scene = play(closed(scaled), [
      [0, "OPEN passive"],
      [0, "<SYN> seq=irs"],
      [100, "<ACK> seq=rcv.nxt ack=snd.nxt wnd=1000"],
    ])
    expect(connection(scene).snd.wnd).toBe(16_000)
  })

  test("our windows: rounded down to what the shift can say", () => {
    const scene = open(scaled, [[200, "<ACK> seq=rcv.nxt ack=snd.nxt data=3001"]])
    const { rcv } = connection(scene)
    expect(lastWindow(scene)).toBe(Math.floor((rcv.edge - rcv.nxt) / 16))
  })

  test("the peer does not offer it: off both ways", () => {
    const scene = play(closed({ settings: { tcpWindowScaling: true }, socket: { receiveBuffer: 1_000_000 } }), [
      [0, "OPEN active"],
      [100, "<SYN,ACK> seq=irs ack=iss+1"],
      [200, "<ACK> seq=rcv.nxt ack=snd.nxt wnd=2000"],
    ])
    const { link, snd } = connection(scene)
    expect([link.agreed.rcvScale, link.agreed.sndScale, snd.wnd]).toEqual([0, 0, 2000])
  })

  test("a shift over 14: taken as 14", () => {
    expect(connection(open({ ...scaled, peerScale: 200 })).link.agreed.sndScale).toBe(14)
  })
})

describe("a closed receive window (RFC 9293 section 3.10.7.4, first check)", () => {
  const full = () => open({}, [[200, "<ACK> seq=rcv.nxt ack=snd.nxt data=rcv.wnd"]])

  test("text at its edge: not taken, an ACK says where we are, its ACK counts", () => {
    const sending = play(full(), [[210, "SEND 100"]])
    const scene = next(sending, 220, "<ACK> seq=rcv.nxt ack=snd.nxt data=1")
    expect(scene.effects.filter((e) => e._tag === "Deliver")).toEqual([])
    expect(scene.effects.filter((e) => e._tag === "Acknowledged")).toEqual([{ _tag: "Acknowledged", count: 100 }])
    expect(transmits(scene.effects).map((t) => [t.ack, t.wnd])).toEqual([[301 + BUFFER, 0]])
  })

  test("URG with text at its edge: the text is not taken, the pointer is", () => {
    const scene = next(full(), 220, "<URG,ACK> seq=rcv.nxt ack=snd.nxt up=10 data=1")
    expect(scene.effects.filter((e) => e._tag === "Urgent")).toEqual([{ _tag: "Urgent", at: 301 + BUFFER + 10 }])
  })

  test("a bare ACK at its edge: taken", () => {
    const sending = play(full(), [[210, "SEND 100"]])
    const scene = next(sending, 220, "<ACK> seq=rcv.nxt ack=snd.nxt")
    expect(scene.effects.some((e) => e._tag === "Acknowledged")).toBe(true)
  })

  test("a probe at an old number: answered with the window", () => {
    const scene = next(full(), 220, "<ACK> seq=rcv.nxt-1 ack=snd.nxt")
    expect(transmits(scene.effects).map((t) => [t.ack, t.wnd])).toEqual([[301 + BUFFER, 0]])
  })

  test("RST at its edge: resets", () => {
    expect(next(full(), 220, "<RST> seq=rcv.nxt").tcb._tag).toBe("CLOSED")
  })

  test("FIN at its edge: not taken until there is room", () => {
    const early = next(full(), 220, "<FIN,ACK> seq=rcv.nxt ack=snd.nxt")
    expect(early.tcb._tag).toBe("ESTABLISHED")
    const scene = play(early, [
      [230, "RECEIVE 5000"],
      [240, "<FIN,ACK> seq=rcv.nxt ack=snd.nxt"],
    ])
    expect(scene.tcb._tag).toBe("CLOSE-WAIT")
  })
})

describe("beyond the receive window, as Linux does it", () => {
  const profile = { beyondWindow: "joined-packet-and-FIN" } as const
  const joined = "<ACK> seq=rcv.nxt ack=snd.nxt data=rcv.wnd+500"

  test.each([
    ["a joined packet, nothing waits: taken whole", [[200, joined]], BUFFER + 500],
    [
      "a joined packet, text waits: trimmed",
      [
        [200, "<ACK> seq=rcv.nxt ack=snd.nxt data=10"],
        [210, joined],
      ],
      BUFFER,
    ],
  ] as const)("%s", (_, events, taken) => {
    const scene = play(open({ profile }), events)
    expect(connection(scene).rcv.unread).toBe(taken)
    expect(lastWindow(scene)).toBe(0)
  })

  test("a joined packet that begins beyond it: not taken", () => {
    const scene = next(open({ profile }), 200, "<ACK> seq=rcv.edge ack=snd.nxt data=3000")
    expect(connection(scene).rcv.unread).toBe(0)
  })

  test.each([
    ["<FIN,ACK> seq=rcv.nxt ack=snd.nxt", "CLOSE-WAIT"],
    ["<FIN,ACK> seq=rcv.nxt ack=snd.nxt data=1", "ESTABLISHED"],
    ["<FIN,ACK> seq=rcv.nxt+1 ack=snd.nxt", "ESTABLISHED"],
  ] as const)("it is closed, %s: %s", (segment, state) => {
    const full = open({ profile }, [[200, "<ACK> seq=rcv.nxt ack=snd.nxt data=rcv.wnd"]])
    expect(next(full, 220, segment).tcb._tag).toBe(state)
  })
})

describe("the send window (RFC 9293 section 3.10.7.4, fifth check)", () => {
  test("an older segment arrives late: its window is not taken (SND.WL1, SND.WL2)", () => {
    let scene = open({}, [[100, "SEND 3000"]])
    scene = next(scene, 200, "<ACK> seq=rcv.nxt+100 ack=snd.una+1000 wnd=9000 data=10")
    scene = next(scene, 210, "<ACK> seq=rcv.nxt ack=snd.una wnd=100")
    expect(connection(scene).snd.wnd).toBe(9000)
    scene = next(scene, 220, "<ACK> seq=rcv.nxt ack=snd.una-500 wnd=100")
    expect(connection(scene).snd.wnd).toBe(9000)
  })

  test("the same segment number, a later ACK: taken", () => {
    let scene = open({}, [[100, "SEND 3000"]])
    scene = next(scene, 200, "<ACK> seq=rcv.nxt ack=snd.una+1000 wnd=9000")
    scene = next(scene, 210, "<ACK> seq=rcv.nxt ack=snd.una+1000 wnd=500")
    expect(connection(scene).snd.wnd).toBe(500)
  })

  test("MAX.SND.WND: the largest ever, and no less later", () => {
    let scene = open({}, [[200, "<ACK> seq=rcv.nxt ack=snd.nxt wnd=30000"]])
    scene = next(scene, 210, "<ACK> seq=rcv.nxt ack=snd.nxt wnd=100")
    expect(connection(scene).snd.maxWnd).toBe(30_000)
    expect(sentRanges(scene)).toEqual([])
  })
})

describe("urgent data (RFC 9293 section 3.8.5)", () => {
  const urgent = (scene: Happened) => scene.effects.flatMap((e) => (e._tag === "Urgent" ? [e.at - 301] : []))

  test("the same pointer again: told once; a later one: told again; one behind RCV.NXT: not told", () => {
    let scene = next(open(), 200, "<URG,ACK> seq=rcv.nxt ack=snd.nxt up=500 data=100")
    expect(urgent(scene)).toEqual([500])
    scene = next(scene, 210, "<URG,ACK> seq=rcv.nxt ack=snd.nxt up=400 data=100")
    expect(urgent(scene)).toEqual([])
    scene = next(scene, 220, "<URG,ACK> seq=rcv.nxt ack=snd.nxt up=450 data=500")
    expect(urgent(scene)).toEqual([650])
    scene = next(scene, 230, "<URG,ACK> seq=rcv.nxt-100 ack=snd.nxt up=50 data=200")
    expect(urgent(scene)).toEqual([])
  })
})
