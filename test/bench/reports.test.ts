import { describe, expect, test } from "bun:test"
import { join } from "node:path"
import { readArguments, readKept } from "../../bench/arguments.ts"
import { changesOf, compare } from "../../bench/compare.ts"
import { DEVICES } from "../../bench/device/sections.ts"
import type { Measured } from "../../bench/measure.ts"
import { pageWith } from "../../bench/page.ts"
import { TARGETS } from "../../bench/peers/goals.ts"
import { picturesOf } from "../../bench/pictures.ts"
import { print, type Rate, type Report, type Section } from "../../bench/report.ts"
import { loadReport } from "../../bench/results.ts"

/** A quick run of the peers on a busy machine: its numbers are of no account, their shape is. */
const PEERS = join(import.meta.dir, "peers.json")

const machine = { cpu: "a", cores: 2, memoryGiB: 4, kernel: "6.1", bun: "1.4.5", load: 0, commit: "0000000" }
const report = (...sections: ReadonlyArray<Section>): Report => ({ at: "2026-01-01", machine, stolen: 0, sections })

const cost = (name: string, nanos: number, low: number, high: number): Measured => ({
  name,
  per: "segment",
  nanos,
  low,
  high,
  samples: 5,
  octets: undefined,
  garbage: undefined,
  point: undefined,
})

const rate = (job: string, by: string, median: number): Rate => ({
  job,
  by,
  unit: "Gbit/s",
  median,
  low: median,
  high: median,
  samples: 1,
  ratio: undefined,
})

describe("what is asked of the bench", () => {
  for (const [words, expected] of [
    ["compare a b", { _tag: "Compare", before: "a", after: "b", only: "" }],
    ["compare a b --only echo", { _tag: "Compare", before: "a", after: "b", only: "echo" }],
    ["draw a --svg out", { _tag: "Draw", result: "a", svg: "out", page: "" }],
    ["draw a --page docs/speed.md", { _tag: "Draw", result: "a", svg: "", page: "docs/speed.md" }],
    ["growth", undefined],
  ] as const) {
    test(words, () => {
      expect(readKept(words.split(" "))).toEqual(expected)
    })
  }

  for (const words of ["compare a", "compare a b c", "draw a", "draw --svg out"]) {
    test(`${words}: refused`, () => {
      expect(() => readKept(words.split(" "))).toThrow("takes")
    })
  }

  test("a result's name leads nowhere else", () => {
    expect(() => readArguments(["--save", "../name"])).toThrow("no name of a result")
    expect(readArguments(["growth", "--save", "0.1.0"])).toMatchObject({ groups: ["growth"], save: "0.1.0" })
  })
})

describe("two reports", () => {
  const before = report({ title: "S", method: "", costs: [cost("a", 100, 90, 110), cost("b", 10, 9, 11)] })
  const after = report({
    title: "S",
    method: "",
    costs: [cost("a", 50, 45, 55), cost("c", 1, 1, 1), cost("b", 12, 10, 14)],
  })

  test("are compared by what both have measured", () => {
    expect(changesOf(before, after).map(({ name, ratio, apart }) => [name, ratio, apart])).toEqual([
      ["a", 0.5, true],
      ["b", 1.2, false],
    ])
  })

  test("a ratio stands in brackets where the spreads overlap", () => {
    const lines = compare(before, after, "").split("\n")
    expect(lines.find((line) => line.startsWith("a "))).toEndWith(" 0.50")
    expect(lines.find((line) => line.startsWith("b "))).toEndWith("(1.20)")
  })

  test("only what is asked for", () => {
    expect(compare(before, after, "b")).not.toContain("0.50")
  })

  test("of different machines say so", () => {
    expect(compare(before, after, "")).not.toContain("Not the same")
    expect(compare(before, { ...after, machine: { ...machine, bun: "2.0" } }, "")).toContain("Not the same: bun.")
  })

  test("rates are known by their job and who does it", () => {
    const of = (median: number) =>
      report({ title: "S", method: "", rates: [rate("sink", "x", 1), rate("sink", "y", median)] })
    expect(changesOf(of(2), of(4)).map(({ name, ratio }) => [name, ratio])).toEqual([
      ["sink: x", 1],
      ["sink: y", 2],
    ])
  })
})

describe("a file that is no report", () => {
  for (const [what, path, words] of [
    ["that is not there", join(import.meta.dir, "nothing.json"), "is there"],
    ["of another kind", join(import.meta.dir, "../../package.json"), "is no report"],
    ["that is no JSON", import.meta.path, "is no JSON"],
  ] as const) {
    test(what, async () => {
      await expect(loadReport(path)).rejects.toThrow(words)
    })
  }
})

describe("goals", () => {
  const goal = { what: "w", unit: "u", goal: 10, aim: 20 }
  for (const [better, measured, verdict] of [
    ["more", 9, "missed"],
    ["more", 10, "reached"],
    ["more", 20, "aim reached"],
    ["less", 21, "missed"],
  ] as const) {
    test(`${measured}, ${better} is better: ${verdict}`, () => {
      const aim = better === "less" ? 5 : 20
      const goals = [{ ...goal, aim, measured, better }]
      expect(print({ title: "S", method: "", goals })).toContain(
        `${measured.toFixed(measured < 10 ? 2 : 1)}, ${verdict}`,
      )
    })
  }
})

const count = (text: string, pattern: RegExp): number => [...text.matchAll(pattern)].length

describe("the peers' picture", () => {
  test("has a panel for each job, a bar for each rate, and its ratio", async () => {
    const peers = await loadReport(PEERS)
    const rates = peers.sections.flatMap(({ rates = [] }) => rates)
    const [picture, ...others] = picturesOf(peers)
    expect(others).toEqual([])
    expect(picture?.name).toBe("peers")
    const svg = picture?.svg ?? ""
    expect(count(svg, /class="panel ink"/g)).toBe(new Set(rates.map(({ job }) => job)).size)
    expect(count(svg, /<rect [^>]*class="f[05]"/g)).toBe(rates.length)
    for (const { ratio } of rates) if (ratio !== undefined) expect(svg).toContain(`>${ratio.toFixed(2)}</text>`)
  })

  test("marks what netfold must reach, and its aim", async () => {
    const [picture] = picturesOf(await loadReport(PEERS))
    // One of each is the legend's.
    expect(count(picture?.svg ?? "", /class="l1" style/g)).toBe(TARGETS.length + 1)
    expect(count(picture?.svg ?? "", /class="l2" style/g)).toBe(TARGETS.length + 1)
  })
})

test("devices have a picture of their own, which is no picture of what grows", () => {
  const point = { chart: "write", line: "TAP", at: 64 }
  const pictures = picturesOf(report({ title: DEVICES, method: "", costs: [{ ...cost("TAP", 100, 90, 110), point }] }))
  expect(pictures.map(({ name }) => name)).toEqual(["devices"])
})

test("the picture of what grows has a line for each series, and another picture is of the queue", () => {
  const at = (line: string, chart: string, n: number): Measured => ({
    ...cost(`${line} ${n}`, 100 + n, 90, 200 + n),
    point: { chart, line, at: n },
  })
  const costs = [1, 10, 100].flatMap((n) => [
    at("request, answer", "connections", n),
    at("data in", "connections", n),
    at("one run", "segments held", n),
  ])
  const pictures = picturesOf(report({ title: "S", method: "", costs }))
  expect(pictures.map(({ name, svg }) => [name, count(svg, /<path d="M[^"]*L[^"]*"/g)])).toEqual([
    ["growth", 2],
    ["growth-reassembly", 1],
  ])
})

describe("a page with tables of the bench", () => {
  const page = [
    "# Page",
    "<!-- bench micro -->",
    "stale",
    "<!-- end of bench micro -->",
    "between",
    "<!-- bench growth -->",
    "kept",
    "<!-- end of bench growth -->",
    "last",
  ].join("\n")
  const reducers = { title: "Reducers", method: "", costs: [cost("data in", 200, 190, 210)] }

  test("takes what was measured, and keeps the rest", () => {
    const written = pageWith(page, report(reducers))
    expect(written).toContain("| data in  | 200 | segment |      5.00 |")
    expect(written).not.toContain("stale")
    expect(written).toStartWith("# Page\n<!-- bench micro -->\n")
    expect(written).toEndWith(
      "<!-- end of bench micro -->\nbetween\n<!-- bench growth -->\nkept\n<!-- end of bench growth -->\nlast",
    )
    expect(pageWith(written, report(reducers))).toBe(written)
  })

  test("has a line for each series of growth, and a column for each number", () => {
    const at = (n: number, nanos: number): Measured => ({
      ...cost(`data, ${n}`, nanos, nanos, nanos),
      point: { chart: "timers", line: "data", at: n },
    })
    const written = pageWith(page, report({ title: "Timers armed", method: "", costs: [at(1, 10), at(10_000, 20)] }))
    expect(written).toContain("| Timers armed     |    1 | 10,000 |")
    expect(written).toContain("| data, ns/segment | 10.0 |   20.0 |")
  })

  test("has a line for each device and direction, a column for each size, and what a frame leaves", () => {
    const of = (chart: string, at: number, nanos: number, garbage: number): Measured => ({
      ...cost(`TAP: ${chart} ${at} octets`, nanos, nanos, nanos),
      point: { chart, line: "TAP", at },
      garbage,
    })
    const costs = [of("write", 64, 1000, 0), of("write", 1514, 1300, 16), of("read", 64, 600, 0)]
    const written = pageWith(
      "<!-- bench device --><!-- end of bench device -->",
      report({ title: "Devices", method: "", costs }),
    )
    expect(written).toContain("| TAP: write |     1,000 |        1,300 |")
    expect(written).toContain("| TAP: read  |       600 |              |")
    expect(written).toContain("Garbage per frame, at most: 16.0 octets.")
  })

  test("has a line for what the loop costs, and a column for each way", () => {
    const rate = (by: string, median: number): Rate => ({
      job: "the timer is late",
      by,
      unit: "ms",
      median,
      low: median,
      high: median,
      samples: 1,
      ratio: undefined,
    })
    const written = pageWith(
      "<!-- bench loop --><!-- end of bench loop -->",
      report({ title: "The loop", method: "", rates: [rate("TAP, offload", 1.2), rate("TAP, plain", 2.3)] }),
    )
    expect(written).toContain("| The loop              | TAP, offload | TAP, plain |")
    expect(written).toContain("| the timer is late, ms |         1.20 |       2.30 |")
  })

  test("without a place for it is refused", () => {
    expect(() => pageWith("# Page", report(reducers))).toThrow("no place")
  })
})
