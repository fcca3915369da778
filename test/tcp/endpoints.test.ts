import { describe, expect, test } from "bun:test"
import type { Listen, TimeWait } from "../../src/tcp/tcb.ts"
import { mayReopen } from "../../src/tcp/timeWait.ts"
import { segment } from "./support/notation.ts"
import { next, open } from "./support/peer.ts"
import { closed, eventOf, happen, play, type Scene, transmits, variables, type WorldOptions } from "./support/world.ts"

/** What a segment finds before any connection, and after one. */
const timeWait = (options: WorldOptions = {}): Scene & { readonly tcb: TimeWait } => {
  const scene = open(options, [
    [200, "CLOSE"],
    [300, "<FIN,ACK> seq=rcv.nxt ack=snd.nxt"],
  ])
  const { tcb } = scene
  if (tcb._tag !== "TIME-WAIT") throw new Error(tcb._tag)
  return { ...scene, tcb }
}

describe("a SYN in TIME-WAIT may open the endpoints anew (RFC 6191 section 2, RFC 9293 section 3.6.1)", () => {
  const cases: ReadonlyArray<readonly [timestamps: boolean, notation: string, may: boolean]> = [
    [false, "<SYN> seq=rcv.nxt+1", true],
    [false, "<SYN> seq=rcv.nxt", false],
    [false, "<SYN> seq=rcv.nxt-1", false],
    [false, "<SYN> seq=irs", false],
    // A later timestamp is as good as a later number; an earlier one is as bad.
    [true, "<SYN> seq=rcv.nxt-1000 tsval=ts.recent+1", true],
    [true, "<SYN> seq=rcv.nxt-1000", false],
    [true, "<SYN> seq=rcv.nxt+1", true],
    [true, "<SYN> seq=rcv.nxt+1 tsval=ts.recent-1", false],
    [true, "<SYN> seq=rcv.nxt-1000 ts=none", false],
    [false, "<SYN,ACK> seq=rcv.nxt+1 ack=snd.nxt", false],
    [false, "<SYN,RST> seq=rcv.nxt+1", false],
    [false, "<ACK> seq=rcv.nxt+1 ack=snd.nxt", false],
  ]
  for (const [timestamps, notation, may] of cases) {
    test(`${timestamps ? "timestamps" : "no timestamps"}, ${notation}: ${may ? "yes" : "no"}`, () => {
      const scene = timeWait({ habits: { timestamps } })
      expect(mayReopen(scene.tcb, segment(notation, variables(scene), scene.world.habits), scene.now)).toBe(may)
    })
  }

  test("over the wrap: a later number is later", () => {
    const scene = timeWait({ habits: { timestamps: false }, irs: 0xffff_fffd })
    expect(scene.tcb.rcvNxt).toBe(0xffff_ffff)
    expect(mayReopen(scene.tcb, segment("<SYN> seq=5", variables(scene), scene.world.habits), scene.now)).toBe(true)
  })
})

describe("a listener's queues", () => {
  const listening = (some: Partial<Listen>, options: WorldOptions = {}): Scene => {
    const scene = play(closed(options), [[0, "OPEN passive"]])
    if (scene.tcb._tag !== "LISTEN") throw new Error(scene.tcb._tag)
    return { ...scene, tcb: { ...scene.tcb, ...some } }
  }
  const noCookies: WorldOptions = { settings: { tcpSyncookies: 0 } }

  test("the accept queue is full: a SYN is dropped, nothing leaves", () => {
    const scene = next(listening({ waiting: 11, backlog: 10 }), 100, "<SYN> seq=irs")
    expect(transmits(scene.effects)).toEqual([])
    expect(scene.tcb).toMatchObject({ _tag: "LISTEN", requests: 0 })
  })

  test("the accept queue has as many as the backlog: one more is taken (Linux's sk_acceptq_is_full)", () => {
    const full = listening({ waiting: 10, backlog: 10 })
    const after = happen(full, eventOf("<SYN> seq=irs", full))
    expect(after.effects.some((e) => e._tag === "Spawn")).toBe(true)
  })

  test("the SYN queue has as many as the backlog: one more is taken (Linux's inet_csk_reqsk_queue_is_full)", () => {
    const full = listening({ requests: 10, backlog: 10 }, noCookies)
    const after = happen(full, eventOf("<SYN> seq=irs", full))
    expect(after.effects.some((e) => e._tag === "Spawn")).toBe(true)
  })

  test("the SYN queue is full, no cookies: dropped", () => {
    const full = listening({ requests: 11, backlog: 10 }, noCookies)
    expect(transmits(next(full, 100, "<SYN> seq=irs").effects)).toEqual([])
  })

  test("the SYN queue is full, cookies: answered and not remembered", () => {
    const full = listening({ requests: 11, backlog: 10 })
    const after = happen(full, eventOf("<SYN> seq=irs", full))
    expect(transmits(after.effects).map((t) => t.why)).toEqual(["RFC4987-3.6:SYN-cookie"])
    expect(after.effects.some((e) => e._tag === "Spawn")).toBe(false)
  })

  for (const [abort, outcome] of [
    [false, "the request stays, nothing leaves"],
    [true, "reset (tcp_abort_on_overflow)"],
  ] as const) {
    test(`the final ACK finds no room: ${outcome}`, () => {
      const half = play(closed({ settings: { tcpAbortOnOverflow: abort } }), [
        [0, "OPEN passive"],
        [0, "<SYN> seq=irs"],
      ])
      const event = eventOf("<ACK> seq=rcv.nxt ack=snd.nxt", half)
      if (event._tag !== "SegmentArrives") throw new Error(event._tag)
      const after = happen(half, { ...event, room: false })
      expect(after.tcb._tag).toBe(abort ? "CLOSED" : "SYN-RECEIVED")
      expect(transmits(after.effects).map((t) => [t.seq, t.flags])).toEqual(abort ? [[101, 0x04]] : [])
    })
  }
})

describe("profiles", () => {
  test("a segment lacks the agreed timestamp, FreeBSD: dropped in silence (RFC 7323 section 3.2)", () => {
    const scene = open({ profile: { missingTimestamp: "drop" } }, [
      [200, "<ACK> seq=rcv.nxt ack=snd.nxt data=10 ts=none"],
    ])
    expect(scene.effects).toEqual([{ _tag: "Drop", why: "RFC7323-3.2:timestamp-missing" }])
  })

  test("a SYN with FIN for a listener, FreeBSD: a request", () => {
    const listen = play(closed({ profile: { synFin: "accept" } }), [[0, "OPEN passive"]])
    const after = happen(listen, eventOf("<SYN,FIN> seq=irs", listen))
    expect(after.effects.some((e) => e._tag === "Spawn")).toBe(true)
  })

  test("an echo of a timestamp that was never sent, in SYN-SENT: reset (Linux's PAWSActive)", () => {
    const scene = play(closed(), [
      [1000, "OPEN active"],
      [1100, "<SYN,ACK> seq=irs ack=iss+1 ecr=5"],
    ])
    expect(scene.tcb._tag).toBe("SYN-SENT")
    expect(transmits(scene.effects).map((t) => [t.seq, t.flags])).toEqual([[101, 0x04]])
  })

  test("PAWS after 24 days of silence: the old timestamp says nothing (RFC 7323 section 5.5)", () => {
    const day = 24 * 3600 * 1000
    const old = "<ACK> seq=rcv.nxt ack=snd.nxt data=10 tsval=ts.recent-1"
    expect(next(open(), 24 * day, old).effects.some((e) => e._tag === "Deliver")).toBe(false)
    expect(next(open(), 25 * day, old).effects.some((e) => e._tag === "Deliver")).toBe(true)
  })
})
