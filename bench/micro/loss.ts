import { reduce } from "../../src/tcp/reduce.ts"
import { add } from "../../src/tcp/seq.ts"
import { isSynchronized, type Synchronized, type Tcb, type TimerName } from "../../src/tcp/tcb.ts"
import { OFF } from "../../src/tcp/time.ts"
import { TIMER_NAMES } from "../../src/tcp/timers.ts"
import { ACK, EMPTY, type SackBlock } from "../../src/wire/tcpSegment.ts"
import { PAYLOAD, type Pair, step, synchronized, timestampsOf, toClient, transmits } from "./scene.ts"

/** Losses of one pass. */
const TIMES = 128
/** Segments of one flight, the first of which is lost. */
const FLIGHT = 8

/** The timer that ends first. */
const first = (tcb: Synchronized): { readonly timer: TimerName; readonly at: number } | undefined =>
  TIMER_NAMES.map((timer) => ({ timer, at: tcb.timers[timer] }))
    .filter(({ at }) => at !== OFF)
    .sort((a, b) => a.at - b.at)[0]

const ackOf = (tcb: Synchronized, ack: number, sack: ReadonlyArray<SackBlock> = []) =>
  toClient({
    seq: tcb.rcv.nxt,
    ack,
    flags: ACK,
    wnd: 65535,
    up: 0,
    options: { ...timestampsOf(tcb, 1), sack },
    payload: EMPTY,
  })

/** One segment is out and nothing comes back: the timer's step with its Transmit, and the ACK. */
export const timedRetransmits = (pair: Pair): (() => number) => {
  const sent = step(pair.client, { _tag: "Send", bytes: new Uint8Array(PAYLOAD).fill(0x61) }, pair.now)
  const start = synchronized(sent.tcb)
  const due = first(start)
  if (due === undefined) throw new Error("no timer runs")
  const event = { _tag: "Timeout", timer: due.timer } as const
  const again = step(start, event, due.at)
  if (transmits(again)[0]?.seq !== start.snd.una) throw new Error(`${due.timer} sent nothing again`)
  const ack = ackOf(start, start.snd.nxt)
  return () => {
    let last: Tcb = start
    for (let n = 0; n < TIMES; n++) {
      const expired = reduce(start, event, due.at)
      if ("_tag" in expired) throw new Error(expired.why)
      const answer = reduce(expired.tcb, ack, due.at + 100)
      if ("_tag" in answer) throw new Error(answer.why)
      last = answer.tcb
    }
    if (!isSynchronized(last) || last.snd.una !== start.snd.nxt) throw new Error("nothing was acknowledged")
    return TIMES
  }
}

/** The first segment of a flight is lost: an ACK with a SACK block for each of the others, the Transmit, the ACK of all. */
export const fastRetransmits = (pair: Pair): (() => number) => {
  const sent = step(pair.client, { _tag: "Send", bytes: new Uint8Array(FLIGHT * PAYLOAD).fill(0x61) }, pair.now)
  const start = synchronized(sent.tcb)
  const { una, nxt } = start.snd
  if (nxt !== add(una, FLIGHT * PAYLOAD)) throw new Error("the initial window holds less")
  const left = add(una, PAYLOAD)
  const acks = Array.from({ length: FLIGHT - 1 }, (_, n) =>
    ackOf(start, una, [{ left, right: add(una, (n + 2) * PAYLOAD) }]),
  )
  const all = [...acks, ackOf(start, nxt)]
  const later = pair.now + 1000
  return () => {
    let last: Tcb = start
    let again = 0
    for (let n = 0; n < TIMES; n++) {
      last = start
      for (const event of all) {
        const answer = reduce(last, event, later)
        if ("_tag" in answer) throw new Error(answer.why)
        for (const effect of answer.effects) if (effect._tag === "Transmit" && effect.seq === una) again++
        last = answer.tcb
      }
    }
    if (again !== TIMES) throw new Error(`${again} retransmissions of ${TIMES} losses`)
    if (!isSynchronized(last) || last.snd.una !== nxt) throw new Error("not everything was acknowledged")
    return TIMES
  }
}
