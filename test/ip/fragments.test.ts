import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { copiedOptions, fragment } from "../../src/ip/fragments.ts"
import { holdsHeaderChain, perFragmentLength } from "../../src/ip/headerChain.ts"
import { ipv4, ipv6 } from "../../src/wire/address.ts"
import { isDrop } from "../../src/wire/drop.ts"
import { NEXT_HEADER_FRAGMENT, readFragmentHeader } from "../../src/wire/fragmentHeader.ts"
import { decodeIpv4, type Ipv4Header, type Ipv4Packet, writeIpv4 } from "../../src/wire/ipv4.ts"
import { decodeIpv6, IPV6_HEADER, writeIpv6 } from "../../src/wire/ipv6.ts"

const LINK = 14
const EMPTY = new Uint8Array(0)

const bytesOf = (length: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (index * 31 + (index >> 8) * 7 + seed) & 0xff)

const datagram4 = (payload: Uint8Array, header: Partial<Ipv4Header> = {}): Uint8Array => {
  const options = header.options ?? EMPTY
  const size = 20 + ((options.length + 3) & ~3)
  const frame = new Uint8Array(LINK + size + payload.length)
  frame.fill(0xee, 0, LINK)
  writeIpv4(frame, LINK, {
    source: ipv4(0xc6120001),
    destination: ipv4(0xc6120002),
    protocol: 17,
    ttl: 64,
    tos: 0,
    identification: 7,
    dontFragment: false,
    moreFragments: false,
    fragmentOffset: 0,
    ...header,
    options,
    payloadLength: payload.length,
  })
  frame.set(payload, LINK + size)
  return frame
}

const read4 = (frame: Uint8Array): Ipv4Packet => {
  const packet = decodeIpv4(frame, LINK, frame.length - LINK)
  if (isDrop(packet)) throw new Error(packet)
  return packet
}

const cut4 = (frame: Uint8Array, mtu: number): ReadonlyArray<Ipv4Packet> =>
  (fragment(frame, LINK, mtu, 0) ?? []).map(read4)

describe("an IPv4 datagram", () => {
  // payload, MTU, "offset+octets" of each fragment
  test.each([
    [1480, 1500, "0+1480"],
    [1481, 1500, "0+1480 1480+1"],
    [2960, 1500, "0+1480 1480+1480"],
    [2961, 1500, "0+1480 1480+1480 2960+1"],
    // Room that is no multiple of eight serves only the last.
    [1476, 1496, "0+1476"],
    [1477, 1496, "0+1472 1472+5"],
    [2948, 1496, "0+1472 1472+1476"],
    [2949, 1496, "0+1472 1472+1472 2944+5"],
    [17, 28, "0+8 8+8 16+1"],
    [0, 1500, "0+0"],
  ])("of %i octets under an MTU of %i: %s", (length, mtu, expected) => {
    const packets = cut4(datagram4(bytesOf(length)), mtu)
    expect(packets.map((p) => `${p.fragmentOffset}+${p.payloadLength}`).join(" ")).toBe(expected)
    for (const [index, packet] of packets.entries()) {
      expect(packet.moreFragments).toBe(index < packets.length - 1)
      expect([packet.identification, packet.ttl, packet.protocol]).toEqual([7, 64, 17])
    }
  })

  test("every frame begins with what stood before the packet", () => {
    for (const frame of fragment(datagram4(bytesOf(5000)), LINK, 1500, 0) ?? []) {
      expect(frame.subarray(0, LINK)).toEqual(new Uint8Array(LINK).fill(0xee))
    }
  })

  test("that forbids it (DF): none", () => {
    expect(fragment(datagram4(bytesOf(1481), { dontFragment: true }), LINK, 1500, 0)).toBeUndefined()
    expect(fragment(datagram4(bytesOf(1480), { dontFragment: true }), LINK, 1500, 0)).toHaveLength(1)
  })

  test("under an MTU without room for eight octets: none", () => {
    expect(fragment(datagram4(bytesOf(100)), LINK, 27, 0)).toBeUndefined()
    expect(fragment(datagram4(bytesOf(100)), LINK, 28, 0)).toHaveLength(13)
  })

  test("with options: the first fragment has all, the others those with the copied flag (RFC 791 section 3.1)", () => {
    // Record route is not copied, loose source route is.
    const record = [7, 7, 4, 0, 0, 0, 0]
    const route = [131, 7, 4, 198, 18, 0, 9]
    const [first, second] = cut4(datagram4(bytesOf(2000), { options: Uint8Array.from([1, ...record, ...route]) }), 1500)
    expect([...(first?.options ?? [])]).toEqual([1, ...record, ...route, 0])
    expect([...(second?.options ?? [])]).toEqual([...route, 0])
  })

  test("with options that run over their end: what is whole is kept", () => {
    expect(copiedOptions(Uint8Array.of(131, 3, 4, 137, 40))).toEqual(Uint8Array.of(131, 3, 4))
    expect(copiedOptions(Uint8Array.of(131, 0, 131, 1))).toEqual(EMPTY)
    expect(copiedOptions(Uint8Array.of(0, 131, 3, 4))).toEqual(EMPTY)
  })

  test("that is a fragment itself, the last or not: cut again, offsets go on and the end stays", () => {
    for (const moreFragments of [false, true]) {
      const packets = cut4(datagram4(bytesOf(1480), { fragmentOffset: 2960, moreFragments }), 600)
      expect(packets.map((p) => p.fragmentOffset)).toEqual([2960, 3536, 4112])
      expect(packets.map((p) => p.moreFragments)).toEqual([true, true, moreFragments])
    }
  })

  test("of any length, under any MTU: the pieces are the whole, none longer than the MTU", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 20_000 }), fc.integer({ min: 28, max: 2000 }), (length, mtu) => {
        const payload = bytesOf(length)
        const whole: Uint8Array = new Uint8Array(length)
        for (const frame of fragment(datagram4(payload), LINK, mtu, 0) ?? []) {
          expect(frame.length - LINK).toBeLessThanOrEqual(mtu)
          const packet = read4(frame)
          whole.set(frame.subarray(packet.payloadOffset), packet.fragmentOffset)
        }
        expect(whole).toEqual(payload)
      }),
      { numRuns: 200 },
    )
  })
})

const NODE = ipv6(0x20010db8, 0, 0, 1)

/** `chain`: what stands between the fixed header and the payload; `nextHeader`: of the fixed header. */
const datagram6 = (payload: Uint8Array, nextHeader = 17, chain: ReadonlyArray<number> = []): Uint8Array => {
  const frame = new Uint8Array(LINK + IPV6_HEADER + chain.length + payload.length)
  writeIpv6(frame, LINK, {
    source: NODE,
    destination: NODE,
    trafficClass: 0xb8,
    flowLabel: 0x12345,
    nextHeader,
    hopLimit: 64,
    payloadLength: chain.length + payload.length,
  })
  frame.set(chain, LINK + IPV6_HEADER)
  frame.set(payload, LINK + IPV6_HEADER + chain.length)
  return frame
}

describe("an IPv6 datagram", () => {
  test.each([
    [1240, 1280, undefined],
    [1241, 1280, "0+1232 1232+9"],
    [2464, 1280, "0+1232 1232+1232"],
    [2465, 1280, "0+1232 1232+1232 2464+1"],
    [4000, 1500, "0+1448 1448+1448 2896+1104"],
  ])("of %i octets under an MTU of %i: %s", (length, mtu, expected) => {
    const frame = datagram6(bytesOf(length))
    const frames = fragment(frame, LINK, mtu, 0xdeadbeef) ?? []
    if (expected === undefined) return expect(frames.map((each) => each === frame)).toEqual([true])
    const seen = frames.map((each, index) => {
      const packet = decodeIpv6(each, LINK, each.length - LINK)
      if (isDrop(packet)) throw new Error(packet)
      expect([packet.protocol, packet.flowLabel, packet.tos]).toEqual([NEXT_HEADER_FRAGMENT, 0x12345, 0xb8])
      const header = readFragmentHeader(each, packet.payloadOffset)
      expect([header.nextHeader, header.identification]).toEqual([17, 0xdeadbeef])
      expect(header.more).toBe(index < frames.length - 1)
      return `${header.offset}+${packet.payloadLength - 8}`
    })
    expect(seen.join(" ")).toBe(expected)
    return undefined
  })

  test("with Hop-by-Hop Options: they are repeated in every fragment, before the Fragment header (RFC 8200 section 4.5)", () => {
    const hopByHop = [17, 0, 1, 4, 0, 0, 0, 0]
    const frames = fragment(datagram6(bytesOf(3000), 0, hopByHop), LINK, 1500, 1) ?? []
    expect(frames).toHaveLength(3)
    for (const frame of frames) {
      expect(frame[LINK + 6]).toBe(0)
      expect(frame[LINK + IPV6_HEADER]).toBe(NEXT_HEADER_FRAGMENT)
      expect(readFragmentHeader(frame, LINK + IPV6_HEADER + 8).nextHeader).toBe(17)
      expect(frame.length - LINK).toBeLessThanOrEqual(1500)
    }
  })

  test("per-fragment headers: up to Routing, or Hop-by-Hop; Destination Options alone belong to the fragments", () => {
    const header = (next: number) => [next, 0, 1, 4, 0, 0, 0, 0]
    const at = (nextHeader: number, chain: ReadonlyArray<number>) => {
      const frame = datagram6(bytesOf(8), nextHeader, chain)
      return perFragmentLength(frame, LINK, frame.length)
    }
    expect(at(17, [])).toEqual({ length: 40, nextHeaderAt: 6, nextHeader: 17 })
    expect(at(60, header(17))).toEqual({ length: 40, nextHeaderAt: 6, nextHeader: 60 })
    expect(at(0, header(17))).toEqual({ length: 48, nextHeaderAt: 40, nextHeader: 17 })
    expect(at(60, [...header(43), ...header(17)])).toEqual({ length: 56, nextHeaderAt: 48, nextHeader: 17 })
    expect(at(0, [17, 255, 0, 0])).toBeUndefined()
  })
})

describe("the header chain of a first fragment (RFC 7112)", () => {
  const options = (next: number) => [next, 0, 1, 4, 0, 0, 0, 0]
  test.each([
    ["all of a TCP header", 6, new Array(20).fill(0), true],
    ["a TCP header less its last octet", 6, new Array(19).fill(0), false],
    ["a UDP header", 17, new Array(8).fill(0), true],
    ["half a UDP header", 17, new Array(4).fill(0), false],
    ["Destination Options, then UDP", 60, [...options(17), ...new Array(8).fill(0)], true],
    ["Destination Options, and UDP in the next fragment", 60, options(17), false],
    ["Destination Options that go on in the next fragment", 60, [17, 5, 1, 4, 0, 0, 0, 0], false],
    ["an Authentication header, then TCP", 51, [6, 1, ...new Array(10).fill(0), ...new Array(20).fill(0)], true],
    ["no next header", 59, [], true],
    ["a protocol that nobody knows", 253, [1], true],
  ])("%s", (_, nextHeader, octets, expected) => {
    expect(holdsHeaderChain(Uint8Array.from(octets as Array<number>), nextHeader)).toBe(expected)
  })
})
