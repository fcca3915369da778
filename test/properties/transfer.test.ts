import { describe, test } from "bun:test"
import fc from "fast-check"
import type { End } from "./endpoint.ts"
import { reducePurely } from "./purity.ts"
import { anyScenario, type EndSpec, perfect, type Scenario } from "./scenario.ts"
import { must, PATIENCE, runs } from "./support.ts"
import { World } from "./world.ts"

/** An end whose connection ran its course. */
const finished = (end: End, peer: End): void => {
  const name = end.name
  must(end.delivered === peer.sends.length, `${name} got ${end.delivered} of ${peer.sends.length} octets`)
  must(end.peerClosed === 1, `${name} did not see the peer close`)
  must(end.established === 1, `${name} was not established`)
  must(end.tcb._tag === "CLOSED", `${name} ends in ${end.tcb._tag}`)
  // Who retransmits its FIN for longer than 2 MSL finds nobody there any more.
  const late = peer.timeWait?.ended === "timer" && (end.closed?.from === "LAST-ACK" || end.closed?.from === "CLOSING")
  const { reason } = end.closed ?? {}
  must(reason === "done" || (late && reason === "ConnectionReset"), `${name} ended with ${reason}`)
}

const runsItsCourse = (scenario: Scenario, reducer?: typeof reducePurely): World => {
  const world = new World(scenario, reducer)
  world.run()
  finished(world.a, world.b)
  finished(world.b, world.a)
  must(world.a.timeWait !== undefined || world.b.timeWait !== undefined, "nobody went through TIME-WAIT")
  return world
}

describe("two blocks over a network that loses, doubles, reorders and delays", () => {
  test(
    "all octets arrive once and in order, both ways, and both ends close after TIME-WAIT",
    () => {
      fc.assert(
        fc.property(anyScenario(300), (scenario) => void runsItsCourse(scenario)),
        runs(600),
      )
    },
    PATIENCE,
  )
})

/** A tail loss probe may come before the ACK of small segments that wait for more (RFC 8985 section 7.2 counts on one segment alone). */
const withoutProbes = (end: EndSpec): EndSpec => ({ ...end, sending: { ...end.sending, tcpEarlyRetrans: 0 } })

describe("two blocks over a perfect network", () => {
  test(
    "whatever the applications do: nothing is sent again, nobody resets",
    () => {
      const quiet = anyScenario(300).map(({ a, b, ...rest }) => ({
        ...rest,
        a: withoutProbes(a),
        b: withoutProbes(b),
        there: perfect,
        back: perfect,
      }))
      fc.assert(
        fc.property(quiet, (scenario) => {
          const { a, b } = runsItsCourse(scenario)
          // A probe's octet comes twice, and so may the answer to a FIN behind it, too late for its sender.
          must(a.resets + b.resets === 0 || a.hasProbed || b.hasProbed, "a reset")
          must(a.retransmitted + b.retransmitted === 0, "something is sent again")
        }),
        runs(150),
      )
    },
    PATIENCE,
  )
})

describe("a frozen block", () => {
  test(
    "every step taken twice: the same answer, which can be written down, and the block as it was",
    () => {
      fc.assert(
        fc.property(anyScenario(20), (scenario) => void runsItsCourse(scenario, reducePurely)),
        runs(40),
      )
    },
    PATIENCE,
  )
})
