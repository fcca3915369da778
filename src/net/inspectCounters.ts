import type { StackService } from "../runtime/stack.ts"
import type { Counters } from "./inspectSchema.ts"

/** RFC 4022's group; all else that TCP counts is Linux's TcpExt. */
const TCP = new Set([
  "ActiveOpens",
  "PassiveOpens",
  "AttemptFails",
  "EstabResets",
  "CurrEstab",
  "InSegs",
  "OutSegs",
  "RetransSegs",
  "InErrs",
  "OutRsts",
  "InCsumErrors",
])

/** Counters of RFC 4293 and RFC 2011 that are sums of drops. */
const FROM_DROPS: ReadonlyArray<readonly [group: "Ip" | "Icmp", counter: string, drops: ReadonlyArray<string>]> = [
  [
    "Ip",
    "InHdrErrors",
    [
      "ipv4:truncated",
      "ipv4:bad-version",
      "ipv4:bad-header-length",
      "ipv4:bad-total-length",
      "ipv4:bad-checksum",
      "ipv6:truncated",
      "ipv6:bad-version",
    ],
  ],
  ["Ip", "InAddrErrors", ["ipv4:not-for-us", "ipv4:unicast-in-link-broadcast", "ipv4:bad-source"]],
  ["Ip", "OutNoRoutes", ["ip:no-route"]],
  ["Icmp", "InErrors", ["icmp:truncated", "icmp:bad-checksum", "icmp:short-quote", "icmp:quoted-fragment"]],
  ["Icmp", "InCsumErrors", ["icmp:bad-checksum"]],
]

/** What the host counts as "IpReasmOKs" or "UdpInDatagrams" belongs to those groups. */
const PREFIXES = ["Ip6", "Ip", "Icmp", "Udp6", "Udp"] as const

/** All counters of a stack, zeros included. `established`: connections now (CurrEstab). */
export const countersOf = (
  { tcpCounters, counters }: Pick<StackService, "tcpCounters" | "counters">,
  established: number,
): Counters => {
  const groups = { Ip: {}, Ip6: {}, Icmp: {}, Udp: {}, Udp6: {}, Tcp: {}, TcpExt: {}, Drop: {} } satisfies Counters
  const put = (group: Record<string, number>, name: string, value: number): void => {
    group[name] = (group[name] ?? 0) + value
  }
  for (const [group, name, drops] of FROM_DROPS) {
    put(groups[group], name, 0)
    for (const why of drops) put(groups[group], name, counters.drops.get(why) ?? 0)
  }
  for (const [name, value] of Object.entries(tcpCounters)) {
    const prefix = PREFIXES.find((each) => name.startsWith(each))
    if (prefix !== undefined) setTo(groups[prefix], name.slice(prefix.length), value)
    else put(TCP.has(name) ? groups.Tcp : groups.TcpExt, name, value)
  }
  put(groups.Tcp, "CurrEstab", established)
  // The host counts a joined segment once, Linux each of its pieces (gso_segs).
  put(groups.Tcp, "InSegs", counters.joined)
  for (const [why, value] of counters.drops) put(groups.Drop, why, value)
  return groups
}

/** The host's own count is better than what can be concluded from drops. */
const setTo = (group: Record<string, number>, name: string, value: number): void => {
  group[name] = value
}
