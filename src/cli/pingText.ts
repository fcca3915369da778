import type { PingEvent, PingStatistics } from "../net/Ping.ts"
import type { Micros } from "../tcp/time.ts"
import type { IpAddress } from "../wire/address.ts"
import { formatAddress } from "../wire/addressText.ts"

/** Of IPv4 and ICMP; those of IPv6 iputils does not count. */
const HEADERS = 28
const ICMP_HEADER = 8

/** iputils' first line. */
export const headingText = (host: string, address: IpAddress, size: number): string =>
  address.family === 4
    ? `PING ${host} (${formatAddress(address)}) ${size}(${size + HEADERS}) bytes of data.`
    : `PING ${host}(${formatAddress(address)}) ${size} data bytes`

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

const PROBLEMS4 = {
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

/** RFC 4443's names for the same, as iputils has them. */
const PROBLEMS6 = {
  NetUnreachable: "Destination unreachable: No route",
  HostUnreachable: "Destination unreachable: Address unreachable",
  ProtocolUnreachable: "Parameter problem: Unknown header",
  PortUnreachable: "Destination unreachable: Port unreachable",
  AdministrativelyProhibited: "Destination unreachable: Administratively prohibited",
  OtherUnreachable: "Destination unreachable",
  HopLimitExceeded: "Time exceeded: Hop limit",
  ReassemblyTimeExceeded: "Time exceeded: Defragmentation failure",
  ParameterProblem: "Parameter problem",
} as const

type Report = Extract<PingEvent, { readonly _tag: "Failure" }>["report"]

const problemText = ({ problem, mtu, from }: Report): string => {
  const isIpv4 = from.family === 4
  if (problem === "MessageTooBig")
    return isIpv4 ? `Frag needed and DF set (mtu = ${mtu})` : `Packet too big: mtu=${mtu}`
  return (isIpv4 ? PROBLEMS4 : PROBLEMS6)[problem]
}

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
