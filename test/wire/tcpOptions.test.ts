import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { type OptionLayout, optionsLength, writeOptions } from "../../src/wire/tcpOptionLayout.ts"
import { decodeOptions } from "../../src/wire/tcpOptions.ts"
import { NO_OPTIONS, type TcpOptions } from "../../src/wire/tcpSegment.ts"
import { displaced, hex, octets, options, toHex, u8, u16, u32, written } from "./support.ts"

const decode = (text: string): TcpOptions => {
  const at = displaced(hex(text))
  return decodeOptions(at.bytes, at.offset, at.length)
}

const encode = (some: TcpOptions, layout: OptionLayout): Uint8Array =>
  written((out, offset) => writeOptions(out, offset, some, layout), 200)

const ts = { tsVal: 0x01020304, tsEcr: 0x05060708 }
const TS = "080a0102030405060708"
const digest = hex("000102030405060708090a0b0c0d0e0f")
const blocks = [1, 2, 3, 4].map((n) => ({ left: n * 0x1000, right: n * 0x1000 + 0x100 }))
const cookie = (text: string, experimental = false): Partial<TcpOptions> => ({
  fastOpen: { cookie: hex(text), experimental },
})

describe("decode", () => {
  test.each<[string, string, Partial<TcpOptions>]>([
    ["MSS", "020405b4", { mss: 1460 }],
    ["window scale", "03030a00", { windowScale: 10 }],
    ["window scale above 14, as sent", "0303ff00", { windowScale: 255 }],
    ["SACK-permitted", "04020000", { sackPermitted: true }],
    ["SACK, one block", "0101050a0000100000001100", { sack: blocks.slice(0, 1) }],
    [
      "SACK, four blocks",
      "01010522 0000100000001100 0000200000002100 0000300000003100 0000400000004100",
      { sack: blocks },
    ],
    ["timestamps, aligned", `0101${TS}`, ts],
    ["timestamps, unaligned", `${TS}0000`, ts],
    ["timestamps of all ones: unsigned", "0101080affffffffffffffff", { tsVal: 0xffffffff, tsEcr: 0xffffffff }],
    ["MD5", `0101 1312 ${toHex(digest)}`, { md5: digest }],
    [
      "AO",
      "1d10 0708 0102030405060708090a0b0c",
      { ao: { keyId: 7, rNextKeyId: 8, mac: hex("0102030405060708090a0b0c") } },
    ],
    ["AO without a MAC", "1d040708", { ao: { keyId: 7, rNextKeyId: 8, mac: hex("") } }],
    ["Fast Open request", "22020101", cookie("")],
    ["Fast Open cookie", "220a0102030405060708 0101", cookie("0102030405060708")],
    ["experimental Fast Open request", "fe04f989", cookie("", true)],
    ["experimental Fast Open cookie", "fe0cf9890102030405060708", cookie("0102030405060708", true)],
    ["another experiment", "fe06e2d4c3d9 0101", { unknown: [{ kind: 254, data: hex("e2d4c3d9") }] }],
    ["an experiment too short for a number", "fe03f900", { unknown: [{ kind: 254, data: hex("f9") }] }],
    [
      "two unknown kinds, one empty",
      "1e040102 fd02 0000",
      {
        unknown: [
          { kind: 30, data: hex("0102") },
          { kind: 253, data: hex("") },
        ],
      },
    ],
    ["two of a kind: the later", "02040001 020405b4", { mss: 1460 }],
    ["MSS of 0, left to the reducer", "02040000", { mss: 0 }],
  ])("%s: read", (_, text, expected) => {
    expect(decode(text)).toEqual(options(expected))
  })

  test.each<[string, string, Partial<TcpOptions>]>([
    ["MSS of 3 octets", "020305 01 020405b4", { mss: 1460 }],
    ["MSS of 5 octets", "020505b400 0303 07", { windowScale: 7 }],
    ["window scale of 4 octets", "03040a0b", {}],
    ["SACK-permitted of 3 octets", "040300 00", {}],
    ["SACK without a block", "0502 0101", {}],
    ["SACK of a block and a half", "050e 000010000000110000002000 0101", {}],
    ["timestamps of 9 octets", "0809010203040506070303 08 00", { windowScale: 8 }],
    ["MD5 of 17 octets", `1311 ${toHex(digest).slice(2)} 010101`, {}],
    ["AO of 3 octets", "1d0307 00", {}],
    ["Fast Open cookie of 2 octets", "22040102", {}],
    ["Fast Open cookie of 5 octets", "22070102030405 01", {}],
    ["Fast Open cookie of 18 octets", `2214 ${toHex(digest)}0102`, {}],
    ["experimental Fast Open cookie of 3 octets", "fe07f989010203 01", {}],
  ])("wrong length for its kind, %s: passed over", (_, text, expected) => {
    expect(decode(text)).toEqual(options(expected))
  })

  test.each<[string, string, Partial<TcpOptions>]>([
    ["end of list, then more", "020405b4 00 03030a", { mss: 1460 }],
    ["length 0", "020405b4 0800 0101", { mss: 1460 }],
    ["length 1", "020405b4 0801 0101", { mss: 1460 }],
    ["a kind with no room for its length", "020405b4 010101 03", { mss: 1460 }],
    ["an option that overruns the header", "020405b4 080a 0102", { mss: 1460 }],
    ["the very first overruns", "0204 05", {}],
  ])("%s: the list ends, what came before stays", (_, text, expected) => {
    expect(decode(text)).toEqual(options(expected))
  })

  test("no options, NOPs, or an end only: the shared record", () => {
    expect(decode("")).toBe(NO_OPTIONS)
    expect(decode("01010101")).toBe(NO_OPTIONS)
    expect(decode("00080a00")).toBe(NO_OPTIONS)
  })

  test("what was read: survives the device's memory", () => {
    const texts = [`0101 1312 ${toHex(digest)}`, "1d060708 0102 0000", "220a0102030405060708 0101", "1e040102"]
    for (const text of texts) {
      const bytes = Buffer.from(hex(text))
      const read = decodeOptions(bytes, 0, bytes.length)
      const before = JSON.stringify(read, (_, value) => (value instanceof Uint8Array ? toHex(value) : value))
      bytes.fill(0xee)
      expect(JSON.stringify(read, (_, value) => (value instanceof Uint8Array ? toHex(value) : value))).toBe(before)
    }
  })
})

const syn = options({ mss: 1460, windowScale: 10, sackPermitted: true, ...ts })
const { tsVal: _val, tsEcr: _ecr, ...withoutTs } = syn
const synNoTs = options(withoutTs)

describe("encode", () => {
  test.each<[string, OptionLayout, TcpOptions, string]>([
    ["SYN", "linux", syn, `020405b4 0402 ${TS} 01 03030a`],
    ["SYN without timestamps", "linux", synNoTs, "020405b4 0101 0402 01 03030a"],
    ["SYN without SACK", "linux", { ...syn, sackPermitted: false }, `020405b4 0101 ${TS} 01 03030a`],
    ["SYN with MSS alone", "linux", options({ mss: 536 }), "02040218"],
    ["SYN with a Fast Open request", "linux", { ...syn, ...cookie("") }, `020405b4 0402 ${TS} 01 03030a 2202 0101`],
    [
      "SYN with a Fast Open cookie",
      "linux",
      { ...syn, ...cookie("0102030405060708") },
      `020405b4 0402 ${TS} 01 03030a 220a 0102030405060708 0101`,
    ],
    [
      "SYN with an experimental cookie",
      "linux",
      { ...syn, ...cookie("0102030405060708", true) },
      `020405b4 0402 ${TS} 01 03030a fe0c f989 0102030405060708`,
    ],
    ["SYN with MD5", "linux", { ...synNoTs, md5: digest }, `0101 1312 ${toHex(digest)} 020405b4 0101 0402 01 03030a`],
    ["segment", "linux", options(ts), `0101 ${TS}`],
    ["segment with MD5", "linux", options({ ...ts, md5: digest }), `0101 1312 ${toHex(digest)} 0101 ${TS}`],
    ["segment with SACK", "linux", options({ sack: blocks.slice(0, 1) }), "0101 050a 0000100000001100"],
    [
      "segment with timestamps and SACK",
      "linux",
      options({ ...ts, sack: blocks.slice(0, 2) }),
      `0101 ${TS} 0101 0512 0000100000001100 0000200000002100`,
    ],
    ["SYN", "freebsd", syn, `020405b4 01 03030a 0402 ${TS}`],
    ["SYN without timestamps", "freebsd", synNoTs, "020405b4 01 03030a 0402 00 00"],
    ["SYN without SACK", "freebsd", { ...syn, sackPermitted: false }, `020405b4 01 03030a 0101 ${TS}`],
    ["segment", "freebsd", options(ts), `0101 ${TS}`],
    [
      "segment with timestamps and SACK",
      "freebsd",
      options({ ...ts, sack: blocks.slice(0, 1) }),
      `0101 ${TS} 0101 050a 0000100000001100`,
    ],
    [
      "AO before the rest, its MAC odd",
      "linux",
      options({ ...ts, ao: { keyId: 1, rNextKeyId: 2, mac: hex("0a0b0c") } }),
      `1d070102 0a0b0c 010101 ${TS}`,
    ],
  ])("%s, %s: order and padding", (_, layout, some, expected) => {
    expect(toHex(encode(some, layout))).toBe(expected.replaceAll(" ", ""))
  })

  test.each<[string, Partial<TcpOptions>, number]>([
    ["alone", {}, 4],
    ["beside timestamps", ts, 3],
    ["beside MD5", { md5: digest }, 2],
    ["beside MD5 and timestamps", { md5: digest, ...ts }, 0],
  ])("four SACK blocks %s: as many as fit into 40 octets", (_, some, count) => {
    for (const layout of ["linux", "freebsd"] as const) {
      const all = options({ ...some, sack: blocks })
      const bytes = encode(all, layout)
      expect(bytes.length).toBeLessThanOrEqual(40)
      expect(decodeOptions(bytes, 0, bytes.length)).toEqual({ ...all, sack: blocks.slice(0, count) })
    }
  })

  test("an option too large for what is left: left out whole, the others kept", () => {
    const all = options({ ...syn, md5: digest, unknown: [{ kind: 30, data: new Uint8Array(12) }] })
    for (const layout of ["linux", "freebsd"] as const) {
      const bytes = encode(all, layout)
      expect(bytes.length).toBe(40)
      expect(decodeOptions(bytes, 0, 40)).toEqual({ ...all, unknown: [] })
    }
  })

  test.each<[string, Partial<TcpOptions>]>([
    ["MSS", { mss: 1460 }],
    ["window scale", { windowScale: 7 }],
    ["SACK-permitted", { sackPermitted: true }],
    ["SACK", { sack: blocks.slice(0, 1) }],
    ["Fast Open", cookie("01020304")],
    ["MD5", { md5: digest }],
    ["AO", { ao: { keyId: 1, rNextKeyId: 2, mac: hex("0102") } }],
    ["an unknown kind", { unknown: [{ kind: 30, data: hex("01") }] }],
  ])("timestamps and %s alone: both, and as long as announced", (_, some) => {
    for (const layout of ["linux", "freebsd"] as const) {
      const both = options({ ...ts, ...some })
      const bytes = encode(both, layout)
      expect(decodeOptions(bytes, 0, bytes.length)).toEqual(both)
      expect(optionsLength(both, layout)).toBe(bytes.length)
    }
  })

  test("no options: nothing written", () => {
    expect(encode(NO_OPTIONS, "linux").length).toBe(0)
    expect(encode(options({}), "freebsd").length).toBe(0)
    expect(optionsLength(NO_OPTIONS, "linux")).toBe(0)
  })
})

const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined, freq: 1 })

const rare = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary })

const KNOWN = new Set([0, 1, 2, 3, 4, 5, 8, 19, 29, 34, 254])
const anyCookie = fc.constantFrom(0, 4, 6, 8, 12, 16).chain((n) => octets(n, n))
const anyOptions: fc.Arbitrary<TcpOptions> = fc
  .record({
    mss: maybe(u16),
    windowScale: maybe(u8),
    sackPermitted: fc.boolean(),
    sack: fc.oneof(fc.constant([]), fc.array(fc.record({ left: u32, right: u32 }), { maxLength: 4 })),
    times: maybe(fc.tuple(u32, u32)),
    fastOpen: rare(fc.record({ cookie: anyCookie, experimental: fc.boolean() })),
    md5: rare(octets(16, 16)),
    ao: rare(fc.record({ keyId: u8, rNextKeyId: u8, mac: octets(16) })),
    unknown: fc.oneof(
      fc.constant([]),
      fc.array(fc.record({ kind: u8.filter((kind) => !KNOWN.has(kind)), data: octets(8) }), { maxLength: 3 }),
    ),
  })
  .map(({ times, ...rest }) => ({ ...rest, tsVal: times?.[0], tsEcr: times?.[1] }))

/** An upper bound of the octets wanted, however they are padded. */
const wanted = (o: TcpOptions): number =>
  (o.mss === undefined ? 0 : 4) +
  (o.windowScale === undefined ? 0 : 4) +
  (o.sackPermitted ? 4 : 0) +
  (o.tsVal === undefined ? 0 : 12) +
  (o.sack.length === 0 ? 0 : 4 + 8 * o.sack.length) +
  (o.fastOpen === undefined ? 0 : 7 + o.fastOpen.cookie.length) +
  (o.md5 === undefined ? 0 : 20) +
  (o.ao === undefined ? 0 : 7 + o.ao.mac.length) +
  o.unknown.reduce((sum, { data }) => sum + 5 + data.length, 0)

describe.each(["linux", "freebsd"] as const)("any options, %s", (layout) => {
  test("that fit, encoded and decoded: the same", () => {
    fc.assert(
      fc.property(
        anyOptions.filter((some) => wanted(some) <= 40),
        (some) => {
          const bytes = encode(some, layout)
          expect(decodeOptions(bytes, 0, bytes.length)).toEqual(some)
        },
      ),
      { numRuns: 500 },
    )
  })

  test("that fit or not, encoded: whole words, at most ten, as announced", () => {
    fc.assert(
      fc.property(anyOptions, (some) => {
        const { length } = encode(some, layout)
        expect(length % 4).toBe(0)
        expect(length).toBeLessThanOrEqual(40)
        expect(optionsLength(some, layout)).toBe(length)
      }),
      { numRuns: 500 },
    )
  })

  test("that decoding octets gave, encoded and decoded again: no less", () => {
    const option = fc
      .tuple(u8, octets(18))
      .map(([kind, data]) => (kind < 2 ? Uint8Array.of(kind) : Uint8Array.of(kind, data.length + 2, ...data)))
    fc.assert(
      fc.property(option, (bytes) => {
        const read = decodeOptions(bytes, 0, bytes.length)
        const again = encode(read, layout)
        expect(decodeOptions(again, 0, again.length)).toEqual(read)
      }),
    )
  })
})
