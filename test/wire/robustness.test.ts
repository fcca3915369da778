import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { decodeArp } from "../../src/wire/arp.ts"
import { WIRE_DROPS } from "../../src/wire/drop.ts"
import { decodeEthernet } from "../../src/wire/ethernet.ts"
import { decodeIcmp } from "../../src/wire/icmp.ts"
import { decodeIcmpv6 } from "../../src/wire/icmpv6.ts"
import { decodeIgmpQuery } from "../../src/wire/igmp.ts"
import { decodeIpv4, decodeQuotedIpv4 } from "../../src/wire/ipv4.ts"
import { decodeIpv6, decodeQuotedIpv6 } from "../../src/wire/ipv6.ts"
import { walkExtensions } from "../../src/wire/ipv6Extension.ts"
import { decodeMldQuery } from "../../src/wire/mld.ts"
import { decodeNdp } from "../../src/wire/ndp.ts"
import { decodeQuote } from "../../src/wire/quote.ts"
import { decodeTcp } from "../../src/wire/tcp.ts"
import { decodeOptions } from "../../src/wire/tcpOptions.ts"
import { decodeUdp } from "../../src/wire/udp.ts"
import { damaged, ip, LINUX, octets } from "./support.ts"

const a = ip("198.18.7.1")
const b = ip("198.18.7.2")

const link = { source: ip("fe80::1"), destination: ip("ff02::1"), hopLimit: 255 }

const decoders: ReadonlyArray<[string, (bytes: Uint8Array, offset: number, length: number) => object | string]> = [
  ["ethernet", decodeEthernet],
  ["arp", decodeArp],
  ["ipv4", decodeIpv4],
  ["quoted ipv4", decodeQuotedIpv4],
  ["ipv6", decodeIpv6],
  ["quoted ipv6", decodeQuotedIpv6],
  [
    "extension headers",
    (bytes, offset, length) => {
      const packet = decodeQuotedIpv6(bytes, offset, length)
      const walk = typeof packet === "string" ? packet : walkExtensions(bytes, packet)
      return typeof walk !== "string" && "packet" in walk ? walk.packet : walk
    },
  ],
  ["icmp", decodeIcmp],
  ["icmpv6", (bytes, offset, length) => decodeIcmpv6(bytes, offset, length, a, b)],
  ...[133, 134, 135, 136, 137].map((type): (typeof decoders)[number] => [
    `ndp ${type}`,
    (bytes, offset, length) => decodeNdp(type, 0, bytes.subarray(offset, offset + length), link),
  ]),
  [
    "mld",
    (bytes, offset, length) =>
      decodeMldQuery(bytes.subarray(offset, offset + length), { ...link, hopLimit: 1, alerted: true }),
  ],
  ["igmp", (bytes, offset, length) => decodeIgmpQuery(bytes, offset, length) ?? "igmp:truncated"],
  ["quote", (bytes, offset, length) => decodeQuote(bytes.subarray(offset, offset + length))],
  ["udp", (bytes, offset, length) => decodeUdp(bytes, offset, length, a, b, true)],
  ["udp, vouched", (bytes, offset, length) => decodeUdp(bytes, offset, length, a, b, false)],
  ["tcp", (bytes, offset, length) => decodeTcp(bytes, offset, length, a, b, true)],
  ["tcp, vouched", (bytes, offset, length) => decodeTcp(bytes, offset, length, a, b, false)],
  ["tcp options", (bytes, offset, length) => decodeOptions(bytes, offset, Math.min(length, 40))],
]

const drops: ReadonlySet<string> = new Set(WIRE_DROPS)

/** Everything that a record says about places lies inside of what was given. */
const inside = (result: object | string, end: number): boolean =>
  typeof result === "string"
    ? drops.has(result)
    : !("payloadOffset" in result && "payloadLength" in result) ||
      (Number(result.payloadLength) >= 0 && Number(result.payloadOffset) + Number(result.payloadLength) <= end)

const frames = Object.values(LINUX)
const parts = frames.flatMap((frame) => [0, 14, 34, 42, 54].map((at) => frame.slice(at)))

describe.each(decoders)("%s", (_, decode) => {
  test("arbitrary octets: a record within bounds or a known drop", () => {
    fc.assert(
      fc.property(octets(120), fc.nat(20), (bytes, skip) => {
        const offset = Math.min(skip, bytes.length)
        expect(inside(decode(bytes, offset, bytes.length - offset), bytes.length)).toBe(true)
      }),
      { numRuns: 1000 },
    )
  })

  test("real packets, cut or overwritten: a record within bounds or a known drop", () => {
    fc.assert(
      fc.property(damaged(parts), (bytes) => {
        expect(inside(decode(bytes, 0, bytes.length), bytes.length)).toBe(true)
      }),
      { numRuns: 1000 },
    )
  })

  test("every truncation of real packets: a record within bounds or a known drop", () => {
    for (const part of parts) {
      for (let length = 0; length <= part.length; length++) {
        expect(inside(decode(part.subarray(0, length), 0, length), length)).toBe(true)
      }
    }
  })

  test("a length beyond the array: no exception", () => {
    for (const part of parts) expect(() => decode(part, part.length - 3, 2000)).not.toThrow()
  })
})
