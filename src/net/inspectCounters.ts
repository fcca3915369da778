import type { StackService } from "../runtime/stack.ts"
import { tcpGroup } from "../tcp/counters.ts"
import type { Counters } from "./inspectSchema.ts"

/** What the host counts as "IpReasmOKs" or "UdpInDatagrams" belongs to those groups. */
const PREFIXES = ["Ip6", "Ip", "Icmp6", "Icmp", "Udp6", "Udp"] as const

/** All counters of a stack, zeros included. `established`: connections now (CurrEstab). */
export const countersOf = (
  { tcpCounters, counters }: Pick<StackService, "tcpCounters" | "counters">,
  established: number,
): Counters => {
  const groups = {
    Ip: {},
    Ip6: {},
    Icmp: {},
    Icmp6: {},
    Udp: {},
    Udp6: {},
    Tcp: {},
    TcpExt: {},
    Drop: {},
  } satisfies Counters
  const put = (group: Record<string, number>, name: string, value: number): void => {
    group[name] = (group[name] ?? 0) + value
  }
  for (const [name, value] of Object.entries(tcpCounters)) {
    const prefix = PREFIXES.find((each) => name.startsWith(each))
    if (prefix !== undefined) put(groups[prefix], name.slice(prefix.length), value)
    else put(groups[tcpGroup(name)], name, value)
  }
  put(groups.Tcp, "CurrEstab", established)
  // The host counts a joined segment once, Linux each of its pieces (gso_segs).
  put(groups.Tcp, "InSegs", counters.joined)
  for (const [why, value] of counters.drops) put(groups.Drop, why, value)
  return groups
}
