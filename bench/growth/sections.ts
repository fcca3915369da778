import type { Arguments } from "../arguments.ts"
import { FULL, type Measured, measure, type Point, QUICK, summary } from "../measure.ts"
import { progress } from "../progress.ts"
import type { Rate, Section } from "../report.ts"
import { type Child, startChild } from "./children.ts"
import { reassemblyCases } from "./reassembly.ts"
import { KINDS, type Kind } from "./scenes.ts"
import { scoreboardCases } from "./scoreboard.ts"
import { WIRED } from "./wire.ts"

const COUNTS = [1, 100, 10_000, 100_000, 1_000_000] as const
const QUICK_COUNTS = COUNTS.slice(0, -1)

/** Samples of a scene in turn, their length and that of the warm-up in milliseconds. */
const EFFORT = { samples: 11, millis: 40, warmUp: 400 }
const QUICK_EFFORT = { samples: 3, millis: 15, warmUp: 150 }

const TITLES: Readonly<Record<Kind, string>> = {
  connections: "Established connections",
  wire: "Connections over a memory wire",
  timers: "Timers armed",
  requests: "Half-open requests",
}

const METHODS: Readonly<Record<Kind, string>> = {
  connections:
    "src/host alone, connections touched at random, each a batch of its own: two segments of 1448 octets and one ACK, or a request of 64 octets and its answer; every connection has a retransmission timer armed. Octets of JavaScript heap, with tables, buffers and timers.",
  wire: "two stacks in one process, with runtime and applications: 256 requests of 64 octets at a time, each on a connection touched at random, are answered; processor time of both ends together. Octets of JavaScript heap of one end, the device's and the application's included; connections that nothing happens to are at rest where they are many, and wake up for a request.",
  timers:
    "src/host alone, as many delayed ACKs wait as there are connections: every step arms one, and the oldest is sent by its timer; 64 octets each, connections in an order that memory does not follow.",
  requests:
    "src/host alone, so many requests wait for their ACK, another one comes and goes. Octets of JavaScript heap, timer included.",
}

const OF: Readonly<Record<Kind, string>> = {
  connections: "connections",
  wire: WIRED,
  timers: "timers",
  requests: "half-open requests",
}

export const growthSections = async ({ quick, only }: Arguments): Promise<ReadonlyArray<Section>> => {
  const sections: Array<Section> = []
  for (const kind of KINDS) if (TITLES[kind].includes(only)) sections.push(await grow(kind, quick))
  const reassembly = "Out-of-order queue"
  if (reassembly.includes(only)) {
    sections.push({
      title: reassembly,
      method:
        "src/tcp alone, segments of 1448 octets behind a hole, each answered with a duplicate ACK and its SACK blocks; processor time of one thread, the cases take turns.",
      costs: measure(reassemblyCases(), quick ? QUICK : FULL, progress),
    })
  }
  const scoreboard = "Scoreboard"
  if (scoreboard.includes(only)) {
    sections.push({
      title: scoreboard,
      method:
        "src/tcp alone, a sender with segments of 1448 octets in flight, one in eight of whose first half is missing: an ACK with one SACK block, and what it makes the sender do; processor time of one thread, the cases take turns.",
      costs: measure(scoreboardCases(), quick ? QUICK : FULL, progress),
    })
  }
  return sections
}

const grow = async (kind: Kind, quick: boolean): Promise<Section> => {
  const counts = quick ? QUICK_COUNTS : COUNTS
  const effort = quick ? QUICK_EFFORT : EFFORT
  const steps = counts.length * (effort.samples + 2)
  let done = 0
  const step = (what: string): void => progress(done++, steps, `${TITLES[kind]}: ${what}`)
  const scenes: Array<{
    readonly count: number
    readonly child: Child
    readonly samples: Array<ReadonlyArray<number>>
  }> = []
  const leftOut: Array<string> = []
  try {
    for (const count of counts) {
      step(`${count}, made`)
      try {
        scenes.push({ count, child: await startChild(kind, count), samples: [] })
      } catch (cause) {
        leftOut.push(`${count} ${OF[kind]}: ${cause instanceof Error ? cause.message : String(cause)}`)
      }
    }
    for (let round = 0; round <= effort.samples; round++) {
      for (const { count, child, samples } of scenes) {
        step(`${count}, ${round === 0 ? "warm-up" : "sample"}`)
        const nanos = await child.sample(round === 0 ? effort.warmUp : effort.millis)
        if (round > 0) samples.push(nanos)
      }
    }
  } finally {
    for (const { child } of scenes) await child.stop()
  }
  return {
    title: TITLES[kind],
    method: `${METHODS[kind]} Each number of them in a process of its own, whose thread's processor time is taken, samples in turn.`,
    costs: bySeries(scenes.flatMap(({ count, child, samples }) => costs(OF[kind], count, child, samples))),
    rates: bySeries(scenes.flatMap(({ count, child }) => sizes(OF[kind], count, child))),
    leftOut,
  }
}

/** One series after the other, each with its counts in order. */
const bySeries = <A extends { readonly point?: Point | undefined }>(all: ReadonlyArray<A>): ReadonlyArray<A> =>
  [...Map.groupBy(all, ({ point }) => point?.line).values()].flat()

const named = (series: string, at: number, of: string): string =>
  `${series}, ${at.toLocaleString("en-US")} ${at === 1 ? of.replace(/s$/, "") : of}`

const costs = (
  of: string,
  at: number,
  { ready }: Child,
  samples: ReadonlyArray<ReadonlyArray<number>>,
): ReadonlyArray<Measured> =>
  ready.cases.map(({ name, per, octets }, index) => ({
    name: named(name, at, of),
    per,
    octets,
    ...summary(samples.map((nanos) => nanos[index] ?? Number.NaN)),
    garbage: undefined,
    point: { chart: of, line: name, at },
  }))

const sizes = (of: string, at: number, { ready }: Child): ReadonlyArray<Rate> => [
  ...Object.entries(ready.sizes).map(([series, octets]) => size(series, "octets each", octets, of, at)),
  size("one collection of the whole heap", "ms", ready.collection, of, at),
]

const size = (series: string, unit: string, value: number, of: string, at: number): Rate => ({
  job: named(series, at, of),
  by: "netfold",
  unit,
  median: value,
  low: value,
  high: value,
  samples: 1,
  ratio: undefined,
  point: { chart: of, line: series, at },
})
