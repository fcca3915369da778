import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { setU16 } from "../../src/wire/bytes.ts"
import { finish, sum } from "../../src/wire/checksum.ts"
import type { WireDrop } from "../../src/wire/drop.ts"
import { decodeIpv4, decodeQuotedIpv4, type Ipv4Header, isFragment, writeIpv4 } from "../../src/wire/ipv4.ts"
import { decodeIpv6, type Ipv6Header, type Ipv6Packet, writeIpv6 } from "../../src/wire/ipv6.ts"
import { anyIpv4, anyIpv6, displaced, hex, ip, LINUX, octets, toHex, u8, u16, written } from "./support.ts"

const header: Ipv4Header = {
  source: ip("198.18.7.1"),
  destination: ip("198.18.7.2"),
  protocol: 6,
  ttl: 64,
  tos: 0,
  identification: 0xebbe,
  dontFragment: true,
  moreFragments: false,
  fragmentOffset: 0,
  options: new Uint8Array(0),
  payloadLength: 40,
}

/** Linux's SYN with some octets overwritten and, unless it shall be wrong, its checksum made right again. */
const changed = (writes: ReadonlyArray<readonly [number, number]>, headerLength = 20): Uint8Array => {
  const bytes = LINUX.synIpv4.slice(14)
  for (const [at, value] of writes) bytes[at] = value
  if (headerLength > 0) {
    setU16(bytes, 10, 0)
    setU16(bytes, 10, finish(sum(bytes, 0, headerLength)))
  }
  return bytes
}

describe("ipv4", () => {
  test("a header of Linux's: read, and written again octet for octet", () => {
    const at = displaced(LINUX.synIpv4.subarray(14))
    expect(decodeIpv4(at.bytes, at.offset, at.length)).toEqual({ ...header, headerOffset: 3, payloadOffset: 23 })
    expect(toHex(written((out, offset) => writeIpv4(out, offset, header)))).toBe(toHex(LINUX.synIpv4.subarray(14, 34)))
  })

  test("a frame padded to Ethernet's minimum: the payload ends where the total length says", () => {
    const bytes = new Uint8Array(64)
    writeIpv4(bytes, 0, { ...header, payloadLength: 3 })
    expect(decodeIpv4(bytes, 0, 46)).toMatchObject({ payloadOffset: 20, payloadLength: 3 })
  })

  test("a header and no more, exactly 20 octets: read", () => {
    const bytes = written((out, offset) => writeIpv4(out, offset, { ...header, payloadLength: 0 }))
    expect(decodeIpv4(bytes, 0, 20)).toMatchObject({ payloadOffset: 20, payloadLength: 0 })
    expect(decodeQuotedIpv4(bytes, 0, 20)).toMatchObject({ payloadOffset: 20, payloadLength: 0 })
  })

  test("ECN and DSCP: kept in one octet", () => {
    const bytes = changed([[1, 0xb9]])
    expect(decodeIpv4(bytes, 0, bytes.length)).toMatchObject({ tos: 0xb9 })
  })

  test("a later fragment: offset in octets, and known for a fragment", () => {
    const bytes = changed([
      [6, 0x20],
      [7, 0xb9],
    ])
    const packet = decodeIpv4(bytes, 0, bytes.length)
    expect(packet).toMatchObject({ dontFragment: false, moreFragments: true, fragmentOffset: 1480 })
    expect(isFragment({ ...header, fragmentOffset: 8 })).toBe(true)
    expect(isFragment({ ...header, moreFragments: true })).toBe(true)
    expect(isFragment(header)).toBe(false)
  })

  test("a header with options: they come as they are, the payload after them", () => {
    const options = hex("94040000 01010100")
    const bytes = written((out, offset) => writeIpv4(out, offset, { ...header, options }))
    expect(bytes.length).toBe(28)
    const packet = decodeIpv4(bytes, 0, 68)
    expect(packet).toEqual({ ...header, options, headerOffset: 0, payloadOffset: 28 })
  })

  test("options of an odd length: padded with zeros", () => {
    const bytes = written((out, offset) => writeIpv4(out, offset, { ...header, options: hex("0101010101") }))
    expect(toHex(bytes.subarray(20))).toBe("0101010101000000")
  })

  test.each<[string, Uint8Array, number, WireDrop]>([
    ["19 octets", changed([]), 19, "ipv4:truncated"],
    ["version 6", changed([[0, 0x65]]), 60, "ipv4:bad-version"],
    ["header length 16", changed([[0, 0x44]]), 60, "ipv4:bad-header-length"],
    ["header longer than the frame", changed([[0, 0x46]]), 22, "ipv4:truncated"],
    [
      "total length below the header's",
      changed([
        [2, 0],
        [3, 19],
      ]),
      60,
      "ipv4:bad-total-length",
    ],
    [
      "total length beyond the frame",
      changed([
        [2, 0],
        [3, 61],
      ]),
      60,
      "ipv4:truncated",
    ],
    ["one bit wrong", changed([[8, 65]], 0), 60, "ipv4:bad-checksum"],
  ])("packet, %s: dropped", (_, bytes, length, reason) => {
    expect(decodeIpv4(bytes, 0, length)).toBe(reason)
  })

  test("a quoted header, cut payload and spoilt checksum: read all the same", () => {
    const bytes = changed([[8, 1]], 0)
    expect(decodeQuotedIpv4(bytes, 0, 28)).toEqual({
      ...header,
      ttl: 1,
      payloadLength: 8,
      headerOffset: 0,
      payloadOffset: 20,
    })
  })

  test("a quoted header with more behind the packet: the payload ends where the total length says", () => {
    const bytes = changed([[3, 0x1e]])
    expect(decodeQuotedIpv4(bytes, 0, 60)).toMatchObject({ payloadLength: 10 })
    expect(decodeQuotedIpv4(changed([[3, 19]]), 0, 60)).toBe("ipv4:bad-total-length")
  })

  test("any header, written and read: the same", () => {
    fc.assert(
      fc.property(
        fc.record({
          source: anyIpv4,
          destination: anyIpv4,
          protocol: u8,
          ttl: u8,
          tos: u8,
          identification: u16,
          dontFragment: fc.boolean(),
          moreFragments: fc.boolean(),
          fragmentOffset: fc.nat(0x1fff).map((n) => n * 8),
          options: fc.nat(10).chain((n) => octets(n * 4, n * 4)),
          payloadLength: fc.nat(65_000),
        }),
        (any) => {
          const bytes = written((out, offset) => writeIpv4(out, offset, any))
          const payloadOffset = bytes.length
          expect(decodeIpv4(bytes, 0, payloadOffset + any.payloadLength)).toEqual({
            ...any,
            headerOffset: 0,
            payloadOffset,
          })
        },
      ),
    )
  })
})

describe("ipv6", () => {
  const header6 = {
    source: ip("2001:db8:7::1"),
    destination: ip("2001:db8:7::2"),
    trafficClass: 0,
    flowLabel: 0x40401,
    nextHeader: 6,
    hopLimit: 64,
    payloadLength: 40,
  }

  /** What is read of a header at `offset`. */
  const packetOf = (header: Ipv6Header, offset: number): Ipv6Packet => ({
    source: header.source,
    destination: header.destination,
    protocol: header.nextHeader,
    ttl: header.hopLimit,
    tos: header.trafficClass,
    flowLabel: header.flowLabel,
    headerOffset: offset,
    payloadOffset: offset + 40,
    payloadLength: header.payloadLength,
  })

  test("a header of Linux's: read, and written again octet for octet", () => {
    const at = displaced(LINUX.synIpv6.subarray(14))
    expect(decodeIpv6(at.bytes, at.offset, at.length)).toEqual(packetOf(header6, at.offset))
    expect(toHex(written((out, offset) => writeIpv6(out, offset, header6)))).toBe(toHex(LINUX.synIpv6.subarray(14, 54)))
  })

  test("a header and no more, exactly 40 octets: read", () => {
    const bytes = written((out, offset) => writeIpv6(out, offset, { ...header6, payloadLength: 0 }))
    expect(decodeIpv6(bytes, 0, 40)).toEqual(packetOf({ ...header6, payloadLength: 0 }, 0))
  })

  test("link padding: the payload ends where the payload length says", () => {
    expect(decodeIpv6(Uint8Array.of(...LINUX.synIpv6, 0, 0), 14, 82)).toMatchObject({ payloadLength: 40 })
  })

  test.each<[string, number, number, WireDrop]>([
    ["39 octets", 0x60, 39, "ipv6:truncated"],
    ["payload beyond the frame", 0x60, 79, "ipv6:truncated"],
    ["version 4", 0x45, 80, "ipv6:bad-version"],
  ])("packet, %s: dropped", (_, first, length, reason) => {
    const bytes = LINUX.synIpv6.slice(14)
    bytes[0] = first
    expect(decodeIpv6(bytes, 0, length)).toBe(reason)
  })

  test("any header, written and read: the same", () => {
    fc.assert(
      fc.property(
        fc.record({
          source: anyIpv6,
          destination: anyIpv6,
          trafficClass: u8,
          flowLabel: fc.nat(0xf_ffff),
          nextHeader: u8,
          hopLimit: u8,
          payloadLength: u16,
        }),
        (any) => {
          const bytes = written((out, offset) => writeIpv6(out, offset, any))
          expect(decodeIpv6(bytes, 0, 40 + any.payloadLength)).toEqual(packetOf(any, 0))
        },
      ),
    )
  })
})
