import type { Transmit } from "../../src/tcp/effect.ts"
import { reduce } from "../../src/tcp/reduce.ts"
import type { Micros } from "../../src/tcp/time.ts"
import { ipv4 } from "../../src/wire/address.ts"
import type { Segment } from "../../src/wire/tcpSegment.ts"
import { Agenda } from "./agenda.ts"
import { Channel, type ChannelSpec, segmentsOf } from "./channel.ts"
import { Broken, type Due, End, type Outside } from "./endpoint.ts"
import { Random } from "./random.ts"
import type { Scenario } from "./scenario.ts"

type Happening =
  | { readonly _tag: "Arrival"; readonly to: End; readonly segment: Segment }
  | { readonly _tag: "Wake"; readonly end: End; readonly what: "write" | "read" }
  | { readonly _tag: "Call"; readonly call: (world: World) => void }

/** A run that takes more steps does not end. */
const MOST_STEPS = 100_000

/** Two blocks, the network between them, and the time. */
export class World {
  readonly a: End
  readonly b: End
  now: Micros = 0
  trace: Array<string> | undefined = undefined
  private readonly agenda = new Agenda<Happening>()
  private readonly there: Channel
  private readonly back: Channel
  private readonly outsides: ReadonlyMap<End, Outside>

  constructor(scenario: Scenario, reducer: typeof reduce = reduce) {
    const random = new Random(scenario.seed)
    const left = { address: ipv4(0xc6120001), port: 1001 }
    const right = { address: ipv4(0xc6120002), port: 1002 }
    this.there = new Channel(scenario.there, random)
    this.back = new Channel(scenario.back, random)
    const a: End = new End("a", scenario.a, left, right, random, reducer, () => b)
    const b: End = new End("b", scenario.b, right, left, random, reducer, () => a)
    this.a = a
    this.b = b
    this.outsides = new Map([
      [a, this.outsideOf(a, b, this.there)],
      [b, this.outsideOf(b, a, this.back)],
    ])
    if (scenario.open === "passive") b.listen(0, this.outside(b))
    a.connect(0, this.outside(a))
    if (scenario.open === "simultaneous") b.connect(0, this.outside(b))
  }

  outside(end: End): Outside {
    const found = this.outsides.get(end)
    if (found === undefined) throw new Error("no such end")
    return found
  }

  /** Something else that happens, at a time. */
  at(time: Micros, call: (world: World) => void): void {
    this.agenda.add(time, { _tag: "Call", call })
  }

  cut(): void {
    this.there.cut = true
    this.back.cut = true
  }

  /** Until nothing is left to happen, or `until`. */
  run(until = Number.POSITIVE_INFINITY): void {
    for (let steps = 0; ; steps++) {
      if (steps > MOST_STEPS) throw new Broken("the run does not end")
      const timer = this.nextTimer()
      const arrival = this.agenda.next()
      const at = Math.min(timer?.due.at ?? Number.POSITIVE_INFINITY, arrival ?? Number.POSITIVE_INFINITY)
      if (at > until || at === Number.POSITIVE_INFINITY) return
      this.now = at
      if (arrival !== undefined && arrival <= at) this.happen(this.agenda.take())
      else if (timer !== undefined) this.fire(timer.end, timer.due)
    }
  }

  private fire(end: End, due: Due): void {
    this.trace?.push(`${this.now} ${end.name} ${due.timer}`)
    end.fire(due, this.outside(end))
  }

  private happen(what: Happening | undefined): void {
    switch (what?._tag) {
      case "Arrival":
        this.trace?.push(`${this.now} ${what.to.name} < ${brief(what.segment)}`)
        what.to.arrives(what.segment, this.now, this.outside(what.to))
        return
      case "Wake":
        if (what.what === "write") what.end.write(this.now, this.outside(what.end))
        else what.end.read(this.now, this.outside(what.end))
        return
      case "Call":
        return what.call(this)
      case undefined:
        return
    }
  }

  private nextTimer(): { readonly end: End; readonly due: Due } | undefined {
    const a = this.a.due()
    const b = this.b.due()
    if (a !== undefined && (b === undefined || a.at <= b.at)) return { end: this.a, due: a }
    return b === undefined ? undefined : { end: this.b, due: b }
  }

  private outsideOf(end: End, peer: End, channel: Channel): Outside {
    return {
      send: (out: Transmit) => {
        this.trace?.push(`${this.now} ${end.name} > ${out.why} ${brief(out)}`)
        for (const segment of segmentsOf(out, channel.joins)) {
          channel.carry(segment, this.now, (at, arriving) =>
            this.agenda.add(at, { _tag: "Arrival", to: peer, segment: arriving }),
          )
        }
      },
      wake: (what, at) => this.agenda.add(at, { _tag: "Wake", end, what }),
    }
  }
}

const brief = (s: Transmit | Segment): string => {
  const length = "payload" in s ? s.payload.length : s.length
  const flags = ["F", "S", "R", "P", "."].filter((_, bit) => (s.flags >> bit) & 1).join("")
  return `${flags} ${s.seq}+${length} ack ${s.ack} wnd ${s.wnd}`
}

export type { ChannelSpec }
