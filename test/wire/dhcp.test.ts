import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import type { MacAddress } from "../../src/wire/address.ts"
import { DHCP_HEADER, type DhcpMessage, decodeDhcp, EMPTY_DHCP, encodeDhcp } from "../../src/wire/dhcp.ts"
import { DHCP_MESSAGE_TYPES, dhcpOptions } from "../../src/wire/dhcpOptions.ts"
import { isDrop } from "../../src/wire/drop.ts"
import { anyIpv4, ip } from "./support.ts"

const MAC = 0x02_00_00_00_00_07 as MacAddress

const message = (options = dhcpOptions("DISCOVER")): DhcpMessage => ({
  ...EMPTY_DHCP,
  xid: 0x1234_5678,
  chaddr: MAC,
  options,
})

/** The message with some octets overwritten. */
const changed = (writes: ReadonlyArray<readonly [number, number]>): Uint8Array => {
  const bytes = encodeDhcp(message())
  for (const [at, value] of writes) bytes[at] = value
  return bytes
}

describe("dhcp", () => {
  test("a DISCOVER: 300 octets at least, the fields of RFC 2131 figure 1 in their places", () => {
    const bytes = encodeDhcp({ ...message(), secs: 0x0102, broadcast: true, ciaddr: ip("198.18.0.9") })
    expect(bytes.length).toBe(300)
    expect([...bytes.subarray(0, 4)]).toEqual([1, 1, 6, 0])
    expect([...bytes.subarray(4, 12)]).toEqual([0x12, 0x34, 0x56, 0x78, 1, 2, 0x80, 0])
    expect([...bytes.subarray(12, 16)]).toEqual([198, 18, 0, 9])
    expect([...bytes.subarray(28, 34)]).toEqual([2, 0, 0, 0, 0, 7])
    expect([...bytes.subarray(236, 244)]).toEqual([99, 130, 83, 99, 53, 1, 1, 255])
  })

  test.each([
    ["shorter than the header", encodeDhcp(message()).subarray(0, DHCP_HEADER - 1), "dhcp:truncated"],
    ["neither request nor reply", changed([[0, 3]]), "dhcp:bad-op"],
    ["hardware that is not Ethernet", changed([[1, 6]]), "dhcp:not-ethernet"],
    ["another magic", changed([[236, 0]]), "dhcp:no-magic"],
    [
      "an option that runs over the end",
      changed([
        [243, 12],
        [244, 255],
      ]),
      "dhcp:truncated-option",
    ],
    ["no message type", changed([[240, 255]]), "dhcp:no-message-type"],
    ["an unknown message type", changed([[242, 9]]), "dhcp:no-message-type"],
  ] as const)("%s: dropped", (_, bytes, why) => {
    expect(decodeDhcp(bytes)).toBe(why)
  })

  test("options that go on in file and sname: read in that order (RFC 2131 section 4.1)", () => {
    // Overload 3; file holds a router, sname a DNS server.
    const bytes = changed([
      [240, 53],
      [241, 1],
      [242, 2],
      [243, 52],
      [244, 1],
      [245, 3],
      [246, 255],
      [108, 3],
      [109, 4],
      [110, 198],
      [111, 18],
      [112, 0],
      [113, 1],
      [114, 255],
      [44, 6],
      [45, 4],
      [46, 198],
      [47, 18],
      [48, 0],
      [49, 2],
      [50, 255],
    ])
    expect(decodeDhcp(bytes)).toMatchObject({
      options: { messageType: "OFFER", routers: [ip("198.18.0.1")], dnsServers: [ip("198.18.0.2")] },
    })
  })

  test("classless routes: only the significant octets travel (RFC 3442)", () => {
    const classlessRoutes = [
      { prefix: ip("0.0.0.0"), prefixLength: 0, via: ip("198.18.0.1") },
      { prefix: ip("192.0.2.0"), prefixLength: 24, via: ip("0.0.0.0") },
      { prefix: ip("198.19.128.0"), prefixLength: 17, via: ip("198.18.0.3") },
    ]
    const bytes = encodeDhcp(message(dhcpOptions("ACK", { classlessRoutes })))
    expect([...bytes.subarray(243, 245)]).toEqual([121, 5 + 8 + 8])
    expect(decodeDhcp(bytes)).toMatchObject({ options: { classlessRoutes } })
  })

  test("a message of any content: written and read, the same", () => {
    const text = fc.stringMatching(/^[!-~]{1,300}$/)
    const maybe = <T>(arb: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arb, { nil: undefined })
    const seconds = fc.integer({ min: 0, max: 0xffffffff })
    const options = fc.record({
      messageType: fc.constantFrom(...DHCP_MESSAGE_TYPES),
      subnetMask: maybe(anyIpv4),
      routers: fc.array(anyIpv4, { maxLength: 3 }),
      classlessRoutes: fc.constant([]),
      dnsServers: fc.array(anyIpv4, { maxLength: 80 }),
      hostName: maybe(text),
      domainName: maybe(text),
      interfaceMtu: maybe(fc.integer({ min: 0, max: 0xffff })),
      broadcastAddress: maybe(anyIpv4),
      requestedAddress: maybe(anyIpv4),
      leaseTime: maybe(seconds),
      serverIdentifier: maybe(anyIpv4),
      parameterRequestList: fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 20 }),
      message: maybe(text),
      maximumMessageSize: maybe(fc.integer({ min: 0, max: 0xffff })),
      renewalTime: maybe(seconds),
      rebindingTime: maybe(seconds),
      clientIdentifier: maybe(fc.uint8Array({ minLength: 1, maxLength: 30 })),
      unknown: fc.constant([]),
    })
    fc.assert(
      fc.property(options, (given) => {
        expect(decodeDhcp(encodeDhcp(message(given)))).toEqual(message(given))
      }),
    )
  })

  test("any octets: a message or a reason, never an exception", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), fc.boolean(), (noise, framed) => {
        const bytes = framed ? Uint8Array.from([...encodeDhcp(message()).subarray(0, DHCP_HEADER), ...noise]) : noise
        const decoded = decodeDhcp(bytes)
        expect(isDrop(decoded) || decoded.op === "request").toBe(true)
      }),
    )
  })
})
