import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { ARP_REQUEST, type ArpPacket, decodeArp, encodeArp } from "../../src/wire/arp.ts"
import {
  BROADCAST_MAC,
  decodeEthernet,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  isGroupMac,
  NO_MAC,
  writeEthernet,
} from "../../src/wire/ethernet.ts"
import { anyIpv4, anyMac, displaced, hex, ip, LINUX, mac, toHex, u16, written } from "./support.ts"

describe("ethernet", () => {
  test("a frame of Linux's: addresses, type, and the place of the payload", () => {
    const at = displaced(LINUX.synIpv4)
    expect(decodeEthernet(at.bytes, at.offset, at.length)).toEqual({
      destination: mac("02:00:00:00:00:02"),
      source: mac("02:00:00:00:00:01"),
      etherType: ETHERTYPE_IPV4,
      payloadOffset: 17,
      payloadLength: 60,
    })
  })

  test.each([
    ["13 octets", "ffffffffffff02000000000108", "ethernet:truncated"],
    ["an 802.1Q tag", "ffffffffffff020000000001810000010800", "ethernet:vlan-tagged"],
    ["an 802.1ad tag", "ffffffffffff02000000000188a800010800", "ethernet:vlan-tagged"],
    ["an 802.3 length", "0180c200000002000000000105dc424203", "ethernet:not-ethernet-ii"],
  ])("frame, %s: dropped", (_, frame, reason) => {
    const bytes = hex(frame)
    expect(decodeEthernet(bytes, 0, bytes.length)).toBe(reason as "ethernet:truncated")
  })

  test("group bit: set for broadcast and multicast only", () => {
    expect(isGroupMac(BROADCAST_MAC)).toBe(true)
    expect(isGroupMac(mac("01:00:5e:00:00:01"))).toBe(true)
    expect(isGroupMac(mac("02:ff:ff:ff:ff:ff"))).toBe(false)
    expect(isGroupMac(NO_MAC)).toBe(false)
  })

  test("any header, written and read: the same", () => {
    fc.assert(
      fc.property(anyMac, anyMac, fc.integer({ min: 0x0600, max: 0xffff }), (destination, source, etherType) => {
        fc.pre(etherType !== 0x8100 && etherType !== 0x88a8)
        const header = { destination, source, etherType }
        const bytes = written((out, offset) => writeEthernet(out, offset, header))
        expect(decodeEthernet(bytes, 0, bytes.length)).toEqual({ ...header, payloadOffset: 14, payloadLength: 0 })
      }),
    )
  })
})

describe("arp", () => {
  const request: ArpPacket = {
    operation: ARP_REQUEST,
    senderMac: mac("02:00:00:00:00:01"),
    senderAddress: ip("198.18.7.1"),
    targetMac: NO_MAC,
    targetAddress: ip("198.18.7.77"),
  }

  test("a request of Linux's: read, and written again octet for octet", () => {
    const frame = decodeEthernet(LINUX.arpRequest, 0, LINUX.arpRequest.length)
    expect(frame).toMatchObject({ destination: BROADCAST_MAC, etherType: ETHERTYPE_ARP })
    expect(decodeArp(LINUX.arpRequest, 14, 28)).toEqual(request)
    expect(toHex(written((out, offset) => encodeArp(out, offset, request)))).toBe(toHex(LINUX.arpRequest.subarray(14)))
  })

  test("link padding after the packet: ignored", () => {
    const at = displaced(Uint8Array.of(...LINUX.arpRequest.subarray(14), ...new Uint8Array(18)))
    expect(decodeArp(at.bytes, at.offset, at.length)).toEqual(request)
  })

  test.each([
    ["27 octets", 27, [], "arp:truncated"],
    ["hardware type 6", 28, [[1, 6]], "arp:not-ethernet-ipv4"],
    [
      "protocol type IPv6",
      28,
      [
        [2, 0x86],
        [3, 0xdd],
      ],
      "arp:not-ethernet-ipv4",
    ],
    ["hardware length 8", 28, [[4, 8]], "arp:not-ethernet-ipv4"],
    ["protocol length 16", 28, [[5, 16]], "arp:not-ethernet-ipv4"],
  ] as ReadonlyArray<[string, number, ReadonlyArray<[number, number]>, "arp:truncated"]>)(
    "packet, %s: dropped",
    (_, length, writes, reason) => {
      const bytes = LINUX.arpRequest.slice(14)
      for (const [at, value] of writes) bytes[at] = value
      expect(decodeArp(bytes, 0, length)).toBe(reason)
    },
  )

  test("any packet, encoded and decoded: the same", () => {
    fc.assert(
      fc.property(
        fc.record({
          operation: u16,
          senderMac: anyMac,
          senderAddress: anyIpv4,
          targetMac: anyMac,
          targetAddress: anyIpv4,
        }),
        (packet) => {
          const bytes = written((out, offset) => encodeArp(out, offset, packet))
          expect(decodeArp(bytes, 0, bytes.length)).toEqual(packet)
        },
      ),
    )
  })
})
