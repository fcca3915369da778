import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { setIpv6 } from "../../src/wire/addressBytes.ts"
import { setU16, setU32 } from "../../src/wire/bytes.ts"
import { finish, fold, pseudoHeader, sum, update16, update32 } from "../../src/wire/checksum.ts"
import { vectorMemory, vectorSumOf } from "../../src/wire/vectorSum.ts"
import { anyIpv4, anyIpv6, hex, octets, u8, u16, u32 } from "./support.ts"

/** RFC 1071 section 4.1, a word at a time. */
const naive = (bytes: Uint8Array): number => {
  let total = 0
  for (let i = 0; i < bytes.length; i += 2) {
    total += ((bytes[i] ?? 0) << 8) + (bytes[i + 1] ?? 0)
    if (total > 0xffff) total = (total & 0xffff) + 1
  }
  return total
}

describe("sum", () => {
  test("RFC 1071 section 3's example: ddf2", () => {
    expect(sum(hex("0001f203f4f5f6f7"), 0, 8)).toBe(0xddf2)
  })

  test("nothing: 0", () => {
    expect(sum(hex("ffff"), 1, 0)).toBe(0)
  })

  test("zeros only, however many: 0, not ffff", () => {
    for (const n of [1, 2, 20, 1024, 65535]) expect(sum(new Uint8Array(n), 0, n)).toBe(0)
  })

  test("ones only, however many: ffff", () => {
    for (const n of [2, 20, 1024, 1500, 65534, 70_000]) expect(sum(new Uint8Array(n).fill(0xff), 0, n)).toBe(0xffff)
  })

  test("every offset 0-7 and lengths about each boundary of the loops: the naive sum", () => {
    const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => (Math.imul(i, 2654435761) >>> 13) & 0xff)
    const lengths = [
      0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 20, 40, 1023, 1024, 1025, 1026, 1027, 1028, 1460, 1461, 65535, 65536,
    ]
    for (let offset = 0; offset < 8; offset++) {
      for (const length of lengths) {
        expect([offset, length, sum(bytes, offset, length)]).toEqual([
          offset,
          length,
          naive(bytes.subarray(offset, offset + length)),
        ])
      }
    }
  })

  test("a view that itself begins at any offset of its buffer: the naive sum", () => {
    const whole = Uint8Array.from({ length: 5000 }, (_, i) => (Math.imul(i, 40503) >>> 5) & 0xff)
    for (let by = 0; by < 8; by++) {
      const view = whole.subarray(by)
      for (const [offset, length] of [
        [0, 1400],
        [1, 1401],
        [2, 1402],
        [3, 1403],
        [5, 4000],
      ] as const) {
        expect(sum(view, offset, length)).toBe(naive(view.slice(offset, offset + length)))
      }
    }
  })

  test("arbitrary octets and places: the naive sum", () => {
    fc.assert(
      fc.property(octets(3000), fc.nat(16), fc.nat(16), (bytes, skip, cut) => {
        const offset = Math.min(skip, bytes.length)
        const length = Math.max(0, bytes.length - offset - cut)
        expect(sum(bytes, offset, length)).toBe(naive(bytes.slice(offset, offset + length)))
      }),
    )
  })

  test("octets that repeat one value, long: the naive sum", () => {
    fc.assert(
      fc.property(u8, fc.integer({ min: 1000, max: 70_000 }), (value, length) => {
        const bytes = new Uint8Array(length).fill(value)
        expect(sum(bytes, 0, length)).toBe(naive(bytes))
      }),
    )
  })

  test("a length beyond the array: the octets missing count as zeros", () => {
    const bytes = new Uint8Array(1500).fill(7)
    expect(sum(bytes, 100, 4000)).toBe(sum(bytes, 100, 1400))
  })
})

describe("sum in memory with vector instructions", () => {
  const SIZE = 140_000
  const memory = vectorMemory(SIZE)
  const bytes = memory === undefined ? new Uint8Array(0) : new Uint8Array(memory, 0, SIZE)
  const random = (i: number): number => (Math.imul(i, 2654435761) >>> 13) & 0xff

  test("there is some, zeroed, and of no other memory", () => {
    expect(bytes.length).toBe(SIZE)
    expect(bytes.every((octet) => octet === 0)).toBe(true)
    expect(vectorSumOf(bytes.buffer)).toBeDefined()
    expect(vectorSumOf(new Uint8Array(SIZE).buffer)).toBeUndefined()
  })

  test("every offset and every length about each boundary of its loops: the naive sum", () => {
    bytes.forEach((_, i) => {
      bytes[i] = random(i)
    })
    for (let offset = 0; offset < 40; offset++) {
      for (const around of [0, 128, 160, 1024, 1448, 1460, 8960, 65_504]) {
        for (let length = Math.max(0, around - 3); length < around + 36; length++) {
          const own = sum(bytes, offset, length)
          if (own !== naive(bytes.subarray(offset, offset + length))) expect([offset, length, own]).toEqual([])
        }
      }
    }
  })

  test("a view of it that is long enough to be a device's: the naive sum of its own octets", () => {
    for (let from = 0; from < 64; from++) {
      const view = bytes.subarray(from * 2048 + (from % 5), from * 2048 + (from % 5) + 40_000)
      for (const [offset, length] of [
        [0, 1500],
        [2, 1449],
        [14, 20],
        [34, 1480],
      ] as const) {
        if (offset + length > view.length) continue
        expect(sum(view, offset, length)).toBe(naive(view.subarray(offset, offset + length)))
      }
    }
  })

  test("ones only, as many as a packet has at most: no carry is lost", () => {
    bytes.fill(0xff)
    for (const n of [128, 1500, 65_534, 65_535]) expect(sum(bytes, 0, n)).toBe(naive(bytes.subarray(0, n)))
  })

  test("a length beyond the memory: the octets missing count as zeros", () => {
    bytes.fill(7)
    expect(sum(bytes, SIZE - 200, 4000)).toBe(sum(bytes, SIZE - 200, 200))
  })
})

describe("fold", () => {
  test("the largest sum of 32 bits: ffff", () => {
    expect(fold(0xffff_ffff)).toBe(0xffff)
    expect(fold(0x1_fffe)).toBe(0xffff)
    expect(fold(0x1_ffff)).toBe(1)
  })

  test("finish, a folded sum of ffff: 0", () => {
    expect(finish(0xffff)).toBe(0)
    expect(finish(0)).toBe(0xffff)
  })
})

describe("pseudo-header", () => {
  test("IPv4: the sum of RFC 9293 section 3.1's twelve octets", () => {
    fc.assert(
      fc.property(anyIpv4, anyIpv4, u8, u16, (source, destination, protocol, length) => {
        const bytes = new Uint8Array(12)
        setU32(bytes, 0, source.d)
        setU32(bytes, 4, destination.d)
        setU16(bytes, 8, protocol)
        setU16(bytes, 10, length)
        expect(fold(pseudoHeader(source, destination, protocol, length))).toBe(naive(bytes))
      }),
    )
  })

  test("IPv6: the sum of RFC 8200 section 8.1's forty octets", () => {
    fc.assert(
      fc.property(anyIpv6, anyIpv6, u8, u32, (source, destination, protocol, length) => {
        const bytes = new Uint8Array(40)
        setIpv6(bytes, 0, source)
        setIpv6(bytes, 16, destination)
        setU32(bytes, 32, length)
        setU32(bytes, 36, protocol)
        expect(fold(pseudoHeader(source, destination, protocol, length))).toBe(naive(bytes))
      }),
    )
  })
})

describe("incremental update", () => {
  test("RFC 1624 section 4's example: 0000, not ffff", () => {
    expect(update16(0xdd2f, 0x5555, 0x3285)).toBe(0x0000)
  })

  test("one word of a header changes: as if summed afresh", () => {
    fc.assert(
      fc.property(octets(60, 20), fc.nat(9), u16, (bytes, index, after) => {
        // A real message is never all zeros, where the two forms of zero would differ.
        bytes[19] = 1
        const at = Math.min(index, 8) * 2
        const checksum = finish(sum(bytes, 0, bytes.length))
        const before = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
        setU16(bytes, at, after)
        expect(update16(checksum, before, after)).toBe(finish(sum(bytes, 0, bytes.length)))
      }),
    )
  })

  test("an address changes: as if summed afresh", () => {
    fc.assert(
      fc.property(octets(60, 20), u32, u32, (bytes, before, after) => {
        bytes[19] = 1
        setU32(bytes, 12, before)
        const checksum = finish(sum(bytes, 0, bytes.length))
        setU32(bytes, 12, after)
        expect(update32(checksum, before, after)).toBe(finish(sum(bytes, 0, bytes.length)))
      }),
    )
  })
})
