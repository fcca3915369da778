import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { getU16 } from "../../src/wire/bytes.ts"
import { fold, pseudoHeader, sum } from "../../src/wire/checksum.ts"
import type { WireDrop } from "../../src/wire/drop.ts"
import { COPIED_PAYLOAD, decodeTcp, encodeTcp, finishTcp, partialTcp, writeTcpHeader } from "../../src/wire/tcp.ts"
import { ACK, AE, EMPTY, FIN, PSH, SYN, type TcpPacket } from "../../src/wire/tcpSegment.ts"
import {
  anyIpv4,
  anyIpv6,
  displaced,
  ip,
  LINUX,
  octets,
  options,
  segment,
  toHex,
  u16,
  u32,
  written,
} from "./support.ts"

const a4 = ip("198.18.7.1")
const b4 = ip("198.18.7.2")
const a6 = ip("2001:db8:7::1")
const b6 = ip("2001:db8:7::2")

const ends = { source: a4, destination: b4, sourcePort: 59506, destinationPort: 7 }
const synOptions = { windowScale: 10, sackPermitted: true }
const vectors: ReadonlyArray<[string, Uint8Array, TcpPacket]> = [
  [
    "a SYN of Linux's over IPv4",
    LINUX.synIpv4.subarray(34),
    {
      ...ends,
      segment: segment({
        seq: 0xc75412f7,
        flags: SYN,
        wnd: 64240,
        options: options({ ...synOptions, mss: 1460, tsVal: 0x9a6a1d05, tsEcr: 0 }),
      }),
    },
  ],
  [
    "a SYN of Linux's over IPv6",
    LINUX.synIpv6.subarray(54),
    {
      source: a6,
      destination: b6,
      sourcePort: 49888,
      destinationPort: 7,
      segment: segment({
        seq: 0xcf05bec9,
        flags: SYN,
        wnd: 64800,
        options: options({ ...synOptions, mss: 1440, tsVal: 0xbed2423a, tsEcr: 0 }),
      }),
    },
  ],
  [
    "a SYN of Linux's without timestamps",
    LINUX.synWithoutTimestamps.subarray(34),
    {
      source: a4,
      destination: b4,
      sourcePort: 59508,
      destinationPort: 7,
      segment: segment({
        seq: 0x06bc870d,
        flags: SYN,
        wnd: 64240,
        options: options({ ...synOptions, mss: 1460 }),
      }),
    },
  ],
]

describe("known segments", () => {
  test.each(vectors)("%s: decoded field by field", (_, bytes, packet) => {
    const at = displaced(bytes)
    expect(decodeTcp(at.bytes, at.offset, at.length, packet.source, packet.destination, true)).toEqual(packet)
  })

  test.each(vectors)("%s: encoded octet for octet", (_, bytes, packet) => {
    expect(toHex(written((out, offset) => encodeTcp(out, offset, packet, "linux")))).toBe(toHex(bytes))
  })
})

describe("decode", () => {
  const valid = LINUX.synIpv4.slice(34)
  const changed = (at: number, value: number): Uint8Array => {
    const bytes = valid.slice()
    bytes[at] = value
    return bytes
  }

  test.each<[string, Uint8Array, number, WireDrop]>([
    ["19 octets", valid, 19, "tcp:truncated"],
    ["data offset 4", changed(12, 0x40), 40, "tcp:bad-data-offset"],
    ["data offset beyond the segment", changed(12, 0xb0), 40, "tcp:bad-data-offset"],
    ["one bit wrong", changed(39, 0x0b), 40, "tcp:bad-checksum"],
    ["last octet missing", valid, 39, "tcp:bad-data-offset"],
  ])("%s: dropped", (_, bytes, length, reason) => {
    expect(decodeTcp(bytes, 0, length, a4, b4, true)).toBe(reason)
  })

  test("another address's segment: bad checksum", () => {
    expect(decodeTcp(valid, 0, 40, a4, ip("198.18.7.3"), true)).toBe("tcp:bad-checksum")
  })

  test("a wrong checksum that the device vouches for: decoded", () => {
    expect(decodeTcp(changed(16, 0xff), 0, 40, a4, b4, false)).toMatchObject({ sourcePort: 59506 })
  })

  test("reserved bits: ignored; all nine flags: kept", () => {
    const bytes = changed(12, 0xaf)
    bytes[13] = 0xff
    expect(decodeTcp(bytes, 0, 40, a4, b4, false)).toMatchObject({ segment: { flags: AE | 0xff } })
  })

  test.each([1, 3, COPIED_PAYLOAD, COPIED_PAYLOAD + 1, 200])(
    "payload of %d octets: where the segment ends it ends, a short one apart from the frame",
    (size) => {
      const payload = Uint8Array.from({ length: size }, (_, n) => n + 1)
      const packet = { ...ends, segment: segment({ flags: ACK | PSH, payload }) }
      const out = new Uint8Array(300)
      const length = encodeTcp(out, 10, packet, "linux")
      const decoded = decodeTcp(out, 10, length, a4, b4, true)
      if (typeof decoded === "string") throw new Error(decoded)
      expect(decoded.segment.payload).toEqual(payload)
      expect(decoded.segment.payload.buffer === out.buffer).toBe(size > COPIED_PAYLOAD)
    },
  )

  test("no payload: the shared empty one", () => {
    const bare = decodeTcp(valid, 0, 40, a4, b4, true)
    if (typeof bare === "string") throw new Error(bare)
    expect(bare.segment.payload).toBe(EMPTY)
  })
})

describe("offload", () => {
  const packet: TcpPacket = {
    source: a6,
    destination: b6,
    sourcePort: 1,
    destinationPort: 2,
    segment: segment({ flags: ACK, payload: new Uint8Array(999).fill(0x5a) }),
  }
  const whole = written((out, offset) => encodeTcp(out, offset, packet, "linux"))

  test("header alone, over dirty memory: a checksum of 0", () => {
    const { sourcePort, destinationPort } = packet
    const header = { sourcePort, destinationPort, ...packet.segment }
    const bytes = written((out, offset) => writeTcpHeader(out, offset, header, "linux"))
    expect(bytes.length).toBe(20)
    expect(getU16(bytes, 16)).toBe(0)
  })

  test("partial checksum: the pseudo-header's sum, which the device completes to the whole one", () => {
    const bytes = whole.slice()
    partialTcp(bytes, 0, bytes.length, a6, b6)
    expect(getU16(bytes, 16)).toBe(fold(pseudoHeader(a6, b6, 6, bytes.length)))
    // What the device does: sum from the header on, field included; complement; store.
    const completed = ~sum(bytes, 0, bytes.length) & 0xffff
    expect(completed).toBe(getU16(whole, 16))
  })

  test("finish over a partial checksum: the whole one", () => {
    const bytes = whole.slice()
    partialTcp(bytes, 0, bytes.length, a6, b6)
    finishTcp(bytes, 0, bytes.length, a6, b6)
    expect(toHex(bytes)).toBe(toHex(whole))
  })
})

const anyOptions = fc.constantFrom(
  options({}),
  options({ tsVal: 1, tsEcr: 0xffffffff }),
  options({ mss: 1460, windowScale: 7, sackPermitted: true, tsVal: 5, tsEcr: 6 }),
  options({ tsVal: 1, tsEcr: 2, sack: [{ left: 3, right: 0xfffffff0 }] }),
)
const endpoints = fc.oneof(fc.tuple(anyIpv4, anyIpv4), fc.tuple(anyIpv6, anyIpv6))

describe.each(["linux", "freebsd"] as const)("any packet, %s", (layout) => {
  test("encoded and decoded: the same", () => {
    fc.assert(
      fc.property(
        endpoints,
        u16,
        u16,
        fc.record({
          seq: u32,
          ack: u32,
          flags: fc.nat(0x1ff),
          wnd: u16,
          up: u16,
          options: anyOptions,
          payload: fc.oneof(octets(100), octets(3000)),
        }),
        ([source, destination], sourcePort, destinationPort, any) => {
          const packet = { source, destination, sourcePort, destinationPort, segment: any }
          const bytes = written((out, offset) => encodeTcp(out, offset, packet, layout))
          expect(decodeTcp(bytes, 0, bytes.length, source, destination, true)).toEqual(packet)
        },
      ),
    )
  })

  test("one bit flipped on the way: never taken for the same", () => {
    const packet = { ...ends, segment: segment({ flags: FIN | ACK, payload: new Uint8Array(77).fill(9) }) }
    const bytes = written((out, offset) => encodeTcp(out, offset, packet, layout))
    fc.assert(
      fc.property(fc.nat(bytes.length * 8 - 1), (bit) => {
        const spoilt = bytes.slice()
        spoilt[bit >> 3] = (spoilt[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        expect(decodeTcp(spoilt, 0, spoilt.length, a4, b4, true)).toBeString()
      }),
    )
  })

  test("the largest that IP carries: the same", () => {
    const payload = Uint8Array.from({ length: 65_495 }, (_, i) => i * 31)
    const packet = { ...ends, segment: segment({ flags: ACK, payload }) }
    const bytes = written((out, offset) => encodeTcp(out, offset, packet, layout))
    expect(decodeTcp(bytes, 0, bytes.length, a4, b4, true)).toEqual(packet)
  })
})
