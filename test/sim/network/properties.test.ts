import { describe, test } from "bun:test"
import fc from "fast-check"
import { bulk, sink } from "../../../src/sim/network/apps/bulk.ts"
import { World } from "../../../src/sim/network/world.ts"
import { ALGORITHMS } from "../../../src/tcp/congestion/registry.ts"
import type { Impairment, QueueSpec } from "../../../src/wire/impairment/spec.ts"
import { CODEL, red } from "../../../src/wire/impairment/spec.ts"
import { OFF } from "../../../src/wire/time.ts"
import { must, PATIENCE, runs } from "../../properties/support.ts"
import { A, B, PORT, pairSpec, SECOND } from "./scene.ts"

const anyQueue: fc.Arbitrary<QueueSpec> = fc.oneof(
  fc.record({
    _tag: fc.constant("taildrop" as const),
    packets: fc.integer({ min: 4, max: 200 }),
    octets: fc.constant(0),
  }),
  fc.constantFrom(CODEL, { ...CODEL, ecn: true }),
  fc.constantFrom(red(90_000, false), red(300_000, true)),
)

/** Whatever a network does short of cutting the link for good; losses few enough for 15 retransmissions. */
const anyPath: fc.Arbitrary<Impairment> = fc.record({
  rate: fc.constantFrom(0, 1_000_000, 20_000_000, 1_000_000_000),
  delay: fc.constantFrom(0, 100, 10_000, 250_000),
  jitter: fc.record({
    spread: fc.constantFrom(0, 50, 20_000),
    shape: fc.constantFrom("uniform" as const, "normal" as const),
    overtaking: fc.boolean(),
  }),
  queue: anyQueue,
  loss: fc.constantFrom(0, 0.01, 0.1),
  burstLoss: fc.constantFrom(undefined, { toBad: 0.02, toGood: 0.4, lossInBad: 0.8, lossInGood: 0 }),
  corrupt: fc.constantFrom(0, 0.01),
  duplicate: fc.constantFrom(0, 0.05, 0.5),
  reorder: fc.record({
    probability: fc.constantFrom(0, 0.05, 0.5),
    distance: fc.nat(8),
    delay: fc.constantFrom(1000, 100_000),
  }),
  mtu: fc.constant(0),
  outages: fc.constantFrom([], [[SECOND, 3 * SECOND] as const]),
})

const anyNetwork = fc.record({
  seed: fc.nat(0xffff_ffff),
  there: anyPath,
  back: anyPath,
  octets: fc.tuple(fc.nat(120_000), fc.nat(20_000)),
  mtu: fc.constantFrom(576, 1500, 9000),
  coalesce: fc.constantFrom(0, 0, 30, 1000),
})

/** Everything that two ends may agree on, or not. */
const anySettings = fc.record({
  tcpCongestionControl: fc.constantFrom(...ALGORITHMS),
  tcpEcn: fc.constantFrom(0 as const, 1 as const, 2 as const),
  tcpSack: fc.boolean(),
  tcpTimestamps: fc.boolean(),
  tcpWindowScaling: fc.boolean(),
  tcpRecovery: fc.constantFrom(0, 1, 1, 1),
  tcpEarlyRetrans: fc.constantFrom(0, 3, 3),
  tcpFrto: fc.constantFrom(0, 2),
  tcpMtuProbing: fc.constantFrom(0 as const, 1 as const, 2 as const),
})

/** A SYN that nobody hears five times in a row is the network's fault, not a mistake. */
const patience = { tcpSynRetries: 20, tcpSynackRetries: 20, tcpRetries2: 30, tcpOrphanRetries: 30 }

describe("two hosts with bulk data both ways", () => {
  test(
    "whatever the network does: the octets arrive once, in order, whole, both ends close, and nothing is stuck",
    () => {
      fc.assert(
        fc.property(anyNetwork, anySettings, ({ octets: [there, back], ...network }, settings) => {
          const world = new World(pairSpec({ ...network, settings: { ...settings, ...patience } }))
          const [a, b] = [world.machine("a"), world.machine("b")]
          const gotB = sink(b, PORT)
          const gotA = sink(a, PORT)
          const sendings = [
            [bulk(a, { to: { address: B, port: PORT }, octets: there }), gotB, there],
            [bulk(b, { to: { address: A, port: PORT }, octets: back }), gotA, back],
          ] as const
          world.run()
          must(world.stuck().length === 0, world.stuck().join(", "))
          for (const [sending, received, octets] of sendings) {
            // Three ARP requests in a row may be lost: then connect fails (Linux's EHOSTUNREACH), before any octet.
            if (sending.reason === "HostUnreachable" && sending.connectedAt === OFF) {
              must(sending.written === 0 && received.length === 0, "an unreachable host has received")
              continue
            }
            must(sending.reason === "done", `a sender ended with ${sending.reason}`)
            const whole = received.filter((one) => one.octets === octets && one.endedAt >= 0)
            must(whole.length === 1, `${received.map((one) => one.octets).join(", ")} of ${octets} octets arrived`)
            must(
              received.every(({ intact }) => intact),
              "an octet is not what was sent",
            )
          }
        }),
        runs(60),
      )
    },
    PATIENCE,
  )

  test(
    "the same network and seed: the same virtual end, to the microsecond",
    () => {
      fc.assert(
        fc.property(anyNetwork, anySettings, ({ octets: [octets], ...network }, settings) => {
          const end = (): number => {
            const world = new World(pairSpec({ ...network, settings: { ...settings, ...patience } }))
            sink(world.machine("b"), PORT)
            bulk(world.machine("a"), { to: { address: B, port: PORT }, octets: Math.min(octets, 20_000) })
            world.run()
            return world.now
          }
          const first = end()
          must(first === end(), "the runs differ")
        }),
        runs(10),
      )
    },
    PATIENCE,
  )
})

describe("a link that is cut while both ends have data", () => {
  test(
    "both say so, as timed out, within the limits of their timers, and nothing is left",
    () => {
      fc.assert(
        fc.property(fc.nat(0xffff_ffff), fc.nat(800_000), anyPath, anySettings, (seed, cutAt, path, settings) => {
          const there = { ...path, rate: 20_000_000, loss: 0, outages: [] }
          const world = new World(pairSpec({ seed, there, settings }))
          const [a, b] = [world.machine("a"), world.machine("b")]
          sink(a, PORT)
          sink(b, PORT)
          const sendings = [
            bulk(a, { to: { address: B, port: PORT }, octets: Number.POSITIVE_INFINITY }),
            bulk(b, { to: { address: A, port: PORT }, octets: Number.POSITIVE_INFINITY }),
          ]
          world.at(cutAt, () => world.fabric.cut("a"))
          // tcpRetries2 of 15 from an RTO of 200 ms to 2 s: 924 s and up to three times 120 s more.
          world.run(cutAt + 1600 * SECOND)
          for (const { reason } of sendings) {
            must(reason === "ConnectionTimedOut" || reason === "HostUnreachable", `an end says ${reason}`)
          }
          must(world.stuck().length === 0, world.stuck().join(", "))
        }),
        runs(12),
      )
    },
    PATIENCE,
  )
})
