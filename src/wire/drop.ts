/**
 * Why bytes from the wire were not believed: the protocol, then the rule that they broke.
 * Decoders return one of these in place of a record; see `isDrop`.
 */
export const WIRE_DROPS = [
  "ethernet:truncated",
  "ethernet:vlan-tagged",
  "ethernet:not-ethernet-ii",
  "arp:truncated",
  "arp:not-ethernet-ipv4",
  "ipv4:truncated",
  "ipv4:bad-version",
  "ipv4:bad-header-length",
  "ipv4:bad-total-length",
  "ipv4:bad-checksum",
  "ipv6:truncated",
  "ipv6:bad-version",
  "icmp:truncated",
  "icmp:bad-checksum",
  "icmp:short-quote",
  "icmp:quoted-fragment",
  "udp:truncated",
  "udp:bad-length",
  "udp:zero-checksum",
  "udp:bad-checksum",
  "dhcp:truncated",
  "dhcp:bad-op",
  "dhcp:not-ethernet",
  "dhcp:no-magic",
  "dhcp:truncated-option",
  "dhcp:no-message-type",
  "tcp:truncated",
  "tcp:bad-data-offset",
  "tcp:bad-checksum",
  "pcapng:not-pcapng",
  "pcapng:bad-block-length",
  "pcapng:truncated",
] as const

export type WireDrop = (typeof WIRE_DROPS)[number]

/** A decoder's result is either its record or the reason why there is none. */
export const isDrop = <T extends object>(result: T | WireDrop): result is WireDrop => typeof result === "string"
