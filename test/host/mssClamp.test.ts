import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { makeHost } from "../../src/host/host.ts"
import { clampMss } from "../../src/host/mssClamp.ts"
import { defaultSettings } from "../../src/tcp/settings.ts"
import type { IpAddress, MacAddress } from "../../src/wire/address.ts"
import { UNSPECIFIED4 } from "../../src/wire/address.ts"
import { parseAddress } from "../../src/wire/addressText.ts"
import { IPV4_HEADER, PROTOCOL_TCP, writeIpv4 } from "../../src/wire/ipv4.ts"
import { IPV6_HEADER, writeIpv6 } from "../../src/wire/ipv6.ts"
import { decodeTcp, finishTcp, TCP_HEADER } from "../../src/wire/tcp.ts"
import { ACK, EMPTY, SYN } from "../../src/wire/tcpSegment.ts"

const ip = (text: string): IpAddress => parseAddress(text) ?? UNSPECIFIED4

const ENDS = {
  4: [ip("198.18.1.2"), ip("198.18.2.2")],
  6: [ip("2001:db8:1::2"), ip("2001:db8:2::2")],
} as const

/** A TCP segment with these octets of options, and a right checksum. */
const segment = (
  options: ReadonlyArray<number>,
  flags: number,
  [source, destination]: readonly [IpAddress, IpAddress] = ENDS[4],
  payload = 0,
): Uint8Array => {
  const padded = Math.ceil(options.length / 4) * 4
  const bytes = new Uint8Array(TCP_HEADER + padded + payload).fill(0x5a, TCP_HEADER + padded)
  bytes.set([0x9c, 0x40, 0, 80, 1, 2, 3, 4, 0, 0, 0, 0, (TCP_HEADER + padded) << 2, flags, 0xff, 0xff])
  bytes.set(options, TCP_HEADER)
  finishTcp(bytes, 0, bytes.length, source, destination)
  return bytes
}

const mssOf = (bytes: Uint8Array, [source, destination]: readonly [IpAddress, IpAddress] = ENDS[4]) => {
  const packet = decodeTcp(bytes, 0, bytes.length, source, destination, true)
  return typeof packet === "string" ? packet : packet.segment.options.mss
}

const clamped = (options: ReadonlyArray<number>, flags: number, most: number): Uint8Array => {
  const bytes = segment(options, flags)
  clampMss(bytes, 0, bytes.length, most)
  return bytes
}

const MSS_1460 = [2, 4, 0x05, 0xb4]

describe("the MSS option of a SYN", () => {
  test.each([
    ["larger: lowered", MSS_1460, SYN, 1260, 1260],
    ["of a SYN-ACK: lowered", MSS_1460, SYN | ACK, 1260, 1260],
    ["behind others, at an odd octet", [1, 3, 3, 7, 1, 1, 1, ...MSS_1460], SYN, 1260, 1260],
    ["smaller: stays", MSS_1460, SYN, 8960, 1460],
    ["of no SYN: stays", MSS_1460, ACK, 1260, 1460],
    ["absent: none is made", [1, 1, 4, 2], SYN, 1260, undefined],
    ["behind the end of the options: not looked at", [0, ...MSS_1460], SYN, 1260, undefined],
  ] as const)("%s, and the checksum is right", (_, options, flags, most, mss) => {
    expect(mssOf(clamped(options, flags, most))).toBe(mss)
  })

  test("whatever the octets, and wherever they end: nothing but option and checksum changes, nobody throws", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(80), fc.nat(2000), (octets, cut, most) => {
        const bytes = octets.slice()
        clampMss(bytes, 0, Math.min(cut, bytes.length), most)
        const changed = [...bytes.keys()].filter((at) => bytes[at] !== octets[at])
        expect(changed.length).toBeLessThanOrEqual(4)
        if (cut < TCP_HEADER) expect(changed).toEqual([])
      }),
    )
  })

  test("any values at any place: the checksum stays right", () => {
    fc.assert(
      fc.property(fc.nat(0xffff), fc.nat(0xffff), fc.nat(7), (mss, most, pads) => {
        const bytes = clamped([...new Array<number>(pads).fill(1), 2, 4, mss >> 8, mss & 0xff], SYN, most)
        expect(mssOf(bytes)).toBe(Math.min(mss, most))
      }),
    )
  })
})

describe("a router between links of 1500 and 1300 octets", () => {
  const link = (name: string, net: number, mtu: number) => ({
    name,
    mac: 0 as MacAddress,
    layer: "ip" as const,
    mtu,
    burst: 0,
    addresses: [
      { address: ip(`198.18.${net}.1`), prefixLength: 24 },
      { address: ip(`2001:db8:${net}::1`), prefixLength: 64 },
    ],
  })
  const router = (ipForwardClampMss: boolean) =>
    makeHost({
      interfaces: [link("left", 1, 1500), link("right", 2, 1300)],
      routes: [],
      settings: { ...defaultSettings, ipForward: true, ipForwardClampMss },
      secret: new Uint8Array(32).fill(1),
    })

  const packet = (family: 4 | 6, [source, destination]: readonly [IpAddress, IpAddress]): Uint8Array => {
    const tcp = segment(MSS_1460, SYN, [source, destination])
    const header = family === 4 ? IPV4_HEADER : IPV6_HEADER
    const bytes = new Uint8Array(header + tcp.length)
    bytes.set(tcp, header)
    if (family === 4) {
      writeIpv4(bytes, 0, {
        source,
        destination,
        protocol: PROTOCOL_TCP,
        ttl: 64,
        tos: 0,
        identification: 1,
        dontFragment: true,
        moreFragments: false,
        fragmentOffset: 0,
        options: EMPTY,
        payloadLength: tcp.length,
      })
    } else {
      writeIpv6(bytes, 0, {
        source,
        destination,
        trafficClass: 0,
        flowLabel: 1,
        nextHeader: PROTOCOL_TCP,
        hopLimit: 64,
        payloadLength: tcp.length,
      })
    }
    return bytes
  }

  const forwarded = (family: 4 | 6, back: boolean, clamps: boolean) => {
    const host = router(clamps)
    const [left, right] = ENDS[family]
    const ends = back ? ([right, left] as const) : ([left, right] as const)
    const bytes = packet(family, ends)
    host.frame(back ? 1 : 0, bytes, 0, bytes.length, false, 1_000_000)
    host.flush(1_000_000)
    const frames = host.take().flatMap((effect) => (effect._tag === "SendFrame" ? [effect] : []))
    const [frame] = frames
    if (frame === undefined) throw new Error("nothing was forwarded")
    expect(frame.interface).toBe(back ? 0 : 1)
    return mssOf(frame.bytes.slice(family === 4 ? IPV4_HEADER : IPV6_HEADER), ends)
  }

  test.each([
    [4, false, 1260],
    [4, true, 1260],
    [6, false, 1240],
    [6, true, 1240],
  ] as const)("IPv%d, back %p: no SYN announces more than both carry", (family, back, mss) => {
    expect(forwarded(family, back, true)).toBe(mss)
  })

  test("without the setting: as it was", () => {
    expect([forwarded(4, false, false), forwarded(6, false, false)]).toEqual([1460, 1460])
  })
})
