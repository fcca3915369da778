import { ACK, EMPTY, PSH, RST } from "../../src/wire/tcpSegment.ts"
import { type Case, sample } from "../measure.ts"
import { PAYLOAD } from "../micro/scene.ts"
import { Crowd, type CrowdOptions, memory, sentIn } from "./crowd.ts"
import { held, randomBelow } from "./held.ts"
import { wireScene } from "./wire.ts"

/** What grows. */
export const KINDS = ["connections", "wire", "timers", "requests"] as const
export type Kind = (typeof KINDS)[number]

/** Octets that each of them takes, by the name of what they had been through. */
export type Sizes = Readonly<Record<string, number>>

export interface Scene {
  readonly sizes: Sizes
  readonly cases: ReadonlyArray<Probe>
}

/** What is measured in a scene; its operation is one segment, or one exchange, of one of them. */
export interface Probe {
  readonly name: string
  readonly per: string
  readonly octets: number | undefined
  /** Works for so long, and says how many nanoseconds of the thread one operation took. */
  readonly sample: (millis: number) => Promise<number>
}

interface HostScene {
  readonly sizes: Sizes
  readonly cases: ReadonlyArray<Case>
}

/** Touches of one pass. */
const PASS = 256
/** Segments of data in one touch: the second one makes an ACK due (RFC 9293 section 3.8.6.3). */
const PAIR = 2
const REQUEST = new Uint8Array(64).fill(0x61)
const DATA = new Uint8Array(PAYLOAD).fill(0x61)
/** A time that does not pass during a measurement. */
const NEVER = 100_000_000

export const makeScene = async (kind: Kind, count: number): Promise<Scene> => {
  switch (kind) {
    case "connections":
      return probed(connections(count))
    case "wire":
      return wireScene(count)
    case "timers":
      return probed(timers(count))
    case "requests":
      return probed(requests(count))
  }
}

const probed = ({ sizes, cases }: HostScene): Scene => ({
  sizes,
  cases: cases.map((one) => ({
    name: one.name,
    per: one.per,
    octets: one.octets,
    sample: async (millis) => sample(one, millis),
  })),
})

/** Enough of them, in hosts of `count` each, that the heap's own unevenness does not show. */
const ENOUGH = 4000

const crowdsOf = (count: number, options: Omit<CrowdOptions, "peers">, strangers = 0): ReadonlyArray<Crowd> =>
  Array.from({ length: Math.ceil(ENOUGH / count) }, () => new Crowd({ ...options, peers: count + strangers }))

/** Octets that `work` keeps on the heap, of each of `count` in each crowd. */
const grown = (crowds: ReadonlyArray<Crowd>, count: number, work: (crowd: Crowd) => void): number => {
  const before = held()
  for (const crowd of crowds) work(crowd)
  return (held() - before) / (crowds.length * count)
}

/**
 * Does all of it once before, so that the code compiled for it is not counted among the octets. Who
 * calls it keeps the crowd until the octets are counted: collected meanwhile, it would be subtracted.
 */
const rehearse = (options: Omit<CrowdOptions, "peers">, work: (crowd: Crowd) => void): Array<Crowd> => {
  const crowd = new Crowd({ ...options, peers: ENOUGH })
  work(crowd)
  return [crowd]
}

const firstOf = (crowds: ReadonlyArray<Crowd>): Crowd => {
  const [first] = crowds
  if (first === undefined) throw new Error("no crowd")
  return first
}

/**
 * Established connections touched at random, each with an answer out that is not acknowledged: its
 * retransmission timer is armed. Every touch is a batch of its own, so that the work is the same
 * whether the next one is of the same connection or of another. Few are never put to rest.
 */
export const connections = (count: number): HostScene => {
  const profile = { minRto: NEVER, maxRto: 2 * NEVER }
  const ask = (crowd: Crowd, n: number): void => {
    crowd.give(crowd.frame(n, ACK | PSH, REQUEST, out))
    answer(crowd, n)
  }
  const out = memory()
  const open = (crowd: Crowd, many: number): void => crowd.connect(0, many)
  const askAll = (crowd: Crowd, many: number): void => {
    for (let n = 0; n < many; n++) ask(crowd, n)
  }
  const rehearsed = rehearse({ profile }, (crowd) => {
    open(crowd, ENOUGH)
    crowd.settle()
    askAll(crowd, ENOUGH)
  })
  const crowds = crowdsOf(count, { profile })
  const idle = grown(crowds, count, (crowd) => open(crowd, count))
  const resting = idle + grown(crowds, count, (crowd) => crowd.settle())
  const asked = resting + grown(crowds, count, (crowd) => askAll(crowd, count))
  rehearsed.length = 0
  const crowd = firstOf(crowds)
  const random = randomBelow(count)
  const peers = new Uint32Array(PASS)
  const memories = Array.from({ length: PAIR * PASS }, memory)
  const frames = [...memories]
  /** `each` frames of one peer after the other. */
  const prepare = (payload: Uint8Array, each: number, more: number) => (): void => {
    for (let k = 0; k < PASS; k++) {
      const n = random()
      peers[k] = n
      for (let f = each * k; f < each * (k + 1); f++) {
        frames[f] = crowd.frame(n, ACK | PSH, payload, memories[f] ?? EMPTY, more)
      }
    }
  }
  const data: Case = {
    name: "data in, ACK out",
    per: "segment",
    octets: PAYLOAD,
    prepare: prepare(DATA, PAIR, 0),
    run: () => {
      let sent = 0
      for (let k = 0; k < PASS; k++) {
        for (let f = PAIR * k; f < PAIR * (k + 1); f++) crowd.give(frames[f] ?? EMPTY)
        crowd.readAll(peers[k] ?? 0)
        sent += sentIn(crowd.end())
      }
      return PAIR * expected(sent, PASS)
    },
  }
  const exchange: Case = {
    name: "request, answer",
    per: "request",
    prepare: prepare(REQUEST, 1, REQUEST.length),
    run: () => {
      let sent = 0
      for (let k = 0; k < PASS; k++) {
        crowd.give(frames[k] ?? EMPTY)
        sent += answer(crowd, peers[k] ?? 0)
      }
      return expected(sent, PASS)
    },
  }
  return {
    sizes: { "idle connection": idle, "connection at rest": resting, "after a request and its answer": asked },
    cases: [data, exchange],
  }
}

/** What the application does; how many segments leave. */
const answer = (crowd: Crowd, n: number): number => {
  const request = crowd.host.read(crowd.socket(n), 65_536, crowd.now)
  if (request instanceof Uint8Array) crowd.host.write(crowd.socket(n), request, crowd.now)
  return sentIn(crowd.end())
}

const expected = (sent: number, count: number): number => {
  if (sent !== count) throw new Error(`${sent} segments out, ${count} expected`)
  return count
}

/**
 * Delayed ACKs, of which as many wait as there are connections: with every segment one is armed, and
 * the oldest is due. The connections take turns in an order that memory does not follow.
 */
const timers = (count: number): HostScene => {
  const step = 10
  const profile = { initialQuickAcks: 0, delayedAck: count * step }
  const crowd = new Crowd({ peers: count, profile })
  crowd.connect(0, count)
  const frames: Array<Uint8Array> = Array.from({ length: PASS }, memory)
  const peers = new Uint32Array(PASS)
  const memories = [...frames]
  const stride = coprime(count)
  let next = 0
  const prepare = (): void => {
    for (let k = 0; k < PASS; k++) {
      next = (next + stride) % count
      peers[k] = next
      frames[k] = crowd.frame(next, ACK, REQUEST, memories[k] ?? EMPTY)
    }
  }
  const touch = (k: number): number => {
    crowd.now += step
    crowd.host.advance(crowd.now)
    crowd.give(frames[k] ?? EMPTY)
    crowd.readAll(peers[k] ?? 0)
    crowd.host.flush(crowd.now)
    return sentIn(crowd.host.take())
  }
  const pass = (): number => {
    let sent = 0
    for (let k = 0; k < PASS; k++) sent += touch(k)
    return sent
  }
  // Until all timers are armed, and the first of them have ended.
  for (let done = 0; done <= count; done += PASS) {
    prepare()
    pass()
  }
  const delayed: Case = {
    name: "data in, ACK by its timer",
    per: "segment",
    prepare,
    run: () => expected(pass(), PASS),
  }
  return { sizes: {}, cases: [delayed] }
}

/** About the golden section of `count`, so that neighbours in time are far apart in memory, and all are met. */
const coprime = (count: number): number => {
  const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b))
  let stride = Math.max(1, Math.round(count * 0.618))
  while (divisor(stride, count) !== 1) stride++
  return stride
}

/** Half-open requests that wait for their ACK; another one comes and goes. */
const requests = (count: number): HostScene => {
  const profile = { initialRto: NEVER, maxRto: 2 * NEVER }
  const rehearsed = rehearse({ profile }, (crowd) => crowd.request(0, ENOUGH))
  const crowds = crowdsOf(count, { profile }, PASS)
  const each = grown(crowds, count, (crowd) => crowd.request(0, count))
  rehearsed.length = 0
  const crowd = firstOf(crowds)
  if (crowd.requests !== count) throw new Error(`${crowd.requests} requests instead of ${count}`)
  const syns: Array<Uint8Array> = Array.from({ length: PASS }, memory)
  const resets: Array<Uint8Array> = Array.from({ length: PASS }, memory)
  const memories = [[...syns], [...resets]] as const
  const comes: Case = {
    name: "SYN, SYN-ACK, RST",
    per: "request",
    prepare: () => {
      for (let k = 0; k < PASS; k++) {
        const n = count + k
        syns[k] = crowd.syn(n, memories[0][k] ?? EMPTY)
        resets[k] = crowd.frame(n, RST, EMPTY, memories[1][k] ?? EMPTY)
      }
    },
    run: () => {
      let sent = 0
      for (let k = 0; k < PASS; k++) {
        crowd.give(syns[k] ?? EMPTY)
        sent += sentIn(crowd.end())
        crowd.give(resets[k] ?? EMPTY)
        sent += sentIn(crowd.end())
      }
      if (crowd.requests !== count) throw new Error(`${crowd.requests} requests instead of ${count}`)
      return expected(sent, PASS)
    },
  }
  return { sizes: { "half-open request": each }, cases: [comes] }
}
