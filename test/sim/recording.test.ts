import { describe, expect, test } from "bun:test"
import type { HostConfig } from "../../src/host/types.ts"
import { Explainer } from "../../src/sim/explainReplay.ts"
import { bulk, sink } from "../../src/sim/network/apps/bulk.ts"
import { World } from "../../src/sim/network/world.ts"
import { Recorder, readRecording } from "../../src/sim/recording.ts"
import { replay } from "../../src/sim/replay.ts"
import { B, PORT, pairSpec } from "./network/scene.ts"

const recordTransfer = (): string => {
  const recorder = new Recorder()
  const spec = pairSpec({ seed: 7, there: { rate: 10_000_000, delay: 10_000, loss: 0.05 } })
  const a = { ...spec.hosts["a"], makeHost: (config: HostConfig) => recorder.makeHost(config) }
  const world = new World({ ...spec, hosts: { ...spec.hosts, a } })
  sink(world.machine("b"), PORT)
  bulk(world.machine("a"), { to: { address: B, port: PORT }, octets: 60_000 })
  world.run()
  return recorder.text()
}

const read = (text: string) => {
  const recording = readRecording(text)
  if (typeof recording === "string") throw new Error(recording)
  return recording
}

describe("a recording as text", () => {
  const text = recordTransfer()

  test("read and replayed: every effect as recorded", () => {
    const { config, steps } = read(text)
    expect(steps.length).toBeGreaterThan(100)
    expect(replay(config, steps)).toBeUndefined()
  })

  test("an octet of a received ACK is another: the replay diverges", () => {
    // The last octets of a frame are its payload's or its options'.
    const lines = text.split("\n")
    const at = lines.findIndex((line, index) => index > 60 && line.includes('"call":"frame"'))
    const altered = lines.map((line, n) => (n === at ? line.replace(/"\$octets":"(.{76})../, '"$octets":"$1ff') : line))
    expect(altered[at]).not.toBe(lines[at])
    const { config, steps } = read(altered.join("\n"))
    expect(replay(config, steps)?.index).toBeGreaterThanOrEqual(at - 1)
  })

  test("explained: frames, calls and events, each segment with its reason", () => {
    const { config, steps } = read(text)
    const explainer = new Explainer(config)
    const lines: Array<string> = []
    replay(config, steps, undefined, (step, effects) => void lines.push(...explainer.explain(step, effects)))
    expect(lines[0]).toBe("0.000000 connect({remote, local, options}, 0): 1")
    expect(lines.some((line) => / sends .*\[S\] .*\(RFC9293-3\.10\.1:active-OPEN\)$/.test(line))).toBe(true)
    expect(lines.some((line) => / gets .*\[S\.\]/.test(line))).toBe(true)
    expect(lines.some((line) => / tells socket 1: connected$/.test(line))).toBe(true)
    expect(lines.some((line) => / sends .*\(RFC6675-5:lost\)$/.test(line))).toBe(true)
  })

  const [head = ""] = text.split("\n")
  const refused = [
    ["nothing", "", "this is no recording of a host"],
    ["another file", "#!/bin/sh\n", "this is no recording of a host"],
    ["another version", '{"format":"netfold recording","version":9}', "its version is 9, and not 1"],
    ["no configuration", '{"format":"netfold recording","version":1}', "line 1: it has no configuration"],
    ["a call that hosts do not have", `${head}\n{"call":"constructor","arguments":[],"result":""}`, "line 2: "],
    ["a frame without octets", `${head}\n{"call":"frame","interface":0,"now":1}`, "line 2: "],
    ["octets that are none", `${head}\n{"call":"frame","bytes":{"$octets":"xy"}}`, "line 2: "],
    ["a line cut short", `${head}\n{"call":"ta`, "line 2: "],
  ] as const
  for (const [name, given, problem] of refused) {
    test(`${name}: refused`, () => expect(String(readRecording(given))).toStartWith(problem))
  }
})
