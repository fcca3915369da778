import { describe, expect, test } from "bun:test"
import { makeHost } from "../../src/host/host.ts"
import type { HostApi, HostEffect } from "../../src/host/types.ts"
import { defaultSettings } from "../../src/tcp/settings.ts"
import { type IpAddress, type MacAddress, UNSPECIFIED4 } from "../../src/wire/address.ts"
import { formatAddress, parseAddress } from "../../src/wire/addressText.ts"
import { decodeIcmp } from "../../src/wire/icmp.ts"
import { decodeIcmpv6 } from "../../src/wire/icmpv6.ts"
import { decodeIpv4, type Ipv4Header, PROTOCOL_ICMP, PROTOCOL_UDP, writeIpv4 } from "../../src/wire/ipv4.ts"
import { decodeIpv6, type Ipv6Header, NEXT_HEADER_ICMPV6, writeIpv6 } from "../../src/wire/ipv6.ts"
import { EMPTY } from "../../src/wire/tcpSegment.ts"
import { hex } from "../wire/support.ts"

const ip = (text: string): IpAddress => parseAddress(text) ?? UNSPECIFIED4

/** Two links without link addresses, so that every packet leaves at once; the second carries 1300 octets. */
const router = (ipForward = true): HostApi =>
  makeHost({
    interfaces: [
      {
        name: "left",
        mac: 0 as MacAddress,
        layer: "ip",
        mtu: 1500,
        burst: 0,
        addresses: [
          { address: ip("198.18.1.1"), prefixLength: 24 },
          { address: ip("2001:db8:1::1"), prefixLength: 64 },
        ],
      },
      {
        name: "right",
        mac: 0 as MacAddress,
        layer: "ip",
        mtu: 1300,
        burst: 0,
        addresses: [
          { address: ip("198.18.2.1"), prefixLength: 24 },
          { address: ip("2001:db8:2::1"), prefixLength: 64 },
        ],
      },
    ],
    routes: [],
    settings: { ...defaultSettings, ipForward },
    secret: new Uint8Array(32).fill(1),
  })

const packet4 = (some: Partial<Ipv4Header>, length = 100): Uint8Array => {
  const header: Ipv4Header = {
    source: ip("198.18.1.2"),
    destination: ip("198.18.2.2"),
    protocol: PROTOCOL_UDP,
    ttl: 64,
    tos: 0,
    identification: 9,
    dontFragment: false,
    moreFragments: false,
    fragmentOffset: 0,
    options: EMPTY,
    payloadLength: length,
    ...some,
  }
  const out = new Uint8Array(20 + header.options.length + length).fill(0xa5)
  writeIpv4(out, 0, header)
  return out
}

const packet6 = (some: Partial<Ipv6Header>, length = 100): Uint8Array => {
  const out = new Uint8Array(40 + length).fill(0xa5)
  writeIpv6(out, 0, {
    source: ip("2001:db8:1::2"),
    destination: ip("2001:db8:2::2"),
    trafficClass: 0,
    flowLabel: 0x12345,
    nextHeader: PROTOCOL_UDP,
    hopLimit: 64,
    payloadLength: length,
    ...some,
  })
  return out
}

const told = (effect: HostEffect): string => {
  if (effect._tag === "Dropped") return effect.why
  if (effect._tag !== "SendFrame") return effect._tag
  const { bytes } = effect
  const ip = (bytes[0] ?? 0) >>> 4 === 6 ? decodeIpv6(bytes, 0, bytes.length) : decodeIpv4(bytes, 0, bytes.length)
  if (typeof ip === "string") return ip
  const { payloadOffset: at, payloadLength: length, source, destination } = ip
  const way = `${effect.interface}: ${formatAddress(source)} > ${formatAddress(destination)}`
  if (ip.protocol === PROTOCOL_ICMP) {
    const message = decodeIcmp(bytes, at, length)
    if (typeof message === "string") return message
    const code = "code" in message ? ` ${message.code}` : ""
    const mtu = "nextHopMtu" in message && message.nextHopMtu > 0 ? ` mtu ${message.nextHopMtu}` : ""
    return `${way} ${message._tag}${code}${mtu}`
  }
  if (ip.protocol === NEXT_HEADER_ICMPV6) {
    const message = decodeIcmpv6(bytes, at, length, source, destination)
    if (typeof message === "string") return message
    return `${way} ${message._tag}${"mtu" in message ? ` mtu ${message.mtu}` : ""}${"code" in message ? ` ${message.code}` : ""}`
  }
  return `${way} ttl ${ip.ttl}, ${length}`
}

const sent = (bytes: Uint8Array, host = router(), iface = 0): ReadonlyArray<string> => {
  host.frame(iface, bytes, 0, bytes.length, false, 1_000_000)
  host.flush(1_000_000)
  return host.take().map(told)
}

describe("a router, of IPv4 (RFC 1812)", () => {
  test.each<[string, Uint8Array, ReadonlyArray<string>]>([
    ["for the other link: on, one hop older", packet4({}), ["1: 198.18.1.2 > 198.18.2.2 ttl 63, 100"]],
    ["at the end of its time: told so", packet4({ ttl: 1 }), ["0: 198.18.1.1 > 198.18.1.2 TimeExceeded 0"]],
    [
      "to nowhere: told so",
      packet4({ destination: ip("203.0.113.1") }),
      ["0: 198.18.1.1 > 198.18.1.2 DestinationUnreachable 0"],
    ],
    [
      "too long, and not to be cut: told so, with the MTU (RFC 1191 section 4)",
      packet4({ dontFragment: true }, 1400),
      ["0: 198.18.1.1 > 198.18.1.2 DestinationUnreachable 4 mtu 1300"],
    ],
    [
      "to everyone on the other link (RFC 2644)",
      packet4({ destination: ip("198.18.2.255") }),
      ["RFC2644-4:directed-broadcast"],
    ],
    ["to loopback", packet4({ destination: ip("127.0.0.1") }), ["RFC1812-5.3.7:martian"]],
    ["link-local", packet4({ destination: ip("169.254.1.1") }), ["RFC1812-5.3.7:martian"]],
    ["from a group", packet4({ source: ip("224.0.0.9") }), ["ipv4:bad-source"]],
    ["in our own name", packet4({ source: ip("198.18.2.1") }), ["ipv4:bad-source"]],
    ["with a source route", packet4({ options: hex("83070400000000 00") }), ["Linux:accept_source_route"]],
    [
      "with a record route option: on",
      packet4({ options: hex("07070400000000 00") }),
      ["1: 198.18.1.2 > 198.18.2.2 ttl 63, 100"],
    ],
    [
      "with an option beyond the header: told so, and where",
      packet4({ options: hex("07ff0400") }),
      ["0: 198.18.1.1 > 198.18.1.2 ParameterProblem 0"],
    ],
    ["for the router itself", packet4({ destination: ip("198.18.2.1"), ttl: 1 }), ["udp:bad-length"]],
  ])("%s", (_, packet, expected) => {
    expect(sent(packet)).toEqual([...expected])
  })

  test("what goes on is as it came, but for its age and the checksum", () => {
    const host = router()
    const before = packet4({ tos: 0xb9, options: hex("01010101") })
    host.frame(0, before, 0, before.length, false, 0)
    const [effect] = host.take()
    if (effect?._tag !== "SendFrame") throw new Error("not forwarded")
    const after = effect.bytes
    const differing = [...after.keys()].filter((at) => after[at] !== before[at])
    expect(differing.every((at) => at === 8 || at === 10 || at === 11)).toBe(true)
    expect(decodeIpv4(after, 0, after.length)).toMatchObject({ ttl: 63, tos: 0xb9 })
  })

  test("an error about an error: never (RFC 1122 section 3.2.2)", () => {
    const error = packet4({ protocol: PROTOCOL_ICMP, ttl: 1 })
    error[20] = 3
    expect(sent(error)).toEqual(["icmp:no-error-about-error"])
    const echo = packet4({ protocol: PROTOCOL_ICMP, ttl: 1 })
    echo[20] = 8
    expect(sent(echo)).toEqual(["0: 198.18.1.1 > 198.18.1.2 TimeExceeded 0"])
  })

  test("a host that is no router: silence", () => {
    expect(sent(packet4({}), router(false))).toEqual(["ipv4:not-for-us"])
    expect(sent(packet6({}), router(false))).toEqual(["ipv6:not-for-us"])
  })
})

describe("a router, of IPv6 (RFC 8200)", () => {
  const options = (type: number) => Uint8Array.of(17, 0, type, 4, 0, 0, 0, 0)
  const withOptions = (type: number): Uint8Array => {
    const packet = packet6({ nextHeader: 0 })
    packet.set(options(type), 40)
    return packet
  }

  test.each<[string, Uint8Array, ReadonlyArray<string>]>([
    ["for the other link: on, one hop older", packet6({}), ["1: 2001:db8:1::2 > 2001:db8:2::2 ttl 63, 100"]],
    ["at the end of its time: told so", packet6({ hopLimit: 1 }), ["0: 2001:db8:1::1 > 2001:db8:1::2 TimeExceeded 0"]],
    [
      "to nowhere: told so",
      packet6({ destination: ip("2001:db8:9::1") }),
      ["0: 2001:db8:1::1 > 2001:db8:1::2 DestinationUnreachable 0"],
    ],
    ["too long: told so, with the MTU", packet6({}, 1300), ["0: 2001:db8:1::1 > 2001:db8:1::2 PacketTooBig mtu 1300"]],
    ["to a link-local address", packet6({ destination: ip("fe80::9") }), ["RFC4291-2.5.6:link-local"]],
    ["to a group that nobody has joined", packet6({ destination: ip("ff0e::9") }), ["ipv6:not-for-us"]],
    ["from nobody", packet6({ source: ip("::") }), ["ipv6:bad-source"]],
    ["hop-by-hop options that it knows: on", withOptions(5), ["1: 2001:db8:1::2 > 2001:db8:2::2 ttl 63, 100"]],
    [
      "hop-by-hop options that it must know: told so",
      withOptions(0xde),
      ["0: 2001:db8:1::1 > 2001:db8:1::2 ParameterProblem 2"],
    ],
  ])("%s", (_, packet, expected) => {
    expect(sent(packet)).toEqual([...expected])
  })

  test("from a link-local address to another link: beyond its scope (RFC 4443 section 3.1)", () => {
    const packet = packet6({ source: ip("fe80::5") })
    expect(sent(packet)).toHaveLength(1)
    expect(sent(packet)[0]).toMatch(/DestinationUnreachable 2|no-source-address/)
  })
})
