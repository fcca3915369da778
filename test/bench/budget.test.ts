import { describe, expect, test } from "bun:test"
import { PARTS, type Part, type Profile, partOf, sharesOf } from "../../bench/budget/profile.ts"

describe("the part that a function belongs to", () => {
  const cases: ReadonlyArray<readonly [functionName: string, url: string, part: Part | undefined]> = [
    ["write", "file:///n/ffi/libc.ts", "system call"],
    ["receive", "file:///n/src/device/tapDevice.ts", "device"],
    ["decodeTcp", "file:///n/src/wire/tcp.ts", "parse"],
    ["writeTcpHeader", "file:///n/src/wire/tcp.ts", "encode"],
    ["sum", "file:///n/src/wire/checksum.ts", "checksum"],
    ["find", "file:///n/src/host/flowTable.ts", "demultiplex"],
    ["takes", "file:///n/src/host/trains.ts", "demultiplex"],
    ["segmentArrives", "file:///n/src/tcp/synchronized.ts", "reduce"],
    ["copyTo", "file:///n/src/tcp/sendQueue.ts", "encode"],
    ["carryOut", "file:///n/src/host/tcpHost.ts", "interpret"],
    ["poll", "file:///n/src/runtime/interpreter.ts", "interpret"],
    ["pump", "file:///n/src/net/services.ts", "application"],
    ["runLoop", "file:///n/node_modules/effect/dist/esm/internal/fiberRuntime.js", undefined],
    ["set", "", undefined],
  ]
  test.each(cases)("%s of %s", (functionName, url, part) => {
    expect(partOf(functionName, url)).toBe(part)
  })
})

const frame = (functionName: string, file = "") => ({ functionName, url: file === "" ? "" : `file:///n/${file}` })

/** poll calls copyTo, which calls the engine's `set`; the engine also works by itself. */
const profile: Profile = {
  nodes: [
    { id: 1, callFrame: frame("(root)"), children: [2, 5] },
    { id: 2, callFrame: frame("poll", "src/runtime/interpreter.ts"), children: [3] },
    { id: 3, callFrame: frame("copyTo", "src/tcp/sendQueue.ts"), children: [4] },
    { id: 4, callFrame: frame("set") },
    { id: 5, callFrame: frame("processImmediate") },
  ],
  startTime: 1000,
  samples: [2, 4, 3, 5, 2],
  timeDeltas: [10, 10, 20, 10, 10],
}

describe("shares of a profile", () => {
  test("add up to one; what the engine does for a caller is the caller's", () => {
    const shares = sharesOf(profile, 1000, 2000)
    expect([...shares.keys()]).toEqual([...PARTS])
    const parts = ["interpret", "encode", "event loop, collection"] as const
    expect(parts.map((part) => shares.get(part))).toEqual([20 / 60, 30 / 60, 10 / 60])
  })

  test("count the samples between two moments alone", () => {
    const shares = sharesOf(profile, 1015, 1045)
    expect([shares.get("interpret"), shares.get("encode")]).toEqual([0, 1])
  })

  test("of no time at all are none", () => {
    expect([...sharesOf(profile, 5000, 6000).values()].every((share) => share === 0)).toBe(true)
  })
})
