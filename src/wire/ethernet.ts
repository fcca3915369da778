import type { MacAddress } from "./address.ts"
import { getMac, setMac } from "./addressBytes.ts"
import { getU16, setU16 } from "./bytes.ts"
import type { WireDrop } from "./drop.ts"

/** Ethernet II (RFC 894): two addresses and a type, no frame check sequence. */
export interface EthernetHeader {
  readonly destination: MacAddress
  readonly source: MacAddress
  readonly etherType: number
}

/** A header with the place of what it carries, trailing padding included. */
export interface EthernetFrame extends EthernetHeader {
  readonly payloadOffset: number
  readonly payloadLength: number
}

export const ETHERNET_HEADER = 14

export const ETHERTYPE_IPV4 = 0x0800
export const ETHERTYPE_ARP = 0x0806
export const ETHERTYPE_IPV6 = 0x86dd
/** IEEE 802.1Q and 802.1ad tags. */
const ETHERTYPE_VLAN = 0x8100
const ETHERTYPE_SERVICE_VLAN = 0x88a8
/** Smaller values are IEEE 802.3 lengths (RFC 1122 section 2.3.3). */
const SMALLEST_ETHERTYPE = 0x0600

export const BROADCAST_MAC = 0xffff_ffff_ffff as MacAddress
export const NO_MAC = 0 as MacAddress

/** The group bit, first of the first octet: broadcast counts. */
export const isGroupMac = (mac: MacAddress): boolean => (Math.floor(mac / 0x100_0000_0000) & 1) === 1

export const decodeEthernet = (bytes: Uint8Array, offset: number, length: number): EthernetFrame | WireDrop => {
  if (length < ETHERNET_HEADER) return "ethernet:truncated"
  const etherType = getU16(bytes, offset + 12)
  if (etherType === ETHERTYPE_VLAN || etherType === ETHERTYPE_SERVICE_VLAN) return "ethernet:vlan-tagged"
  if (etherType < SMALLEST_ETHERTYPE) return "ethernet:not-ethernet-ii"
  return {
    destination: getMac(bytes, offset),
    source: getMac(bytes, offset + 6),
    etherType,
    payloadOffset: offset + ETHERNET_HEADER,
    payloadLength: length - ETHERNET_HEADER,
  }
}

export const writeEthernet = (out: Uint8Array, offset: number, header: EthernetHeader): number => {
  setMac(out, offset, header.destination)
  setMac(out, offset + 6, header.source)
  setU16(out, offset + 12, header.etherType)
  return ETHERNET_HEADER
}
