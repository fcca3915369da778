import type { IpAddress } from "../../wire/address.ts"
import { formatAddress } from "../../wire/addressText.ts"
import { decodeArp } from "../../wire/arp.ts"
import { isDrop } from "../../wire/drop.ts"
import { decodeEthernet, ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from "../../wire/ethernet.ts"
import { decodeIpv4, PROTOCOL_TCP } from "../../wire/ipv4.ts"
import { decodeIpv6 } from "../../wire/ipv6.ts"
import { decodeTcp } from "../../wire/tcp.ts"
import type { TcpPacket } from "../../wire/tcpSegment.ts"

/** What both IP versions say; an IPv6 packet's extension headers are not walked through. */
interface IpInFrame {
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly protocol: number
  readonly payloadOffset: number
  readonly payloadLength: number
}

export type TcpInFrame = TcpPacket

/** The TCP segment in a frame, its checksum not looked at; undefined: there is none. */
export const tcpIn = (frame: Uint8Array): TcpInFrame | undefined => {
  const ip = ipIn(frame)
  if (ip?.protocol !== PROTOCOL_TCP) return undefined
  const tcp = decodeTcp(frame, ip.payloadOffset, ip.payloadLength, ip.source, ip.destination, false)
  return isDrop(tcp) ? undefined : tcp
}

const ipIn = (frame: Uint8Array): IpInFrame | undefined => {
  const ethernet = decodeEthernet(frame, 0, frame.length)
  if (isDrop(ethernet)) return undefined
  const { etherType, payloadOffset, payloadLength } = ethernet
  if (etherType === ETHERTYPE_IPV4) {
    const packet = decodeIpv4(frame, payloadOffset, payloadLength)
    return isDrop(packet) ? undefined : packet
  }
  if (etherType !== ETHERTYPE_IPV6) return undefined
  const packet = decodeIpv6(frame, payloadOffset, payloadLength)
  return isDrop(packet) ? undefined : packet
}

const FLAGS = "FSRP.UEW"

/** A frame in a line: "198.18.0.1:32768 > 198.18.0.2:9 [P.] seq 1:1449 ack 1 win 64240". */
export const describeFrame = (frame: Uint8Array): string => {
  const segment = tcpIn(frame)
  if (segment !== undefined) return describeTcp(segment)
  const ethernet = decodeEthernet(frame, 0, frame.length)
  if (isDrop(ethernet)) return `${frame.length} octets, ${ethernet}`
  if (ethernet.etherType === ETHERTYPE_ARP) {
    const arp = decodeArp(frame, ethernet.payloadOffset, ethernet.payloadLength)
    if (isDrop(arp)) return arp
    const target = formatAddress(arp.targetAddress)
    return arp.operation === 1
      ? `ARP who has ${target}, tell ${formatAddress(arp.senderAddress)}`
      : `ARP ${formatAddress(arp.senderAddress)} is here`
  }
  const ip = ipIn(frame)
  if (ip === undefined) return `${frame.length} octets of type 0x${ethernet.etherType.toString(16)}`
  return `${formatAddress(ip.source)} > ${formatAddress(ip.destination)} protocol ${ip.protocol}, ${ip.payloadLength} octets`
}

const describeTcp = ({ source, destination, sourcePort, destinationPort, segment }: TcpInFrame): string => {
  const { seq, ack, wnd, payload, options } = segment
  const flags = [...FLAGS].filter((_, bit) => (segment.flags >>> bit) & 1).join("")
  const { sack } = options
  return [
    `${formatAddress(source)}:${sourcePort} > ${formatAddress(destination)}:${destinationPort}`,
    `[${flags}]`,
    payload.length > 0 ? `seq ${seq}:${(seq + payload.length) >>> 0}` : `seq ${seq}`,
    `ack ${ack}`,
    `win ${wnd}`,
    ...(sack.length > 0 ? [`sack ${sack.map(({ left, right }) => `${left}:${right}`).join(" ")}`] : []),
  ].join(" ")
}
