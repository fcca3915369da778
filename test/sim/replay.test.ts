import { describe, expect, test } from "bun:test"
import { makeHost } from "../../src/host/host.ts"
import type { HostConfig } from "../../src/host/types.ts"
import { bulk, sink } from "../../src/sim/network/apps/bulk.ts"
import { World } from "../../src/sim/network/world.ts"
import { type Recorded, recorded, replay } from "../../src/sim/replay.ts"
import { B, PORT, pairSpec } from "./network/scene.ts"

/** A transfer whose sender is recorded. */
const recording = () => {
  const steps: Array<Recorded> = []
  let config: HostConfig | undefined
  const spec = pairSpec({ seed: 5, there: { rate: 10_000_000, delay: 10_000, loss: 0.05 } })
  const a = {
    ...spec.hosts["a"],
    makeHost: (given: HostConfig) => {
      config = given
      return recorded(makeHost(given), (step) => steps.push(step))
    },
  }
  const world = new World({ ...spec, hosts: { ...spec.hosts, a } })
  sink(world.machine("b"), PORT)
  const sending = bulk(world.machine("a"), { to: { address: B, port: PORT }, octets: 100_000 })
  world.run()
  expect(sending.reason).toBe("done")
  if (config === undefined) throw new Error("no host was made")
  return { steps, config }
}

describe("a recorded host", () => {
  test("replayed: the same effects, one by one", () => {
    const { steps, config } = recording()
    expect(steps.length).toBeGreaterThan(300)
    expect(steps.filter(({ call }) => call === "take").length).toBeGreaterThan(50)
    expect(replay(config, steps)).toBeUndefined()
  })

  test("replayed with another secret: the first call whose outcome differs is named", () => {
    const { steps, config } = recording()
    const divergence = replay({ ...config, secret: config.secret.map((octet) => octet ^ 1) }, steps)
    expect(divergence?.call).toBe("take")
    expect(divergence?.recorded).not.toBe(divergence?.replayed)
  })

  test("with a frame altered: the difference is found where it shows", () => {
    const { steps, config } = recording()
    const at = steps.findIndex((step, index) => step.call === "frame" && index > 100)
    const altered = steps.map((step, index) =>
      step.call === "frame" && index === at
        ? { ...step, bytes: step.bytes.map((o, i) => (i === 40 ? o ^ 0xff : o)) }
        : step,
    )
    const divergence = replay(config, altered)
    expect(divergence?.index).toBeGreaterThan(at)
  })
})
