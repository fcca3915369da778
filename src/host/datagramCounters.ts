/** What is counted of datagrams, under the names of /proc/net/snmp and snmp6, their group in front. */
export const datagramCounters = [
  "IpReasmReqds",
  "IpReasmOKs",
  "IpReasmFails",
  "IpReasmTimeout",
  "IpFragOKs",
  "IpFragFails",
  "IpFragCreates",
  "Ip6ReasmReqds",
  "Ip6ReasmOKs",
  "Ip6ReasmFails",
  "Ip6ReasmTimeout",
  "Ip6FragOKs",
  "Ip6FragFails",
  "Ip6FragCreates",
  "UdpInDatagrams",
  "UdpNoPorts",
  "UdpInErrors",
  "UdpOutDatagrams",
  "UdpRcvbufErrors",
  "UdpInCsumErrors",
  "UdpIgnoredMulti",
  "Udp6InDatagrams",
  "Udp6NoPorts",
  "Udp6InErrors",
  "Udp6OutDatagrams",
  "Udp6RcvbufErrors",
  "Udp6InCsumErrors",
  "Udp6IgnoredMulti",
] as const

export type DatagramCounter = (typeof datagramCounters)[number]

export type IpCounter =
  | "ReasmReqds"
  | "ReasmOKs"
  | "ReasmFails"
  | "ReasmTimeout"
  | "FragOKs"
  | "FragFails"
  | "FragCreates"

export type UdpCounter =
  | "InDatagrams"
  | "NoPorts"
  | "InErrors"
  | "OutDatagrams"
  | "RcvbufErrors"
  | "InCsumErrors"
  | "IgnoredMulti"

export const ipCounter = (family: 4 | 6, name: IpCounter): DatagramCounter =>
  family === 4 ? `Ip${name}` : `Ip6${name}`
export const udpCounter = (family: 4 | 6, name: UdpCounter): DatagramCounter =>
  family === 4 ? `Udp${name}` : `Udp6${name}`
