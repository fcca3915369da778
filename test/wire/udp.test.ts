import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { getU16, setU16 } from "../../src/wire/bytes.ts"
import { sum } from "../../src/wire/checksum.ts"
import type { WireDrop } from "../../src/wire/drop.ts"
import { decodeUdp, encodeUdp, finishUdp, partialUdp, type UdpPacket, writeUdpHeader } from "../../src/wire/udp.ts"
import { anyIpv4, anyIpv6, displaced, ip, LINUX, octets, toHex, u16, written } from "./support.ts"

const payload = new TextEncoder().encode("netfold")
const a4 = ip("198.18.7.1")
const b4 = ip("198.18.7.2")
const a6 = ip("2001:db8:7::1")
const b6 = ip("2001:db8:7::2")
const ends4 = { source: a4, destination: b4, sourcePort: 51560, destinationPort: 7 }
const vectors: ReadonlyArray<[string, Uint8Array, UdpPacket]> = [
  ["IPv4", LINUX.udpIpv4.subarray(34), { ...ends4, payload }],
  ["IPv6", LINUX.udpIpv6.subarray(54), { source: a6, destination: b6, sourcePort: 35265, destinationPort: 7, payload }],
]

describe("datagram of Linux's", () => {
  test.each(vectors)("over %s: read, and written again octet for octet", (_, bytes, packet) => {
    const at = displaced(bytes)
    expect(decodeUdp(at.bytes, at.offset, at.length, packet.source, packet.destination, true)).toEqual(packet)
    expect(toHex(written((out, offset) => encodeUdp(out, offset, packet)))).toBe(toHex(bytes))
  })
})

describe("datagram", () => {
  const valid = LINUX.udpIpv4.slice(34)
  const changed = (at: number, value: number): Uint8Array => {
    const bytes = valid.slice()
    setU16(bytes, at, value)
    return bytes
  }

  test.each<[string, Uint8Array, number, WireDrop]>([
    ["7 octets", valid, 7, "udp:truncated"],
    ["a length of 7", changed(4, 7), 15, "udp:bad-length"],
    ["a length beyond the packet", changed(4, 16), 15, "udp:bad-length"],
    ["one bit wrong", changed(2, 6), 15, "udp:bad-checksum"],
  ])("%s: dropped", (_, bytes, length, reason) => {
    expect(decodeUdp(bytes, 0, length, a4, b4, true)).toBe(reason)
  })

  test("no checksum: taken over IPv4, dropped over IPv6", () => {
    expect(decodeUdp(changed(6, 0), 0, 15, a4, b4, true)).toMatchObject({ payload })
    expect(decodeUdp(changed(6, 0), 0, 15, a6, b6, true)).toBe("udp:zero-checksum")
  })

  test("a wrong checksum that the device vouches for: decoded", () => {
    expect(decodeUdp(changed(6, 1), 0, 15, a6, b6, false)).toMatchObject({ payload })
  })

  test("octets after its own length: not its payload", () => {
    expect(decodeUdp(Uint8Array.of(...valid, 1, 2, 3), 0, 18, a4, b4, true)).toMatchObject({ payload })
  })

  test("a checksum that comes out as 0: sent as ffff", () => {
    const bytes = written((out, offset) => encodeUdp(out, offset, { ...ends4, payload: Uint8Array.of(0, 0) }))
    // Two octets chosen to bring the sum to ffff.
    const open = getU16(bytes, 6)
    setU16(bytes, 8, open)
    finishUdp(bytes, 0, bytes.length, a4, b4)
    expect(getU16(bytes, 6)).toBe(0xffff)
    expect(decodeUdp(bytes, 0, bytes.length, a4, b4, true)).toMatchObject({ sourcePort: 51560 })
  })

  test("header alone, over dirty memory: a checksum of 0", () => {
    const bytes = written((out, offset) => writeUdpHeader(out, offset, 1, 2, 7))
    expect(toHex(bytes)).toBe("00010002000f0000")
  })

  test("partial checksum: the device completes it to the whole one", () => {
    const bytes = new Uint8Array(15)
    writeUdpHeader(bytes, 0, 51560, 7, 7)
    bytes.set(payload, 8)
    partialUdp(bytes, 0, 15, a4, b4)
    expect(~sum(bytes, 0, 15) & 0xffff).toBe(getU16(valid, 6))
  })

  test("any, encoded and decoded: the same", () => {
    const ends = fc.oneof(fc.tuple(anyIpv4, anyIpv4), fc.tuple(anyIpv6, anyIpv6))
    fc.assert(
      fc.property(ends, u16, u16, octets(2000), ([source, destination], sourcePort, destinationPort, any) => {
        const packet = { source, destination, sourcePort, destinationPort, payload: any }
        const bytes = written((out, offset) => encodeUdp(out, offset, packet))
        expect(decodeUdp(bytes, 0, bytes.length, source, destination, true)).toEqual(packet)
      }),
    )
  })
})
