import type { SegmentPoint } from "../sim/network/trace.ts"
import type { TransferSpec } from "../sim/network/transfer.ts"
import { chart, type Mark, type Panel } from "./plot/chart.ts"
import { describeLink, type Outcome } from "./simulateReport.ts"

const SECOND = 1_000_000
const MEGA = 1_000_000
const KILO = 1000
const MILLI = 1000

/** The first flow: its sequence numbers, windows and round trips over time. */
export const drawTransfer = (spec: TransferSpec, cc: string, { trace, windows, result }: Outcome): string => {
  const seconds = (at: number): number => at / SECOND
  const bars = (name: string, colour: number, points: ReadonlyArray<SegmentPoint>): Mark => ({
    kind: "bars",
    name,
    colour,
    points: points.map(({ at, from, to }) => [seconds(at), from / MEGA, to / MEGA]),
  })
  const sequence: Panel = {
    title: "Sequence numbers",
    y: "MB of the stream",
    height: 320,
    marks: [
      {
        kind: "steps",
        name: "acknowledged",
        colour: 2,
        points: trace.acks.points.map(({ at, ack }) => [seconds(at), ack / MEGA]),
      },
      bars("sent", 0, trace.segments.points),
      {
        kind: "dots",
        name: "lost",
        colour: 5,
        points: trace.losses.points.map(({ at, from }) => [seconds(at), from / MEGA]),
      },
      {
        kind: "dots",
        name: "sent again",
        colour: 1,
        points: trace.retransmits.points.map(({ at, from }) => [seconds(at), from / MEGA]),
      },
    ],
  }
  const finite = windows.filter(({ ssthresh }) => Number.isFinite(ssthresh))
  const congestion: Panel = {
    title: "Congestion window",
    y: "kB",
    marks: [
      {
        kind: "steps",
        name: "ssthresh",
        colour: 1,
        dashed: true,
        points: finite.map(({ at, ssthresh }) => [seconds(at), ssthresh / KILO]),
      },
      {
        kind: "steps",
        name: "in flight",
        colour: 2,
        points: windows.map(({ at, flight }) => [seconds(at), flight / KILO]),
      },
      { kind: "steps", name: "cwnd", colour: 0, points: windows.map(({ at, cwnd }) => [seconds(at), cwnd / KILO]) },
    ],
  }
  const trips: Panel = {
    title: "Round trip",
    y: "ms",
    height: 160,
    marks: [
      {
        kind: "line",
        name: "path without queue",
        colour: 5,
        dashed: true,
        points: [
          [0, (2 * spec.there.delay) / MILLI],
          [seconds(windows.at(-1)?.at ?? result.virtual), (2 * spec.there.delay) / MILLI],
        ],
      },
      {
        kind: "steps",
        name: "smoothed RTT",
        colour: 0,
        points: windows.filter(({ srtt }) => srtt > 0).map(({ at, srtt }) => [seconds(at), srtt / MILLI]),
      },
    ],
  }
  return chart({
    title: "netfold simulate",
    subtitle: `${describeLink(spec, cc)}, seed ${spec.seed}`,
    x: "virtual time, s",
    panels: [sequence, congestion, trips],
  })
}
