/** Names of ICMP's types in /proc/net/snmp (RFC 2011) and of ICMPv6's in snmp6 (RFC 2466); the others are counted in all alone. */
const TYPES4: Readonly<Record<number, string>> = {
  0: "EchoReps",
  3: "DestUnreachs",
  4: "SrcQuenchs",
  5: "Redirects",
  8: "Echos",
  11: "TimeExcds",
  12: "ParmProbs",
  13: "Timestamps",
  14: "TimestampReps",
  17: "AddrMasks",
  18: "AddrMaskReps",
}
const TYPES6: Readonly<Record<number, string>> = {
  1: "DestUnreachs",
  2: "PktTooBigs",
  3: "TimeExcds",
  4: "ParmProblems",
  128: "Echos",
  129: "EchoReplies",
  130: "GroupMembQueries",
  131: "GroupMembResponses",
  132: "GroupMembReductions",
  133: "RouterSolicits",
  134: "RouterAdvertisements",
  135: "NeighborSolicits",
  136: "NeighborAdvertisements",
  137: "Redirects",
  143: "MLDv2Reports",
}

export type IcmpCounter = `Icmp${"" | "6"}${"In" | "Out"}${string}`

const groupOf = (family: 4 | 6): "Icmp" | "Icmp6" => (family === 4 ? "Icmp" : "Icmp6")

/** For one message: that of all, and that of its type where it has one. */
export const icmpCounters = (family: 4 | 6, way: "In" | "Out", type: number): ReadonlyArray<IcmpCounter> => {
  const name = (family === 4 ? TYPES4 : TYPES6)[type]
  const all: IcmpCounter = `${groupOf(family)}${way}Msgs`
  return name === undefined ? [all] : [all, `${groupOf(family)}${way}${name}`]
}

/** For a message that was not believed. */
export const icmpInErrors = (family: 4 | 6, isSum: boolean): ReadonlyArray<IcmpCounter> =>
  isSum ? [`${groupOf(family)}InErrors`, `${groupOf(family)}InCsumErrors`] : [`${groupOf(family)}InErrors`]

export const allIcmpCounters: ReadonlyArray<IcmpCounter> = ([4, 6] as const).flatMap((family) => [
  ...icmpInErrors(family, true),
  ...(["In", "Out"] as const).flatMap((way) => [
    `${groupOf(family)}${way}Msgs` as const,
    ...Object.values(family === 4 ? TYPES4 : TYPES6).map((name) => `${groupOf(family)}${way}${name}` as const),
  ]),
])
