import { receive } from "../../src/tcp/calls.ts"
import type { TcpEffect } from "../../src/tcp/effect.ts"
import { output } from "../../src/tcp/output.ts"
import { reduce } from "../../src/tcp/reduce.ts"
import { add } from "../../src/tcp/seq.ts"
import { segmentArrives } from "../../src/tcp/synchronized.ts"
import type { Synchronized, Tcb } from "../../src/tcp/tcb.ts"
import { onlyTimestamps } from "../../src/wire/tcpOptions.ts"
import { ACK, EMPTY, type Segment } from "../../src/wire/tcpSegment.ts"
import type { Case } from "../measure.ts"
import { fastRetransmits, timedRetransmits } from "./loss.ts"
import {
  activeOpen,
  dataFor,
  established,
  listening,
  only,
  PAYLOAD,
  type Pair,
  START,
  settle,
  spawned,
  step,
  synchronized,
  timestampsOf,
  toClient,
  toServer,
  transmits,
} from "./scene.ts"

/** Segments of one pass over a scene. Blocks are values, so each pass begins at the same one. */
const SEGMENTS = 1024
/** Frames that one batch of a device brings, at a guess. */
const BATCH = 32

/** The case that the goal of micro/sections.ts is about. */
export const IN_ORDER = `in-order data, ${BATCH} a batch, read, one ACK`

const payloadIn = (effects: ReadonlyArray<TcpEffect>): number => {
  let n = 0
  for (const effect of effects) if (effect._tag === "Deliver") n += effect.bytes.length
  return n
}

/** Data arrives and is read; the ACK leaves at the end of a batch, as a host does it. */
const inOrderBatched = (pair: Pair, payload: number): (() => number) => {
  const start = synchronized(pair.server)
  const segments = dataFor(start, payload, SEGMENTS)
  return () => {
    let tcb = start
    for (let from = 0; from < SEGMENTS; from += BATCH) {
      let unread = 0
      const now = pair.now + from
      for (let n = from; n < from + BATCH; n++) {
        const segment = segments[n]
        if (segment === undefined) continue
        const answer = segmentArrives(tcb, segment, now)
        tcb = synchronized(answer.tcb)
        unread += payloadIn(answer.effects)
      }
      const read = receive(tcb, unread, now)
      if ("tcb" in read) tcb = synchronized(read.tcb)
      tcb = output(tcb, now).tcb
    }
    if (tcb.rcv.nxt !== add(start.rcv.nxt, SEGMENTS * payload)) throw new Error("not all data was taken")
    return SEGMENTS
  }
}

/** Every segment is an event of its own: text, ACK where one is due, effects. */
const inOrderAlone = (pair: Pair): (() => number) => {
  const start = synchronized(pair.server)
  const events = dataFor(start, PAYLOAD, SEGMENTS).map(toServer)
  return () => {
    let tcb: Tcb = start
    let now = pair.now
    for (const event of events) {
      const answer = reduce(tcb, event, ++now)
      if ("_tag" in answer) throw new Error(answer.why)
      tcb = answer.tcb
    }
    return SEGMENTS
  }
}

/** Every second segment first, so that each pair goes through the reassembly queue. */
const outOfOrder = (pair: Pair): (() => number) => {
  const start = synchronized(pair.server)
  const segments = dataFor(start, PAYLOAD, SEGMENTS)
  const swapped = segments.map((segment, n) => segments[n ^ 1] ?? segment)
  return () => {
    let tcb = start
    for (const segment of swapped) {
      const answer = segmentArrives(tcb, segment, pair.now)
      tcb = output(synchronized(answer.tcb), pair.now).tcb
    }
    if (tcb.rcv.nxt !== add(start.rcv.nxt, SEGMENTS * PAYLOAD)) throw new Error("not all data was taken")
    return SEGMENTS
  }
}

/** A sender with a thousand segments in flight: slow start has opened the window. */
const inFlight = (): { readonly pair: Pair; readonly sender: Synchronized } => {
  let pair = established()
  const chunk = new Uint8Array(64 * 1024).fill(0x61)
  for (;;) {
    let sent: Array<ReturnType<typeof transmits>[number]> = []
    for (let room = 2 * SEGMENTS * PAYLOAD; room > 0; room -= chunk.length) {
      const answer = step(pair.client, { _tag: "Send", bytes: chunk }, pair.now)
      pair = { ...pair, client: answer.tcb }
      sent = [...sent, ...transmits(answer)]
    }
    const client = synchronized(pair.client)
    const flight = (client.snd.nxt - client.snd.una) >>> 0
    if (flight >= SEGMENTS * PAYLOAD) return { pair, sender: client }
    pair = settle(pair, sent)
  }
}

/** ACKs of two segments each, nothing waiting behind them. */
const pureAcks = (): (() => number) => {
  const { pair, sender } = inFlight()
  const acks: ReadonlyArray<Segment> = Array.from({ length: SEGMENTS / 2 }, (_, n) => ({
    seq: sender.rcv.nxt,
    ack: add(sender.snd.una, (n + 1) * 2 * PAYLOAD),
    flags: ACK,
    wnd: 65535,
    up: 0,
    options: timestampsOf(sender, n >> 4),
    payload: EMPTY,
  }))
  return () => {
    let tcb = sender
    for (const segment of acks) tcb = synchronized(segmentArrives(tcb, segment, pair.now).tcb)
    if (tcb.snd.una === sender.snd.una) throw new Error("nothing was acknowledged")
    return acks.length
  }
}

/** SEND of one segment, its Transmit, and the ACK that answers it. */
const sendAndAck = (pair: Pair): (() => number) => {
  const start = synchronized(pair.client)
  const bytes = new Uint8Array(PAYLOAD).fill(0x61)
  const acks = Array.from({ length: SEGMENTS }, (_, n) =>
    toClient({
      seq: start.rcv.nxt,
      ack: add(start.snd.nxt, (n + 1) * PAYLOAD),
      flags: ACK,
      wnd: 65535,
      up: 0,
      options: timestampsOf(start, n >> 5),
      payload: EMPTY,
    }),
  )
  const send = { _tag: "Send", bytes } as const
  return () => {
    let tcb: Tcb = start
    let now = pair.now
    for (const ack of acks) {
      const sent = reduce(tcb, send, ++now)
      if ("_tag" in sent) throw new Error(sent.why)
      const answer = reduce(sent.tcb, ack, now)
      if ("_tag" in answer) throw new Error(answer.why)
      tcb = answer.tcb
    }
    return SEGMENTS
  }
}

/** LISTEN: SYN to half-open request with its SYN-ACK, then the ACK that establishes it. */
const handshakes = (): (() => number) => {
  const listener = listening()
  const segment = only(activeOpen(START))
  const syn = toServer(segment)
  const { request, synAck } = spawned(listener, segment, START + 50)
  const ack = toServer({
    ...segment,
    seq: synAck.ack,
    ack: add(synAck.seq, 1),
    flags: ACK,
    options: onlyTimestamps(segment.options.tsVal ?? 0, synAck.options.tsVal ?? 0),
  })
  if (step(request, ack, START + 100).tcb._tag !== "ESTABLISHED") throw new Error("no connection")
  return () => {
    for (let n = 0; n < SEGMENTS; n++) {
      const answer = reduce(listener, syn, START + 50)
      if ("_tag" in answer) throw new Error(answer.why)
      for (const effect of answer.effects) if (effect._tag === "Spawn") reduce(effect.tcb, ack, START + 100)
    }
    return SEGMENTS
  }
}

/** CLOSE with its FIN, the ACK of it, the peer's FIN, and TIME-WAIT. */
const closes = (pair: Pair): (() => number) => {
  const start = synchronized(pair.server)
  const from = { wnd: 65535, up: 0, options: timestampsOf(start, 1), payload: EMPTY, seq: start.rcv.nxt }
  const ackOfFin = toServer({ ...from, ack: add(start.snd.nxt, 1), flags: ACK })
  const fin = toServer({ ...from, ack: add(start.snd.nxt, 1), flags: ACK | 1 })
  const close = { _tag: "Close" } as const
  return () => {
    let last: Tcb = start
    for (let n = 0; n < SEGMENTS; n++) {
      last = start
      for (const event of [close, ackOfFin, fin]) {
        const answer = reduce(last, event, pair.now)
        if ("_tag" in answer) throw new Error(answer.why)
        last = answer.tcb
      }
    }
    if (last._tag !== "TIME-WAIT") throw new Error(`ended in ${last._tag}`)
    return SEGMENTS
  }
}

export const reducerCases = (): ReadonlyArray<Case> => {
  const pair = established()
  return [
    {
      name: IN_ORDER,
      per: "segment",
      octets: PAYLOAD,
      run: inOrderBatched(pair, PAYLOAD),
    },
    { name: "in-order data, each with its output", per: "segment", octets: PAYLOAD, run: inOrderAlone(pair) },
    { name: "in-order data of 1 octet, batched", per: "segment", octets: 1, run: inOrderBatched(pair, 1) },
    { name: "pairs out of order, each with its output", per: "segment", octets: PAYLOAD, run: outOfOrder(pair) },
    { name: "pure ACK of two segments", per: "segment", run: pureAcks() },
    { name: "SEND, segment out, ACK in", per: "segment sent", octets: PAYLOAD, run: sendAndAck(pair) },
    { name: "last segment lost: its timer, sent again, ACK", per: "retransmission", run: timedRetransmits(pair) },
    { name: "first of 8 lost: 7 ACKs with SACK, sent again, ACK", per: "recovery", run: fastRetransmits(pair) },
    { name: "SYN, SYN-ACK, ACK: to ESTABLISHED", per: "handshake", run: handshakes() },
    { name: "CLOSE, ACK, FIN: to TIME-WAIT", per: "close", run: closes(pair) },
  ]
}
