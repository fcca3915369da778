import { describe, expect, test } from "bun:test"
import type { TcpEffect } from "../../../src/tcp/effect.ts"
import { add } from "../../../src/tcp/seq.ts"
import type { State, Timers } from "../../../src/tcp/tcb.ts"
import { OFF } from "../../../src/tcp/time.ts"
import { NO_TIMERS } from "../../../src/tcp/timers.ts"
import { type Segment, segmentLength } from "../../../src/wire/tcpSegment.ts"
import { type Env, expected, octets, startOfText, text, value } from "./notation.ts"
import { STIMULI, type Stimulus } from "./stimuli.ts"
import { deadline, eventOf, happen, MSS, type Scene, timersOf, variables } from "./world.ts"

/**
 * One line of a state's table. The stimuli have this outcome: the next state, the segments that
 * leave, what else happens, and why. What else, in order: "acked 500" (octets), "deliver 100",
 * "urgent rcv.nxt+50", "established", "spawn" (a half-open request), "peer closed",
 * "closed REASON", "refused ERRNO"; and timers: "arm retransmit 300ms" (from now), "cancel retransmit".
 * `seg.seq`, `seg.ack`, `seg.len` and `seg.tsval` are those of the stimulus.
 */
export type Row = readonly [
  stimuli: Stimulus | ReadonlyArray<Stimulus>,
  next: State,
  segments: ReadonlyArray<string>,
  also: string,
  why: string | ReadonlyArray<string>,
]

/** The state as most stimuli find it, and as those find it that need something of it. */
export interface Scenes {
  readonly base: Scene
  /** 100 octets delivered, not consumed. */
  readonly unread?: Scene
  /** With the timer armed. */
  readonly retransmit?: Scene
  readonly persist?: Scene
  readonly delayedAck?: Scene
  readonly linger?: Scene
  readonly user?: Scene
  readonly keepalive?: Scene
}

/** The table of a state: a test for every cell, and one that finds the missing. */
export const matrix = (name: string, scenes: Scenes, rows: ReadonlyArray<Row>): void => {
  describe(name, () => {
    const seen = new Map<Stimulus, number>()
    for (const [stimuli, next, segments, also, why] of rows) {
      for (const stimulus of typeof stimuli === "string" ? [stimuli] : stimuli) {
        seen.set(stimulus, (seen.get(stimulus) ?? 0) + 1)
        const outcome = [next === scenes.base.tcb._tag ? "" : next, ...segments, also].filter((part) => part !== "")
        test(`${name}, ${stimulus}: ${outcome.join("; ") || "nothing"}`, () => {
          const scene = sceneFor(stimulus, scenes)
          expect(actual(stimulus, scene)).toEqual(wanted(stimulus, scene, next, segments, also, why))
        })
      }
    }
    test(`${name}: every stimulus has one cell`, () => {
      expect(STIMULI.filter((s) => seen.get(s) !== 1).map((s) => `${s}: ${seen.get(s) ?? 0} cells`)).toEqual([])
    })
  })
}

/** The timers of RFC 9293; those of loss recovery (RFC 8985) and pacing have tests of their own. */
const TIMERS = ["retransmit", "persist", "delayedAck", "linger", "user", "keepalive"] as const

const sceneFor = (stimulus: Stimulus, scenes: Scenes): Scene => {
  if (stimulus.endsWith(", unread")) return scenes.unread ?? scenes.base
  for (const timer of TIMERS) {
    if (stimulus !== `${timer} timeout`) continue
    const armed = scenes[timer] ?? scenes.base
    // The timer ends when it was armed to, where it is.
    return timersOf(armed.tcb)[timer] === OFF ? armed : { ...armed, now: deadline(armed, timer) }
  }
  return scenes.base
}

interface Outcome {
  readonly state: State
  readonly segments: ReadonlyArray<string>
  readonly signals: ReadonlyArray<string>
  readonly timers: ReadonlyArray<string>
  readonly why: ReadonlyArray<string>
}

const actual = (stimulus: Stimulus, scene: Scene): Outcome => {
  const event = eventOf(stimulus, scene)
  const after = happen(scene, event)
  const before: Timers = event._tag === "Timeout" ? { ...timersOf(scene.tcb), [event.timer]: OFF } : timersOf(scene.tcb)
  const segments: Array<string> = []
  const signals: Array<string> = after.refused === undefined ? [] : [`refused ${after.refused.errno}`]
  const why = new Set<string>(after.refused === undefined ? [] : [after.refused.why])
  // What the application has been given must follow what it had.
  let delivered = event._tag === "SegmentArrives" ? firstNew(event.segment, scene) : 0
  let timers: Timers = before
  for (const effect of after.effects) {
    if ("why" in effect) why.add(effect.why)
    switch (effect._tag) {
      case "Transmit":
        segments.push(text(effect))
        break
      case "ArmTimer":
        timers = { ...timers, [effect.timer]: effect.at }
        break
      case "CancelTimer":
        timers = { ...timers, [effect.timer]: OFF }
        break
      case "Deliver":
        expect(effect.bytes).toEqual(octets(delivered, effect.bytes.length))
        delivered = add(delivered, effect.bytes.length)
        signals.push(`deliver ${effect.bytes.length}`)
        break
      case "Spawn":
        // The request's own timer is the only one that a listener's step starts.
        timers = timersOf(effect.tcb)
        signals.push("spawn")
        break
      default:
        signals.push(...signal(effect))
    }
  }
  const spawned = after.effects.find((e) => e._tag === "Spawn")
  // The timers that the effects leave armed are those that the block says are armed.
  expect(timers).toEqual(spawned === undefined ? timersOf(after.tcb) : timersOf(spawned.tcb))
  return {
    state: after.tcb._tag,
    segments,
    signals,
    timers: changes(spawned === undefined ? before : NO_TIMERS, timers, scene.now),
    why: [...why].sort(),
  }
}

const firstNew = (seg: Segment, scene: Scene): number => {
  const tag = scene.tcb._tag
  return tag === "SYN-SENT" || tag === "LISTEN" || tag === "CLOSED"
    ? startOfText(seg)
    : (variables(scene)["rcv.nxt"] ?? 0)
}

const signal = (effect: TcpEffect): ReadonlyArray<string> => {
  switch (effect._tag) {
    case "Acknowledged":
      return [`acked ${effect.count}`]
    case "Established":
      return ["established"]
    case "PeerClosed":
      return ["peer closed"]
    case "Urgent":
      return [`urgent ${effect.at}`]
    case "Closed":
      return [`closed ${effect.reason}`]
    default:
      return []
  }
}

const changes = (before: Timers, after: Timers, now: number): ReadonlyArray<string> =>
  TIMERS.filter((timer) => before[timer] !== after[timer])
    .map((timer) => (after[timer] === OFF ? `cancel ${timer}` : `arm ${timer} ${span(after[timer] - now)}`))
    .sort()

const span = (micros: number): string => (micros % 1_000_000 === 0 ? `${micros / 1_000_000}s` : `${micros / 1000}ms`)

const wanted = (
  stimulus: Stimulus,
  scene: Scene,
  next: State,
  segments: ReadonlyArray<string>,
  also: string,
  why: string | ReadonlyArray<string>,
): Outcome => {
  const event = eventOf(stimulus, scene)
  const env: Env = { ...variables(scene), ...(event._tag === "SegmentArrives" ? ofSegment(event.segment) : {}) }
  const manners = { mss: MSS, timestamps: true, clock: Math.floor(scene.now / 1000), sack: true }
  const parts = also === "" ? [] : also.split(", ")
  const isTimer = (part: string) => /^(arm|cancel) /.test(part)
  return {
    state: next,
    segments: segments.map((s) => expected(s, env, manners)),
    signals: parts
      .filter((part) => !isTimer(part))
      .map((part) =>
        part.replace(/^(acked|deliver|urgent) (.*)$/, (_, what: string, n: string) => `${what} ${value(n, env)}`),
      ),
    timers: parts.filter(isTimer).sort(),
    why: (typeof why === "string" ? (why === "" ? [] : [why]) : [...why]).sort(),
  }
}

const ofSegment = (seg: Segment): Env => ({
  "seg.seq": seg.seq,
  "seg.ack": seg.ack,
  "seg.len": segmentLength(seg),
  "seg.tsval": seg.options.tsVal ?? 0,
})
