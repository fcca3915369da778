import { describe, expect, test } from "bun:test"
import { modelTimeout } from "../../src/tcp/patience.ts"
import type { TimerName } from "../../src/tcp/tcb.ts"
import { OFF } from "../../src/tcp/time.ts"
import { earliestDeadline, NO_TIMERS } from "../../src/tcp/timers.ts"
import { next, open, sentRanges } from "./support/peer.ts"
import {
  closed,
  deadline,
  type Happened,
  MS,
  play,
  type Scene,
  SECOND,
  type Story,
  timersOf,
  transmits,
  type WorldOptions,
} from "./support/world.ts"

/** Lets the timer end again and again with no answer: when it did, in seconds, and how it all ended. */
const silence = (scene: Scene, timer: TimerName): { readonly at: ReadonlyArray<number>; readonly end: Happened } => {
  let now: Happened = { ...scene, effects: [], refused: undefined }
  const at: Array<number> = []
  for (let i = 0; i < 200 && timersOf(now.tcb)[timer] !== OFF; i++) {
    const time = deadline(now, timer)
    at.push(time / SECOND)
    now = next(now, time / MS, `${timer} timeout`)
  }
  return { at, end: now }
}

const made = (story: Story, options: WorldOptions = {}): Scene => play(closed(options), story)
const gaveUp = (why: string) => ({ _tag: "Closed", reason: "ConnectionTimedOut", why })
const closing = (scene: Happened): unknown => scene.effects.find((e) => e._tag === "Closed")

describe("SYN", () => {
  test("no answer: again after 1, 2, 4, 8, 16, 32 s, the end 64 s later", () => {
    const { at, end } = silence(made([[0, "OPEN active"]]), "retransmit")
    expect(at).toEqual([1, 3, 7, 15, 31, 63, 127])
    expect(closing(end)).toEqual(gaveUp("RFC9293-3.8.3:R2-of-SYN"))
    expect(transmits(end.effects)).toEqual([])
  })

  test("tcpSynRetries 2: again after 1 and 2 s, the end 4 s later", () => {
    expect(silence(made([[0, "OPEN active"]], { settings: { tcpSynRetries: 2 } }), "retransmit").at).toEqual([1, 3, 7])
  })

  test("TCP_SYNCNT 2: as tcpSynRetries 2, of this socket", () => {
    expect(silence(made([[0, "OPEN active"]], { socket: { synCount: 2 } }), "retransmit").at).toEqual([1, 3, 7])
  })

  test("again: the same ISS and options, a later timestamp", () => {
    const first = play(closed(), [[0, "OPEN active"]])
    const again = next(first, 1000, "retransmit timeout")
    const [one] = transmits(first.effects)
    const [two] = transmits(again.effects)
    expect(two?.seq).toBe(one?.seq)
    expect(two?.options).toEqual({ ...one?.options, tsVal: 1000 } as never)
  })
})

describe("SYN,ACK", () => {
  const half = (settings = {}) =>
    made(
      [
        [0, "OPEN passive"],
        [0, "<SYN> seq=irs"],
      ],
      { settings },
    )

  test("no answer: again after 1, 2, 4, 8, 16 s, the end 32 s later", () => {
    const { at, end } = silence(half(), "retransmit")
    expect(at).toEqual([1, 3, 7, 15, 31, 63])
    expect(end.tcb._tag).toBe("CLOSED")
    expect(transmits(end.effects)).toEqual([])
  })

  test("tcpSynackRetries 8: intervals stop growing at 120 s", () => {
    expect(silence(half({ tcpSynackRetries: 8 }), "retransmit").at).toEqual([1, 3, 7, 15, 31, 63, 127, 247, 367])
  })

  test("of crossed SYNs: again after 1, 2, 4, 8, 16 s, the end 32 s later", () => {
    const story: Story = [
      [0, "OPEN active"],
      [100, "<SYN> seq=irs"],
    ]
    const { at, end } = silence(made(story), "retransmit")
    expect(at).toEqual([1, 3, 7, 15, 31, 63].map((s) => s + 0.1))
    expect(closing(end)).toEqual(gaveUp("RFC9293-3.8.3:R2-of-SYN-ACK"))
  })

  test("of SYNs that cross late: the SYN,ACK has all of its own retries", () => {
    const story: Story = [
      [0, "OPEN active"],
      ...[1, 3, 7, 15, 31].map((s) => [s * 1000, "retransmit timeout"] as const),
      [40_000, "<SYN> seq=irs"],
    ]
    expect(silence(made(story), "retransmit").at).toEqual([41, 43, 47, 55, 71, 103])
  })
})

describe("zero window (RFC 9293 section 3.8.6.1)", () => {
  /** 3000 octets wait; the peer has closed its window at 200 ms. RTO 300 ms. */
  const shut = (options: WorldOptions = {}) =>
    open(options, [
      [100, "SEND 1000"],
      [200, "<ACK> seq=rcv.nxt ack=snd.nxt wnd=0"],
      [200, "SEND 3000"],
    ])

  test("no answer: probes with doubling intervals, tcpRetries2 of them, then the end", () => {
    const { at, end } = silence(shut({ settings: { tcpRetries2: 4 } }), "persist")
    expect(at).toEqual([0.5, 1.1, 2.3, 4.7, 9.5])
    expect(closing(end)).toEqual(gaveUp("RFC9293-3.8.6.1:no-answer-to-probes"))
  })

  test("no answer, for long: no interval over the profile's maximum", () => {
    const { at } = silence(shut({ settings: { tcpRetries2: 15 } }), "persist")
    const gaps = at.slice(1).map((t, i) => t - (at[i] ?? 0))
    expect(at.length).toBe(16)
    expect(Math.max(...gaps)).toBe(120)
  })

  test("answered with a closed window: goes on for as long as it is answered", () => {
    let scene = shut({ settings: { tcpRetries2: 3 } })
    for (let i = 0; i < 50; i++) {
      const at = deadline(scene, "persist") / MS
      scene = next(scene, at, "persist timeout")
      expect(transmits(scene.effects).map((t) => [t.length, t.why])).toEqual([[0, "RFC9293-3.8.6.1:zero-window-probe"]])
      scene = next(scene, at + 1, "<ACK> seq=rcv.nxt ack=snd.una wnd=0")
    }
    expect(scene.tcb._tag).toBe("ESTABLISHED")
  })

  test("the window opens: data leaves, the probe is off, the next close begins with a short interval", () => {
    let scene = shut()
    for (let i = 0; i < 3; i++) scene = next(scene, deadline(scene, "persist") / MS, "persist timeout")
    scene = next(scene, 10_000, "<ACK> seq=rcv.nxt ack=snd.una wnd=5000")
    expect(sentRanges(scene).length).toBe(3)
    expect(timersOf(scene.tcb).persist).toBe(OFF)
    scene = next(scene, 10_050, "<ACK> seq=rcv.nxt ack=snd.nxt wnd=0 ecr=10000")
    scene = next(scene, 10_060, "SEND 100")
    expect(deadline(scene, "persist") - 10_060 * MS).toBeLessThanOrEqual(300 * MS)
  })

  test("the profile probes with an octet: the next one, again until it is taken", () => {
    let scene = shut({ profile: { windowProbe: "next-octet" } })
    scene = next(scene, deadline(scene, "persist") / MS, "persist timeout")
    expect(sentRanges(scene)).toEqual(["1000+1"])
    scene = next(scene, deadline(scene, "retransmit") / MS, "retransmit timeout")
    expect(sentRanges(scene)).toEqual(["1000+1"])
    scene = next(scene, 5000, "<ACK> seq=rcv.nxt ack=snd.una+1 wnd=5000")
    expect(sentRanges(scene)[0]).toBe("1001+1000")
  })

  test("only a FIN waits: probes all the same, and it leaves when the window opens", () => {
    let scene = open({}, [
      [100, "SEND 1000"],
      [200, "<ACK> seq=rcv.nxt ack=snd.nxt wnd=0"],
      [200, "CLOSE"],
    ])
    expect(sentRanges(scene)).toEqual([])
    scene = next(scene, deadline(scene, "persist") / MS, "persist timeout")
    scene = next(scene, 700, "<ACK> seq=rcv.nxt ack=snd.una wnd=1000")
    expect(sentRanges(scene)).toEqual(["1000+0 FIN"])
  })
})

describe("user timeout (RFC 9293 section 3.8.3, RFC 5482)", () => {
  const patient: WorldOptions = { socket: { userTimeout: 5 * SECOND } }

  test("opening: from the SYN on", () => {
    const scene = made([[0, "OPEN active"]], patient)
    expect(deadline(scene, "user")).toBe(5 * SECOND)
    const end = next(scene, 5000, "user timeout")
    expect(closing(end)).toEqual(gaveUp("RFC9293-3.10.8:USER-TIMEOUT"))
  })

  test("data out: not before it is sent again; progress: off", () => {
    let scene = open(patient, [[200, "SEND 2000"]])
    expect(timersOf(scene.tcb).user).toBe(OFF)
    const first = deadline(scene, "retransmit")
    scene = next(scene, first / MS, "retransmit timeout")
    expect(deadline(scene, "user")).toBe(first + 5 * SECOND)
    scene = next(scene, deadline(scene, "retransmit") / MS, "retransmit timeout")
    expect(deadline(scene, "user")).toBe(first + 5 * SECOND)
    scene = next(scene, scene.now / MS + 1, "<ACK> seq=rcv.nxt ack=snd.una+1000")
    expect(timersOf(scene.tcb).user).toBe(OFF)
  })

  test("a closed window: from the first probe on, though the peer answers; the window opens: off", () => {
    let scene = open(patient, [
      [200, "<ACK> seq=rcv.nxt ack=snd.nxt wnd=0"],
      [200, "SEND 500"],
    ])
    const first = deadline(scene, "persist")
    scene = next(scene, first / MS, "persist timeout")
    scene = next(scene, first / MS + 1, "<ACK> seq=rcv.nxt ack=snd.una wnd=0")
    expect(deadline(scene, "user")).toBe(first + 5 * SECOND)
    scene = next(scene, first / MS + 2, "<ACK> seq=rcv.nxt ack=snd.una wnd=1000")
    expect(timersOf(scene.tcb).user).toBe(OFF)
  })
})

describe("R2 (RFC 9293 section 3.8.3)", () => {
  // Time since the first retransmission; the wait that is over when it is passed ends the connection.
  test.each([
    [15, 924.6],
    [8, 102.2],
    [3, 3],
    [0, 0.2],
  ] as const)("tcpRetries2 %d: silence of %d s from the first retransmission on", (tcpRetries2, seconds) => {
    expect(modelTimeout(tcpRetries2, 120 * SECOND)).toBe(Math.round(seconds * SECOND))
    const { at, end } = silence(open({ settings: { tcpRetries2 } }, [[200, "SEND 100"]]), "retransmit")
    expect(closing(end)).toEqual(gaveUp("RFC9293-3.8.3:R2"))
    const [first = 0] = at
    const last = at.at(-1) ?? 0
    expect(last - first).toBeGreaterThanOrEqual(seconds)
    expect((at.at(-2) ?? 0) - first < seconds || at.length === 2).toBe(true)
  })

  test("an orphan, tcpOrphanRetries 0: as with 8", () => {
    const orphan = (tcpOrphanRetries: number) =>
      silence(
        open({ settings: { tcpOrphanRetries } }, [
          [200, "SEND 100"],
          [200, "RELEASE"],
        ]),
        "retransmit",
      ).at
    expect(orphan(0)).toEqual(orphan(8))
    expect(orphan(2).length).toBeLessThan(orphan(8).length)
  })

  test("R1 passed: the next hop is doubted, at every time-out", () => {
    let scene = open({ settings: { tcpRetries1: 1 } }, [[200, "SEND 100"]])
    const doubts: Array<boolean> = []
    for (let i = 0; i < 4; i++) {
      scene = next(scene, deadline(scene, "retransmit") / MS, "retransmit timeout")
      doubts.push(scene.effects.some((e) => e._tag === "Doubt"))
    }
    // 600 ms by the model; 300, 600, 1200 and 2400 ms of waiting.
    expect(doubts).toEqual([false, true, true, true])
  })
})

describe("TIME-WAIT and FIN-WAIT-2", () => {
  const fin: Story = [
    [200, "CLOSE"],
    [300, "<ACK> seq=rcv.nxt ack=snd.nxt"],
    [400, "<FIN,ACK> seq=rcv.nxt ack=snd.nxt"],
  ]

  test("2 MSL: to the microsecond, again from each FIN that the peer repeats", () => {
    let scene = open({}, fin)
    expect(scene.tcb._tag).toBe("TIME-WAIT")
    expect(deadline(scene, "linger")).toBe(60_400 * MS)
    scene = next(scene, 30_000, "<FIN,ACK> seq=rcv.nxt-1 ack=snd.nxt")
    expect(deadline(scene, "linger")).toBe(90_000 * MS)
    expect(next(scene, 90_000, "linger timeout").tcb._tag).toBe("CLOSED")
  })

  test("RFC 1337 is on: a RST does not end it", () => {
    const scene = next(open({ settings: { tcpRfc1337: true } }, fin), 500, "<RST> seq=rcv.nxt")
    expect(scene.tcb._tag).toBe("TIME-WAIT")
    expect(transmits(scene.effects)).toEqual([])
  })

  test("FIN-WAIT-2, the application has gone: text is refused with a RST (RFC 1122 section 4.2.2.13)", () => {
    const scene = open({}, [
      [200, "RELEASE"],
      [300, "<ACK> seq=rcv.nxt ack=snd.nxt"],
    ])
    expect(scene.tcb._tag).toBe("FIN-WAIT-2")
    expect(deadline(scene, "linger")).toBe(60_300 * MS)
    const refused = next(scene, 400, "<ACK> seq=rcv.nxt ack=snd.nxt data=10")
    expect(refused.tcb._tag).toBe("CLOSED")
    expect(transmits(refused.effects).map((t) => t.why)).toEqual(["RFC1122-4.2.2.13:data-after-close"])
  })

  test("FIN-WAIT-2, the application still reads: waits for ever, text is delivered", () => {
    const scene = open({}, [
      [200, "CLOSE"],
      [300, "<ACK> seq=rcv.nxt ack=snd.nxt"],
      [400, "<ACK> seq=rcv.nxt ack=snd.nxt data=10"],
    ])
    expect(scene.effects.filter((e) => e._tag === "Deliver").length).toBe(1)
    expect(timersOf(scene.tcb).linger).toBe(OFF)
  })

  test("released while the SYNs cross: FIN-WAIT-2 does not wait for ever", () => {
    const scene = made([
      [0, "OPEN active"],
      [100, "<SYN> seq=irs"],
      [110, "RELEASE"],
      [200, "<ACK> seq=rcv.nxt ack=snd.nxt"],
      [300, "<ACK> seq=rcv.nxt ack=snd.nxt"],
    ])
    expect(scene.tcb._tag).toBe("FIN-WAIT-2")
    expect(deadline(scene, "linger")).toBe(60_300 * MS)
  })

  test("a RST at the peer's FIN, a profile that holds to RFC 5961: dropped in silence", () => {
    const scene = open({ profile: { resetAtFin: false } }, [
      [200, "<FIN,ACK> seq=rcv.nxt ack=snd.nxt"],
      [300, "<RST> seq=rcv.nxt-1"],
    ])
    expect(scene.tcb._tag).toBe("CLOSE-WAIT")
    expect(transmits(scene.effects)).toEqual([])
  })
})

test("earliest deadline, any timers: the first of those that run", () => {
  const off = NO_TIMERS
  expect(earliestDeadline(off)).toBe(OFF)
  for (const name of Object.keys(off)) expect(earliestDeadline({ ...off, [name]: 5 })).toBe(5)
  expect(earliestDeadline({ ...off, linger: 3, user: 9, retransmit: 4 })).toBe(3)
})
