import type { IpAddress, MacAddress } from "./address.ts"
import { getIpv4, getMac, setIpv4, setMac } from "./addressBytes.ts"
import { getU16, setU16 } from "./bytes.ts"
import type { WireDrop } from "./drop.ts"
import { ETHERTYPE_IPV4 } from "./ethernet.ts"

/** ARP for IPv4 over Ethernet (RFC 826). A probe's sender address is 0.0.0.0 (RFC 5227 section 1.1). */
export interface ArpPacket {
  /** `ARP_REQUEST` or `ARP_REPLY`; others are kept, for RFC 826 learns the sender before it looks here. */
  readonly operation: number
  readonly senderMac: MacAddress
  readonly senderAddress: IpAddress
  readonly targetMac: MacAddress
  readonly targetAddress: IpAddress
}

export const ARP_LENGTH = 28
export const ARP_REQUEST = 1
export const ARP_REPLY = 2

const HARDWARE_ETHERNET = 1
/** Both address lengths in one word: 6 and 4 octets. */
const ADDRESS_LENGTHS = 0x0604

export const decodeArp = (bytes: Uint8Array, offset: number, length: number): ArpPacket | WireDrop => {
  if (length < ARP_LENGTH) return "arp:truncated"
  if (
    getU16(bytes, offset) !== HARDWARE_ETHERNET ||
    getU16(bytes, offset + 2) !== ETHERTYPE_IPV4 ||
    getU16(bytes, offset + 4) !== ADDRESS_LENGTHS
  ) {
    return "arp:not-ethernet-ipv4"
  }
  return {
    operation: getU16(bytes, offset + 6),
    senderMac: getMac(bytes, offset + 8),
    senderAddress: getIpv4(bytes, offset + 14),
    targetMac: getMac(bytes, offset + 18),
    targetAddress: getIpv4(bytes, offset + 24),
  }
}

export const encodeArp = (out: Uint8Array, offset: number, packet: ArpPacket): number => {
  setU16(out, offset, HARDWARE_ETHERNET)
  setU16(out, offset + 2, ETHERTYPE_IPV4)
  setU16(out, offset + 4, ADDRESS_LENGTHS)
  setU16(out, offset + 6, packet.operation)
  setMac(out, offset + 8, packet.senderMac)
  setIpv4(out, offset + 14, packet.senderAddress)
  setMac(out, offset + 18, packet.targetMac)
  setIpv4(out, offset + 24, packet.targetAddress)
  return ARP_LENGTH
}
