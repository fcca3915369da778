import type { Refused, Step, TcpEffect, Transmit } from "../../../src/tcp/effect.ts"
import { initialWindow } from "../../../src/tcp/handshake.ts"
import { reduce, type TcpEvent } from "../../../src/tcp/reduce.ts"
import { sendEnd } from "../../../src/tcp/sendEnd.ts"
import { add } from "../../../src/tcp/seq.ts"
import { defaultSettings, linux, type TcpSettings, type WireProfile } from "../../../src/tcp/settings.ts"
import {
  CLOSED,
  defaultSocketOptions,
  isSynchronized,
  type PathLimits,
  type SocketOptions,
  type Synchronized,
  type Tcb,
  type TcpContext,
  type TimerName,
  type Timers,
} from "../../../src/tcp/tcb.ts"
import { type Micros, OFF } from "../../../src/tcp/time.ts"
import { NO_TIMERS } from "../../../src/tcp/timers.ts"
import { type Endpoint, ipv4 } from "../../../src/wire/address.ts"
import { type Env, type Habits, octets, segment } from "./notation.ts"

/** Both ends of every connection under test, and the numbers that it starts from. */
export const US: Endpoint = { address: ipv4(0xc6120002), port: 7 }
export const PEER: Endpoint = { address: ipv4(0xc6120001), port: 40000 }
export const ISS = 100
export const IRS = 300

/** The peer's timestamp clock: it stands still unless a segment says otherwise. */
export const TS_RECENT = 5000

export const MS: Micros = 1000
export const SECOND: Micros = 1_000_000

/** MSS options of both sides: 1000 octets of payload and 12 of timestamps. */
export const MSS = 1012
export const SMSS = 1000
/** All of it is announced in the SYN. */
export const BUFFER = 10 * MSS
export const PEER_WINDOW = 10_000

export interface WorldOptions {
  readonly iss?: number
  readonly settings?: Partial<TcpSettings>
  readonly profile?: Partial<WireProfile>
  readonly socket?: Partial<SocketOptions>
  readonly path?: Partial<PathLimits>
  /** The peer's side. */
  readonly habits?: Partial<Habits>
  readonly irs?: number
  /** Window scale option of the peer's SYN. */
  readonly peerScale?: number
}

/** One end with everything that the reducers are told, and the peer's habits. */
export interface World {
  readonly context: TcpContext
  readonly socket: SocketOptions
  readonly path: PathLimits
  readonly habits: Habits
  readonly iss: number
  readonly irs: number
  readonly peerScale: number | undefined
}

/** What Linux does in its own way, as the RFCs would have it: the tables below test/tcp are theirs. */
const BY_THE_CLAUSES: Partial<WireProfile> = {
  initialQuickAcks: 0,
  initialWindow: "full",
  windowStep: "segment",
  timeWaitChecks: "window",
  finAck: "at-once",
  pawsTolerance: 0,
  resetWindow: "zero",
  beyondWindow: "nothing",
}

/**
 * No window scaling and the whole buffer announced, so that windows read as they are; no ACKs at once
 * at the start of a connection, so that the delayed-ACK rules show from the first segment on.
 */
export const world = (options: WorldOptions = {}): World => {
  const iss = options.iss ?? ISS
  return {
    context: {
      settings: {
        ...defaultSettings,
        tcpWindowScaling: options.peerScale !== undefined,
        profile: { ...linux, ...BY_THE_CLAUSES, ...options.profile },
        ...options.settings,
      },
      keys: {
        iss: () => iss,
        cookie: () => 0,
        fastOpenCookie: () => new Uint8Array(8),
        timestampOffset: () => 0,
      },
    },
    socket: { ...defaultSocketOptions, receiveBuffer: BUFFER, ...options.socket },
    path: { mss: MSS, burst: 0, ...options.path },
    habits: { wnd: PEER_WINDOW, mss: MSS, timestamps: true, tsEcr: 100, sack: true, ...options.habits },
    iss,
    irs: options.irs ?? IRS,
    peerScale: options.peerScale,
  }
}

/** A block, and the time at which something is about to happen to it. */
export interface Scene {
  readonly world: World
  readonly tcb: Tcb
  readonly now: Micros
}

export const closed = (options: WorldOptions = {}): Scene => ({ world: world(options), tcb: CLOSED, now: 0 })

/** RFC 9293 section 3.3.1's variables of a block; what a state does not have yet is what it would be. */
export const variables = ({ tcb, world }: Scene): Env => {
  const { settings } = world.context
  const window = initialWindow(settings, world.socket.receiveBuffer, world.path.mss)
  const first: Env = {
    iss: world.iss,
    irs: world.irs,
    "snd.una": world.iss,
    "snd.nxt": add(world.iss, 1),
    "snd.wnd": world.habits.wnd,
    "max.wnd": world.habits.wnd,
    "rcv.nxt": add(world.irs, 1),
    "rcv.edge": add(world.irs, 1 + window),
    "rcv.wnd": window,
    "ts.recent": TS_RECENT,
  }
  if (isSynchronized(tcb)) {
    return {
      ...first,
      "snd.una": tcb.snd.una,
      "snd.nxt": tcb.snd.nxt,
      "snd.wnd": tcb.snd.wnd,
      "max.wnd": tcb.snd.maxWnd,
      "snd.end": sendEnd(tcb),
      "rcv.nxt": tcb.rcv.nxt,
      "rcv.edge": tcb.rcv.edge,
      "rcv.wnd": (tcb.rcv.edge - tcb.rcv.nxt) | 0,
      "ts.recent": tcb.rcv.tsRecent,
    }
  }
  if (tcb._tag === "TIME-WAIT") {
    return {
      ...first,
      "snd.una": tcb.sndNxt,
      "snd.nxt": tcb.sndNxt,
      "rcv.nxt": tcb.rcvNxt,
      "rcv.edge": add(tcb.rcvNxt, tcb.rcvWnd),
      "rcv.wnd": tcb.rcvWnd,
    }
  }
  return first
}

/** Every timer of a block, those included that a state keeps as a deadline of its own. */
export const timersOf = (tcb: Tcb): Timers => {
  switch (tcb._tag) {
    case "CLOSED":
    case "LISTEN":
      return NO_TIMERS
    case "TIME-WAIT":
      return { ...NO_TIMERS, linger: tcb.deadline }
    case "SYN-RECEIVED":
      if (tcb.open === "active") return tcb.timers
      return tcb.open === "passive"
        ? { ...NO_TIMERS, retransmit: tcb.deadline }
        : { ...tcb.tcb.timers, retransmit: tcb.request.deadline }
    default:
      return tcb.timers
  }
}

/** An event in words: a segment, a user call, or "retransmit timeout". */
export const eventOf = (words: string, scene: Scene): TcpEvent => {
  const { world } = scene
  if (words.startsWith("<")) return arrives(scene, words)
  const timer = /^(\w+) timeout/.exec(words)?.[1]
  if (timer !== undefined) return { _tag: "Timeout", timer: timer as TimerName }
  const count = Number(/^[A-Z]+ (\d+)/.exec(words)?.[1] ?? 0)
  const ends = { context: world.context, options: world.socket, path: world.path }
  switch (/^[A-Z]+/.exec(words)?.[0]) {
    case "OPEN":
      return words.startsWith("OPEN active")
        ? { _tag: "ActiveOpen", ...ends, local: US, remote: PEER }
        : { _tag: "PassiveOpen", ...ends, backlog: 10 }
    case "SEND":
      return { _tag: "Send", bytes: octets(sendSeq(scene.tcb), count) }
    case "RECEIVE":
      return { _tag: "Receive", count }
    case "CLOSE":
      return { _tag: "Close" }
    case "RELEASE":
      return { _tag: "Release" }
    case "ABORT":
      return { _tag: "Abort" }
    case "STATUS":
      return { _tag: "Status" }
    default:
      throw new Error(`nothing can happen like "${words}"`)
  }
}

/** Sequence number of the next octet that SEND takes. */
const sendSeq = (tcb: Tcb): number => {
  if (isSynchronized(tcb)) return add(tcb.queue.start, tcb.queue.length)
  if (tcb._tag === "SYN-SENT") return add(tcb.queue.start, tcb.queue.length)
  if (tcb._tag === "SYN-RECEIVED" && tcb.open === "active") return add(tcb.sent.queue.start, tcb.sent.queue.length)
  return 0
}

const arrives = (scene: Scene, notation: string): TcpEvent => {
  const { world } = scene
  const scaled = world.peerScale !== undefined && notation.startsWith("<SYN") ? ` ws=${world.peerScale}` : ""
  return {
    _tag: "SegmentArrives",
    segment: segment(notation + scaled, variables(scene), world.habits),
    local: US,
    remote: PEER,
    room: true,
    proven: true,
  }
}

/** Reducers change nothing in place: after this an attempt throws. Chunks and the scoreboard's records are the arrays that versions share. */
export const frozen = <T>(thing: T): T => {
  if (typeof thing !== "object" || thing === null || ArrayBuffer.isView(thing) || Object.isFrozen(thing)) return thing
  for (const [key, part] of Object.entries(thing)) if (key !== "chunks" && key !== "records") frozen(part)
  return Object.freeze(thing)
}

export const isRefused = (result: Step | Refused): result is Refused => "_tag" in result

/** What came of an event: the next scene and the effects. */
export interface Happened extends Scene {
  readonly effects: ReadonlyArray<TcpEffect>
  readonly refused: Refused | undefined
}

export const happen = (scene: Scene, event: TcpEvent): Happened => {
  const result = reduce(frozen(scene.tcb), event, scene.now)
  return isRefused(result)
    ? { ...scene, effects: [], refused: result }
    : { ...scene, tcb: result.tcb, effects: result.effects, refused: undefined }
}

/** `at` milliseconds: what happens then. A refused call is a mistake in the story. */
export type Story = ReadonlyArray<readonly [at: number, words: string]>

export const play = (scene: Scene, story: Story): Happened => {
  let now: Happened = { ...scene, effects: [], refused: undefined }
  for (const [at, words] of story) {
    const before = { ...now, now: at * MS }
    now = happen(before, eventOf(words, before))
    if (now.refused !== undefined) throw new Error(`${words}: refused, ${now.refused.why}`)
    const spawned = now.effects.find((e) => e._tag === "Spawn")
    if (spawned !== undefined) now = { ...now, tcb: spawned.tcb }
  }
  return now
}

/** The block of a connection that is synchronized, or a failure. */
export const connection = (scene: Scene): Synchronized => {
  if (!isSynchronized(scene.tcb)) throw new Error(`${scene.tcb._tag} is not synchronized`)
  return scene.tcb
}

export const transmits = (effects: ReadonlyArray<TcpEffect>): ReadonlyArray<Transmit> =>
  effects.filter((e) => e._tag === "Transmit")

/** When the timer ends: to step to. */
export const deadline = (scene: Scene, timer: TimerName): Micros => {
  const at = timersOf(scene.tcb)[timer]
  if (at === OFF) throw new Error(`${timer} is not armed in ${scene.tcb._tag}`)
  return at
}
