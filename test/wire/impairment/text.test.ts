import { describe, expect, test } from "bun:test"
import { CODEL, impairmentProblem, PERFECT, red } from "../../../src/wire/impairment/spec.ts"
import { parseImpairment } from "../../../src/wire/impairment/text.ts"
import {
  formatDuration,
  formatRate,
  parseDuration,
  parseRate,
  parseShare,
  parseSize,
} from "../../../src/wire/quantity.ts"

describe("an impairment in words", () => {
  const understood = [
    ["loss 1%", { loss: 0.01 }],
    ["loss 1% reorder 1%", { loss: 0.01, reorder: { probability: 0.01, distance: 0, delay: 10_000 } }],
    ["reorder 2%,3,5ms", { reorder: { probability: 0.02, distance: 3, delay: 5000 } }],
    ["rate 10mbit delay 40ms", { rate: 10_000_000, delay: 40_000 }],
    ["jitter 5ms,normal", { jitter: { spread: 5000, shape: "normal", overtaking: false } }],
    ["jitter 5ms,overtaking", { jitter: { spread: 5000, shape: "uniform", overtaking: true } }],
    ["burst-loss 0.5%,20%", { burstLoss: { toBad: 0.005, toGood: 0.2, lossInBad: 1, lossInGood: 0 } }],
    ["corrupt 0.1% duplicate 0.002", { corrupt: 0.001, duplicate: 0.002 }],
    ["queue codel,ecn", { queue: { ...CODEL, ecn: true } }],
    ["queue taildrop,64KiB", { queue: { _tag: "taildrop", packets: 0, octets: 65_536 } }],
    ["queue red,90kb", { queue: red(90_000, false) }],
    ["mtu 1400", { mtu: 1400 }],
    [
      "down 1s-2s,5s-",
      {
        outages: [
          [1_000_000, 2_000_000],
          [5_000_000, Number.POSITIVE_INFINITY],
        ],
      },
    ],
  ] as const
  for (const [text, part] of understood) {
    test(text, () => expect(parseImpairment(text)).toEqual({ ...PERFECT, ...part }))
  }

  const refused = [
    ["loss", '"loss "'],
    ["loss 101%", '"loss 101%"'],
    ["loss 1% 2%", '"2%" is no impairment'],
    ["delay -4ms", '"delay -4ms"'],
    ["speed 10mbit", '"speed" is no impairment'],
    ["queue fifo", '"queue fifo"'],
    ["queue taildrop,ecn", '"queue taildrop,ecn"'],
    ["queue taildrop,0p", "it needs a limit"],
    ["down 5s-2s", "outages: they must follow each other"],
    ["jitter 5ms,sideways", '"jitter 5ms,sideways"'],
    ["burst-loss 1%", '"burst-loss 1%"'],
  ] as const
  for (const [text, problem] of refused) {
    test(`${text}: refused`, () => expect(parseImpairment(text)).toContain(problem))
  }
})

describe("an impairment that makes no sense", () => {
  const cases = [
    [{ loss: Number.NaN }, "loss is NaN"],
    [{ rate: Number.POSITIVE_INFINITY }, "rate is Infinity"],
    [{ queue: { ...red(9000, false), low: 5000 } }, "low must be below high"],
    [{ queue: { ...CODEL, target: 0 } }, "target and interval"],
    [{ reorder: { probability: 0.5, distance: 3, delay: 0 } }, "reorder.delay"],
  ] as const
  for (const [part, problem] of cases) {
    test(problem, () => expect(impairmentProblem({ ...PERFECT, ...part })).toContain(problem))
  }
})

describe("quantities", () => {
  const cases = [
    [parseRate("2.5gbit"), 2.5e9],
    [parseRate("9600"), undefined],
    [parseDuration("1.5s"), 1_500_000],
    [parseDuration("0"), 0],
    [parseDuration("5"), undefined],
    [parseSize("50MB"), 50_000_000],
    [parseSize("64KiB"), 65_536],
    [parseSize("1e3"), undefined],
    [parseShare("0.1%"), 0.001],
    [parseShare("1.5"), undefined],
    [formatRate(94_300_000), "94.3 Mbit/s"],
    [formatDuration(1500), "1.5 ms"],
  ] as const
  for (const [index, [value, expected]] of cases.entries()) {
    test(`${index}: ${expected}`, () => {
      if (typeof value === "number" && typeof expected === "number") expect(value).toBeCloseTo(expected, 6)
      else expect(value).toBe(expected as never)
    })
  }
})
