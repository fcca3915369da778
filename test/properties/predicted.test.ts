import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { close, release, send } from "../../src/tcp/calls.ts"
import { weighed } from "../../src/tcp/output.ts"
import { plainSend } from "../../src/tcp/plainSend.ts"
import { predicted } from "../../src/tcp/predicted.ts"
import { reduce } from "../../src/tcp/reduce.ts"
import { checked } from "../../src/tcp/synchronized.ts"
import { isSynchronized, type Synchronized, type Tcb } from "../../src/tcp/tcb.ts"
import { hasFin, type Segment } from "../../src/wire/tcpSegment.ts"
import { Broken } from "./endpoint.ts"
import { canonical } from "./purity.ts"
import { anyScenario, perfect } from "./scenario.ts"
import { PATIENCE, runs } from "./support.ts"
import { World } from "./world.ts"

const seen = { text: 0, ack: 0, fin: 0, last: 0, checked: 0, sent: 0, sentFin: 0, weighed: 0 }

/** A block with something to send, or nothing: both ways out of it. */
const leave = (tcb: Tcb, now: number): void => {
  if (!isSynchronized(tcb)) return
  const short = plainSend(tcb, now)
  if (short === undefined) seen.weighed++
  else {
    seen[short.tcb.snd.fin ? "sentFin" : "sent"]++
    expect(canonical(short)).toEqual(canonical(weighed(tcb, now, Number.POSITIVE_INFINITY)))
  }
}

const kindOf = (tcb: Synchronized, segment: Segment): "text" | "ack" | "fin" | "last" => {
  if (tcb._tag === "LAST-ACK") return "last"
  if (hasFin(segment)) return "fin"
  return segment.ack === tcb.snd.una ? "text" : "ack"
}

/** `reduce`, and beside it both ways that a segment can take, in and out. */
const both: typeof reduce = (tcb, event, now) => {
  if (event._tag === "SegmentArrives" && isSynchronized(tcb)) {
    const { segment } = event
    const short = predicted(tcb, segment, now)
    if (short === undefined) seen.checked++
    else {
      seen[kindOf(tcb, segment)]++
      expect(canonical(short)).toEqual(canonical(checked(tcb, segment, now)))
    }
    leave((short ?? checked(tcb, segment, now)).tcb, now)
  } else if (event._tag === "Send") {
    const written = send(tcb, event.bytes, event.urgent)
    if ("tcb" in written) leave(written.tcb, now)
  } else if (event._tag === "Close" || event._tag === "Release") {
    const closed = event._tag === "Close" ? close(tcb) : release(tcb, now)
    if ("tcb" in closed) leave(closed.tcb, now)
  }
  return reduce(tcb, event, now)
}

/** To its end, or to where it breaks a rule: the rules have tests of their own. */
const run = (world: World): void => {
  try {
    world.run()
  } catch (cause) {
    if (!(cause instanceof Broken)) throw cause
  }
}

describe("header prediction, and the one segment that is all there is to send", () => {
  test(
    "whatever they answer, all checks answer too, to the last field",
    () => {
      const calm = anyScenario(300).map((scenario) => ({ ...scenario, there: perfect, back: perfect }))
      fc.assert(
        fc.property(fc.oneof(anyScenario(100), calm), (scenario) => run(new World(scenario, both))),
        runs(120),
      )
      // Not by never answering.
      expect(seen.text).toBeGreaterThan(100)
      expect(seen.ack).toBeGreaterThan(20)
      expect(seen.fin).toBeGreaterThan(10)
      expect(seen.last).toBeGreaterThan(10)
      expect(seen.checked).toBeGreaterThan(100)
      expect(seen.sent).toBeGreaterThan(100)
      expect(seen.sentFin).toBeGreaterThan(10)
      expect(seen.weighed).toBeGreaterThan(100)
    },
    PATIENCE,
  )
})
