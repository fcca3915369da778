import type { MacAddress } from "../../src/wire/address.ts"
import { sum } from "../../src/wire/checksum.ts"
import { isDrop } from "../../src/wire/drop.ts"
import { decodeEthernet, ETHERNET_HEADER, ETHERTYPE_IPV4, writeEthernet } from "../../src/wire/ethernet.ts"
import { decodeIpv4, IPV4_HEADER, PROTOCOL_TCP, writeIpv4 } from "../../src/wire/ipv4.ts"
import { decodeTcp, encodeTcp } from "../../src/wire/tcp.ts"
import { onlyTimestamps } from "../../src/wire/tcpOptions.ts"
import { ACK, EMPTY, NO_OPTIONS, PSH, type Segment, SYN, type TcpOptions } from "../../src/wire/tcpSegment.ts"
import type { Case } from "../measure.ts"
import { CLIENT, SERVER } from "./scene.ts"

export const CLIENT_MAC = 0x02_00_00_00_00_01 as MacAddress
export const SERVER_MAC = 0x02_00_00_00_00_02 as MacAddress

const TIMESTAMPS = onlyTimestamps(123456, 654321)
const OF_A_SYN: TcpOptions = { ...NO_OPTIONS, mss: 1460, windowScale: 7, sackPermitted: true, tsVal: 1, tsEcr: 0 }
const WITH_SACK: TcpOptions = {
  ...TIMESTAMPS,
  sack: [
    { left: 1000, right: 2000 },
    { left: 3000, right: 4000 },
    { left: 5000, right: 6000 },
  ],
}

const segment = (payload: number, options: TcpOptions, flags = ACK | PSH): Segment => ({
  seq: 1,
  ack: 2,
  flags,
  wnd: 65535,
  up: 0,
  options,
  payload: payload === 0 ? EMPTY : new Uint8Array(payload).fill(0x61),
})

/** A frame from the client to the server, checksums right. */
export const frameOf = (s: Segment, out = new Uint8Array(ETHERNET_HEADER + IPV4_HEADER + 60 + s.payload.length)) => {
  const start = ETHERNET_HEADER + IPV4_HEADER
  const packet = {
    source: CLIENT.address,
    destination: SERVER.address,
    sourcePort: CLIENT.port,
    destinationPort: SERVER.port,
    segment: s,
  }
  const length = encodeTcp(out, start, packet, "linux")
  writeEthernet(out, 0, { destination: SERVER_MAC, source: CLIENT_MAC, etherType: ETHERTYPE_IPV4 })
  writeIpv4(out, ETHERNET_HEADER, {
    source: CLIENT.address,
    destination: SERVER.address,
    protocol: PROTOCOL_TCP,
    ttl: 64,
    tos: 0,
    identification: 1,
    dontFragment: true,
    moreFragments: false,
    fragmentOffset: 0,
    options: EMPTY,
    payloadLength: length,
  })
  return out.subarray(0, start + length)
}

/** Enough for a timer with a coarse tick. */
const TIMES = 2000

/** Ethernet, IPv4 and TCP headers, checksums included unless the device vouches for TCP's. */
const decoding = (s: Segment, verify: boolean) => {
  const frame = frameOf(s)
  return () => {
    let payload = 0
    for (let n = 0; n < TIMES; n++) {
      const ethernet = decodeEthernet(frame, 0, frame.length)
      if (isDrop(ethernet)) throw new Error(ethernet)
      const ip = decodeIpv4(frame, ethernet.payloadOffset, ethernet.payloadLength)
      if (isDrop(ip)) throw new Error(ip)
      const tcp = decodeTcp(frame, ip.payloadOffset, ip.payloadLength, ip.source, ip.destination, verify)
      if (isDrop(tcp)) throw new Error(tcp)
      payload += tcp.segment.payload.length
    }
    if (payload !== TIMES * s.payload.length) throw new Error("payload lost")
    return TIMES
  }
}

const encoding = (s: Segment) => {
  const out = new Uint8Array(ETHERNET_HEADER + IPV4_HEADER + 60 + s.payload.length)
  return () => {
    for (let n = 0; n < TIMES; n++) frameOf(s, out)
    return TIMES
  }
}

const summing = (length: number) => {
  const bytes = new Uint8Array(new ArrayBuffer(length + 34)).fill(0x5a)
  const times = Math.max(20, Math.ceil((TIMES * 256) / length))
  return () => {
    let all = 0
    // As in a frame: the header stands at an offset that is 2 modulo 4.
    for (let n = 0; n < times; n++) all += sum(bytes, 34, length)
    if (all === 0) throw new Error("a sum of nothing")
    return times
  }
}

export const codecCases = (): ReadonlyArray<Case> => [
  { name: "decode pure ACK, timestamps", per: "segment", run: decoding(segment(0, TIMESTAMPS, ACK), true) },
  { name: "decode ACK with 3 SACK blocks", per: "segment", run: decoding(segment(0, WITH_SACK, ACK), true) },
  { name: "decode SYN with its options", per: "segment", run: decoding(segment(0, OF_A_SYN, SYN), true) },
  { name: "decode 64 octets", per: "segment", octets: 64, run: decoding(segment(64, TIMESTAMPS), true) },
  { name: "decode 1448 octets", per: "segment", octets: 1448, run: decoding(segment(1448, TIMESTAMPS), true) },
  {
    name: "decode 1448 octets, sum vouched for",
    per: "segment",
    octets: 1448,
    run: decoding(segment(1448, TIMESTAMPS), false),
  },
  { name: "encode pure ACK, timestamps", per: "segment", run: encoding(segment(0, TIMESTAMPS, ACK)) },
  { name: "encode ACK with 3 SACK blocks", per: "segment", run: encoding(segment(0, WITH_SACK, ACK)) },
  { name: "encode 1448 octets", per: "segment", octets: 1448, run: encoding(segment(1448, TIMESTAMPS)) },
  ...[20, 64, 576, 1460, 9000, 65480].map((length) => ({
    name: `checksum of ${length} octets`,
    per: "sum",
    octets: length,
    garbage: false,
    run: summing(length),
  })),
]
