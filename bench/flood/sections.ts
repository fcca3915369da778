import type { Arguments } from "../arguments.ts"
import { FULL, type Measured, measure, QUICK } from "../measure.ts"
import { progress } from "../progress.ts"
import type { Rate, Section } from "../report.ts"
import { octetsPerRequest, synCases } from "./syns.ts"
import { type FloodResult, flood } from "./world.ts"

type Asked = Pick<Arguments, "quick" | "only">

const REQUESTS = 100_000
const MICROS = 1_000_000
const MEBI = 1 << 20

export const floodSections = ({ quick, only }: Asked): ReadonlyArray<Section> => {
  const chosen = synCases().filter(({ name }) => name.includes(only))
  const costs = measure(chosen, quick ? QUICK : FULL, progress)
  const syns: Section = {
    title: "SYNs",
    method:
      "src/host, from the frame to the answer in device memory, sources all different; one thread, cases in turn.",
    costs,
    rates: costs.map(perSecond),
  }
  return only === "" ? [syns, memory(), attack(quick)] : chosen.length === 0 ? [] : [syns]
}

const perSecond = ({ name, per, nanos, low, high, samples }: Measured): Rate => ({
  job: name,
  by: "netfold",
  unit: `${per}s/s`,
  median: 1e9 / nanos,
  low: 1e9 / high,
  high: 1e9 / low,
  samples,
  ratio: undefined,
})

const memory = (): Section => ({
  title: "Half-open requests",
  method: `Growth of the heap and its array buffers by ${REQUESTS.toLocaleString("en-US")} of them: request, table entry, timer. Linux's tcp_request_sock takes 304 octets, its timer and hash slot included.`,
  rates: [one("a half-open request", "netfold", "octets", octetsPerRequest(REQUESTS))],
})

/** The same flood with and without cookies; see world.ts. */
const attack = (quick: boolean): Section => {
  const rate = quick ? 10_000 : 50_000
  const clients = 100
  const seconds = quick ? 2 : 5
  const run = (tcpSyncookies: 0 | 1): FloodResult => flood({ settings: { tcpSyncookies }, rate, clients, seconds })
  const results = [
    ["cookies when needed", run(1)],
    ["no cookies", run(0)],
  ] as const
  return {
    title: "Under a SYN flood",
    method: `Virtual time: ${rate.toLocaleString("en-US")} SYNs a second from spoofed sources for ${seconds} s, backlog 128; ${clients} real clients connect meanwhile, one fetches a file. The same in every run.`,
    rates: results.flatMap(([by, result]) => [
      one("clients served within 3 s", by, "of 100", (served(result) * 100) / clients),
      one("the slowest of them", by, "ms", Math.max(0, ...result.waits) / 1000),
      one("the file's rate, of that without a flood", by, "per cent", (100 * result.during) / result.before),
      one("growth of the heap", by, "MiB", result.growth / MEBI),
      ...["SyncookiesSent", "SyncookiesRecv", "TCPReqQFullDrop", "ListenDrops"].map((counter) =>
        one(counter, by, "count", result.counters[counter] ?? 0),
      ),
    ]),
  }
}

export const served = ({ waits }: FloodResult): number => waits.filter((wait) => wait <= 3 * MICROS).length

const one = (job: string, by: string, unit: string, value: number): Rate => ({
  job,
  by,
  unit,
  median: value,
  low: value,
  high: value,
  samples: 1,
  ratio: undefined,
})
