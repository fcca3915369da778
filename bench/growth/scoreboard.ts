import { reduce } from "../../src/tcp/reduce.ts"
import { add } from "../../src/tcp/seq.ts"
import { isSynchronized, type Synchronized, type Tcb } from "../../src/tcp/tcb.ts"
import { ACK, EMPTY, type SackBlock } from "../../src/wire/tcpSegment.ts"
import type { Case } from "../measure.ts"
import { established, PAYLOAD, step, synchronized, timestampsOf, toClient } from "../micro/scene.ts"

/** What an ACK with a SACK block costs a sender, as there is more in flight and more of it is missing; reducers alone. */

const OUT = [64, 256, 1024, 4096] as const
/** Operations of one pass. Blocks are values: each begins with the same scoreboard. */
const TIMES = 128
/** One of so many segments is lost. */
const EVERY = 8

export const IN_FLIGHT = "segments in flight"

export const scoreboardCases = (): ReadonlyArray<Case> => OUT.flatMap(casesOf)

const casesOf = (out: number): ReadonlyArray<Case> => {
  const { start, now } = flightOf(out)
  const half = out / 2
  const some = holes(start, half, now)
  return [
    told("holes below, SACK of the next segment", out, some, [block(some, half + 1, half + 2)], now),
    told("holes below, SACK of one of them", out, some, [block(some, half - EVERY, half - EVERY + 1)], now),
  ]
}

/** A sender with so many segments out, each sent by itself. */
const flightOf = (out: number): { readonly start: Synchronized; readonly now: number } => {
  const { client, now } = established()
  const opened = synchronized(client)
  const wide: Synchronized = {
    ...opened,
    cc: { ...opened.cc, cwnd: 2 * out * PAYLOAD },
    snd: { ...opened.snd, wnd: 4 * out * PAYLOAD, maxWnd: 4 * out * PAYLOAD },
  }
  let tcb: Tcb = wide
  const bytes = new Uint8Array(PAYLOAD).fill(0x61)
  for (let n = 0; n < out; n++) tcb = step(tcb, { _tag: "Send", bytes }, now + n).tcb
  const start = synchronized(tcb)
  if (start.flight.out !== out) throw new Error(`${start.flight.out} segments are out, not ${out}`)
  return { start, now: now + out + 10_000 }
}

const block = ({ snd }: Synchronized, from: number, to: number): SackBlock => ({
  left: add(snd.una, from * PAYLOAD),
  right: add(snd.una, to * PAYLOAD),
})

const ackOf = (tcb: Synchronized, sack: ReadonlyArray<SackBlock>) =>
  toClient({
    seq: tcb.rcv.nxt,
    ack: tcb.snd.una,
    flags: ACK,
    // The window that the flight was made with.
    wnd: Math.min(0xffff, Math.ceil(tcb.snd.wnd / 2 ** tcb.link.agreed.sndScale)),
    up: 0,
    options: { ...timestampsOf(tcb, 1), sack },
    payload: EMPTY,
  })

/** Of the first `until` segments all have arrived but one in EVERY. */
const holes = (start: Synchronized, until: number, now: number): Synchronized => {
  let tcb: Tcb = start
  for (let n = 0; n < until; n += EVERY) {
    tcb = step(tcb, ackOf(start, [block(start, n + 1, n + EVERY)]), now).tcb
  }
  const made = synchronized(tcb)
  if (made.flight.sacked !== until - until / EVERY) throw new Error(`${made.flight.sacked} segments were reported`)
  return made
}

const told = (series: string, out: number, tcb: Synchronized, blocks: ReadonlyArray<SackBlock>, now: number): Case => {
  const event = ackOf(tcb, blocks)
  const arrive = (): Tcb => {
    const answer = reduce(tcb, event, now)
    if ("_tag" in answer) throw new Error(answer.why)
    return answer.tcb
  }
  const after = arrive()
  if (!isSynchronized(after) || after.flight === tcb.flight) throw new Error(`${series}: nothing has changed`)
  return {
    name: `${series}, ${out} out`,
    per: "ACK",
    point: { chart: IN_FLIGHT, line: series, at: out },
    run: () => {
      for (let n = 0; n < TIMES; n++) arrive()
      return TIMES
    },
  }
}
