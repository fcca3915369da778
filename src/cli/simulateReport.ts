import type { SequenceTrace, WindowSample } from "../sim/network/trace.ts"
import type { TransferResult, TransferSpec } from "../sim/network/transfer.ts"
import { formatDuration, formatRate, formatSize } from "../wire/quantity.ts"
import { sparkline } from "./plot/sparkline.ts"

/** A run and what was seen of it. */
export interface Outcome {
  readonly result: TransferResult
  /** Of the first flow. */
  readonly windows: ReadonlyArray<WindowSample>
  readonly trace: SequenceTrace
  /** Blocks of the capture. */
  readonly packets: ReadonlyArray<Uint8Array>
  readonly hash: string
  readonly events: number
  /** Milliseconds of the wall clock. */
  readonly real: number
}

const SPARKLINE = 64
const MOST_FLOWS = 20

export const describeLink = ({ there, mtu, flows }: TransferSpec, cc: string): string =>
  [
    there.rate > 0 ? formatRate(there.rate) : "no rate limit",
    `RTT ${formatDuration(2 * there.delay)}`,
    ...(there.loss > 0 ? [`loss ${percent(there.loss)}`] : []),
    ...(there.burstLoss === undefined ? [] : ["burst loss"]),
    ...(there.reorder.probability > 0 ? [`reordered ${percent(there.reorder.probability)}`] : []),
    `${there.queue._tag} ${there.queue.octets > 0 ? formatSize(there.queue.octets) : `${there.queue.packets} packets`}`,
    `MTU ${mtu}`,
    cc,
    ...(flows > 1 ? [`${flows} flows`] : []),
  ].join(", ")

const percent = (share: number): string => `${Number((100 * share).toPrecision(3))} %`

export const printOutcome = (spec: TransferSpec, cc: string, outcome: Outcome): string => {
  const { result, windows, hash, events, real } = outcome
  const { counters, links } = result
  const [there] = links
  const count = (name: string): string => String(counters[name] ?? 0)
  const rows: ReadonlyArray<readonly [string, string]> = [
    ["link", describeLink(spec, cc)],
    ["goodput", goodput(result)],
    ...(result.flows.length > 1 ? ([["fairness", `Jain's index ${result.fairness.toFixed(4)}`]] as const) : []),
    ["segments", `${count("OutSegs")} out, ${count("RetransSegs")} of them again; ${count("InSegs")} in`],
    ["recovery", `${count("TCPTimeouts")} RTO, ${count("TCPFastRetrans")} fast retransmits`],
    [
      "frames",
      `${there?.counters.sent ?? 0} sent, ${there?.counters.lost ?? 0} lost, ${there?.counters.marked ?? 0} marked, queue at most ${formatSize(there?.counters.longest ?? 0)}`,
    ],
    ...windowRows(windows, result.virtual),
    [
      "time",
      `${formatDuration(result.virtual)} virtual in ${Math.round(real)} ms: ${speed(result.virtual, real)} times real time`,
    ],
    ["log", `${events} events, SHA-256 ${hash}`],
  ]
  const unhealthy = result.flows.filter(
    ({ finished, intact }) => !intact || (!finished && Number.isFinite(spec.octets)),
  )
  return [
    ...rows.map(([name, value]) => `${name.padEnd(9)} ${value}`),
    ...result.flows
      .slice(0, result.flows.length > 1 ? MOST_FLOWS : 0)
      .map((flow, n) => `flow ${n + 1}`.padEnd(10) + flowLine(flow)),
    ...(unhealthy.length > 0 ? [`${unhealthy.length} of ${result.flows.length} flows did not arrive whole`] : []),
  ].join("\n")
}

const speed = (virtual: number, real: number): string =>
  Math.round(virtual / 1000 / Math.max(0.001, real)).toLocaleString("en-US")

const flowLine = ({ octets, duration, goodput: rate, reason }: TransferResult["flows"][number]): string =>
  `${formatSize(octets)} in ${formatDuration(duration)}, ${formatRate(rate)}${reason === undefined || reason === "done" ? "" : `, ${reason}`}`

const goodput = ({ goodput: rate, flows }: TransferResult): string => {
  const octets = flows.reduce((sum, flow) => sum + flow.octets, 0)
  const duration = Math.max(0, ...flows.map((flow) => flow.duration))
  return `${formatRate(rate)} (${formatSize(octets)} in ${formatDuration(duration)})`
}

const windowRows = (
  windows: ReadonlyArray<WindowSample>,
  virtual: number,
): ReadonlyArray<readonly [string, string]> => {
  const last = windows.at(-1)
  if (last === undefined) return []
  const most = windows.reduce((high, { cwnd }) => Math.max(high, cwnd), 0)
  const end = Math.min(virtual, last.at)
  const line = sparkline(
    windows.map(({ at, cwnd }) => [at, cwnd]),
    0,
    end,
    SPARKLINE,
  )
  return [
    ["cwnd", `${line} 0 to ${formatDuration(end)}, at most ${formatSize(most)}`],
    ["rtt", `smoothed ${formatDuration(last.srtt)} at the end, RTO ${formatDuration(last.rto)}`],
  ]
}

/** The result for programs: microseconds, octets and bits per second. */
export const toJson = (spec: TransferSpec, cc: string, { result, windows, hash, events, real }: Outcome) => ({
  spec: {
    ...spec,
    octets: orNull(spec.octets),
    until: orNull(spec.until),
    cc,
    settings: undefined,
    receiverSettings: undefined,
  },
  goodput: result.goodput,
  fairness: result.fairness,
  virtual: result.virtual,
  realMillis: real,
  retransmits: result.counters["RetransSegs"] ?? 0,
  timeouts: result.counters["TCPTimeouts"] ?? 0,
  fastRetransmits: result.counters["TCPFastRetrans"] ?? 0,
  flows: result.flows,
  links: result.links,
  counters: result.counters,
  cwnd: windows.map(({ at, cwnd, ssthresh, srtt }) => ({ at, cwnd, ssthresh: orNull(ssthresh), srtt })),
  events,
  hash,
})

/** JSON has no Infinity. */
const orNull = (value: number): number | null => (Number.isFinite(value) ? value : null)
