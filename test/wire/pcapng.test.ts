import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import type { WireDrop } from "../../src/wire/drop.ts"
import {
  LINKTYPE_ETHERNET,
  LINKTYPE_RAW,
  MICROSECONDS,
  NANOSECONDS,
  type PcapngInterface,
  type PcapngPacket,
  unitsPerSecond,
} from "../../src/wire/pcapng.ts"
import { readPcapng } from "../../src/wire/pcapngReader.ts"
import { enhancedPacket, interfaceDescription, sectionHeader } from "../../src/wire/pcapngWriter.ts"
import { damaged, displaced, hex, LINUX, octets, toHex, u8, u16, u32 } from "./support.ts"

const join = (...pieces: ReadonlyArray<Uint8Array>): Uint8Array =>
  Uint8Array.from(pieces.flatMap((piece) => [...piece]))

const tap: PcapngInterface = { linkType: LINKTYPE_ETHERNET, snapLength: 0, name: "tap0", resolution: MICROSECONDS }
const packet = (some: Partial<PcapngPacket>): PcapngPacket => ({
  interfaceId: 0,
  timestamp: 0n,
  direction: "unknown",
  originalLength: 3,
  data: hex("010203"),
  comment: undefined,
  ...some,
})

/** As a big-endian machine would have written them. */
const BIG = {
  section: hex("0a0d0d0a 0000001c 1a2b3c4d 0001 0000 ffffffffffffffff 0000001c"),
  interface: hex("00000001 00000028 0001 0000 00000200 0002 0003 65746800 0009 0001 09000000 0000 0000 00000028"),
  packet: hex(`00000006 00000030 00000000 00000001 00000002 00000003 00000040 01020300
    0001 0002 68690000 0000 0000 00000030`),
}

describe("writer", () => {
  test("a section without options: octet for octet", () => {
    expect(toHex(sectionHeader(undefined))).toBe("0a0d0d0a1c0000004d3c2b1a01000000ffffffffffffffff1c000000")
  })

  test("a section with the application's name: an option 4", () => {
    const bytes = sectionHeader("netfold")
    expect(toHex(bytes.subarray(24))).toBe("04000700 6e6574666f6c6400 00000000 2c000000".replaceAll(" ", ""))
  })

  test("an interface: link type, snap length, name, resolution", () => {
    expect(toHex(interfaceDescription({ ...tap, snapLength: 96, resolution: NANOSECONDS }))).toBe(
      ["01000000 28000000 0100 0000 60000000", "0200 0400 74617030", "0900 0100 09000000", "0000 0000 28000000"]
        .join("")
        .replaceAll(" ", ""),
    )
  })

  test("a packet of 3 octets with a comment: padded, time in two halves", () => {
    expect(toHex(enhancedPacket(packet({ timestamp: 0x1_0000_0002n, comment: "hi", direction: "inbound" })))).toBe(
      [
        "06000000 38000000 00000000 01000000 02000000 03000000 03000000 01020300",
        "0100 0200 68690000 0200 0400 01000000 0000 0000 38000000",
      ]
        .join("")
        .replaceAll(" ", ""),
    )
  })

  test("a comment longer than an option can be: cut, and still read", () => {
    const file = join(
      sectionHeader(undefined),
      interfaceDescription(tap),
      enhancedPacket(packet({ comment: "x".repeat(70_000) })),
    )
    expect(readPcapng(file).packets[0]?.comment).toBe("x".repeat(65_535))
  })
})

describe("reader", () => {
  test("a big-endian file: read alike", () => {
    const at = displaced(join(BIG.section, BIG.interface, BIG.packet))
    expect(readPcapng(at.bytes.subarray(at.offset, at.offset + at.length))).toEqual({
      interfaces: [{ linkType: 1, snapLength: 512, name: "eth", resolution: NANOSECONDS }],
      packets: [packet({ timestamp: 0x1_0000_0002n, originalLength: 64, comment: "hi" })],
      problem: undefined,
    })
  })

  test("an interface without a resolution: microseconds", () => {
    const file = join(BIG.section, hex("00000001 00000014 0065 0000 00000000 00000014"))
    expect(readPcapng(file).interfaces).toEqual([
      { linkType: LINKTYPE_RAW, snapLength: 0, name: undefined, resolution: MICROSECONDS },
    ])
  })

  test("a resolution of 2 octets, or another option of 1: microseconds", () => {
    for (const option of ["0009 0002 09000000", "000b 0001 09000000"]) {
      const file = join(BIG.section, hex(`00000001 0000001c 0065 0000 00000000 ${option} 0000001c`))
      expect(readPcapng(file)).toMatchObject({ interfaces: [{ resolution: MICROSECONDS }], problem: undefined })
    }
  })

  test("options up to the block's last octet, without an end: read, the empty one too", () => {
    const named = hex("00000001 0000001c 0001 0000 00000000 0002 0004 65746830 0000001c")
    const empty = hex("00000001 00000018 0001 0000 00000000 0002 0000 00000018")
    const file = readPcapng(join(BIG.section, named, empty))
    expect(file.interfaces.map(({ name }) => name)).toEqual(["eth0", ""])
  })

  test("an option that overruns its block: the list ends, the block counts", () => {
    const file = join(BIG.section, hex("00000001 0000001c 0001 0000 00000000 0002 0005 65746830 0000001c"))
    expect(readPcapng(file)).toMatchObject({ interfaces: [{ name: undefined }], problem: undefined })
  })

  test("a comment that begins with a byte-order mark: kept", () => {
    const file = join(sectionHeader(undefined), enhancedPacket(packet({ comment: "\ufeffhi" })))
    expect(readPcapng(file).packets[0]?.comment).toBe("\ufeffhi")
  })

  test("two sections of different byte order: interfaces counted on", () => {
    const first = join(sectionHeader("netfold"), interfaceDescription(tap), enhancedPacket(packet({})))
    const file = readPcapng(join(first, BIG.section, BIG.interface, BIG.packet))
    expect(file.interfaces.map(({ name }) => name)).toEqual(["tap0", "eth"])
    expect(file.packets.map(({ interfaceId }) => interfaceId)).toEqual([0, 1])
  })

  test("blocks of unknown kind: passed over", () => {
    const strange = hex("ad0b0000 10000000 01020304 10000000 ae0b0000 0c000000 0c000000")
    const file = join(sectionHeader(undefined), strange, interfaceDescription(tap), strange, enhancedPacket(packet({})))
    expect(readPcapng(file)).toEqual({ interfaces: [tap], packets: [packet({})], problem: undefined })
  })

  test.each<[string, Uint8Array, WireDrop]>([
    ["nothing", hex(""), "pcapng:truncated"],
    ["classic pcap", hex("d4c3b2a1 02000400 00000000 00000000 00000400 01000000"), "pcapng:not-pcapng"],
    ["no byte-order magic", hex("0a0d0d0a 1c000000 00000000 01000000 ffffffffffffffff 1c000000"), "pcapng:not-pcapng"],
    ["a packet before any section", enhancedPacket(packet({})), "pcapng:not-pcapng"],
    [
      "a block of 8 octets",
      join(sectionHeader(undefined), hex("05000000 08000000 08000000")),
      "pcapng:bad-block-length",
    ],
    [
      "a block length not of words",
      join(sectionHeader(undefined), hex("05000000 0d000000 00 0d000000")),
      "pcapng:bad-block-length",
    ],
    [
      "lengths that differ",
      join(sectionHeader(undefined), hex("05000000 0c000000 10000000")),
      "pcapng:bad-block-length",
    ],
    [
      "a packet with more data than block",
      join(BIG.section, hex("00000006 00000020 00000000 00000000 00000000 00000004 00000004 00000020")),
      "pcapng:bad-block-length",
    ],
    [
      "an interface without its fields",
      join(BIG.section, hex("00000001 0000000c 0000000c")),
      "pcapng:bad-block-length",
    ],
  ])("%s: said so", (_, bytes, problem) => {
    expect(readPcapng(bytes)).toEqual({ interfaces: [], packets: [], problem })
  })

  test("a file cut inside its last block: the packets before it", () => {
    const whole = join(
      sectionHeader(undefined),
      interfaceDescription(tap),
      enhancedPacket(packet({})),
      enhancedPacket(packet({})),
    )
    expect(readPcapng(whole.subarray(0, whole.length - 5))).toEqual({
      interfaces: [tap],
      packets: [packet({})],
      problem: "pcapng:truncated",
    })
  })

  test("resolutions: powers of ten, and of two", () => {
    expect(unitsPerSecond(MICROSECONDS)).toBe(1_000_000n)
    expect(unitsPerSecond(NANOSECONDS)).toBe(1_000_000_000n)
    expect(unitsPerSecond(0x8a)).toBe(1024n)
  })

  const name = fc.option(fc.string({ unit: "binary" }), { nil: undefined })
  const anyInterface = fc.record({ linkType: u16, snapLength: u32, name, resolution: u8 })
  const anyPacket: fc.Arbitrary<PcapngPacket> = fc.record({
    interfaceId: u32,
    timestamp: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    direction: fc.constantFrom("unknown", "inbound", "outbound"),
    originalLength: u32,
    data: octets(200),
    comment: name,
  })

  test("any file written: read as it was", () => {
    fc.assert(
      fc.property(name, fc.array(anyInterface), fc.array(anyPacket), (application, interfaces, packets) => {
        const pieces = [
          sectionHeader(application),
          ...interfaces.map(interfaceDescription),
          ...packets.map(enhancedPacket),
        ]
        for (const piece of pieces) expect(piece.length % 4).toBe(0)
        expect(readPcapng(join(...pieces))).toEqual({ interfaces, packets, problem: undefined })
      }),
    )
  })

  test("any octets, and any damaged file: an answer", () => {
    const file = join(
      sectionHeader("netfold"),
      interfaceDescription(tap),
      enhancedPacket(packet({ data: LINUX.synIpv4, comment: "SYN", direction: "outbound" })),
      BIG.section,
      BIG.interface,
      BIG.packet,
    )
    fc.assert(
      fc.property(fc.oneof(octets(300), damaged([file])), (bytes) => {
        expect(readPcapng(bytes).packets.length).toBeLessThanOrEqual(2)
      }),
      { numRuns: 2000 },
    )
  })
})
