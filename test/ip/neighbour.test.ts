import { describe, expect, test } from "bun:test"
import {
  advertised,
  confirm,
  deadlineOf,
  doubt,
  hear,
  MAX_WAITING,
  type Neighbour,
  type NeighbourStep,
  send,
  timeout,
} from "../../src/ip/neighbour.ts"
import type { MacAddress } from "../../src/wire/address.ts"
import { OFF } from "../../src/wire/time.ts"

const SECOND = 1_000_000
const OLD = 0x02_00_00_00_00_01 as MacAddress
const NEW = 0x02_00_00_00_00_02 as MacAddress

type Entry = Neighbour<string> | undefined

const none: Entry = undefined
const incomplete = (...waiting: ReadonlyArray<string>): Entry => ({
  state: "INCOMPLETE",
  waiting,
  probes: 1,
  deadline: SECOND,
  isRouter: false,
})
const reachable: Entry = { state: "REACHABLE", mac: OLD, deadline: 30 * SECOND, isRouter: false }
const router: Entry = { ...reachable, isRouter: true }
const stale: Entry = { state: "STALE", mac: OLD, isRouter: false }
const delay: Entry = { state: "DELAY", mac: OLD, deadline: 5 * SECOND, isRouter: false }
const probe = (probes: number): Entry => ({ state: "PROBE", mac: OLD, probes, deadline: SECOND, isRouter: false })

/** "REACHABLE old @30s": the state, whose address by its last digit, the deadline. */
const shown = (entry: Entry): string => {
  if (entry === undefined) return "none"
  const mac = "mac" in entry ? ` ${entry.mac === OLD ? "old" : "new"}` : ` [${entry.waiting}]`
  const probes = "probes" in entry ? ` probe ${entry.probes}` : ""
  const at = deadlineOf(entry)
  return `${entry.state}${mac}${probes}${at === OFF ? "" : ` @${at / SECOND}s`}${entry.isRouter ? " router" : ""}`
}

const told = ({ effects }: NeighbourStep<string>): ReadonlyArray<string> =>
  effects.map((effect): string => {
    switch (effect._tag) {
      case "Solicit":
        return effect.to === "everyone" ? "ask everyone" : "ask it"
      case "Forward":
        return `send ${effect.packet} to ${effect.mac === OLD ? "old" : "new"}`
      case "NoRouter":
        return "no router"
      case "Lost":
        return `lose ${effect.packet} (${effect.why})`
      default:
        return effect satisfies never
    }
  })

describe("a neighbour, at 0 s", () => {
  const rows: ReadonlyArray<
    readonly [name: string, stimulus: string, next: string, effects: ReadonlyArray<string>, entry: Entry]
  > = [
    // state        stimulus    next state          effects          the state in full
    ["unknown", "a packet", "INCOMPLETE [p] probe 1 @1s", ["ask everyone"], none],
    ["unknown", "a reply", "none", [], none],
    ["unknown", "is heard", "none", [], none],
    ["unknown", "asks for us", "STALE new", [], none],
    ["incomplete", "a packet", "INCOMPLETE [1,p] probe 1 @1s", [], incomplete("1")],
    [
      "incomplete, queue full",
      "a packet",
      "INCOMPLETE [2,3,p] probe 1 @1s",
      ["lose 1 (neighbour:queue-full)"],
      incomplete("1", "2", "3"),
    ],
    ["incomplete", "a reply", "REACHABLE new @30s", ["send 1 to new", "send 2 to new"], incomplete("1", "2")],
    ["incomplete", "is heard", "STALE new", ["send 1 to new"], incomplete("1")],
    ["incomplete", "asks for us", "STALE new", ["send 1 to new"], incomplete("1")],
    ["incomplete", "timeout", "INCOMPLETE [1] probe 2 @1s", ["ask everyone"], incomplete("1")],
    ["reachable", "a packet", "REACHABLE old @30s", ["send p to old"], reachable],
    ["reachable", "a reply", "REACHABLE new @30s", [], reachable],
    ["reachable", "is heard", "STALE new", [], reachable],
    ["reachable", "is heard as it was", "REACHABLE old @30s", [], reachable],
    ["reachable", "timeout", "STALE old", [], reachable],
    ["stale", "a packet", "DELAY old @5s", ["send p to old"], stale],
    ["stale", "a reply", "REACHABLE new @30s", [], stale],
    ["stale", "is heard", "STALE new", [], stale],
    ["stale", "timeout", "STALE old", [], stale],
    ["delay", "a packet", "DELAY old @5s", ["send p to old"], delay],
    ["delay", "a reply", "REACHABLE new @30s", [], delay],
    ["delay", "is heard as it was", "DELAY old @5s", [], delay],
    ["delay", "timeout", "PROBE old probe 1 @1s", ["ask it"], delay],
    ["probe", "a packet", "PROBE old probe 1 @1s", ["send p to old"], probe(1)],
    ["probe", "a reply", "REACHABLE new @30s", [], probe(1)],
    ["probe", "timeout", "PROBE old probe 2 @1s", ["ask it"], probe(1)],
    ["probe", "timeout", "none", [], probe(3)],
    // RFC 4861 section 7.2.5: S solicited, O override, R router; "it" says the address that is known.
    ["unknown", "NA SO new", "none", [], none],
    ["incomplete", "NA without address", "INCOMPLETE [1] probe 1 @1s", [], incomplete("1")],
    ["incomplete", "NA S new", "REACHABLE new @30s", ["send 1 to new"], incomplete("1")],
    ["incomplete", "NA R new", "STALE new router", ["send 1 to new"], incomplete("1")],
    ["reachable", "NA S new", "STALE old", [], reachable],
    ["stale", "NA S new", "STALE old", [], stale],
    ["probe", "NA S new", "PROBE old probe 1 @1s", [], probe(1)],
    ["reachable", "NA O new", "STALE new", [], reachable],
    ["stale", "NA SO new", "REACHABLE new @30s", [], stale],
    ["stale", "NA S it", "REACHABLE old @30s", [], stale],
    ["probe", "NA S without address", "REACHABLE old @30s", [], probe(2)],
    ["probe", "NA O it", "PROBE old probe 1 @1s", [], probe(1)],
    ["router", "NA S it", "REACHABLE old @30s", ["no router"], router],
    ["router", "NA R it", "REACHABLE old @30s router", [], router],
  ]

  const na = (flags: string, mac: MacAddress | undefined) => (entry: Entry) =>
    advertised(
      entry,
      { mac, solicited: flags.includes("S"), override: flags.includes("O"), isRouter: flags.includes("R") },
      0,
    )

  const stimuli: Readonly<Record<string, (entry: Entry) => NeighbourStep<string>>> = {
    "a packet": (entry) => send(entry, "p", 0),
    "a reply": (entry) => confirm(entry, NEW, 0),
    "is heard": (entry) => hear(entry, NEW, false),
    "is heard as it was": (entry) => hear(entry, OLD, false),
    "asks for us": (entry) => hear(entry, NEW, true),
    "NA SO new": na("SO", NEW),
    "NA S new": na("S", NEW),
    "NA O new": na("O", NEW),
    "NA R new": na("R", NEW),
    "NA S it": na("S", OLD),
    "NA O it": na("O", OLD),
    "NA R it": na("R", OLD),
    "NA without address": na("SO", undefined),
    "NA S without address": na("S", undefined),
    timeout: (entry) => (entry === undefined ? { entry, effects: [] } : timeout(entry, 0)),
  }

  test.each(rows)("%s, %s: %s", (_, stimulus, next, effects, entry) => {
    const step = stimuli[stimulus]?.(entry)
    if (step === undefined) throw new Error(`no stimulus ${stimulus}`)
    expect(shown(step.entry)).toBe(next)
    expect(told(step)).toEqual([...effects])
  })

  test("incomplete, three times no answer: lost with all that waits, after 3 s", () => {
    let entry: Entry = none
    let now = 0
    const asked: Array<number> = []
    let lost: ReadonlyArray<string> = []
    let step = send(entry, "1", now)
    for (;;) {
      for (const line of told(step)) if (line === "ask everyone") asked.push(now)
      entry = step.entry
      if (entry === undefined) {
        lost = told(step)
        break
      }
      now = deadlineOf(entry)
      step = timeout(entry, now)
    }
    expect(asked).toEqual([0, SECOND, 2 * SECOND])
    expect(now).toBe(3 * SECOND)
    expect(lost).toEqual(["lose 1 (neighbour:no-answer)"])
  })

  test("incomplete, any number of packets: never more wait than the queue holds", () => {
    let entry: Entry = none
    for (let i = 0; i < 100; i++) entry = send(entry, `${i}`, 0).entry
    expect(entry?.state === "INCOMPLETE" ? entry.waiting : []).toEqual(["97", "98", "99"])
    expect(MAX_WAITING).toBe(3)
  })
})

describe("an upper layer that waits in vain (RFC 4861 section 7.3.1)", () => {
  const mac = 0x02_00_00_00_00_01 as MacAddress

  test("REACHABLE, doubt: STALE, so that the next packet asks", () => {
    expect(doubt({ state: "REACHABLE", mac, deadline: 5, isRouter: true })).toEqual({
      state: "STALE",
      mac,
      isRouter: true,
    })
  })

  test("any other state, doubt: as it was", () => {
    const probing = { state: "PROBE", mac, probes: 1, deadline: 5, isRouter: false } as const
    expect(doubt(probing)).toBe(probing)
  })
})
