import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { type IpAddress, ipv4, ipv6, type MacAddress } from "../../src/wire/address.ts"
import {
  formatAddress,
  formatCidr,
  formatEndpoint,
  formatMac,
  parseAddress,
  parseCidr,
  parseEndpoint,
  parseIpv4,
  parseIpv6,
  parseMac,
} from "../../src/wire/addressText.ts"
import { anyIpv4, anyIpv6, anyMac, u16 } from "./support.ts"

const anyAddress = fc.oneof(anyIpv4, anyIpv6)

describe("addresses", () => {
  test("IPv4, dotted: the word in network order", () => {
    expect(parseIpv4("198.18.0.2")).toEqual(ipv4(0xc6120002))
    expect(parseIpv4("255.255.255.255")).toEqual(ipv4(0xffffffff))
    expect(formatAddress(ipv4(0xc6120002))).toBe("198.18.0.2")
  })

  test.each([
    "",
    ".",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.",
    "01.2.3.4",
    "1.2.3.004",
    "256.1.1.1",
    "1.2.3.-4",
    "1.2.3.+4",
    "1.2.3. 4",
    "0x1.2.3.4",
    "1e1.2.3.4",
    " 1.2.3.4",
    "1.2.3.4\n",
    "1.2.3.4/24",
    "٣.2.3.4",
    "99999999999.1.1.1",
    "16909060",
  ])("IPv4, %j: not an address", (text) => {
    expect(parseIpv4(text)).toBeUndefined()
  })

  test.each<[string, IpAddress]>([
    ["::", ipv6(0, 0, 0, 0)],
    ["::1", ipv6(0, 0, 0, 1)],
    ["1::", ipv6(0x10000, 0, 0, 0)],
    ["2001:DB8:0:0:8:800:200C:417A", ipv6(0x20010db8, 0, 0x00080800, 0x200c417a)],
    ["2001:db8::8:800:200c:417a", ipv6(0x20010db8, 0, 0x00080800, 0x200c417a)],
    ["ff01::101", ipv6(0xff010000, 0, 0, 0x101)],
    ["1:2:3:4:5:6:7::", ipv6(0x10002, 0x30004, 0x50006, 0x70000)],
    ["::13.1.68.3", ipv6(0, 0, 0, 0x0d014403)],
    ["::ffff:129.144.52.38", ipv6(0, 0, 0xffff, 0x81903426)],
    ["1:2:3:4:5:6:1.2.3.4", ipv6(0x10002, 0x30004, 0x50006, 0x01020304)],
    ["0001::000f", ipv6(0x10000, 0, 0, 0xf)],
  ])("IPv6, %j: read", (text, address) => {
    expect(parseIpv6(text)).toEqual(address)
  })

  test.each([
    "",
    ":",
    ":::",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8::",
    "::1:2:3:4:5:6:7:8",
    "1::2::3",
    ":1::",
    "1::2:",
    "12345::",
    "g::",
    "fe80::1%eth0",
    "[::1]",
    "::1.2.3",
    "1.2.3.4::",
    "::1.2.3.4:5",
    "1:2:3:4:5:6:7:1.2.3.4",
    "::01.2.3.4",
    " ::1",
    "::1/64",
    "-1::",
  ])("IPv6, %j: not an address", (text) => {
    expect(parseIpv6(text)).toBeUndefined()
  })

  test.each<[string, string]>([
    ["2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:DB8::AbCd", "2001:db8::abcd"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["0:0:0:0:0:ffff:c000:201", "::ffff:192.0.2.1"],
    ["1:0:0:0:0:0:0:0", "1::"],
  ])("IPv6, %j: written as RFC 5952 wants it", (text, canonical) => {
    expect(formatAddress(parseIpv6(text) ?? ipv4(0))).toBe(canonical)
  })

  test("a mapped IPv6 address and its IPv4 one: stay apart", () => {
    expect(parseAddress("::ffff:1.2.3.4")?.family).toBe(6)
    expect(parseAddress("1.2.3.4")?.family).toBe(4)
  })

  test("any address, formatted and parsed: the same", () => {
    fc.assert(fc.property(anyAddress, (address) => expect(parseAddress(formatAddress(address))).toEqual(address)))
  })

  test("any text: parsed or not, never thrown at", () => {
    const text = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(..."0123456789abcdef:./[]%".split("")) }))
    fc.assert(
      fc.property(text, (any) => {
        for (const parse of [parseAddress, parseCidr, parseEndpoint, parseMac]) parse(any)
        const address = parseAddress(any)
        if (address !== undefined) expect(parseAddress(formatAddress(address))).toEqual(address)
      }),
    )
  })
})

describe("CIDR", () => {
  test("an address in its network: host bits kept", () => {
    expect(parseCidr("198.18.0.2/24")).toEqual({ address: ipv4(0xc6120002), length: 24 })
    expect(parseCidr("2001:db8::/128")?.length).toBe(128)
    expect(parseCidr("0.0.0.0/0")?.length).toBe(0)
  })

  test.each([
    "198.18.0.2",
    "198.18.0.2/",
    "198.18.0.2/33",
    "::/129",
    "198.18.0.2/024",
    "/24",
    "1.2.3.4/2/3",
    "1.2.3.4/-1",
  ])("%j: no CIDR", (text) => {
    expect(parseCidr(text)).toBeUndefined()
  })

  test("any, formatted and parsed: the same", () => {
    const cidr = anyAddress.chain((address) =>
      fc.nat(address.family === 4 ? 32 : 128).map((length) => ({ address, length })),
    )
    fc.assert(fc.property(cidr, (any) => expect(parseCidr(formatCidr(any))).toEqual(any)))
  })
})

describe("endpoints", () => {
  test("both families: address and port", () => {
    expect(parseEndpoint("198.18.0.2:7")).toEqual({ address: ipv4(0xc6120002), port: 7 })
    expect(parseEndpoint("[2001:db8::1]:65535")).toEqual({ address: ipv6(0x20010db8, 0, 0, 1), port: 65535 })
    expect(formatEndpoint({ address: ipv6(0x20010db8, 0, 0, 1), port: 7 })).toBe("[2001:db8::1]:7")
  })

  test.each([
    "",
    ":7",
    "198.18.0.2",
    "198.18.0.2:",
    "198.18.0.2:65536",
    "198.18.0.2:07",
    "198.18.0.2:+7",
    "2001:db8::1:7",
    "[198.18.0.2]:7",
    "[::1]",
    "[::1]7",
    "[::1:7",
    "[]:7",
    "::1]:7",
    "1.2.3.4:7 ",
    "host:7",
  ])("%j: no endpoint", (text) => {
    expect(parseEndpoint(text)).toBeUndefined()
  })

  test("any, formatted and parsed: the same", () => {
    fc.assert(
      fc.property(anyAddress, u16, (address, port) =>
        expect(parseEndpoint(formatEndpoint({ address, port }))).toEqual({ address, port }),
      ),
    )
  })
})

describe("MAC addresses", () => {
  test("colons or hyphens, either case: read; colons and lower case: written", () => {
    const mac = 0x02005e1000ff as MacAddress
    expect(parseMac("02:00:5e:10:00:ff")).toBe(mac)
    expect(parseMac("02-00-5E-10-00-FF")).toBe(mac)
    expect(formatMac(mac)).toBe("02:00:5e:10:00:ff")
  })

  test.each([
    "",
    "02:00:5e:10:00",
    "02:00:5e:10:00:ff:00",
    "2:0:5e:10:0:ff",
    "02:00:5e-10-00-ff",
    "02005e1000ff",
    "0g:00:5e:10:00:ff",
  ])("%j: no MAC address", (text) => {
    expect(parseMac(text)).toBeUndefined()
  })

  test("any, formatted and parsed: the same", () => {
    fc.assert(fc.property(anyMac, (mac) => expect(parseMac(formatMac(mac))).toBe(mac)))
  })
})
