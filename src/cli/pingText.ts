import type { PingEvent, PingStatistics } from "../net/Ping.ts"
import type { Micros } from "../tcp/time.ts"
import { formatAddress } from "../wire/addressText.ts"

const HEADERS = 28
const ICMP_HEADER = 8

/** iputils' first line. */
export const headingText = (host: string, address: string, size: number): string =>
  `PING ${host} (${address}) ${size}(${size + HEADERS}) bytes of data.`

/** The line for an event; undefined where iputils says nothing. */
export const eventText = (event: PingEvent): string | undefined => {
  switch (event._tag) {
    case "Sent":
      return undefined
    case "TimedOut":
      return `no answer yet for icmp_seq=${event.sequence}`
    case "NotSent":
      return `ping: icmp_seq=${event.sequence}: ${event.error.message}`
    case "Failure":
      return `From ${formatAddress(event.report.from)} icmp_seq=${event.sequence} ${problemText(event.report)}`
    case "Reply": {
      const { size, from, sequence, ttl, rtt, duplicate, damaged } = event
      const line = `${size + ICMP_HEADER} bytes from ${formatAddress(from)}: icmp_seq=${sequence} ttl=${ttl} time=${timeText(rtt)} ms`
      return `${line}${duplicate ? " (DUP!)" : ""}${damaged ? " (DAMAGED)" : ""}`
    }
  }
}

const PROBLEMS = {
  NetUnreachable: "Destination Net Unreachable",
  HostUnreachable: "Destination Host Unreachable",
  ProtocolUnreachable: "Destination Protocol Unreachable",
  PortUnreachable: "Destination Port Unreachable",
  AdministrativelyProhibited: "Packet filtered",
  OtherUnreachable: "Dest Unreachable",
  HopLimitExceeded: "Time to live exceeded",
  ReassemblyTimeExceeded: "Frag reassembly time exceeded",
  ParameterProblem: "Parameter problem",
} as const

type Report = Extract<PingEvent, { readonly _tag: "Failure" }>["report"]

const problemText = ({ problem, mtu }: Report): string =>
  problem === "MessageTooBig" ? `Frag needed and DF set (mtu = ${mtu})` : PROBLEMS[problem]

/** Milliseconds with iputils' digits: three that matter. */
export const timeText = (micros: Micros): string => {
  const millis = micros / 1000
  if (micros >= 100_000) return millis.toFixed(0)
  if (micros >= 10_000) return millis.toFixed(1)
  return micros >= 1000 ? millis.toFixed(2) : millis.toFixed(3)
}

/** iputils' last lines; `elapsed`: from the first request to the end. */
export const statisticsText = (host: string, s: PingStatistics, elapsed: Micros): ReadonlyArray<string> => [
  "",
  `--- ${host} ping statistics ---`,
  [
    `${s.transmitted} packets transmitted`,
    `${s.received} received`,
    ...(s.duplicates > 0 ? [`+${s.duplicates} duplicates`] : []),
    ...(s.errors > 0 ? [`+${s.errors} errors`] : []),
    `${Number(s.loss.toPrecision(6))}% packet loss`,
    `time ${Math.round(elapsed / 1000)}ms`,
  ].join(", "),
  ...(s.rtt === undefined
    ? []
    : [
        `rtt min/avg/max/mdev = ${[s.rtt.min, s.rtt.average, s.rtt.max, s.rtt.deviation]
          .map((micros) => (micros / 1000).toFixed(3))
          .join("/")} ms`,
      ]),
]
