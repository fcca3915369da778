import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { send } from "../../src/tcp/calls.ts"
import { appendSent, emptyFlight, recordOf } from "../../src/tcp/flight.ts"
import { weighed } from "../../src/tcp/output.ts"
import { plainSend } from "../../src/tcp/plainSend.ts"
import { emptyQueue } from "../../src/tcp/sendQueue.ts"
import { add } from "../../src/tcp/seq.ts"
import { isSynchronized, type Synchronized } from "../../src/tcp/tcb.ts"
import { OFF } from "../../src/tcp/time.ts"
import { canonical } from "../properties/purity.ts"
import { ESTABLISHED_SCENES } from "./support/scenes.ts"
import { MS, SECOND } from "./support/world.ts"

const established = (): Synchronized => {
  const { tcb } = ESTABLISHED_SCENES.base
  if (!isSynchronized(tcb)) throw new Error(`the scene is in ${tcb._tag}`)
  return tcb
}

const now = 100 * SECOND
const rarely = <A>(usual: A, ...others: ReadonlyArray<A>) =>
  fc.oneof({ weight: 8, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(usual, ...others) })

/** What decides whether a segment leaves, and what it leaves behind. Times are microseconds before now. */
const anyState = fc.record({
  /** Short segments outstanding: how long ago each left. */
  outstanding: fc.array(fc.integer({ min: 0, max: 3 * SECOND }), { maxLength: 4 }),
  length: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 900, max: 1100 })),
  noDelay: fc.boolean(),
  cork: rarely(false, true),
  fin: rarely(false, true),
  records: rarely(false, true),
  pushed: rarely(false, true),
  paced: rarely(0, 1_000_000),
  window: rarely(10_000, 0, 50, 300, 1000),
  cwnd: fc.constantFrom(1000, 2000, 4000, 10_000, 40_000),
  ssthresh: fc.constantFrom(2000, 1 << 30),
  srtt: fc.constantFrom(0, 100, 20 * MS, 900 * MS),
  rto: fc.constantFrom(200 * MS, SECOND, 3 * SECOND),
  backoff: rarely(0, 2),
  sacked: rarely(0, 1),
  lost: rarely(0, 1),
  retrans: rarely(0, 1),
  phase: rarely("open" as const, "disorder" as const, "cwr" as const, "recovery" as const, "loss" as const),
  probing: rarely(false, true),
  lastSent: fc.oneof(fc.constant(OFF), fc.integer({ min: 0, max: 5 * SECOND })),
  usedAt: fc.integer({ min: 0, max: 5 * SECOND }),
  limited: fc.boolean(),
  most: fc.nat(5),
  slowStartAfterIdle: fc.boolean(),
  due: fc.constantFrom("none" as const, "later" as const, "now" as const),
  delayedAck: fc.boolean(),
  retransmit: fc.boolean(),
  persist: rarely(false, true),
  pacing: rarely(false, true),
  probe: fc.boolean(),
  sack: rarely(true, false),
  appLimited: fc.constantFrom(0, 5000),
  delivered: fc.integer({ min: 0, max: 100_000 }),
})

type State = typeof anyState extends fc.Arbitrary<infer A> ? A : never

/** A connection in that state, with `length` octets waiting. */
const blockOf = (s: State): Synchronized => {
  const base = established()
  const delivery = { ...base.delivery, delivered: s.delivered, appLimited: s.appLimited }
  let flight = emptyFlight(base.snd.una)
  let nxt = base.snd.una
  for (const ago of [...s.outstanding].sort((a, b) => b - a)) {
    flight = appendSent(flight, recordOf(nxt, add(nxt, 10), base.snd.mss, 0, delivery, now - ago))
    nxt = add(nxt, 10)
  }
  const queued = sent({ ...base, queue: emptyQueue(base.snd.una) }, s.outstanding.length * 10, false)
  const start: Synchronized = {
    ...queued,
    options: { ...base.options, noDelay: s.noDelay, cork: s.cork, maxPacingRate: s.paced },
    link: {
      ...base.link,
      agreed: { ...base.link.agreed, sack: s.sack },
      context: {
        ...base.link.context,
        settings: { ...base.link.context.settings, tcpSlowStartAfterIdle: s.slowStartAfterIdle },
      },
    },
    snd: {
      ...base.snd,
      nxt,
      wnd: s.window,
      small: nxt,
      at: s.lastSent === OFF ? OFF : now - s.lastSent,
      push: s.pushed ? add(nxt, s.length) : base.snd.una,
    },
    rcv: { ...base.rcv, due: s.due },
    rto: { ...base.rto, srtt: s.srtt, rto: s.rto, backoff: s.backoff },
    cc: { ...base.cc, cwnd: s.cwnd, ssthresh: s.ssthresh },
    flight: { ...flight, sacked: s.sacked, lost: s.lost, retrans: s.retrans },
    recovery: { ...base.recovery, phase: s.phase, point: nxt },
    delivery,
    usage: { limited: s.limited, most: s.most, end: base.snd.una, used: 0, at: now - s.usedAt },
    mtu: { ...base.mtu, probing: s.probing, low: 500, high: 520, at: 0 },
    timers: {
      ...base.timers,
      delayedAck: s.delayedAck ? now + MS : OFF,
      retransmit: s.retransmit ? now + SECOND : OFF,
      persist: s.persist ? now + SECOND : OFF,
      pacing: s.pacing ? now + MS : OFF,
      probe: s.probe ? now + MS : OFF,
    },
  }
  const waiting = sent(sent(start, 1, s.records), s.length, false)
  return s.fin ? { ...waiting, _tag: "FIN-WAIT-1", snd: { ...waiting.snd, fin: true } } : waiting
}

const sent = (tcb: Synchronized, length: number, record: boolean): Synchronized => {
  const step = send(tcb, new Uint8Array(length), false, false, record)
  if ("_tag" in step || !isSynchronized(step.tcb)) throw new Error("no room")
  return step.tcb
}

describe("one segment that is all there is to send", () => {
  test("any state of a connection: what it answers, all rules answer too, to the last field", () => {
    let answered = 0
    fc.assert(
      fc.property(anyState, (state) => {
        const tcb = blockOf(state)
        const short = plainSend(tcb, now)
        if (short === undefined) return
        answered++
        expect(canonical(short)).toEqual(canonical(weighed(tcb, now, Number.POSITIVE_INFINITY)))
      }),
      { numRuns: 8000 },
    )
    expect(answered).toBeGreaterThan(800)
  })
})
