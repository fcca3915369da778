import { describe, expect, test } from "bun:test"
import { SameHeaders } from "../../src/host/sameHeaders.ts"
import { type IpAddress, ipv4, ipv6, type MacAddress } from "../../src/wire/address.ts"
import { setU16 } from "../../src/wire/bytes.ts"
import { finish, sum } from "../../src/wire/checksum.ts"
import { ETHERNET_HEADER, ETHERTYPE_IPV4, ETHERTYPE_IPV6, writeEthernet } from "../../src/wire/ethernet.ts"
import { IPV4_HEADER, PROTOCOL_TCP, writeIpv4 } from "../../src/wire/ipv4.ts"
import { IPV6_HEADER, writeIpv6 } from "../../src/wire/ipv6.ts"
import { encodeTcp } from "../../src/wire/tcp.ts"
import { onlyTimestamps } from "../../src/wire/tcpOptions.ts"
import { ACK, EMPTY, PSH, type TcpPacket } from "../../src/wire/tcpSegment.ts"

const PAYLOAD = 1000
const TCP_LENGTH = 32 + PAYLOAD

interface Ends {
  readonly source: IpAddress
  readonly destination: IpAddress
}

const V4: Ends = { source: ipv4(0xc6120001), destination: ipv4(0xc6120002) }
const V6: Ends = { source: ipv6(0x20010db8, 0, 0, 1), destination: ipv6(0x20010db8, 0, 0, 2) }

const packet = ({ source, destination }: Ends, seq: number, flags: number): TcpPacket => ({
  source,
  destination,
  sourcePort: 40_000,
  destinationPort: 9,
  segment: {
    seq,
    ack: 77,
    flags,
    wnd: 512,
    up: 0,
    options: onlyTimestamps(3, 4),
    payload: new Uint8Array(PAYLOAD).fill(5),
  },
})

/** The frame of a packet, with the place of its headers. */
const frameOf = (p: TcpPacket, identification: number, link = ETHERNET_HEADER) => {
  const { source, destination } = p
  const isIpv4 = source.family === 4
  const tcp = link + (isIpv4 ? IPV4_HEADER : IPV6_HEADER)
  const bytes = new Uint8Array(tcp + TCP_LENGTH)
  if (link > 0) {
    const [to, from] = [2 as MacAddress, 4 as MacAddress]
    writeEthernet(bytes, 0, { destination: to, source: from, etherType: isIpv4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6 })
  }
  const ends = { source, destination, payloadLength: TCP_LENGTH }
  if (isIpv4) {
    writeIpv4(bytes, link, {
      ...ends,
      protocol: PROTOCOL_TCP,
      ttl: 64,
      tos: 0,
      identification,
      dontFragment: true,
      moreFragments: false,
      fragmentOffset: 0,
      options: EMPTY,
    })
  } else writeIpv6(bytes, link, { ...ends, nextHeader: PROTOCOL_TCP, hopLimit: 64, trafficClass: 0, flowLabel: 7 })
  encodeTcp(bytes, tcp, p, "linux")
  return { bytes, tcp, headers: tcp + 32 }
}

const SEQ = 0xffff_ff00
const NEXT = (SEQ + PAYLOAD) >>> 0

describe.each([
  ["IPv4", V4, ETHERNET_HEADER],
  ["IPv6", V6, ETHERNET_HEADER],
  ["IPv4 without a link header", V4, 0],
  ["IPv6 without a link header", V6, 0],
] as const)("the headers of a frame of %s", (_, ends, link) => {
  const first = packet(ends, SEQ, ACK)
  const { bytes: example, headers, tcp } = frameOf(first, 1, link)
  const same = SameHeaders.of(first, example, 0, link, headers)
  const next = frameOf(packet(ends, NEXT, ACK | PSH), 2, link).bytes
  const matches = (bytes: Uint8Array, vouched: boolean, seq = NEXT): boolean | undefined =>
    same?.matches(bytes, 0, bytes.length, seq, vouched)

  test("match those of the next frame, which says its flags and window", () => {
    expect([matches(next, false), matches(next, true)]).toEqual([true, true])
    expect([same?.flags(next, 0), same?.wnd(next, 0)]).toEqual([ACK | PSH, 512])
  })

  test("do not match a frame of another place in the stream, nor one that is cut short or padded", () => {
    expect(matches(next, false, NEXT + 1)).toBe(false)
    expect(matches(next.subarray(0, next.length - 1), true)).toBe(false)
    expect(matches(Uint8Array.of(...next, 0), true)).toBe(false)
    expect(same?.matches(next, 1, next.length, NEXT, true)).toBe(false)
    expect(matches(next.subarray(0, headers), true)).toBe(false)
  })

  test("do not match where any octet is damaged, of the headers or the payload", () => {
    for (let at = 0; at < next.length; at++) {
      const damaged = next.slice()
      damaged[at] = (damaged[at] ?? 0) ^ 0x10
      expect([at, matches(damaged, false)]).toEqual([at, false])
    }
  })

  test("where the device vouches, only window, checksum and payload may differ; over IPv4 the header's sum must be right", () => {
    const free = [tcp + 14, tcp + 15, tcp + 16, tcp + 17]
    const differing: Array<number> = []
    for (let at = 0; at < headers; at++) {
      const changed = next.slice()
      changed[at] = (changed[at] ?? 0) ^ 0x10
      if (ends.source.family === 4) {
        setU16(changed, link + 10, 0)
        setU16(changed, link + 10, finish(sum(changed, link, IPV4_HEADER)))
      }
      if (matches(changed, true)) differing.push(at)
    }
    // Identification, and the sum that has just been put right.
    const own = ends.source.family === 4 ? [link + 4, link + 5, link + 10, link + 11] : []
    expect(differing).toEqual([...own, ...free])
  })
})

test("headers with IPv4 options, or an extension header of IPv6, are left to be parsed", () => {
  for (const ends of [V4, V6]) {
    const p = packet(ends, SEQ, ACK)
    const { bytes, headers } = frameOf(p, 1)
    bytes[ETHERNET_HEADER + (ends.source.family === 4 ? 0 : 6)] = ends.source.family === 4 ? 0x46 : 60
    expect(SameHeaders.of(p, bytes, 0, ETHERNET_HEADER, headers)).toBeUndefined()
  }
})
