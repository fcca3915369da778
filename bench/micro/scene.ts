import { makeKeys } from "../../src/host/keyedHash.ts"
import type { Refused, Step, Transmit } from "../../src/tcp/effect.ts"
import { reduce, type TcpEvent } from "../../src/tcp/reduce.ts"
import { slice } from "../../src/tcp/sendQueue.ts"
import { add } from "../../src/tcp/seq.ts"
import { defaultSettings } from "../../src/tcp/settings.ts"
import {
  CLOSED,
  defaultSocketOptions,
  isSynchronized,
  type Synchronized,
  type Tcb,
  type TcpContext,
} from "../../src/tcp/tcb.ts"
import { ipv4 } from "../../src/wire/address.ts"
import { onlyTimestamps } from "../../src/wire/tcpOptions.ts"
import { ACK, EMPTY, PSH, type Segment } from "../../src/wire/tcpSegment.ts"

/** Two ends in one place, without a network: the segments of one are handed to the other. */

export const CLIENT = { address: ipv4(0xc6120001), port: 40000 }
export const SERVER = { address: ipv4(0xc6120002), port: 7 }
export const SECRET = new Uint8Array(32).fill(7)
/** MTU 1500 less IPv4, TCP and timestamps. */
export const PAYLOAD = 1448
export const START = 1_000_000

export const context: TcpContext = { settings: defaultSettings, keys: makeKeys(SECRET) }
const OPTIONS = { ...defaultSocketOptions, noDelay: true, receiveBuffer: 1 << 25, sendBuffer: 1 << 25 }
const PATH = { mss: 1460, burst: 0 }

const isRefused = (result: Step | Refused): result is Refused => "_tag" in result

export const step = (tcb: Tcb, event: TcpEvent, now: number): Step => {
  const result = reduce(tcb, event, now)
  if (isRefused(result)) throw new Error(`${event._tag} in ${tcb._tag}: ${result.why}`)
  return result
}

export const segmentOf = ({ seq, ack, flags, wnd, up, options, queue, length }: Transmit): Segment => ({
  seq,
  ack,
  flags,
  wnd,
  up,
  options,
  payload: queue === undefined || length === 0 ? EMPTY : slice(queue, seq, length),
})

export const transmits = (s: Step): ReadonlyArray<Transmit> => s.effects.filter((e) => e._tag === "Transmit")

export const toServer = (segment: Segment): TcpEvent => ({
  _tag: "SegmentArrives",
  segment,
  local: SERVER,
  remote: CLIENT,
  room: true,
  proven: false,
})
export const toClient = (segment: Segment): TcpEvent => ({
  _tag: "SegmentArrives",
  segment,
  local: CLIENT,
  remote: SERVER,
  room: true,
  proven: false,
})

export const listening = (): Tcb =>
  step(CLOSED, { _tag: "PassiveOpen", context, options: OPTIONS, path: PATH, backlog: 128 }, START).tcb

export const activeOpen = (now: number): Step =>
  step(CLOSED, { _tag: "ActiveOpen", context, options: OPTIONS, path: PATH, local: CLIENT, remote: SERVER }, now)

export const only = (s: Step): Segment => {
  const [first] = transmits(s)
  if (first === undefined) throw new Error(`${s.tcb._tag}: nothing to transmit`)
  return segmentOf(first)
}

/** The half-open request that a SYN has made of a listener, and its SYN-ACK. */
export const spawned = (
  listener: Tcb,
  syn: Segment,
  now: number,
): { readonly request: Tcb; readonly synAck: Segment } => {
  const answer = step(listener, toServer(syn), now)
  const spawn = answer.effects.find((e) => e._tag === "Spawn")
  if (spawn?._tag !== "Spawn") throw new Error("the listener refused the SYN")
  return { request: spawn.tcb, synAck: only(answer) }
}

export interface Pair {
  readonly client: Tcb
  readonly server: Tcb
  readonly now: number
}

/** Both ends ESTABLISHED. */
export const established = (): Pair => {
  const open = activeOpen(START)
  const { request, synAck } = spawned(listening(), only(open), START + 50)
  const client = step(open.tcb, toClient(synAck), START + 100)
  const server = step(request, toServer(only(client)), START + 150)
  return { client: client.tcb, server: server.tcb, now: START + 200 }
}

/** Hands segments over until neither end has anything to say. */
export const settle = (pair: Pair, fromClient: ReadonlyArray<Transmit>): Pair => {
  let { client, server, now } = pair
  let toS = fromClient.map(segmentOf)
  for (let round = 0; toS.length > 0 && round < 1000; round++) {
    const toC: Array<Segment> = []
    for (const segment of toS) {
      now += 10
      const answer = step(server, toServer(segment), now)
      server = answer.tcb
      toC.push(...transmits(answer).map(segmentOf))
      let taken = 0
      for (const e of answer.effects) if (e._tag === "Deliver") taken += e.bytes.length
      if (taken > 0) server = step(server, { _tag: "Receive", count: taken }, now).tcb
    }
    toS = []
    for (const segment of toC) {
      now += 10
      const answer = step(client, toClient(segment), now)
      client = answer.tcb
      toS.push(...transmits(answer).map(segmentOf))
    }
  }
  return { client, server, now }
}

export const synchronized = (tcb: Tcb): Synchronized => {
  if (!isSynchronized(tcb)) throw new Error(`expected a synchronized state, not ${tcb._tag}`)
  return tcb
}

export const timestampsOf = (tcb: Synchronized, tick: number) => onlyTimestamps((tcb.rcv.tsRecent + tick) >>> 0, 0)

/** The next `count` segments of data for `tcb`, as a sender with timestamps makes them. */
export const dataFor = (tcb: Synchronized, payload: number, count: number): ReadonlyArray<Segment> => {
  const bytes = new Uint8Array(payload).fill(0x61)
  return Array.from({ length: count }, (_, n) => ({
    seq: add(tcb.rcv.nxt, n * payload),
    ack: tcb.snd.nxt,
    flags: ACK | PSH,
    wnd: 65535,
    up: 0,
    // The sender's clock ticks once a millisecond: some tens of segments.
    options: timestampsOf(tcb, n >> 5),
    payload: bytes,
  }))
}
