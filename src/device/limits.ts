/** An Ethernet header with one VLAN tag, octets. */
export const ETHERNET_OVERHEAD = 18

/** The largest frame that an offloading device hands over: an IP packet of 65535 octets in Ethernet. */
export const MAX_SUPER_FRAME = 65535 + ETHERNET_OVERHEAD

/**
 * The most TCP payload in one uncut segment: with a plain IPv4 header (20) and the longest TCP header (60),
 * the packet still says its length in 16 bits. IPv6, which does not count its own header, has more room.
 */
export const MAX_SEGMENTED_PAYLOAD = 65535 - 20 - 60
