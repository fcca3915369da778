import { describe, test } from "bun:test"
import fc from "fast-check"
import { sendEnd } from "../../src/tcp/sendEnd.ts"
import { isSynchronized } from "../../src/tcp/tcb.ts"
import type { End } from "./endpoint.ts"
import { anyScenario, type EndSpec, perfect, type Scenario, settingsOf } from "./scenario.ts"
import { must, PATIENCE, runs } from "./support.ts"
import { World } from "./world.ts"

const SECOND = 1_000_000

/** No time-out of data or of a FIN takes longer: `tcpRetries2` intervals and the first, each at its longest. */
const limit = (end: End): number => {
  const { tcpRetries2, profile } = settingsOf(end.spec)
  return (tcpRetries2 + 2) * profile.maxRto
}

/** Nothing is sent, waits or is expected: such an end may stay for ever. */
const isIdle = ({ tcb }: End): boolean =>
  tcb._tag === "LISTEN" || (isSynchronized(tcb) && tcb.snd.una === sendEnd(tcb) && tcb.rcv.due === "none")

const reasons = new Set(["ConnectionTimedOut", "done"])

const anyMoment = fc.oneof(fc.nat(5000), fc.nat(2 * SECOND), fc.nat(90 * SECOND))

describe("the network is cut for ever", () => {
  test(
    "who has something to say reports a time-out, in time; who has not stays until it is given up",
    () => {
      fc.assert(
        fc.property(anyScenario(100), anyMoment, (scenario, moment) => {
          const world = new World(scenario)
          world.at(moment, (w) => w.cut())
          world.run(moment)
          world.run()
          for (const end of [world.a, world.b]) {
            must(end.tcb._tag === "CLOSED" || isIdle(end), `${end.name} hangs in ${end.tcb._tag}`)
            if (end.closed === undefined) continue
            must(reasons.has(end.closed.reason), `${end.name} reports ${end.closed.reason}`)
            must(end.closed.at <= moment + limit(end), `${end.name} reports after ${end.closed.at - moment} us`)
          }
        }),
        runs(200),
      )
    },
    PATIENCE,
  )

  test(
    "both applications leave: no block outlives the retries of an orphan and the linger time",
    () => {
      fc.assert(
        fc.property(anyScenario(100), anyMoment, anyMoment, (scenario, moment, later) => {
          const world = new World(scenario)
          world.at(moment, (w) => w.cut())
          const left = moment + later
          world.at(left, (w) => {
            for (const end of [w.a, w.b]) end.release(left, w.outside(end))
          })
          world.run()
          for (const end of [world.a, world.b]) {
            const over = end.tcb._tag === "CLOSED" || end.tcb._tag === "LISTEN"
            must(over, `${end.name} hangs in ${end.tcb._tag}`)
          }
          must(
            world.now <= left + Math.max(limit(world.a), limit(world.b)),
            `the last ends after ${world.now - left} us`,
          )
        }),
        runs(200),
      )
    },
    PATIENCE,
  )
})

describe("one application aborts or leaves at any moment", () => {
  const anyLeaving = fc.constantFrom("abort" as const, "release" as const)

  test(
    "the peer gets a beginning of what was sent and nothing else, and no block stays",
    () => {
      fc.assert(
        fc.property(anyScenario(100), anyMoment, anyLeaving, (scenario, moment, leaving) => {
          const world = new World(scenario)
          world.at(moment, (w) => {
            if (leaving === "abort") w.a.abort(moment, w.outside(w.a))
            else w.a.release(moment, w.outside(w.a))
          })
          world.run()
          const { a, b } = world
          must(a.tcb._tag === "CLOSED", `a hangs in ${a.tcb._tag}`)
          must(b.tcb._tag === "CLOSED" || isIdle(b), `b hangs in ${b.tcb._tag}`)
          must(b.delivered <= a.written, "more than was written")
        }),
        runs(200),
      )
    },
    PATIENCE,
  )
})

describe("crossed SYNs", () => {
  const end = (total: number): EndSpec => ({
    iss: 0,
    profile: "linux",
    timestamps: true,
    scaling: true,
    sack: true,
    rfc1337: false,
    sending: {},
    options: {},
    path: { mss: 1460, burst: 0 },
    plan: { total, chunk: 1000, writeEvery: 0, readEvery: 0, readSize: 1000, readFrom: 0, closes: "after-peer" },
  })
  const open: Scenario = { seed: 1, open: "simultaneous", a: end(0), b: end(5000), there: perfect, back: perfect }

  test("the application leaves in SYN-RECEIVED, the peer sends on: data that nobody reads is refused", () => {
    const world = new World(open)
    world.at(1500, (w) => w.a.release(1500, w.outside(w.a)))
    world.run(1400)
    must(world.a.tcb._tag === "SYN-RECEIVED", `a is in ${world.a.tcb._tag}`)
    world.run()
    must(world.a.tcb._tag === "CLOSED", `a hangs in ${world.a.tcb._tag}`)
    must(world.a.delivered === 0, `${world.a.delivered} octets were taken for nobody`)
    must(world.b.closed?.reason === "ConnectionReset", `b reports ${world.b.closed?.reason}`)
  })

  test("the application leaves in SYN-RECEIVED, the peer never closes: FIN-WAIT-2 ends by its timer", () => {
    const silent = { ...end(0), plan: { ...end(0).plan, closes: "never" as const } }
    const world = new World({ ...open, b: silent })
    world.at(1500, (w) => w.a.release(1500, w.outside(w.a)))
    world.run()
    must(world.a.tcb._tag === "CLOSED", `a hangs in ${world.a.tcb._tag}`)
  })
})
