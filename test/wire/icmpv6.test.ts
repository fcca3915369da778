import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { decodeIcmpv6, encodeIcmpv6, type Icmpv6Message } from "../../src/wire/icmpv6.ts"
import {
  decodeIgmpQuery,
  encodeIgmpReport,
  encodeIgmpV1,
  encodeIgmpV2,
  IS_EXCLUDE,
  TO_EXCLUDE,
  TO_INCLUDE,
} from "../../src/wire/igmp.ts"
import { decodeMldQuery, encodeMldReport, encodeMldV1 } from "../../src/wire/mld.ts"
import { multicastMac, scopeOf, solicitedNode } from "../../src/wire/multicast.ts"
import { decodeNdp, encodeNdp, type NdpMessage } from "../../src/wire/ndp.ts"
import { anyIpv6, anyMac, hex, ip, mac, octets, toHex, u8, u16, u32, written } from "./support.ts"

const HOST = ip("fe80::1")
const OTHER = ip("fe80::2")
const GLOBAL = ip("2001:db8::2")
const ALL = ip("ff02::1")

describe("icmpv6", () => {
  test("an echo request: the checksum covers the pseudo-header of RFC 8200 section 8.1", () => {
    const echo = hex("8000 0000 1234 0001 0001020304050607")
    const made = written((out, at) =>
      encodeIcmpv6(
        out,
        at,
        { _tag: "EchoRequest", identifier: 0x1234, sequence: 1, payload: echo.subarray(8) },
        ip("2001:db8:7::1"),
        ip("2001:db8:7::2"),
      ),
    )
    // The checksum by hand: ones' complement of the pseudo-header's and the message's sum.
    const words = [
      ...[0x2001, 0x0db8, 0x0007, 0x0001, 0x2001, 0x0db8, 0x0007, 0x0002, 0x0010, 0x003a],
      ...[0x8000, 0x1234, 0x0001, 0x0001, 0x0203, 0x0405, 0x0607],
    ]
    let sum = words.reduce((total, word) => total + word, 0)
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
    expect(toHex(made.subarray(2, 4))).toBe((~sum & 0xffff).toString(16).padStart(4, "0"))
    expect(made.length).toBe(16)
  })

  const body = octets(64)
  const anyMessage: fc.Arbitrary<Icmpv6Message> = fc.oneof(
    fc.record({
      _tag: fc.constantFrom("EchoRequest" as const, "EchoReply" as const),
      identifier: u16,
      sequence: u16,
      payload: body,
    }),
    fc.record({ _tag: fc.constant("DestinationUnreachable" as const), code: u8, quoted: body }),
    fc.record({ _tag: fc.constant("PacketTooBig" as const), mtu: u32, quoted: body }),
    fc.record({ _tag: fc.constant("TimeExceeded" as const), code: u8, quoted: body }),
    fc.record({ _tag: fc.constant("ParameterProblem" as const), code: u8, pointer: u32, quoted: body }),
    fc.record({
      _tag: fc.constant("Other" as const),
      type: fc.integer({ min: 130, max: 255 }),
      code: u8,
      payload: body,
    }),
  )

  test("any message, written and read: the same; with one bit wrong: dropped", () => {
    fc.assert(
      fc.property(anyMessage, anyIpv6, anyIpv6, fc.nat(), (message, source, destination, bit) => {
        const bytes = written((out, at) => encodeIcmpv6(out, at, message, source, destination))
        const seen = decodeIcmpv6(bytes, 0, bytes.length, source, destination)
        expect(seen).toEqual(message)
        const at = (bit >>> 3) % bytes.length
        bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7))
        expect(decodeIcmpv6(bytes, 0, bytes.length, source, destination)).toBe("icmpv6:bad-checksum")
      }),
    )
  })

  test("an error about a long packet: the whole of it is no longer than 1280 octets", () => {
    const message = { _tag: "TimeExceeded", code: 0, quoted: new Uint8Array(5000) } as const
    expect(written((out, at) => encodeIcmpv6(out, at, message, HOST, OTHER)).length).toBe(1280 - 40)
  })
})

describe("ndp", () => {
  const optionalMac = fc.option(
    anyMac.filter((n) => n > 0 && Math.floor(n / 2 ** 40) % 2 === 0),
    { nil: undefined },
  )
  const unicast = anyIpv6.filter(({ a }) => a >>> 24 !== 0xff)
  const anyNdp: fc.Arbitrary<NdpMessage> = fc.oneof(
    fc.record({ _tag: fc.constant("RouterSolicitation" as const), sourceMac: optionalMac }),
    fc.record({
      _tag: fc.constant("RouterAdvertisement" as const),
      hopLimit: u8,
      managed: fc.boolean(),
      other: fc.boolean(),
      preference: fc.constantFrom("low" as const, "medium" as const, "high" as const),
      lifetime: u16,
      reachableTime: u32,
      retransTimer: u32,
      sourceMac: optionalMac,
      mtu: u32,
      prefixes: fc.array(
        fc.record({
          prefix: anyIpv6,
          prefixLength: fc.nat(128),
          onLink: fc.boolean(),
          autonomous: fc.boolean(),
          validLifetime: u32,
          preferredLifetime: u32,
        }),
        { maxLength: 4 },
      ),
      resolvers: fc.array(fc.record({ address: anyIpv6, lifetime: u32 }), { maxLength: 3 }),
    }),
    fc.record({ _tag: fc.constant("NeighbourSolicitation" as const), target: unicast, sourceMac: optionalMac }),
    fc.record({
      _tag: fc.constant("NeighbourAdvertisement" as const),
      target: unicast,
      isRouter: fc.boolean(),
      solicited: fc.boolean(),
      override: fc.boolean(),
      targetMac: optionalMac,
    }),
    fc.record({
      _tag: fc.constant("Redirect" as const),
      target: fc.constantFrom(HOST, OTHER),
      destination: unicast,
      targetMac: optionalMac,
    }),
  )

  const decoded = (bytes: Uint8Array, carrier: Partial<Parameters<typeof decodeNdp>[3]> = {}) =>
    decodeNdp(bytes[0] ?? 0, bytes[1] ?? 0, bytes.subarray(4), {
      source: HOST,
      destination: OTHER,
      hopLimit: 255,
      ...carrier,
    })

  test("any message, written and read: the same", () => {
    fc.assert(
      fc.property(anyNdp, (message) => {
        const bytes = written((out, at) => encodeNdp(out, at, message, HOST, OTHER))
        expect(decoded(bytes)).toEqual(message)
      }),
    )
  })

  const NS = "87000000 00000000 20010db8000000000000000000000002"
  const NA = "88000000 60000000 20010db8000000000000000000000002"
  const RA = "86000000 40000708 00000000 00000000"
  const REDIRECT = "89000000 00000000 fe800000000000000000000000000009 20010db8000000000000000000000002"
  const solicited = solicitedNode(GLOBAL)

  test.each([
    ["RA, hop limit 254: from beyond the link", RA, { hopLimit: 254 }, "ndp:bad-hop-limit"],
    ["redirect, hop limit 64", REDIRECT, { hopLimit: 64 }, "ndp:bad-hop-limit"],
    ["NS, code 1", NS.replace("8700", "8701"), {}, "ndp:bad-code"],
    ["NS, 23 octets", NS.slice(0, -2), {}, "ndp:truncated"],
    ["NS for a group", NS.replace("20010db8", "ff020000"), {}, "ndp:bad-target"],
    ["NS from nobody, not to the target's group", NS, { source: ip("::"), destination: ALL }, "ndp:bad-destination"],
    [
      "NS from nobody, who says where it is",
      `${NS} 0101020000000001`,
      { source: ip("::"), destination: solicited },
      "ndp:bad-option",
    ],
    ["NS, an option of length 0", `${NS} 0100020000000001`, {}, "ndp:bad-option"],
    ["NS, an option beyond the end", `${NS} 0102020000000001`, {}, "ndp:bad-option"],
    ["NA, solicited, to a group", NA, { destination: ALL }, "ndp:solicited-multicast"],
    ["NA about a group", NA.replace("20010db8", "ff020000"), {}, "ndp:bad-target"],
    ["RA from a global address", RA, { source: GLOBAL }, "ndp:bad-source"],
    ["RA, 15 octets", RA.slice(0, -2), {}, "ndp:truncated"],
    [
      "RS from nobody, who says where it is",
      "85000000 00000000 0101020000000001",
      { source: ip("::") },
      "ndp:bad-option",
    ],
    ["redirect from a global address", REDIRECT, { source: GLOBAL }, "ndp:bad-source"],
    ["redirect for a group", REDIRECT.replace("20010db8", "ff020000"), {}, "ndp:bad-destination"],
    [
      "redirect to what is neither a router nor the destination",
      REDIRECT.replace("fe80", "2001"),
      {},
      "ndp:bad-target",
    ],
  ])("%s: not believed", (_, message, carrier, why) => {
    expect(decoded(hex(message), carrier)).toBe(why as never)
  })

  test("NS from nobody to the target's group: duplicate address detection", () => {
    expect(decoded(hex(NS), { source: ip("::"), destination: solicited })).toMatchObject({ target: GLOBAL })
  })

  test("a link address that is a group's: passed over", () => {
    expect(decoded(hex(`${NS} 0101010000000001`))).toMatchObject({ sourceMac: undefined })
  })
})

describe("group membership", () => {
  test("an MLDv2 report: records of groups without sources (RFC 3810 section 5.2)", () => {
    const records = [
      { type: TO_EXCLUDE, group: ip("ff02::1:ff00:2") },
      { type: TO_INCLUDE, group: ip("ff0e::5") },
    ] as const
    const bytes = written((out, at) => encodeMldReport(out, at, records, HOST, ip("ff02::16")))
    expect(toHex(bytes.subarray(4))).toBe(
      "00000002" + "04000000ff0200000000000000000001ff000002" + "03000000ff0e0000000000000000000000000005",
    )
    expect(decodeIcmpv6(bytes, 0, bytes.length, HOST, ip("ff02::16"))).toMatchObject({ type: 143 })
  })

  test("MLDv1 reports and dones: one group each (RFC 2710 section 3)", () => {
    const group = ip("ff0e::5")
    const spoken = (type: typeof TO_EXCLUDE | typeof TO_INCLUDE): string => {
      const bytes = written((out, at) => encodeMldV1(out, at, { type, group }, HOST, group))
      expect(decodeIcmpv6(bytes, 0, bytes.length, HOST, group)).toMatchObject({ _tag: "Other" })
      return `${bytes[0]} ${toHex(bytes.subarray(4))}`
    }
    expect(spoken(TO_EXCLUDE)).toBe("131 00000000ff0e0000000000000000000000000005")
    expect(spoken(TO_INCLUDE)).toBe("132 00000000ff0e0000000000000000000000000005")
  })

  const carrier = { source: HOST, hopLimit: 1, alerted: true }
  test.each([
    ["general, 10 s", `27100000 ${"00".repeat(16)} 02 7d 0000`, { version: "current", maxResponseMillis: 10_000 }],
    ["code 0x8000: a float, 32768 ms", `80000000 ${"00".repeat(16)} 0000 0000`, { maxResponseMillis: 32_768 }],
    ["of version 1", `27100000 ${"00".repeat(16)}`, { version: "older" }],
    ["of a group", `03e80000 ff0e${"00".repeat(13)}05 0000 0000`, { group: ip("ff0e::5") }],
  ])("an MLD query, %s", (_, body, seen) => {
    expect(decodeMldQuery(hex(body), carrier)).toMatchObject(seen)
  })

  test("an MLD query from beyond the link, or from a global address: not believed", () => {
    const body = hex(`27100000 ${"00".repeat(16)} 0000 0000`)
    expect(decodeMldQuery(body, { ...carrier, hopLimit: 255 })).toBe("mld:bad-hop-limit")
    expect(decodeMldQuery(body, { ...carrier, source: GLOBAL })).toBe("mld:bad-source")
    expect(decodeMldQuery(body.subarray(0, 19), carrier)).toBe("mld:truncated")
    // RFC 3810 section 6.2.
    expect(decodeMldQuery(body, { ...carrier, alerted: false })).toBe("mld:no-router-alert")
  })

  test("IGMP: a version 3 report, a version 2 report and a leave, a version 1 report", () => {
    const group = ip("239.1.2.3")
    expect(toHex(written((out, at) => encodeIgmpReport(out, at, [{ type: IS_EXCLUDE, group }])))).toBe(
      "2200eaf9" + "00000001" + "02000000ef010203",
    )
    expect(toHex(written((out, at) => encodeIgmpV2(out, at, { type: TO_EXCLUDE, group })))).toBe(
      "1600f8fa" + "ef010203",
    )
    expect(toHex(written((out, at) => encodeIgmpV1(out, at, { type: TO_EXCLUDE, group })))).toBe(
      "1200fcfa" + "ef010203",
    )
    expect(toHex(written((out, at) => encodeIgmpV2(out, at, { type: TO_INCLUDE, group })))).toBe(
      "1700f7fa" + "ef010203",
    )
  })

  test.each([
    ["version 3, 10 s", "1164ec1e 00000000 02 7d 0000", { version: "current", maxResponseMillis: 10_000 }],
    ["version 2, 10 s", "1164ee9b 00000000", { version: "older", maxResponseMillis: 10_000 }],
    ["version 1, which says nothing", "1100eeff 00000000", { version: "oldest", maxResponseMillis: 10_000 }],
  ])("an IGMP query of %s", (_, message, seen) => {
    const bytes = hex(message)
    expect(decodeIgmpQuery(bytes, 0, bytes.length)).toMatchObject(seen)
  })

  test("groups and the link: RFC 1112 section 6.4, RFC 2464 section 7, RFC 4291 section 2.7", () => {
    expect(multicastMac(ip("239.129.2.3"))).toBe(mac("01:00:5e:01:02:03"))
    expect(multicastMac(ip("ff02::1:ff28:9c5a"))).toBe(mac("33:33:ff:28:9c:5a"))
    expect(solicitedNode(ip("4037::1:800:200e:8c6c"))).toEqual(ip("ff02::1:ff0e:8c6c"))
    const scopes = ["fe80::1", "::1", "2001:db8::1", "fd00::1", "ff02::1", "ff05::2", "169.254.1.1", "198.18.0.1"]
    expect(scopes.map((each) => scopeOf(ip(each)))).toEqual([2, 2, 14, 14, 2, 5, 2, 14])
  })
})
