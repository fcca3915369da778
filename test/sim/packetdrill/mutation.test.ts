import { describe, expect, test } from "bun:test"
import { defaultRunOptions } from "../../../src/sim/packetdrill/config.ts"
import { mutantsOf } from "../../../src/sim/packetdrill/mutants.ts"
import { mutate } from "../../../src/sim/packetdrill/mutation.ts"
import { parseScript } from "../../../src/sim/packetdrill/parser.ts"
import { ScriptError } from "../../../src/sim/packetdrill/scriptError.ts"
import { corpus } from "./corpus.ts"

/** One mutant of so many is tried here, and which ones goes on from script to script; `--mutate` tries all. */
const STRIDE = 20

test("the runner fails at least 98 % of scripts with one expectation made wrong", async () => {
  let mutants = 0
  let first = 0
  const survivors: Array<string> = []
  for (const { name, source, options } of await corpus(["ipv4"])) {
    const result = mutate(source, options, STRIDE, first++ % STRIDE)
    mutants += result.mutants
    for (const { at, kind, what } of result.survivors) survivors.push(`${name}:${at.line}: ${kind} (${what})`)
  }
  expect(mutants).toBeGreaterThan(1000)
  expect(survivors.length / mutants, survivors.join("\n")).toBeLessThan(0.02)
})

const kindsOf = (line: string): ReadonlyArray<string> => {
  const script = parseScript(line)
  if (script instanceof ScriptError) throw script
  const rules = { ignorePsh: false, tolerance: 4000, tolerancePercent: 1 }
  return [...new Set(mutantsOf(script, rules).map(({ kind }) => kind))]
}

describe("what a script says is mutated, and what it leaves open is not", () => {
  test.each([
    ["0 > S 7:7(0) <...>", ["time", "flags", "length", "ack", "urg"]],
    ["* > R !7:7(0) ack ... <...>", ["flags", "seq", "length", "urg"]],
    [
      "0 > . 1:1(0) ack 1 win 9 <mss 1,nop>",
      ["time", "flags", "seq", "length", "ack", "win", "urg", "option", "option order"],
    ],
    ["0 > [ect0, ttl 3] . 1:1(0) <...>", ["time", "flags", "seq", "length", "ack", "urg", "ip"]],
    ["0 > icmp unreachable [1:1(0)]", ["time", "icmp"]],
    ["0 < . 1:1(0) ack 1 win 9 <mss 1,nop>", []],
    ["0 socket(..., SOCK_STREAM, 0) = 3", ["result"]],
    ["0...1 read(3, ..., 10) = -1 EAGAIN", ["result", "errno", "time"]],
    ["0 getsockopt(3, SOL_SOCKET, SO_ERROR, [0], [4]) = 0", ["result", "argument"]],
    ["0 poll([{fd=3, events=POLLIN, revents=POLLIN}], 1, 0) = 1", ["result", "argument"]],
    ["0 %{ assert tcpi_state == 1 }%", ["assertion"]],
    ["0 %{ print(tcpi_state) }%", []],
    ["0 `true`", []],
  ] as const)("%s", (line, kinds) => {
    expect(kindsOf(`${line}\n`)).toEqual([...kinds])
  })

  test("PSH is not where it is ignored", () => {
    const script = parseScript("0 > P. 1:2(1) ack 1")
    if (script instanceof ScriptError) throw script
    const flags = (ignorePsh: boolean) =>
      mutantsOf(script, { ignorePsh, tolerance: 4000, tolerancePercent: 1 }).filter(({ kind }) => kind === "flags")
        .length
    expect(flags(true)).toBe(flags(false) - 1)
  })
})

test("a survivor is shown with its line; a script that fails by itself has no mutants", () => {
  // "..." for the result, yet an assertion that is true either way.
  const lax = "0 %{ x = 1 }%\n0 %{ if x == 2:\n  assert 1 == 1\n}%"
  expect(mutate(lax, defaultRunOptions).survivors[0]).toMatchObject({ kind: "assertion", at: { line: 2 } })
  expect(mutate("0 %{ assert 1 == 2 }%", defaultRunOptions)).toEqual({ untouched: "Failed", mutants: 0, survivors: [] })
})
