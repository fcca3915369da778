import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { decodeArp } from "../../src/wire/arp.ts"
import { WIRE_DROPS } from "../../src/wire/drop.ts"
import { decodeEthernet } from "../../src/wire/ethernet.ts"
import { decodeIcmp } from "../../src/wire/icmp.ts"
import { decodeIpv4, decodeQuotedIpv4 } from "../../src/wire/ipv4.ts"
import { decodeIpv6 } from "../../src/wire/ipv6.ts"
import { decodeQuote } from "../../src/wire/quote.ts"
import { decodeTcp } from "../../src/wire/tcp.ts"
import { decodeOptions } from "../../src/wire/tcpOptions.ts"
import { decodeUdp } from "../../src/wire/udp.ts"
import { damaged, ip, LINUX, octets } from "./support.ts"

const a = ip("198.18.7.1")
const b = ip("198.18.7.2")

const decoders: ReadonlyArray<[string, (bytes: Uint8Array, offset: number, length: number) => object | string]> = [
  ["ethernet", decodeEthernet],
  ["arp", decodeArp],
  ["ipv4", decodeIpv4],
  ["quoted ipv4", decodeQuotedIpv4],
  ["ipv6", decodeIpv6],
  ["icmp", decodeIcmp],
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
