import { describe, expect, test } from "bun:test"
import type { HostConfig } from "../../src/host/types.ts"
import { defaultUdpOptions } from "../../src/host/udp/types.ts"
import { Explainer } from "../../src/sim/explainReplay.ts"
import { bulk, sink } from "../../src/sim/network/apps/bulk.ts"
import { World } from "../../src/sim/network/world.ts"
import { Recorder, readRecording } from "../../src/sim/recording.ts"
import { replay } from "../../src/sim/replay.ts"
import { ipv4, ipv6, UNSPECIFIED4, UNSPECIFIED6 } from "../../src/wire/address.ts"
import { Pair, pattern, VERSIONS } from "../host/lab.ts"
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
    ["a secret of no octets", head.replace(/"secret":\{[^}]*\}/, '"secret":{"$octets":""}'), "line 1: secret: "],
    ["an interface without an MTU", head.replace(/"mtu":\d+,/, ""), "line 1: interfaces[0].mtu: missing"],
    [
      "an address that is none",
      head.replace(/"family":4,/, '"family":"4",'),
      "line 1: interfaces[0].addresses[0].address.family: ",
    ],
    ["a setting left out", head.replace(/"tcpRmem":\[[^\]]*\],/, ""), "line 1: settings.tcpRmem: not 3 values"],
    ["a call that hosts do not have", `${head}\n{"call":"constructor","arguments":[],"result":""}`, "line 2: "],
    ["a frame without octets", `${head}\n{"call":"frame","interface":0,"now":1}`, "line 2: "],
    ["octets that are none", `${head}\n{"call":"frame","bytes":{"$octets":"xy"}}`, "line 2: "],
    ["a line cut short", `${head}\n{"call":"ta`, "line 2: "],
  ] as const
  for (const [name, given, problem] of refused) {
    test(`${name}: refused`, () => expect(String(readRecording(given))).toStartWith(problem))
  }
})

/** All that UDP's calls can do, with a host that answers: unconnected and connected, in fragments, to a group, refused. */
const recordDatagrams = (a: (typeof VERSIONS)[number]["a"], b: (typeof VERSIONS)[number]["b"]): string => {
  const recorder = new Recorder()
  const pair = new Pair({ ...a, makeHost: recorder.makeHost }, b)
  const { udp } = pair.a.host
  const any = a.address.family === 4 ? UNSPECIFIED4 : UNSPECIFIED6
  const group = a.address.family === 4 ? ipv4(0xef010203) : ipv6(0xff050000, 0, 0, 0x1234)
  const server = pair.b.host.udp.socket(defaultUdpOptions)
  pair.b.host.udp.bind(server, { address: any, port: 7 })
  const answer = (): void => {
    pair.settle()
    for (let one = pair.b.host.udp.receive(server); one !== "empty" && !("errno" in one); ) {
      pair.b.host.udp.send(server, one.payload, one.source, pair.now)
      one = pair.b.host.udp.receive(server)
    }
    pair.settle()
  }
  const socket = udp.socket(defaultUdpOptions)
  expect(udp.bind(socket, { address: any, port: 0 })).toBeUndefined()
  expect(udp.join(socket, group, undefined, pair.now)).toBeUndefined()
  pair.wait(3_000_000)
  udp.send(socket, pattern(100), { address: b.address, port: 7 }, pair.now)
  answer()
  expect(udp.receive(socket)).toMatchObject({ payload: pattern(100) })
  expect(udp.connect(socket, { address: b.address, port: 7 })).toBeUndefined()
  expect(udp.send(socket, pattern(5000), undefined, pair.now)).toBeUndefined()
  answer()
  expect(udp.receive(socket)).toMatchObject({ payload: pattern(5000) })
  expect(udp.receive(socket)).toBe("empty")
  expect(udp.connect(socket, undefined)).toBeUndefined()
  udp.send(socket, pattern(1), { address: b.address, port: 8 }, pair.now)
  pair.settle()
  expect(udp.takeError(socket)).toMatchObject({ errno: "ECONNREFUSED" })
  expect(udp.setOptions(socket, { dontFragment: true })).toBeUndefined()
  expect(udp.send(socket, pattern(5000), { address: b.address, port: 7 }, pair.now)?.errno).toBe("EMSGSIZE")
  expect(udp.leave(socket, group, undefined, pair.now)).toBeUndefined()
  pair.a.close(socket)
  pair.wait(10_000_000)
  return recorder.text()
}

describe("a recording of datagrams", () => {
  for (const { version, a, b } of VERSIONS) {
    test(`over ${version}, read and replayed: every effect and every result as recorded`, () => {
      const { config, steps } = read(recordDatagrams(a, b))
      for (const call of ["socket", "bind", "join", "send", "receive", "connect", "takeError", "setOptions", "leave"]) {
        expect([call, steps.some((step) => step.call === `udp.${call}`)]).toEqual([call, true])
      }
      expect(replay(config, steps)).toBeUndefined()
    })

    test(`over ${version}, an octet of a datagram that came is another: the receive differs`, () => {
      const { config, steps } = read(recordDatagrams(a, b))
      const at = steps.findIndex(({ call }) => call === "udp.receive")
      const from = steps.findLastIndex(({ call }, index) => index < at && call === "frame")
      const altered = steps.map((step, index) => {
        if (index !== from || step.call !== "frame" || !("bytes" in step)) return step
        // Vouched for, so that the checksum is not asked.
        return { ...step, vouched: true, bytes: step.bytes.map((o, i) => (i === step.bytes.length - 1 ? o ^ 1 : o)) }
      })
      expect(replay(config, altered)).toMatchObject({ index: at, call: "udp.receive" })
    })
  }
})
